-- about: What rules say beyond hold, with the strategy behind each verdict and what working orders already take off it.
-- grain: one row a rule and subject
-- key: rule, scope, subject_id
-- owner: pipeline
-- freshness: each run
-- kind: ephemeral
-- live: run
-- engine: portable
with
clock as (
    select * from run
),
verdicts as (
    select * from gold.rule_verdicts where verdict in ('fire', 'unevaluable')
),
states as (
    select
        all_states.strategy_id,
        all_states.symbol,
        all_states.structure,
        all_states.quantity,
        all_states.closing_legs
    from gold.strategy_state as all_states
    inner join clock on all_states.run_id = clock.run_id
),
leaving as (
    select
        strategy_id,
        sum(quantity - filled_quantity) as remaining
    from ops.orders
    where purpose in ('close', 'roll', 'repair')
        and state in ('proposed', 'approved', 'sent', 'working', 'unknown')
    group by strategy_id
)
select
    verdicts.rule,
    verdicts.priority,
    verdicts.scope,
    verdicts.subject_id,
    verdicts.verdict,
    verdicts.action,
    verdicts.fraction,
    verdicts.urgency,
    verdicts.reason,
    coalesce(states.symbol, verdicts.subject_id) as symbol,
    states.structure,
    states.closing_legs,
    states.quantity,
    case when states.quantity is not null then coalesce(leaving.remaining, 0) end as leaving
from verdicts
left join states
    on verdicts.scope = 'strategy' and verdicts.subject_id = states.strategy_id
left join leaving on states.strategy_id = leaving.strategy_id
order by verdicts.scope, verdicts.subject_id, verdicts.rule
