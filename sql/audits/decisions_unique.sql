-- about: A decision is made once, and a subject gets one decision a run.
-- audit: table
-- sessions: 1
with
clock as (
    select * from run
),
decisions as (
    select
        decisions.decision_id,
        decisions.run_id,
        decisions.scope,
        decisions.subject_id
    from gold.decisions
    inner join clock on decisions.session_date = clock.session_date
),
repeated as (
    select 'decision_id' as what, decision_id as identity, count(*) as copies
    from decisions
    group by decision_id
    having count(*) > 1
    union all
    select
        'subject' as what,
        concat_ws('|', run_id, scope, subject_id) as identity,
        count(*) as copies
    from decisions
    group by run_id, scope, subject_id
    having count(*) > 1
)
select
    what,
    identity,
    copies
from repeated
order by what, identity
