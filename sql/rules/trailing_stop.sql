-- about: Closes where a profit that was once large enough has been given back, beyond the error of the mark, several times in a row over a stated time, counted as in stop_loss. Judged on P&L over basis, so alike for credit and debit.
-- grain: one row an open strategy
-- key: subject_id
-- owner: rules
-- freshness: each run
-- kind: snapshot
-- live: run
-- engine: portable
-- priority: 30
-- params: trailing_stop_activation_ratio, trailing_stop_give_back_ratio, trailing_stop_evaluations, trailing_stop_seconds, trailing_stop_quiet_seconds
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
limited as (
    select
        states.strategy_id,
        states.run_id,
        states.as_of,
        states.pnl_ratio,
        states.mark_error_ratio,
        states.mark_quality,
        states.is_left_over,
        states.peak_pnl_ratio,
        settings.trailing_stop_evaluations as evaluations,
        settings.trailing_stop_seconds as seconds,
        case
            when states.peak_pnl_ratio >= settings.trailing_stop_activation_ratio
                then states.peak_pnl_ratio * (1 - settings.trailing_stop_give_back_ratio)
        end as floor_ratio,
        case
            when extract(epoch from (states.as_of - clock.session_open_at))
                >= settings.trailing_stop_quiet_seconds then 1
            else 0
        end as is_judged,
        row_number() over (
            partition by states.strategy_id order by states.as_of desc, states.run_id desc
        ) as recency
    from clock
    cross join settings
    cross join states
),
evaluated as (
    select
        *,
        case when is_judged = 1 and pnl_ratio + mark_error_ratio <= floor_ratio then 1 else 0 end
            as is_breached
    from limited
    where recency = 1 or pnl_ratio is not null
),
streaks as (
    select
        *,
        sum(1 - is_breached) over (
            partition by strategy_id order by recency
            rows between unbounded preceding and current row
        ) as unbreached
    from evaluated
),
counted as (
    select
        strategy_id,
        sum(case when unbreached = 0 then 1 else 0 end) as breaches,
        max(evaluations) as evaluations,
        max(seconds) as seconds,
        extract(
            epoch from (max(as_of) - min(case when unbreached = 0 then as_of end))
        ) as span_seconds,
        max(case when recency = 1 then run_id end) as run_id,
        max(case when recency = 1 then pnl_ratio end) as pnl_ratio,
        max(case when recency = 1 then floor_ratio end) as floor_ratio,
        max(case when recency = 1 then mark_quality end) as mark_quality,
        max(case when recency = 1 then is_left_over end) as is_left_over,
        max(case when recency = 1 then is_judged end) as is_judged,
        max(case when recency = 1 then is_breached end) as is_breached
    from streaks
    group by strategy_id
),
judged as (
    select
        counted.*,
        case
            when is_left_over = 1 then 'hold'
            when pnl_ratio is null then 'unevaluable'
            when breaches >= evaluations and span_seconds >= seconds then 'fire'
            else 'hold'
        end as verdict
    from counted
    inner join clock on counted.run_id = clock.run_id
)
select
    'strategy' as scope,
    strategy_id as subject_id,
    verdict,
    case when verdict = 'fire' then 'close' end as action,
    case when verdict = 'fire' then 1.0 end as fraction,
    cast(1 as smallint) as urgency,
    pnl_ratio as measured,
    floor_ratio as threshold,
    case
        when is_left_over = 1 then 'only longs that nobody bids for: left to expiry'
        when pnl_ratio is null then 'no mark: ' || mark_quality
        when floor_ratio is null then 'not yet activated'
        when verdict = 'fire' then 'too much of the best profit given back'
        when is_judged = 0 then 'quiet time after the open'
        when is_breached = 1 then 'profit given back, not yet confirmed'
        else 'above the trailing floor'
    end as reason
from judged
order by strategy_id
