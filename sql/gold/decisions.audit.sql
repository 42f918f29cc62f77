-- about: A subject gets one decision a run; a close has legs, an open also its worst price and maximum loss.
-- audit: table
with
decisions as (
    select * from gold.decisions
),
repeated as (
    select scope, subject_id
    from decisions
    group by scope, subject_id
    having count(*) > 1
)
select
    decisions.decision_id,
    decisions.scope,
    decisions.subject_id,
    decisions.action
from decisions
left join repeated
    on decisions.scope = repeated.scope and decisions.subject_id = repeated.subject_id
where repeated.subject_id is not null
    or (decisions.scope = 'strategy' and decisions.legs is null)
    or (
        decisions.action = 'open'
        and (
            decisions.legs is null or decisions.worst_price is null
            or decisions.max_loss_usd is null
        )
    )
order by decisions.decision_id
