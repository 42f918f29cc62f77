-- about: What each sweep asked for and what came.
-- grain: one row a source, symbol and sweep
-- key: sweep_id, source, symbol
-- owner: ingest
-- live: session
create table ops.sweeps (
    sweep_id varchar not null,
    source varchar not null,
    symbol varchar not null,
    asked bigint not null,
    received bigint not null,
    two_sided bigint not null,
    completeness_ratio double,
    as_of timestamp not null,
    run_id varchar not null,
    session_date date not null
);
