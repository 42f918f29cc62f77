-- about: Continuous risk-free rates by date of maturity.
-- grain: one row a maturity as delivered
-- key: ingest_seq
-- owner: ingest
-- live: latest by maturity_date
create table bronze.rates (
    maturity_date date not null,
    rate double not null,
    rate_error double,
    source varchar not null,
    valid_through date not null,
    received_at timestamp not null,
    ingest_seq bigint not null,
    run_id varchar not null,
    session_date date not null
);
