-- about: Book Greeks by underlying and for the portfolio. A sum is NULL while a held leg cannot be measured.
-- grain: one row a scope, subject and run
-- key: run_id, scope, subject_id
-- owner: pipeline
-- freshness: each run
-- kind: snapshot
-- live: session
-- engine: portable
with
clock as (
    select * from run
),
marks as (
    select * from gold.marks
),
signals as (
    select symbol, spot_usd, beta_spy from gold.signals
),
spy as (
    select spot_usd from signals where symbol = 'SPY'
),
legs as (
    select
        case
            when symbol in ('ES', 'MES') then 'SPY'
            when symbol in ('NQ', 'MNQ') then 'QQQ'
            when symbol in ('RTY', 'M2K') then 'IWM'
            else symbol
        end as symbol,
        conid,
        cast(quantity * multiplier as double) as shares
    from ops.strategy_legs
    where quantity <> 0
),
measured as (
    select
        legs.symbol,
        legs.conid,
        legs.shares * marks.delta * marks.spot_usd as delta_usd,
        case
            when legs.symbol = 'SPY' then 1.0
            else signals.beta_spy
        end as beta_spy,
        legs.shares * marks.gamma * marks.spot_usd * marks.spot_usd * 0.01 as gamma_usd_1pct,
        legs.shares * marks.vega as vega_usd,
        case
            when marks.security_kind <> 'OPT' then 0.0
            else legs.shares * marks.vega * sqrt(30.0 / greatest(marks.dte, 1))
        end as vega_30d_usd,
        legs.shares * marks.theta as theta_usd,
        legs.shares * marks.rho as rho_usd,
        legs.shares * marks.mark as value_usd
    from legs
    left join marks on legs.conid = marks.conid
    left join signals on legs.symbol = signals.symbol
),
summed as (
    select
        case when grouping(symbol) = 1 then 'portfolio' else 'symbol' end as scope,
        case when grouping(symbol) = 1 then 'portfolio' else symbol end as subject_id,
        count(*) as legs,
        sum(case when delta_usd is null then 1 else 0 end) as unmeasured_legs,
        sum(case when beta_spy is null then 1 else 0 end) as unbeta_legs,
        sum(delta_usd order by conid) as delta_usd,
        sum(delta_usd * beta_spy order by conid) as beta_delta_usd,
        sum(gamma_usd_1pct order by conid) as gamma_usd_1pct,
        sum(vega_usd order by conid) as vega_usd,
        sum(vega_30d_usd order by conid) as vega_30d_usd,
        sum(theta_usd order by conid) as theta_usd,
        sum(rho_usd order by conid) as rho_usd,
        sum(value_usd order by conid) as value_usd
    from measured
    group by grouping sets ((symbol), ())
    having count(*) > 0
)
select
    clock.as_of,
    summed.scope,
    summed.subject_id,
    summed.legs,
    summed.unmeasured_legs,
    case when summed.unmeasured_legs = 0 then summed.delta_usd end as delta_usd,
    case
        when summed.unmeasured_legs = 0 and summed.unbeta_legs = 0
            then summed.beta_delta_usd / spy.spot_usd
    end as beta_delta_spy_shares,
    case when summed.unmeasured_legs = 0 then summed.gamma_usd_1pct end as gamma_usd_1pct,
    case when summed.unmeasured_legs = 0 then summed.vega_usd end as vega_usd,
    case when summed.unmeasured_legs = 0 then summed.vega_30d_usd end as vega_30d_usd,
    case when summed.unmeasured_legs = 0 then summed.theta_usd end as theta_usd,
    case when summed.unmeasured_legs = 0 then summed.rho_usd end as rho_usd,
    case when summed.unmeasured_legs = 0 then summed.value_usd end as value_usd,
    clock.run_id,
    clock.session_date
from clock
cross join summed
left join spy on true
order by summed.scope, summed.subject_id
