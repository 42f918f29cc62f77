-- about: Executions, settlements and cash bookings as the broker reports them. quantity is the change of position; cash_usd includes the commission; at grain group_id all legs of one combo fill, or of one assignment.
-- grain: one row a leg execution or booking
-- key: exec_id
-- owner: trade
-- live: batch
create table bronze.executions (
    exec_id varchar not null,
    order_ref varchar,
    perm_id bigint,
    group_id varchar not null,
    execution_kind varchar not null,
    conid bigint not null,
    symbol varchar not null,
    security_kind varchar not null,
    quantity bigint not null,
    price decimal(18, 6),
    multiplier bigint not null,
    commission_usd decimal(18, 6) not null,
    cash_usd decimal(18, 6) not null,
    executed_at timestamp not null,
    received_at timestamp not null,
    ingest_seq bigint not null,
    run_id varchar not null,
    session_date date not null
);
