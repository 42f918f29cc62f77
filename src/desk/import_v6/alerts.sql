-- about: The predecessor's alerts.
select
    alert_id,
    type as alert_type,
    severity,
    status,
    title,
    message,
    rule,
    symbol,
    strategy_id,
    metadata,
    created_at,
    acknowledged_at,
    resolved_at,
    case when alert_id is null then 'no_id' when created_at is null then 'bad_time' end as _reason,
    concat_ws(' ', alert_id, title) as _detail,
    _source_table,
    _source_file,
    _file_state,
    _rank,
    _row,
    cast(1 as bigint) as _copies
from v6_rows
