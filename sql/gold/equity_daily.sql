-- about: The account and the strategies' books at the close. Value and error of the own marks are NULL while one of unmarked_legs has none.
-- grain: one row an account and session
-- key: session_date, account_id
-- owner: pipeline
-- freshness: daily
-- kind: close
-- live: history
-- engine: portable
with
clock as (
    select * from run
),
account as (
    select * from bronze.account
),
strategies as (
    select
        sum(realised_usd) as realised_usd,
        sum(case when quantity > 0 then open_basis_usd else 0 end) as basis_usd,
        sum(commissions_usd) as commissions_usd
    from ops.strategies
),
marks as (
    select
        count(*) as legs,
        sum(case when mid is null then 1 else 0 end) as unmarked_legs,
        sum(cast(quantity * multiplier as double) * mid order by conid) as value_usd,
        sum(abs(cast(quantity * multiplier as double)) * half_spread order by conid)
            as mark_error_usd
    from gold.marks_daily
    inner join clock on marks_daily.run_id = clock.run_id
    where security_kind <> 'FUT'
)
select
    clock.as_of,
    account.account_id,
    account.net_liquidation_usd,
    account.cash_usd,
    account.initial_margin_usd,
    account.maintenance_margin_usd,
    account.excess_liquidity_usd,
    cast(coalesce(strategies.realised_usd, 0) as decimal(18, 6)) as realised_usd,
    cast(coalesce(strategies.basis_usd, 0) as decimal(18, 6)) as basis_usd,
    cast(coalesce(strategies.commissions_usd, 0) as decimal(18, 6)) as commissions_usd,
    case
        when marks.legs = 0 then 0.0
        when marks.unmarked_legs = 0 then marks.value_usd
    end as value_usd,
    case
        when marks.legs = 0 then 0.0
        when marks.unmarked_legs = 0 then marks.mark_error_usd
    end as mark_error_usd,
    cast(coalesce(marks.unmarked_legs, 0) as bigint) as unmarked_legs,
    account.received_at,
    clock.run_id,
    clock.session_date
from clock
cross join account
cross join strategies
cross join marks
order by account.account_id
