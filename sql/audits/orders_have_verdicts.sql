-- about: Every order of the session that went past proposal has stored checks; what was admitted has no refusal in its first verdict, which admitted it; what was denied has one in its last, or says why.
-- audit: table
-- sessions: 1
with
clock as (
    select * from run
),
orders as (
    select
        orders.order_ref,
        orders.state,
        orders.reason,
        row_number() over (
            partition by orders.order_ref order by orders.change_seq desc
        ) as place
    from ops.orders
    inner join clock on orders.session_date = clock.session_date
),
checks as (
    select
        risk_checks.order_ref,
        risk_checks.attempt,
        case when risk_checks.result in ('fail', 'unevaluable') then 1 else 0 end as is_refusal,
        min(risk_checks.attempt) over (partition by risk_checks.order_ref) as first_attempt,
        max(risk_checks.attempt) over (partition by risk_checks.order_ref) as last_attempt
    from ops.risk_checks
    inner join clock on risk_checks.session_date = clock.session_date
),
verdicts as (
    select
        order_ref,
        count(*) as checks,
        sum(case when attempt = first_attempt then is_refusal else 0 end) as first_refusals,
        sum(case when attempt = last_attempt then is_refusal else 0 end) as last_refusals
    from checks
    group by order_ref
)
select
    orders.order_ref,
    orders.state,
    coalesce(verdicts.checks, 0) as checks,
    coalesce(verdicts.first_refusals, 0) as first_refusals,
    coalesce(verdicts.last_refusals, 0) as last_refusals
from orders
left join verdicts on orders.order_ref = verdicts.order_ref
where orders.place = 1
    and orders.state <> 'proposed'
    and (
        verdicts.checks is null
        or (orders.state = 'denied' and orders.reason = '' and verdicts.last_refusals = 0)
        or (orders.state <> 'denied' and verdicts.first_refusals > 0)
    )
order by orders.order_ref
