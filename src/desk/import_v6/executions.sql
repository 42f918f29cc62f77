-- about: Strategies as the predecessor meant to trade them. It never had a fill: 'filled' rows
-- are positions that were copied, at their average cost. 2000-01-01 was its way of writing no
-- time.
select
    execution_id,
    strategy_id,
    symbol,
    strategy_type,
    status,
    entry_params,
    entry_time as entered_at,
    case when fill_time >= timestamp '2001-01-01T00:00:00Z' then fill_time end as filled_at,
    case when close_time >= timestamp '2001-01-01T00:00:00Z' then close_time end as closed_at,
    legs_json,
    case
        when execution_id is null then 'no_id'
        when entry_time is null then 'bad_time'
        when symbol is null then 'no_symbol'
        when legs_fault is not null then 'bad_legs'
    end as _reason,
    concat_ws(' ', execution_id, symbol, status, legs_fault) as _detail,
    _source_table,
    _source_file,
    _file_state,
    _rank,
    _row,
    cast(1 as bigint) as _copies
from v6_rows
