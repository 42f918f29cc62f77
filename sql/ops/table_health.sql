-- about: Files, bytes and versions of each table at its upkeep.
-- grain: one row a table and run
-- key: table_name, run_id
-- owner: lake
-- live: batch
create table ops.table_health (
    table_name varchar not null,
    wall_version bigint not null,
    wall_files bigint not null,
    wall_bytes bigint not null,
    row_count bigint not null,
    as_of timestamp not null,
    run_id varchar not null,
    session_date date not null
);
