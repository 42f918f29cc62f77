-- about: Daily bars as the predecessor had them, from two tables and at least two sources; a
-- volatility of 0 was never computed.
with
read as (
    select
        *,
        coalesce(symbol, folder_symbol) as underlying,
        coalesce("interval", '1d') as size,
        coalesce("date", cast("timestamp" as date)) as day
    from v6_rows
)
select
    underlying as symbol,
    size as bar_size,
    day as bar_date,
    open,
    high,
    low,
    close,
    volume,
    bar_count,
    case when iv > 0 then iv end as implied_vol,
    case when hv > 0 then hv end as historical_vol,
    _source_table as v6_table,
    case
        when day is null then 'bad_time'
        when underlying is null then 'no_symbol'
        when symbol <> folder_symbol then 'folder_lies'
        when open is null or high is null or low is null or close is null then 'no_price'
        when not (low > 0 and high < 1e9) then 'bad_price'
        when low > least(open, close) or high < greatest(open, close) then 'impossible_bar'
    end as _reason,
    concat_ws(
        ' ', underlying, cast(day as varchar), 'high', coalesce(cast(high as varchar), 'none'),
        'low', coalesce(cast(low as varchar), 'none'),
        'close', coalesce(cast(close as varchar), 'none')
    ) as _detail,
    _source_table,
    _source_file,
    _file_state,
    _rank,
    _row,
    cast(1 as bigint) as _copies
from read
