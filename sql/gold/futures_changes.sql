-- about: How each root's front future has moved: 1 h, 4 h, since the previous session's close.
-- grain: one row a root and run
-- key: run_id, symbol
-- owner: pipeline
-- freshness: each run
-- kind: snapshot
-- live: run
-- engine: portable
-- params: futures_roll_days, futures_age_seconds_max, futures_reference_slack_seconds_max
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
        futures_quotes.session_date = clock.previous_session_date as is_previous,
        settings.futures_age_seconds_max as age_seconds_max,
        settings.futures_reference_slack_seconds_max as slack_seconds_max
    from clock
    cross join settings
    cross join silver.futures_quotes
    where futures_quotes.received_at <= clock.as_of
        and futures_quotes.session_date >= clock.previous_session_date
),
bars as (
    select
        bars.symbol,
        cast(bars.close as double) as close
    from silver.bars
    inner join clock on bars.session_date = clock.previous_session_date
    where bars.bar_size = '1 day'
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
        last_value(price order by received_at, ingest_seq) filter (where is_previous)
            as price_close
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
    live.price / bars.close - 1 as change_daily_ratio,
    clock.run_id,
    clock.session_date
from clock
cross join live
left join bars on live.symbol = bars.symbol
where live.place = 1
order by live.symbol
