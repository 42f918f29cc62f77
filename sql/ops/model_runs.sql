-- about: Each run of a model: rows in and out, and from what. A live run that changed nothing is not written, except at the close. A model that was computed again for a session has one row for it.
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
    session_date date not null,
    -- live | rebuilt
    mode varchar,
    -- silver | sweep | close, of a live run
    phase varchar,
    -- rows of the tables that it read
    rows_in bigint,
    -- number of the newest row of bronze that a live run saw
    ingest_seq_cut bigint,
    -- versions of the tables that a rebuilt run read, as JSON
    inputs varchar,
    -- built | failed | waiting (for the model that failed)
    status varchar,
    detail varchar
);
