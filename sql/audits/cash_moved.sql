-- about: Cash moved by fills, settlements and bookings equals the change of the broker's cash between the last snapshots of two sessions, to the cent.
-- audit: table
with
clock as (
    select * from run
),
account as (
    select * from bronze.account
),
fills as (
    select * from silver.fills
),
ranked as (
    select
        account_id,
        session_date,
        ingest_seq,
        coalesce(cash_usd, 0) as cash_usd,
        row_number() over (
            partition by account_id, session_date order by ingest_seq desc
        ) as place
    from account
),
closes as (
    select
        account_id,
        session_date,
        ingest_seq,
        cash_usd,
        lag(ingest_seq) over (partition by account_id order by session_date) as start_seq,
        lag(cash_usd) over (partition by account_id order by session_date) as start_cash_usd
    from ranked
    where place = 1
),
today as (
    select closes.*
    from closes
    inner join clock on closes.session_date = clock.session_date
    where closes.start_seq is not null
),
moved as (
    select
        today.account_id,
        coalesce(sum(fills.cash_usd), 0) as moved_usd
    from today
    left join fills
        on fills.ingest_seq > today.start_seq and fills.ingest_seq < today.ingest_seq
    group by today.account_id
)
select
    today.account_id,
    today.session_date,
    today.cash_usd - today.start_cash_usd as broker_change_usd,
    moved.moved_usd
from today
inner join moved on today.account_id = moved.account_id
where abs(today.cash_usd - today.start_cash_usd - moved.moved_usd) >= 0.005
order by today.account_id
