-- about: What a decision read and what came of it.
-- grain: one row a decision
-- key: decision_id
-- owner: trade
-- live: batch
create table ops.capsules (
    decision_id varchar not null,
    ingest_seq_cut bigint not null,
    sql_hash varchar not null,
    settings_hash varchar not null,
    outcome varchar not null,
    detail varchar not null,
    as_of timestamp not null,
    run_id varchar not null,
    session_date date not null
);
