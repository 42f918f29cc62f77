-- about: Every order of the session that went past proposal has stored checks; what was denied has a refusal in its last verdict, or says why.
-- audit: table
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
        risk_checks.result,
        max(risk_checks.attempt) over (partition by risk_checks.order_ref) as last_attempt
    from ops.risk_checks
    inner join clock on risk_checks.session_date = clock.session_date
),
verdicts as (
    select
        order_ref,
        count(*) as checks,
        sum(case when result in ('fail', 'unevaluable') then 1 else 0 end) as refusals
    from checks
    where attempt = last_attempt
    group by order_ref
)
select
    orders.order_ref,
    orders.state,
    coalesce(verdicts.checks, 0) as checks,
    coalesce(verdicts.refusals, 0) as refusals
from orders
left join verdicts on orders.order_ref = verdicts.order_ref
where orders.place = 1
    and orders.state <> 'proposed'
    and (
        verdicts.checks is null
        or (orders.state = 'denied' and orders.reason = '' and verdicts.refusals = 0)
    )
order by orders.order_ref
