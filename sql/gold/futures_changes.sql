-- about: How each root's front future has moved: 1 h, 4 h, overnight (since the close of the ETFs' previous session) and daily (since the end of the futures' own trading day before this one). Each reference is the last quote of the same contract at or before that instant, so that a roll is no signal.
-- grain: one row a root and run
-- key: run_id, symbol
-- owner: pipeline
-- freshness: each run
-- kind: snapshot
-- live: run
-- engine: portable
-- params: futures_roll_days, futures_age_seconds_max, futures_reference_slack_seconds_max, futures_day_slack_seconds_max
with
clock as (
    select * from run
),
settings as (
    select * from params
),
quotes as (
    select
        futures_quotes.conid,
        futures_quotes.symbol,
        futures_quotes.local_symbol,
        futures_quotes.expiry_date,
        cast(futures_quotes.price as double) as price,
        futures_quotes.received_at,
        futures_quotes.ingest_seq,
        extract(epoch from (clock.as_of - futures_quotes.received_at)) as age_seconds,
        extract(
            epoch from (clock.previous_session_close_at - futures_quotes.received_at)
        ) as before_close_seconds,
        extract(
            epoch from (clock.previous_futures_close_at - futures_quotes.received_at)
        ) as before_day_seconds,
        settings.futures_age_seconds_max as age_seconds_max,
        settings.futures_reference_slack_seconds_max as slack_seconds_max,
        settings.futures_day_slack_seconds_max as day_slack_seconds_max
    from clock
    cross join settings
    cross join silver.futures_quotes
    where futures_quotes.received_at <= clock.as_of
        and futures_quotes.session_date >= clock.previous_session_date
),
contracts as (
    select
        conid,
        max(symbol) as symbol,
        max(local_symbol) as local_symbol,
        max(expiry_date) as expiry_date,
        last_value(price order by received_at, ingest_seq) filter (
            where age_seconds <= age_seconds_max
        ) as price,
        last_value(price order by received_at, ingest_seq) filter (
            where age_seconds >= 3600 and age_seconds <= 3600 + slack_seconds_max
        ) as price_1h,
        last_value(price order by received_at, ingest_seq) filter (
            where age_seconds >= 14400 and age_seconds <= 14400 + slack_seconds_max
        ) as price_4h,
        last_value(price order by received_at, ingest_seq) filter (
            where before_close_seconds >= 0 and before_close_seconds <= slack_seconds_max
        ) as price_close,
        last_value(price order by received_at, ingest_seq) filter (
            where before_day_seconds >= 0 and before_day_seconds <= day_slack_seconds_max
        ) as price_day
    from quotes
    group by conid
),
live as (
    select
        contracts.*,
        row_number() over (
            partition by contracts.symbol order by contracts.expiry_date, contracts.conid
        ) as place
    from clock
    cross join settings
    cross join contracts
    where contracts.price is not null
        and cast(contracts.expiry_date - clock.session_date as double)
            > settings.futures_roll_days
)
select
    clock.as_of,
    live.symbol,
    live.conid,
    live.local_symbol,
    live.expiry_date,
    live.price,
    live.price / live.price_1h - 1 as change_1h_ratio,
    live.price / live.price_4h - 1 as change_4h_ratio,
    live.price / live.price_close - 1 as change_overnight_ratio,
    live.price / live.price_day - 1 as change_daily_ratio,
    clock.run_id,
    clock.session_date
from clock
cross join live
where live.place = 1
order by live.symbol
