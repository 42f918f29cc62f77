-- about: The day's profit: equity from close to close, realised and unrealised, cash moved, and the explain from the Greeks of the previous close; the residual holds the day's own trades and what the Greeks leave. The first session starts from the cash before its bookings. flows_usd is cash that no execution explains, which the audit cash_moved does not let pass; gap names what leaves unrealised_usd unknown.
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
equity as (
    select
        *,
        lag(net_liquidation_usd) over sessions as start_equity_usd,
        lag(cash_usd) over sessions as start_cash_usd,
        lag(realised_usd) over sessions as start_realised_usd,
        lag(basis_usd) over sessions as start_basis_usd,
        lag(value_usd) over sessions as start_value_usd,
        lag(mark_error_usd) over sessions as start_mark_error_usd,
        lag(unmarked_legs) over sessions as start_unmarked_legs,
        lag(session_date) over sessions as start_date,
        row_number() over (
            partition by account_id order by session_date desc
        ) as recency
    from gold.equity_daily
    window sessions as (
        partition by account_id order by session_date
    )
),
fills as (
    select
        coalesce(sum(fills.cash_usd), 0) as cash_usd,
        coalesce(sum(fills.commission_usd), 0) as fees_usd,
        coalesce(
            sum(
                case
                    when fills.execution_kind in ('trade', 'correction', 'liquidation')
                        then fills.cash_usd
                end
            ), 0
        ) as trades_usd,
        coalesce(
            sum(case when fills.execution_kind = 'interest' then fills.cash_usd end), 0
        ) as interest_usd,
        coalesce(
            sum(case when fills.execution_kind = 'dividend' then fills.cash_usd end), 0
        ) as dividends_usd,
        count(*) as fills
    from silver.fills
    inner join clock on fills.session_date = clock.session_date
),
marks as (
    select
        *,
        lag(session_date) over contract as start_date,
        lag(quantity) over contract as start_quantity,
        lag(mid) over contract as start_mid,
        lag(spot_usd) over contract as start_spot_usd,
        lag(vol) over contract as start_vol,
        lag(rate) over contract as start_rate,
        lag(delta) over contract as start_delta,
        lag(gamma) over contract as start_gamma,
        lag(vega) over contract as start_vega,
        lag(theta) over contract as start_theta,
        lag(rho) over contract as start_rho
    from gold.marks_daily
    window contract as (partition by conid order by session_date)
),
carried as (
    select
        marks.conid,
        cast(marks.start_quantity * marks.multiplier as double) as shares,
        cast(marks.session_date - marks.start_date as double) as days,
        marks.spot_usd - marks.start_spot_usd as spot_change,
        (marks.vol - marks.start_vol) * 100 as vol_change_points,
        (marks.rate - marks.start_rate) * 100 as rate_change_points,
        marks.start_delta,
        marks.start_gamma,
        marks.start_vega,
        marks.start_theta,
        marks.start_rho
    from marks
    inner join clock on marks.session_date = clock.session_date
    inner join equity
        on equity.recency = 1 and marks.start_date = equity.start_date
),
explained as (
    select
        count(*) as carried_legs,
        sum(shares * start_delta * spot_change order by conid) as delta_usd,
        sum(shares * start_gamma * spot_change * spot_change / 2 order by conid) as gamma_usd,
        sum(shares * start_vega * vol_change_points order by conid) as vega_usd,
        sum(shares * start_theta * days order by conid) as theta_usd,
        sum(shares * start_rho * rate_change_points order by conid) as rho_usd
    from carried
),
joined as (
    select
        equity.account_id,
        equity.start_date,
        coalesce(equity.start_equity_usd, equity.cash_usd - fills.cash_usd)
            as start_equity_usd,
        equity.net_liquidation_usd as end_equity_usd,
        equity.net_liquidation_usd
        - coalesce(equity.start_equity_usd, equity.cash_usd - fills.cash_usd)
            as equity_change_usd,
        equity.cash_usd - coalesce(equity.start_cash_usd, equity.cash_usd - fills.cash_usd)
            as cash_change_usd,
        fills.cash_usd as cash_moved_usd,
        equity.cash_usd - fills.cash_usd
        - coalesce(equity.start_cash_usd, equity.cash_usd - fills.cash_usd) as flows_usd,
        fills.fees_usd,
        fills.trades_usd,
        fills.cash_usd - fills.trades_usd as settlements_usd,
        fills.interest_usd,
        fills.dividends_usd,
        fills.fills,
        equity.realised_usd - coalesce(equity.start_realised_usd, 0) as realised_usd,
        cast(equity.basis_usd - coalesce(equity.start_basis_usd, 0) as double)
        + equity.value_usd
        - case when equity.start_date is null then 0.0 else equity.start_value_usd end
            as unrealised_usd,
        equity.mark_error_usd
        + case when equity.start_date is null then 0.0 else equity.start_mark_error_usd end
            as mark_error_usd,
        concat_ws(
            ', ',
            case
                when equity.unmarked_legs > 0
                    then cast(equity.unmarked_legs as varchar) || ' legs without a mark'
            end,
            case
                when equity.start_unmarked_legs > 0
                    then cast(equity.start_unmarked_legs as varchar)
                    || ' legs without a mark at the close before'
            end
        ) as gap,
        explained.carried_legs,
        coalesce(explained.delta_usd, 0.0) as delta_usd,
        coalesce(explained.gamma_usd, 0.0) as gamma_usd,
        coalesce(explained.vega_usd, 0.0) as vega_usd,
        coalesce(explained.theta_usd, 0.0) as theta_usd,
        coalesce(explained.rho_usd, 0.0) as rho_usd
    from equity
    inner join clock on equity.session_date = clock.session_date
    cross join fills
    cross join explained
)
select
    clock.as_of,
    joined.account_id,
    cast(joined.start_equity_usd as decimal(18, 6)) as start_equity_usd,
    cast(joined.end_equity_usd as decimal(18, 6)) as end_equity_usd,
    cast(joined.equity_change_usd as decimal(18, 6)) as equity_change_usd,
    cast(joined.cash_change_usd as decimal(18, 6)) as cash_change_usd,
    cast(joined.cash_moved_usd as decimal(18, 6)) as cash_moved_usd,
    cast(joined.flows_usd as decimal(18, 6)) as flows_usd,
    cast(joined.trades_usd as decimal(18, 6)) as trades_usd,
    cast(joined.settlements_usd as decimal(18, 6)) as settlements_usd,
    cast(joined.interest_usd as decimal(18, 6)) as interest_usd,
    cast(joined.dividends_usd as decimal(18, 6)) as dividends_usd,
    cast(joined.fees_usd as decimal(18, 6)) as fees_usd,
    joined.fills,
    cast(joined.realised_usd as decimal(18, 6)) as realised_usd,
    joined.unrealised_usd,
    joined.mark_error_usd,
    cast(joined.gap as varchar) as gap,
    joined.carried_legs,
    joined.delta_usd,
    joined.gamma_usd,
    joined.vega_usd,
    joined.theta_usd,
    joined.rho_usd,
    cast(joined.equity_change_usd - joined.flows_usd as double)
    - joined.delta_usd - joined.gamma_usd - joined.vega_usd
    - joined.theta_usd - joined.rho_usd as residual_usd,
    clock.run_id,
    clock.session_date
from clock
cross join joined
order by joined.account_id
