-- about: Equity (cash and own marks) changes by realised and unrealised profit, to the cent: the marks stand on both sides, so what cash moved is what strategies realised, what their open basis took up, and what no strategy holds (interest). The broker's own equity, at the marks of the close, differs from ours, taken a little before and carried to the close by delta and gamma, by no more than the error of the marks; where a leg has no mark that cannot be said, and the close names the legs. Futures are left out: the desk holds none.
-- audit: table
with
clock as (
    select * from run
),
struck as (
    select
        account_id,
        session_date,
        received_at,
        net_liquidation_usd,
        cash_usd,
        realised_usd,
        basis_usd,
        value_usd,
        mark_error_usd,
        unmarked_legs,
        row_number() over (
            partition by account_id, session_date order by as_of desc, run_id desc
        ) as place
    from gold.equity_daily
),
closes as (
    select
        account_id,
        session_date,
        received_at,
        net_liquidation_usd,
        cash_usd,
        realised_usd,
        basis_usd,
        value_usd,
        mark_error_usd,
        unmarked_legs,
        lag(received_at) over sessions as previous_received_at,
        lag(cash_usd) over sessions as previous_cash_usd,
        lag(realised_usd) over sessions as previous_realised_usd,
        lag(basis_usd) over sessions as previous_basis_usd
    from struck
    where place = 1
    window sessions as (partition by account_id order by session_date)
),
snapshots as (
    select
        account_id,
        cash_usd,
        received_at,
        row_number() over (partition by account_id order by ingest_seq) as place
    from bronze.account
),
today as (
    select
        clock.session_date,
        closes.account_id,
        closes.received_at,
        closes.net_liquidation_usd,
        closes.cash_usd,
        closes.value_usd,
        closes.mark_error_usd,
        closes.unmarked_legs,
        coalesce(closes.previous_received_at, snapshots.received_at) as start_received_at,
        closes.cash_usd
        - case
            when closes.previous_received_at is null then snapshots.cash_usd
            else closes.previous_cash_usd
        end as cash_change_usd,
        closes.realised_usd
        - case
            when closes.previous_received_at is null then 0
            else closes.previous_realised_usd
        end as realised_usd,
        closes.basis_usd
        - case
            when closes.previous_received_at is null then 0
            else closes.previous_basis_usd
        end as basis_change_usd
    from clock
    left join closes on clock.session_date = closes.session_date
    left join snapshots on closes.account_id = snapshots.account_id and snapshots.place = 1
),
held as (
    select distinct conid from ops.strategy_legs
),
unclaimed as (
    select
        today.account_id,
        coalesce(sum(fills.cash_usd), 0) as unclaimed_usd
    from today
    inner join silver.fills
        on fills.received_at > today.start_received_at
        and fills.received_at <= today.received_at
    left join held on fills.conid = held.conid
    where fills.execution_kind in ('interest', 'dividend', 'variation') and held.conid is null
    group by today.account_id
),
bars as (
    select
        bars.symbol,
        cast(bars.close as double) as close,
        row_number() over (partition by bars.symbol order by bars.ingest_seq desc) as place
    from silver.bars
    inner join clock on bars.session_date = clock.session_date
    where bars.bar_size = '1 day'
),
marks as (
    select
        cast(marks_daily.quantity * marks_daily.multiplier as double) as shares,
        marks_daily.delta,
        marks_daily.gamma,
        bars.close - marks_daily.spot_usd as move,
        row_number() over (
            partition by marks_daily.conid order by marks_daily.as_of desc
        ) as place
    from gold.marks_daily
    inner join clock on marks_daily.session_date = clock.session_date
    inner join bars on marks_daily.symbol = bars.symbol and bars.place = 1
    where marks_daily.security_kind <> 'FUT'
),
carried as (
    select coalesce(sum(shares * (delta * move + gamma * move * move / 2)), 0) as carried_usd
    from marks
    where place = 1
),
compared as (
    select
        today.*,
        today.realised_usd + today.basis_change_usd + coalesce(unclaimed.unclaimed_usd, 0)
            as explained_usd,
        cast(today.net_liquidation_usd - today.cash_usd as double)
        - today.value_usd - carried.carried_usd as broker_difference_usd,
        carried.carried_usd
    from today
    cross join carried
    left join unclaimed on today.account_id = unclaimed.account_id
)
select
    account_id,
    session_date,
    cash_change_usd,
    explained_usd,
    broker_difference_usd,
    carried_usd,
    mark_error_usd,
    unmarked_legs
from compared
where cash_change_usd is null
    or explained_usd is null
    or abs(cash_change_usd - explained_usd) >= 0.005
    or net_liquidation_usd is null
    or (broker_difference_usd is null and coalesce(unmarked_legs, 0) = 0)
    or abs(broker_difference_usd) > mark_error_usd + 0.01
order by account_id
