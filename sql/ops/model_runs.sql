-- about: Each run of a model: rows out and where they went. A run that changed nothing is not written.
-- grain: one row a model and run
-- key: model, run_id
-- owner: pipeline
-- live: batch
create table ops.model_runs (
    model varchar not null,
    rows_out bigint not null,
    rows_quarantined bigint not null,
    sql_hash varchar not null,
    wall_duration_ms bigint,
    as_of timestamp not null,
    run_id varchar not null,
    session_date date not null
);
