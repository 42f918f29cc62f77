-- about: Closes where a short leg is nearly even odds, or where a move in which SPY makes 1 % costs too much of the maximum loss by delta. The move is weighted by beta to SPY, at least 1; where beta is not known (fewer than the needed sessions of bars, not SPY) the second half is unevaluable, which bars entries in the symbol, and no entry is made there in the first place.
-- grain: one row an open strategy
-- key: subject_id
-- owner: rules
-- freshness: each run
-- kind: snapshot
-- live: run
-- engine: portable
-- priority: 25
-- params: delta_exit_short_delta_max, delta_exit_move_loss_ratio_max
with
clock as (
    select * from run
),
settings as (
    select * from params
),
states as (
    select * from gold.strategy_state
),
measured as (
    select
        states.strategy_id,
        states.option_legs,
        states.is_left_over,
        states.mark_quality,
        states.short_delta_max,
        settings.delta_exit_short_delta_max as short_delta_limit,
        states.delta_1pct_usd,
        abs(states.beta_delta_1pct_usd) / nullif(states.max_loss_usd, 0) as move_ratio,
        settings.delta_exit_move_loss_ratio_max as move_limit
    from settings
    cross join states
    inner join clock on states.run_id = clock.run_id
),
judged as (
    select
        *,
        case
            when option_legs = 0 or is_left_over = 1 then 'hold'
            when short_delta_max > short_delta_limit then 'fire'
            when move_ratio > move_limit then 'fire'
            when move_ratio is null then 'unevaluable'
            else 'hold'
        end as verdict,
        case
            when short_delta_max / short_delta_limit >= coalesce(move_ratio / move_limit, 0)
                then 1
            else 0
        end as is_short_leg
    from measured
)
select
    'strategy' as scope,
    strategy_id as subject_id,
    verdict,
    case when verdict = 'fire' then 'close' end as action,
    case when verdict = 'fire' then 1.0 end as fraction,
    cast(2 as smallint) as urgency,
    case when is_short_leg = 1 then short_delta_max else move_ratio end as measured,
    case when is_short_leg = 1 then short_delta_limit else move_limit end as threshold,
    case
        when option_legs = 0 then 'no option legs'
        when is_left_over = 1 then 'only longs that nobody bids for: left to expiry'
        when verdict = 'unevaluable' and delta_1pct_usd is not null
            then 'no beta to SPY, or no maximum loss'
        when verdict = 'unevaluable' then 'no Greeks: ' || mark_quality
        when verdict = 'fire' and is_short_leg = 1 then 'delta of a short leg beyond its limit'
        when verdict = 'fire' then 'loss of a 1 % move of SPY beyond its share of the maximum loss'
        else 'deltas within their limits'
    end as reason
from judged
order by strategy_id
