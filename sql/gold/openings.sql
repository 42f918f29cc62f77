-- about: What each traded symbol offers a new structure: inputs, expiry, and what bars it now. What the entries' headers require is asked for here: an input that is NULL is unevaluable.
-- grain: one row a symbol with listed American options
-- key: symbol
-- owner: pipeline
-- freshness: each run
-- kind: ephemeral
-- live: run
-- engine: portable
-- params: openings_days_min, openings_days_max, openings_days_target, openings_strategies_per_symbol_max, openings_open_quiet_minutes, openings_close_quiet_minutes
with
clock as (
    select * from run
),
settings as (
    select * from params
),
symbols as (
    select distinct symbol
    from bronze.contracts
    where security_kind = 'OPT' and exercise_style = 'american'
),
signals as (
    select * from gold.signals
),
surface as (
    select * from gold.vol_surface
),
known_dividends as (
    select dividends.symbol
    from bronze.dividends
    inner join clock on dividends.valid_through >= clock.session_date
    where dividends.amount_usd is not null
    group by dividends.symbol
),
expiries as (
    select
        surface.symbol,
        surface.expiry_date,
        surface.dte,
        surface.rate,
        row_number() over (
            partition by surface.symbol
            order by
                case when surface.rate is null then 1 else 0 end,
                abs(surface.dte - settings.openings_days_target), surface.expiry_date
        ) as place
    from settings
    cross join surface
    where surface.dte >= settings.openings_days_min
        and surface.dte <= settings.openings_days_max
),
opening as (
    select distinct strategy_id
    from ops.orders
    where purpose = 'open'
        and state in ('proposed', 'approved', 'sent', 'working', 'unknown')
),
states as (
    select
        all_states.strategy_id,
        case
            when all_states.option_legs > 0
                and (
                    all_states.pnl_ratio is null
                    or all_states.beta_delta_1pct_usd is null
                    or all_states.dte is null
                )
                then 1
        end as is_unevaluable,
        case when all_states.is_left_over = 1 then 1 end as is_left_over
    from gold.strategy_state as all_states
    inner join clock on all_states.run_id = clock.run_id
),
held as (
    select
        strategies.symbol,
        count(*) - count(states.is_left_over) as strategies,
        count(opening.strategy_id) as opening,
        count(states.is_unevaluable) as unevaluable
    from ops.strategies
    left join opening on strategies.strategy_id = opening.strategy_id
    left join states on strategies.strategy_id = states.strategy_id
    where strategies.quantity > 0 or opening.strategy_id is not null
    group by strategies.symbol
),
contexts as (
    select
        symbols.symbol,
        signals.spot_usd,
        signals.iv30,
        signals.forecast_vol,
        signals.forecast_weight,
        signals.forecast_gap,
        case when symbols.symbol = 'SPY' then 1.0 else signals.beta_spy end as beta_spy,
        known_dividends.symbol as dividends_of,
        concat_ws(
            ', ',
            case when signals.iv_rank is null then 'iv_rank' end,
            case when signals.futures_change_overnight_ratio is null then 'futures' end
        ) as gaps,
        expiries.expiry_date,
        expiries.dte,
        expiries.rate,
        coalesce(held.strategies, 0) as strategies,
        coalesce(held.opening, 0) as opening,
        coalesce(held.unevaluable, 0) as unevaluable,
        settings.openings_strategies_per_symbol_max as strategies_max,
        case
            when extract(epoch from (clock.as_of - clock.session_open_at))
                < 60 * settings.openings_open_quiet_minutes then 0
            when extract(epoch from (clock.session_close_at - clock.as_of))
                < 60 * settings.openings_close_quiet_minutes then 0
            else 1
        end as is_open
    from clock
    cross join settings
    cross join symbols
    left join signals on symbols.symbol = signals.symbol
    left join expiries on symbols.symbol = expiries.symbol and expiries.place = 1
    left join held on symbols.symbol = held.symbol
    left join known_dividends on symbols.symbol = known_dividends.symbol
)
select
    symbol,
    spot_usd,
    iv30,
    forecast_vol,
    forecast_vol / iv30 as scale,
    cast(gaps as varchar) as gaps,
    expiry_date,
    dte,
    cast(
        case
            when is_open = 0 then 'outside entry hours'
            when opening > 0 then 'an order to open works in the symbol'
            when strategies >= strategies_max then 'enough open structures in the symbol'
            when unevaluable > 0 then 'unevaluable: exit rules of the symbol cannot be judged'
            when spot_usd is null then 'unevaluable: no spot'
            when iv30 is null then 'unevaluable: no 30-day implied volatility'
            when forecast_vol is null or forecast_weight is null
                then concat('unevaluable: no forecast (', forecast_gap, ')')
            when beta_spy is null then 'unevaluable: no beta to SPY'
            when dividends_of is null
                then 'unevaluable: dividends not known, or no longer valid'
            when expiry_date is null then 'no listed expiry in the range of days'
            when rate is null then 'unevaluable: no rate to the expiry'
        end as varchar
    ) as bar
from contexts
order by symbol
