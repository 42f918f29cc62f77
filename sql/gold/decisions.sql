-- about: What to do now: the most urgent fired rule of each subject, then the best candidate of each symbol where nothing stands in its way. None outside the regular session, when nobody acts: the verdicts stand, and the next session decides.
-- grain: one row a subject and run
-- key: decision_id
-- owner: pipeline
-- freshness: each run
-- kind: snapshot
-- live: session
-- rewritten: never
-- engine: portable
with
clock as (
    select * from run
),
candidates as (
    select * from gold.entry_candidates
),
judgements as (
    select * from gold.judgements
),
busy as (
    select strategies.symbol
    from ops.orders
    inner join ops.strategies on orders.strategy_id = strategies.strategy_id
    where orders.state in ('proposed', 'approved', 'sent', 'working', 'unknown')
    union all
    select symbol from judgements
),
fired as (
    select
        *,
        row_number() over (
            partition by scope, subject_id
            order by urgency desc, priority, rule
        ) as place
    from judgements
    where verdict = 'fire'
),
exits as (
    select
        scope,
        subject_id,
        action,
        case
            when quantity is null then fraction
            else fraction - cast(leaving as double) / cast(quantity as double)
        end as fraction,
        urgency,
        rule,
        reason,
        symbol,
        structure,
        closing_legs as legs
    from fired
    where place = 1
        and (
            quantity is null
            or cast(leaving as double) < fraction * cast(quantity as double)
        )
),
best as (
    select
        candidates.*,
        row_number() over (
            partition by candidates.symbol
            order by
                candidates.expected_value_usd / cast(candidates.max_loss_usd as double)
                    desc nulls last,
                candidates.priority, candidates.entry, candidates.candidate_id
        ) as place
    from candidates
    where candidates.verdict = 'candidate'
),
entries as (
    select best.*
    from best
    left join busy on best.symbol = busy.symbol or busy.symbol = 'portfolio'
    where best.place = 1 and busy.symbol is null
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
where clock.session_phase = 'regular'
order by decided.urgency desc, decided.scope, decided.subject_id
