-- about: Valid quotes of index futures, in index points. price is the mid, or the last trade without one.
-- grain: one row a delivered valid quote
-- key: ingest_seq
-- owner: pipeline
-- freshness: each run
-- kind: incremental
-- live: history
-- engine: portable
with
quotes as (
    select * from silver.futures_rows
)
select
    conid,
    symbol,
    local_symbol,
    expiry_date,
    bid,
    ask,
    mid,
    last,
    coalesce(mid, last) as price,
    bid_size,
    ask_size,
    volume,
    quoted_at,
    received_at,
    ingest_seq,
    sweep_id,
    run_id,
    session_date
from quotes
where reason is null
order by ingest_seq
