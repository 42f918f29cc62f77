-- about: Valid daily bars; of one session's bars delivered twice the later one counts.
-- grain: one row a symbol, bar size and session as delivered
-- key: symbol, bar_size, session_date, ingest_seq
-- owner: pipeline
-- freshness: daily
-- kind: incremental
-- live: latest by symbol, bar_size, session_date
-- engine: portable
with
bars as (
    select * from silver.bar_rows
)
select
    symbol,
    bar_size,
    open,
    high,
    low,
    close,
    volume,
    implied_vol,
    source,
    received_at,
    ingest_seq,
    run_id,
    session_date
from bars
where reason is null
order by symbol, bar_size, session_date, ingest_seq
