-- about: Files, bytes and versions of each table at the close.
-- grain: one row a table and session
-- key: table_name, session_date
-- owner: lake
-- live: batch
create table ops.table_health (
    table_name varchar not null,
    version bigint not null,
    wall_files bigint not null,
    wall_bytes bigint not null,
    row_count bigint not null,
    as_of timestamp not null,
    run_id varchar not null,
    session_date date not null
);
