-- about: Every bronze row that silver did not take, with the reason.
-- grain: one row a rejected row
-- key: source, ingest_seq
-- owner: pipeline
-- freshness: each run
-- kind: incremental
-- live: run
-- engine: portable
with
rejected as (
    select
        'bronze.option_quotes' as source,
        ingest_seq,
        conid,
        symbol,
        reason,
        concat_ws(
            ' ', coalesce(occ_symbol, 'contract ' || cast(conid as varchar)),
            'bid', coalesce(cast(bid as varchar), 'none'),
            'ask', coalesce(cast(ask as varchar), 'none')
        ) as detail,
        received_at,
        run_id,
        session_date
    from silver.option_rows
    where reason is not null
    union all
    select
        'bronze.underlying_quotes' as source,
        ingest_seq,
        conid,
        symbol,
        reason,
        concat_ws(
            ' ', symbol,
            'bid', coalesce(cast(bid as varchar), 'none'),
            'ask', coalesce(cast(ask as varchar), 'none')
        ) as detail,
        received_at,
        run_id,
        session_date
    from silver.underlying_rows
    where reason is not null
    union all
    select
        'bronze.futures_quotes' as source,
        ingest_seq,
        conid,
        symbol,
        reason,
        concat_ws(
            ' ', local_symbol,
            'bid', coalesce(cast(bid as varchar), 'none'),
            'ask', coalesce(cast(ask as varchar), 'none')
        ) as detail,
        received_at,
        run_id,
        session_date
    from silver.futures_rows
    where reason is not null
    union all
    select
        'bronze.bars' as source,
        ingest_seq,
        cast(null as bigint) as conid,
        symbol,
        reason,
        concat_ws(
            ' ', symbol,
            'high', coalesce(cast(high as varchar), 'none'),
            'low', coalesce(cast(low as varchar), 'none'),
            'close', coalesce(cast(close as varchar), 'none')
        ) as detail,
        received_at,
        run_id,
        session_date
    from silver.bar_rows
    where reason is not null
)
select
    source,
    ingest_seq,
    conid,
    symbol,
    reason,
    cast(detail as varchar) as detail,
    received_at,
    run_id,
    session_date
from rejected
order by source, ingest_seq
