-- about: The account as the broker reports it. All amounts USD; cash_usd is that of both segments, commodities_cash_usd its part in the commodities segment.
-- grain: one row a snapshot
-- key: ingest_seq
-- owner: ingest
-- live: latest by account_id
create table bronze.account (
    account_id varchar not null,
    net_liquidation_usd decimal(18, 6),
    cash_usd decimal(18, 6),
    commodities_cash_usd decimal(18, 6),
    initial_margin_usd decimal(18, 6),
    maintenance_margin_usd decimal(18, 6),
    excess_liquidity_usd decimal(18, 6),
    look_ahead_excess_liquidity_usd decimal(18, 6),
    buying_power_usd decimal(18, 6),
    received_at timestamp not null,
    ingest_seq bigint not null,
    run_id varchar not null,
    session_date date not null
);
