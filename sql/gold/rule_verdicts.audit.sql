-- about: A rule judges each open strategy exactly once; a verdict is fire, hold or unevaluable; what fires says action, fraction and urgency, and nothing else has an action. A rule that says nothing at all while a strategy is open offends.
-- audit: table
with
clock as (
    select * from run
),
verdicts as (
    select * from gold.rule_verdicts
),
states as (
    select all_states.strategy_id
    from gold.strategy_state as all_states
    inner join clock on all_states.run_id = clock.run_id
),
counted as (
    select count(*) as verdict_rows from verdicts
),
rules as (
    select rule from verdicts where scope = 'strategy' group by rule
    union all
    select 'a rule without a row' as rule from counted where verdict_rows = 0
),
uneven as (
    select
        rules.rule,
        states.strategy_id as subject_id,
        cast(count(verdicts.rule) as varchar) || ' verdicts' as fault
    from rules
    cross join states
    left join verdicts
        on rules.rule = verdicts.rule
        and states.strategy_id = verdicts.subject_id
        and verdicts.scope = 'strategy'
    group by rules.rule, states.strategy_id
    having count(verdicts.rule) <> 1
),
malformed as (
    select
        rule,
        subject_id,
        'verdict, action, fraction or urgency' as fault
    from verdicts
    where verdict is null
        or verdict not in ('fire', 'hold', 'unevaluable')
        or scope is null
        or scope not in ('strategy', 'symbol', 'portfolio')
        or urgency is null
        or urgency < 0
        or urgency > 3
        or (
            verdict = 'fire'
            and (
                action is null
                or action not in ('close', 'reduce', 'roll', 'adjust', 'hedge')
                or fraction is null
                or fraction <= 0
                or fraction > 1
            )
        )
        or (verdict <> 'fire' and (action is not null or fraction is not null))
)
select
    rule,
    subject_id,
    fault
from uneven
union all
select
    rule,
    subject_id,
    fault
from malformed
order by rule, subject_id, fault
