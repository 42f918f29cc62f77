-- about: Each test of a table that was run and how many rows offended. Between closes, a test that found nothing is not written.
-- grain: one row a test and try of a run
-- key: audit, run_id, as_of
-- owner: pipeline
-- live: batch
create table ops.data_tests (
    audit varchar not null,
    offending_rows bigint not null,
    detail varchar not null,
    as_of timestamp not null,
    run_id varchar not null,
    session_date date not null,
    -- passed | warned | quarantined | blocked
    verdict varchar
);
