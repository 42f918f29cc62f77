-- about: Cash moved by fills, settlements and bookings equals the change of the broker's cash between the last snapshots of two sessions, to the cent; the first session starts from the account's first snapshot, taken before the open. A session without a snapshot or without cash offends, and so does a fill before the first snapshot.
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
        cash_usd,
        first_value(ingest_seq) over along as opening_seq,
        first_value(cash_usd) over along as opening_cash_usd,
        row_number() over (
            partition by account_id, session_date order by ingest_seq desc
        ) as place
    from account
    window along as (partition by account_id order by ingest_seq)
),
closes as (
    select
        account_id,
        session_date,
        ingest_seq,
        cash_usd,
        opening_seq,
        opening_cash_usd,
        lag(ingest_seq) over (partition by account_id order by session_date) as previous_seq,
        lag(cash_usd) over (partition by account_id order by session_date) as previous_cash_usd
    from ranked
    where place = 1
),
today as (
    select
        clock.session_date,
        closes.account_id,
        closes.ingest_seq,
        closes.cash_usd,
        closes.opening_seq,
        coalesce(closes.previous_seq, closes.opening_seq) as start_seq,
        case
            when closes.previous_seq is null then closes.opening_cash_usd
            else closes.previous_cash_usd
        end as start_cash_usd
    from clock
    left join closes on clock.session_date = closes.session_date
),
moved as (
    select
        today.account_id,
        coalesce(
            sum(case when fills.ingest_seq > today.start_seq then fills.cash_usd end), 0
        ) as moved_usd,
        sum(case when fills.ingest_seq < today.opening_seq then 1 else 0 end) as early_fills
    from today
    left join fills on fills.ingest_seq < today.ingest_seq
    group by today.account_id
)
select
    today.account_id,
    today.session_date,
    today.cash_usd - today.start_cash_usd as broker_change_usd,
    moved.moved_usd,
    moved.early_fills
from today
left join moved on today.account_id = moved.account_id
where today.cash_usd is null
    or today.start_cash_usd is null
    or moved.early_fills > 0
    or abs(today.cash_usd - today.start_cash_usd - moved.moved_usd) >= 0.005
order by today.account_id
