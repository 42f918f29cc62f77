-- about: Scheduled events that move markets.
-- grain: one row an event as delivered
-- key: ingest_seq
-- owner: ingest
-- live: latest by event_name, event_at
create table bronze.events (
    event_name varchar not null,
    event_at timestamp not null,
    source varchar not null,
    valid_through date not null,
    received_at timestamp not null,
    ingest_seq bigint not null,
    run_id varchar not null,
    session_date date not null
);
