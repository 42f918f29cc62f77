-- about: What moved positions and cash: leg trades, settlements, bookings; combo summaries left out.
-- grain: one row an execution
-- key: exec_id
-- owner: pipeline
-- freshness: each run
-- kind: incremental
-- live: session
-- engine: portable
with
executions as (
    select * from bronze.executions
),
ranked as (
    select
        *,
        row_number() over (partition by exec_id order by ingest_seq desc) as place
    from executions
    where security_kind <> 'BAG'
)
select
    exec_id,
    order_ref,
    case when order_ref is not null then split_part(order_ref, '.', 1) end as decision_id,
    perm_id,
    group_id,
    execution_kind,
    conid,
    symbol,
    security_kind,
    quantity,
    price,
    multiplier,
    commission_usd,
    cash_usd,
    executed_at,
    received_at,
    ingest_seq,
    run_id,
    session_date
from ranked
where place = 1
order by ingest_seq
