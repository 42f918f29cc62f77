-- about: Each run of a job and how it ended.
-- grain: one row a job run
-- key: run_id
-- owner: schedule
-- live: batch
create table ops.job_runs (
    job varchar not null,
    pipeline varchar not null,
    scheduled_at timestamp not null,
    status varchar not null,
    detail varchar not null,
    wall_duration_ms bigint,
    as_of timestamp not null,
    run_id varchar not null,
    session_date date not null
);
