-- about: Order status as the broker reports it.
-- grain: one row an event
-- key: ingest_seq
-- owner: trade
-- live: batch
create table bronze.order_events (
    order_ref varchar not null,
    perm_id bigint not null,
    status varchar not null,
    filled_quantity bigint not null,
    remaining_quantity bigint not null,
    limit_price decimal(18, 6),
    reason varchar not null,
    occurred_at timestamp not null,
    received_at timestamp not null,
    ingest_seq bigint not null,
    run_id varchar not null,
    session_date date not null
);
