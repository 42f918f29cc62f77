-- about: Quotes of ETFs and of the VIX index as received.
-- grain: one row a delivered quote
-- key: ingest_seq
-- owner: ingest
-- live: batch
create table bronze.underlying_quotes (
    conid bigint not null,
    symbol varchar not null,
    bid decimal(18, 6),
    ask decimal(18, 6),
    last decimal(18, 6),
    bid_size bigint,
    ask_size bigint,
    quoted_at timestamp,
    received_at timestamp not null,
    ingest_seq bigint not null,
    sweep_id varchar,
    run_id varchar not null,
    session_date date not null
);
