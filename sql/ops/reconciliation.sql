-- about: Differences between the broker's truth and the journal; no row where they agree, but one row `clean` a run.
-- grain: one row a difference and run
-- key: run_id, reconciliation_seq
-- owner: trade
-- live: session
create table ops.reconciliation (
    reconciliation_seq bigint not null,
    difference varchar not null,
    conid bigint,
    symbol varchar,
    broker_value double,
    desk_value double,
    action varchar not null,
    detail varchar not null,
    as_of timestamp not null,
    run_id varchar not null,
    session_date date not null
);
