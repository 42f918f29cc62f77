-- about: Valid quotes of ETFs and of the VIX index. price is the mid, or the last trade without one.
-- grain: one row a delivered valid quote
-- key: ingest_seq
-- owner: pipeline
-- freshness: each run
-- kind: incremental
-- live: latest by symbol
-- engine: portable
with
quotes as (
    select * from silver.underlying_rows
)
select
    conid,
    symbol,
    bid,
    ask,
    mid,
    last,
    coalesce(mid, last) as price,
    case when mid is null then 'last' else 'mid' end as price_source,
    bid_size,
    ask_size,
    quoted_at,
    received_at,
    ingest_seq,
    sweep_id,
    run_id,
    session_date
from quotes
where reason is null
order by ingest_seq
