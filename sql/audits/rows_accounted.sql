-- about: Every bronze row of the session is in silver or in quarantine, once: read = kept + rejected, source by source.
-- audit: table
with
clock as (
    select * from run
),
read_rows as (
    select 'bronze.option_quotes' as source, session_date, count(*) as rows_read
    from bronze.option_quotes
    group by session_date
    union all
    select 'bronze.underlying_quotes' as source, session_date, count(*) as rows_read
    from bronze.underlying_quotes
    group by session_date
    union all
    select 'bronze.futures_quotes' as source, session_date, count(*) as rows_read
    from bronze.futures_quotes
    group by session_date
),
kept_rows as (
    select 'bronze.option_quotes' as source, session_date, count(*) as rows_kept
    from silver.option_quotes
    group by session_date
    union all
    select 'bronze.underlying_quotes' as source, session_date, count(*) as rows_kept
    from silver.underlying_quotes
    group by session_date
    union all
    select 'bronze.futures_quotes' as source, session_date, count(*) as rows_kept
    from silver.futures_quotes
    group by session_date
),
rejected_rows as (
    select
        coalesce(source, 'bronze.option_quotes') as source,
        session_date,
        count(*) as rows_rejected
    from silver.quarantine
    group by coalesce(source, 'bronze.option_quotes'), session_date
)
select
    read_rows.source,
    read_rows.session_date,
    read_rows.rows_read,
    coalesce(kept_rows.rows_kept, 0) as rows_kept,
    coalesce(rejected_rows.rows_rejected, 0) as rows_rejected
from read_rows
inner join clock on read_rows.session_date = clock.session_date
left join kept_rows
    on read_rows.source = kept_rows.source and read_rows.session_date = kept_rows.session_date
left join rejected_rows
    on read_rows.source = rejected_rows.source
    and read_rows.session_date = rejected_rows.session_date
where read_rows.rows_read
    <> coalesce(kept_rows.rows_kept, 0) + coalesce(rejected_rows.rows_rejected, 0)
order by read_rows.source
