-- about: Quotes of ETFs and of the VIX index with sentinels as NULL and a reason to reject, if any.
-- grain: one row a bronze row
-- key: ingest_seq
-- owner: pipeline
-- freshness: each run
-- kind: ephemeral
-- live: run
-- engine: portable
with
quotes as (
    select * from bronze.underlying_quotes
),
cleaned as (
    select
        conid,
        symbol,
        case when bid > 0 then bid end as bid,
        case when ask > 0 then ask end as ask,
        case when last > 0 then last end as last,
        case when bid_size >= 0 then bid_size end as bid_size,
        case when ask_size >= 0 then ask_size end as ask_size,
        quoted_at,
        received_at,
        ingest_seq,
        sweep_id,
        run_id,
        session_date
    from quotes
)
select
    conid,
    symbol,
    bid,
    ask,
    last,
    cast((bid + ask) / 2 as decimal(18, 6)) as mid,
    bid_size,
    ask_size,
    case
        when bid is null and ask is null and last is null then 'no_quote'
        when bid > ask then 'crossed'
        when bid is null and last is null then 'one_sided'
        when ask is null and last is null then 'one_sided'
    end as reason,
    quoted_at,
    received_at,
    ingest_seq,
    sweep_id,
    run_id,
    session_date
from cleaned
order by ingest_seq
