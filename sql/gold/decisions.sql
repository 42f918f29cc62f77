-- about: What to do now: the most urgent fired rule of each subject, then the best candidate of each symbol where nothing stands in its way.
-- grain: one row a subject and run
-- key: decision_id
-- owner: pipeline
-- freshness: each run
-- kind: snapshot
-- live: session
-- engine: portable
with
clock as (
    select * from run
),
verdicts as (
    select * from gold.rule_verdicts
),
candidates as (
    select * from gold.entry_candidates
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
working as (
    select
        strategy_id,
        purpose,
        cast(quantity - filled_quantity as bigint) as remaining
    from ops.orders
    where state in ('proposed', 'approved', 'sent', 'working', 'unknown')
),
leaving as (
    select strategy_id, sum(remaining) as remaining
    from working
    where purpose in ('close', 'roll', 'repair')
    group by strategy_id
),
busy as (
    select strategies.symbol
    from working
    inner join ops.strategies on working.strategy_id = strategies.strategy_id
    union
    select states.symbol
    from verdicts
    inner join states on verdicts.subject_id = states.strategy_id
    where verdicts.scope = 'strategy' and verdicts.verdict in ('unevaluable', 'fire')
    union
    select verdicts.subject_id as symbol
    from verdicts
    where verdicts.scope = 'symbol' and verdicts.verdict in ('unevaluable', 'fire')
),
blocked as (
    select count(*) as causes
    from verdicts
    where scope = 'portfolio' and verdict in ('unevaluable', 'fire')
),
fired as (
    select
        verdicts.scope,
        verdicts.subject_id,
        verdicts.action,
        verdicts.fraction,
        verdicts.urgency,
        verdicts.rule,
        verdicts.reason,
        row_number() over (
            partition by verdicts.scope, verdicts.subject_id
            order by verdicts.urgency desc, verdicts.priority, verdicts.rule
        ) as place
    from verdicts
    where verdicts.verdict = 'fire'
),
exits as (
    select
        fired.scope,
        fired.subject_id,
        fired.action,
        least(
            fired.fraction,
            cast(states.quantity - coalesce(leaving.remaining, 0) as double)
            / cast(states.quantity as double)
        ) as fraction,
        fired.urgency,
        fired.rule,
        fired.reason,
        states.symbol,
        states.structure,
        states.closing_legs as legs,
        states.quantity,
        coalesce(leaving.remaining, 0) as remaining
    from fired
    left join states on fired.scope = 'strategy' and fired.subject_id = states.strategy_id
    left join leaving on fired.scope = 'strategy' and fired.subject_id = leaving.strategy_id
    where fired.place = 1
),
best as (
    select
        candidates.*,
        row_number() over (
            partition by candidates.symbol
            order by
                candidates.expected_value_usd / cast(candidates.max_loss_usd as double) desc,
                candidates.priority, candidates.entry, candidates.candidate_id
        ) as place
    from candidates
    where candidates.verdict = 'candidate'
),
entries as (
    select best.*
    from blocked
    cross join best
    left join busy on best.symbol = busy.symbol
    where best.place = 1 and busy.symbol is null and blocked.causes = 0
),
decided as (
    select
        scope,
        subject_id,
        action,
        fraction,
        cast(urgency as smallint) as urgency,
        rule,
        legs,
        reason,
        symbol,
        structure,
        cast(null as varchar) as candidate_id,
        cast(null as date) as expiry_date,
        cast(null as decimal(18, 6)) as natural_price,
        cast(null as decimal(18, 6)) as mid_price,
        cast(null as decimal(18, 6)) as worst_price,
        cast(null as decimal(18, 6)) as max_loss_usd,
        cast(null as decimal(18, 6)) as margin_usd,
        cast(null as double) as expected_value_usd
    from exits
    where scope <> 'strategy' or remaining < quantity
    union all
    select
        'symbol' as scope,
        symbol as subject_id,
        'open' as action,
        1.0 as fraction,
        cast(0 as smallint) as urgency,
        entry as rule,
        legs,
        reason,
        symbol,
        structure,
        candidate_id,
        expiry_date,
        natural_price,
        mid_price,
        worst_price,
        max_loss_usd,
        margin_usd,
        expected_value_usd
    from entries
)
select
    cast(
        substr(
            md5(
                concat_ws(
                    '|', clock.run_id, decided.scope, decided.subject_id, decided.action,
                    decided.rule
                )
            ),
            1, 16
        ) as varchar
    ) as decision_id,
    clock.as_of,
    decided.scope,
    decided.subject_id,
    decided.action,
    decided.fraction,
    decided.urgency,
    decided.rule,
    decided.legs,
    decided.reason,
    decided.symbol,
    decided.structure,
    decided.candidate_id,
    decided.expiry_date,
    decided.natural_price,
    decided.mid_price,
    decided.worst_price,
    decided.max_loss_usd,
    decided.margin_usd,
    decided.expected_value_usd,
    clock.run_id,
    clock.session_date
from clock
cross join decided
order by decided.urgency desc, decided.scope, decided.subject_id
