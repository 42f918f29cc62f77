-- about: Positions as the predecessor read them from IB. It never had a price; average_cost is
-- IB's, with the multiplier in it.
select
    "timestamp" as read_at,
    conid,
    symbol,
    case
        when upper("right") in ('C', 'CALL') then 'C'
        when upper("right") in ('P', 'PUT') then 'P'
    end as option_right,
    strike as strike_usd,
    case when regexp_like(expiry, '^[0-9]{8}$')
        then try_cast(
            concat(substr(expiry, 1, 4), '-', substr(expiry, 5, 2), '-', substr(expiry, 7, 2))
            as date
        )
    end as expiry_date,
    "position" as quantity,
    average_cost as average_cost_usd,
    market_price,
    market_value,
    unrealized_pnl,
    case
        when "timestamp" is null then 'bad_time'
        when conid is null or conid <= 0 then 'no_contract'
        when symbol is null then 'no_symbol'
        when "position" is null then 'no_quantity'
        when average_cost is null then 'no_cost'
    end as _reason,
    concat_ws(
        ' ', symbol, 'contract', cast(conid as varchar), cast("position" as varchar)
    ) as _detail,
    _source_table,
    _source_file,
    _file_state,
    _rank,
    _row,
    cast(1 as bigint) as _copies
from v6_rows
