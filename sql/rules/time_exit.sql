-- about: Closes when few days are left; urgent on the last day, an emergency past the cut-off or where the end of trading is not known.
-- grain: one row an open strategy
-- key: subject_id
-- owner: rules
-- freshness: each run
-- kind: snapshot
-- live: run
-- engine: portable
-- priority: 10
-- params: time_exit_days_min, time_exit_cutoff_minutes
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
        cast(states.dte as double) as days,
        states.minutes_to_last_trade,
        settings.time_exit_days_min as days_min,
        settings.time_exit_cutoff_minutes as cutoff_minutes
    from settings
    cross join states
    inner join clock on states.run_id = clock.run_id
),
judged as (
    select
        *,
        case
            when option_legs = 0 or is_left_over = 1 then 'hold'
            when days is null then 'unevaluable'
            when days <= days_min then 'fire'
            else 'hold'
        end as verdict
    from measured
)
select
    'strategy' as scope,
    strategy_id as subject_id,
    verdict,
    case when verdict = 'fire' then 'close' end as action,
    case when verdict = 'fire' then 1.0 end as fraction,
    cast(
        case
            when days <= 0 and coalesce(minutes_to_last_trade, 0) <= cutoff_minutes then 3
            when days <= 1 then 2
            else 1
        end as smallint
    ) as urgency,
    days as measured,
    days_min as threshold,
    case
        when option_legs = 0 then 'no option legs'
        when is_left_over = 1 then 'only longs that nobody bids for: left to expiry'
        when days is null then 'expiry not known'
        when verdict = 'hold' then 'days to expiry above the limit'
        when days <= 0 and minutes_to_last_trade is null
            then 'last day, end of trading not known'
        when days <= 0 and minutes_to_last_trade <= cutoff_minutes
            then 'past the cut-off of the last day'
        when days <= 1 then 'last day'
        else 'days to expiry at the limit'
    end as reason
from judged
order by strategy_id
