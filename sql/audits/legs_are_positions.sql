-- about: At the close the strategies' legs add up to the broker's position, contract by contract. A session without a snapshot is not judged; a snapshot without a row is a flat account.
-- audit: table
with
clock as (
    select * from run
),
sweeps as (
    select
        sweeps.sweep_id,
        row_number() over (
            partition by sweeps.symbol order by sweeps.as_of desc, sweeps.sweep_id desc
        ) as place
    from ops.sweeps
    inner join clock on sweeps.session_date = clock.session_date
    where sweeps.source = 'positions'
),
last_sweeps as (
    select sweep_id from sweeps where place = 1
),
broker as (
    select positions.conid, sum(positions.quantity) as quantity
    from silver.positions
    inner join last_sweeps on positions.sweep_id = last_sweeps.sweep_id
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
    select count(*) as snapshots from last_sweeps
)
select
    coalesce(broker.conid, desk.conid) as conid,
    coalesce(broker.quantity, 0) as broker_quantity,
    coalesce(desk.quantity, 0) as desk_quantity
from broker
full join desk on broker.conid = desk.conid
cross join judged
where judged.snapshots > 0 and coalesce(broker.quantity, 0) <> coalesce(desk.quantity, 0)
order by coalesce(broker.conid, desk.conid)
