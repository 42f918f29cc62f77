-- about: Each audit that was run and how many rows offended.
-- grain: one row an audit and run
-- key: audit, run_id
-- owner: pipeline
-- live: batch
create table ops.data_tests (
    audit varchar not null,
    offending_rows bigint not null,
    detail varchar not null,
    as_of timestamp not null,
    run_id varchar not null,
    session_date date not null
);
