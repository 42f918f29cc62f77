-- about: The cash of all that moves a position (trade, delivery, settlement, expiry) is quantity x price x multiplier, turned round, less commission, to the cent; a future moves only its commission.
-- audit: table
-- sessions: 1
with
clock as (
    select * from run
),
fills as (
    select * from silver.fills
)
select
    fills.exec_id,
    fills.execution_kind,
    fills.security_kind,
    fills.quantity,
    fills.price,
    fills.commission_usd,
    fills.cash_usd
from fills
inner join clock on fills.session_date = clock.session_date
where (fills.execution_kind = 'trade' or fills.quantity <> 0)
    and (
        fills.price is null
        or abs(
            fills.cash_usd + fills.commission_usd
            + case
                when fills.security_kind = 'FUT' then 0
                else fills.quantity * fills.price * fills.multiplier
            end
        ) >= 0.005
    )
order by fills.exec_id
