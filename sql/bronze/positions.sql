-- about: Positions as the broker reports them, a whole snapshot a sweep.
-- grain: one row a contract and snapshot
-- key: sweep_id, conid
-- owner: ingest
-- live: batch
create table bronze.positions (
    account_id varchar not null,
    conid bigint not null,
    symbol varchar not null,
    security_kind varchar not null,
    quantity bigint not null,
    average_cost_usd decimal(18, 6) not null,
    received_at timestamp not null,
    ingest_seq bigint not null,
    sweep_id varchar not null,
    run_id varchar not null,
    session_date date not null
);
