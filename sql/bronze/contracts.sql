-- about: Contract details as received.
-- grain: one row a contract as delivered
-- key: ingest_seq
-- owner: ingest
-- live: latest by conid
create table bronze.contracts (
    conid bigint not null,
    occ_symbol varchar,
    symbol varchar not null,
    security_kind varchar not null,
    local_symbol varchar,
    expiry_date date,
    strike_usd decimal(18, 6),
    option_right varchar,
    multiplier bigint not null,
    min_tick decimal(18, 6),
    exercise_style varchar,
    settlement varchar,
    last_trade_at timestamp,
    expires_at timestamp,
    received_at timestamp not null,
    ingest_seq bigint not null,
    run_id varchar not null,
    session_date date not null
);
