-- about: Option quotes as the venue or vendor gave them; sentinels and codings untouched.
-- grain: one row a delivered quote
-- key: ingest_seq
-- owner: ingest
-- live: batch
create table bronze.option_quotes (
    conid bigint not null,
    occ_symbol varchar,
    symbol varchar not null,
    expiry_date date,
    strike_usd decimal(18, 6),
    option_right varchar not null,
    bid decimal(18, 6),
    ask decimal(18, 6),
    last decimal(18, 6),
    bid_size bigint,
    ask_size bigint,
    volume bigint,
    open_interest bigint,
    vendor_vol double,
    vendor_delta double,
    vendor_gamma double,
    vendor_theta double,
    vendor_vega double,
    unrepresentable varchar,
    quoted_at timestamp,
    received_at timestamp not null,
    ingest_seq bigint not null,
    sweep_id varchar,
    run_id varchar not null,
    session_date date not null
);
