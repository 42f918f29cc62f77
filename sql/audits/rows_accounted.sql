-- about: Every bronze row is in silver or in quarantine, once, and neither holds a row that bronze does not: row by row, source by source. Of the session and the one before it, whose evening came after its own audit.
-- audit: table
with
clock as (
    select * from run
),
read_rows as (
    select 'bronze.option_quotes' as source, session_date, ingest_seq, 1 as copies
    from bronze.option_quotes
    union all
    select 'bronze.underlying_quotes' as source, session_date, ingest_seq, 1 as copies
    from bronze.underlying_quotes
    union all
    select 'bronze.futures_quotes' as source, session_date, ingest_seq, 1 as copies
    from bronze.futures_quotes
    union all
    select 'bronze.option_quotes' as source, session_date, ingest_seq, -1 as copies
    from silver.option_quotes
    union all
    select 'bronze.underlying_quotes' as source, session_date, ingest_seq, -1 as copies
    from silver.underlying_quotes
    union all
    select 'bronze.futures_quotes' as source, session_date, ingest_seq, -1 as copies
    from silver.futures_quotes
    union all
    select
        coalesce(source, 'bronze.option_quotes') as source,
        session_date,
        ingest_seq,
        -1 as copies
    from silver.quarantine
    where coalesce(source, 'bronze.option_quotes') <> 'bronze.bars'
)
select
    read_rows.source,
    read_rows.session_date,
    read_rows.ingest_seq,
    sum(case when read_rows.copies > 0 then 1 else 0 end) as times_read,
    sum(case when read_rows.copies < 0 then 1 else 0 end) as times_kept_or_rejected
from read_rows
inner join clock
    on read_rows.session_date <= clock.session_date
    and read_rows.session_date >= clock.previous_session_date
group by read_rows.source, read_rows.session_date, read_rows.ingest_seq
having sum(read_rows.copies) <> 0
order by read_rows.source, read_rows.session_date, read_rows.ingest_seq
