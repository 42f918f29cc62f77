-- about: Closes where the loss, beyond the error of the mark, has passed its limit (a share of the maximum loss, or a multiple of the credit or debit: the earlier) several times in a row over a stated time. The row begins after the session's last evaluation within the limit, however many there are; one without a mark is none.
-- grain: one row an open strategy
-- key: subject_id
-- owner: rules
-- freshness: each run
-- kind: snapshot
-- live: run
-- engine: portable
-- priority: 20
-- params: stop_loss_max_loss_ratio, stop_loss_credit_ratio, stop_loss_debit_ratio, stop_loss_evaluations, stop_loss_seconds, stop_loss_quiet_seconds
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
        states.pnl_usd,
        states.mark_error_usd,
        states.mark_quality,
        states.is_left_over,
        settings.stop_loss_evaluations as evaluations,
        settings.stop_loss_seconds as seconds,
        -least(
            settings.stop_loss_max_loss_ratio * states.max_loss_usd,
            abs(states.basis_usd) * case
                when states.basis_kind = 'credit' then settings.stop_loss_credit_ratio
                else settings.stop_loss_debit_ratio
            end
        ) as limit_usd,
        case
            when extract(epoch from (states.as_of - clock.session_open_at))
                >= settings.stop_loss_quiet_seconds then 1
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
        case when is_judged = 1 and pnl_usd + mark_error_usd <= limit_usd then 1 else 0 end
            as is_breached
    from limited
    where recency = 1 or pnl_usd is not null
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
        max(case when recency = 1 then pnl_usd end) as pnl_usd,
        max(case when recency = 1 then limit_usd end) as limit_usd,
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
            when pnl_usd is null or limit_usd is null then 'unevaluable'
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
    cast(2 as smallint) as urgency,
    pnl_usd as measured,
    limit_usd as threshold,
    case
        when is_left_over = 1 then 'only longs that nobody bids for: left to expiry'
        when pnl_usd is null then 'no mark: ' || mark_quality
        when limit_usd is null then 'no maximum loss or basis'
        when verdict = 'fire' then 'loss beyond its limit in consecutive evaluations'
        when is_judged = 0 then 'quiet time after the open'
        when is_breached = 1 then 'loss beyond its limit, not yet confirmed'
        else 'loss within its limit'
    end as reason
from judged
order by strategy_id
