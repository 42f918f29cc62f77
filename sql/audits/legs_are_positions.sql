-- about: At the close the strategies' legs add up to the broker's position, contract by contract. A session without a snapshot is not judged.
-- audit: table
with
clock as (
    select * from run
),
positions as (
    select
        positions.conid,
        positions.quantity,
        positions.ingest_seq,
        positions.sweep_id
    from silver.positions
    inner join clock on positions.session_date = clock.session_date
),
last_sweep as (
    select sweep_id
    from positions
    order by ingest_seq desc
    limit 1
),
broker as (
    select positions.conid, sum(positions.quantity) as quantity
    from positions
    inner join last_sweep on positions.sweep_id = last_sweep.sweep_id
    group by positions.conid
),
ranked as (
    select
        strategy_id,
        conid,
        quantity,
        row_number() over (
            partition by strategy_id, conid order by change_seq desc
        ) as place
    from ops.strategy_legs
),
desk as (
    select conid, sum(quantity) as quantity
    from ranked
    where place = 1
    group by conid
    having sum(quantity) <> 0
),
judged as (
    select count(*) as sweeps from last_sweep
)
select
    coalesce(broker.conid, desk.conid) as conid,
    coalesce(broker.quantity, 0) as broker_quantity,
    coalesce(desk.quantity, 0) as desk_quantity
from broker
full join desk on broker.conid = desk.conid
cross join judged
where judged.sweeps > 0 and coalesce(broker.quantity, 0) <> coalesce(desk.quantity, 0)
order by coalesce(broker.conid, desk.conid)
