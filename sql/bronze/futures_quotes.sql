-- about: Quotes of index futures as received, in index points.
-- grain: one row a delivered quote
-- key: ingest_seq
-- owner: ingest
-- live: batch
create table bronze.futures_quotes (
    conid bigint not null,
    symbol varchar not null,
    local_symbol varchar not null,
    expiry_date date not null,
    bid decimal(18, 6),
    ask decimal(18, 6),
    last decimal(18, 6),
    bid_size bigint,
    ask_size bigint,
    volume bigint,
    quoted_at timestamp,
    received_at timestamp not null,
    ingest_seq bigint not null,
    sweep_id varchar,
    run_id varchar not null,
    session_date date not null
);
