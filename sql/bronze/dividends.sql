-- about: Cash dividends a share, declared or estimated.
-- grain: one row a symbol and ex-date as delivered
-- key: ingest_seq
-- owner: ingest
-- live: latest by symbol, ex_date
create table bronze.dividends (
    symbol varchar not null,
    ex_date date not null,
    amount_usd decimal(18, 6) not null,
    certainty varchar not null,
    source varchar not null,
    valid_through date not null,
    received_at timestamp not null,
    ingest_seq bigint not null,
    run_id varchar not null,
    session_date date not null
);
