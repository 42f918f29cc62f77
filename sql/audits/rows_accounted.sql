-- about: Every bronze row is in silver or in quarantine, once, and neither holds a row that bronze does not: row by row. The session before is judged again, for its evening came after its own audit.
-- audit: table
-- sessions: 2
with
counted as (
    select 1 as table_number, session_date, ingest_seq, 1 as copies
    from bronze.option_quotes
    union all
    select 2 as table_number, session_date, ingest_seq, 1 as copies
    from bronze.underlying_quotes
    union all
    select 3 as table_number, session_date, ingest_seq, 1 as copies
    from bronze.futures_quotes
    union all
    select 1 as table_number, session_date, ingest_seq, -1 as copies
    from silver.option_quotes
    union all
    select 2 as table_number, session_date, ingest_seq, -1 as copies
    from silver.underlying_quotes
    union all
    select 3 as table_number, session_date, ingest_seq, -1 as copies
    from silver.futures_quotes
    union all
    select
        case source
            when 'bronze.underlying_quotes' then 2
            when 'bronze.futures_quotes' then 3
            else 1
        end as table_number,
        session_date,
        ingest_seq,
        -1 as copies
    from silver.quarantine
    where
        coalesce(source, 'bronze.option_quotes') in (
            'bronze.option_quotes', 'bronze.underlying_quotes', 'bronze.futures_quotes'
        )
),
unbalanced as (
    select
        counted.ingest_seq,
        min(counted.table_number) as table_number,
        min(counted.session_date) as session_date,
        sum(case when counted.copies > 0 then 1 else 0 end) as times_read,
        sum(case when counted.copies < 0 then 1 else 0 end) as times_kept_or_rejected
    from counted
    group by counted.ingest_seq
    having sum(counted.copies) <> 0
)
select
    case table_number
        when 2 then 'bronze.underlying_quotes'
        when 3 then 'bronze.futures_quotes'
        else 'bronze.option_quotes'
    end as source,
    session_date,
    ingest_seq,
    times_read,
    times_kept_or_rejected
from unbalanced
order by source, session_date, ingest_seq
