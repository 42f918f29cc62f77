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
        futures_quotes.session_date,
        extract(epoch from (clock.as_of - futures_quotes.received_at)) as age_seconds,
        case
            when futures_quotes.session_date = clock.previous_session_date then 1
            else 0
        end as is_previous
    from clock
    cross join silver.futures_quotes
    where futures_quotes.received_at <= clock.as_of
        and futures_quotes.session_date >= clock.previous_session_date
),
bars as (
    select
        bars.symbol,
        cast(bars.close as double) as close,
        row_number() over (partition by bars.symbol order by bars.session_date desc) as recency
    from clock
    cross join silver.bars
    where bars.session_date = clock.previous_session_date
),
references_of as (
    select
        quotes.conid,
        quotes.symbol,
        quotes.local_symbol,
        quotes.expiry_date,
        quotes.price,
        quotes.age_seconds,
        row_number() over (
            partition by quotes.conid
            order by quotes.age_seconds, quotes.ingest_seq desc
        ) as place_now,
        row_number() over (
            partition by quotes.conid
            order by
                case when quotes.age_seconds >= 3600 then 0 else 1 end,
                quotes.age_seconds, quotes.ingest_seq desc
        ) as place_1h,
        row_number() over (
            partition by quotes.conid
            order by
                case when quotes.age_seconds >= 14400 then 0 else 1 end,
                quotes.age_seconds, quotes.ingest_seq desc
        ) as place_4h,
        row_number() over (
            partition by quotes.conid
            order by quotes.is_previous desc, quotes.age_seconds, quotes.ingest_seq desc
        ) as place_close,
        quotes.is_previous
    from quotes
),
contracts as (
    select
        references_of.conid,
        max(references_of.symbol) as symbol,
        max(references_of.local_symbol) as local_symbol,
        max(references_of.expiry_date) as expiry_date,
        max(
            case
                when references_of.place_now = 1
                    and references_of.age_seconds <= settings.futures_age_seconds_max
                    then references_of.price
            end
        ) as price,
        max(
            case
                when references_of.place_1h = 1
                    and references_of.age_seconds >= 3600
                    and references_of.age_seconds
                        <= 3600 + settings.futures_reference_slack_seconds_max
                    then references_of.price
            end
        ) as price_1h,
        max(
            case
                when references_of.place_4h = 1
                    and references_of.age_seconds >= 14400
                    and references_of.age_seconds
                        <= 14400 + settings.futures_reference_slack_seconds_max
                    then references_of.price
            end
        ) as price_4h,
        max(
            case
                when references_of.place_close = 1 and references_of.is_previous = 1
                    then references_of.price
            end
        ) as price_close
    from settings
    cross join references_of
    group by references_of.conid
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
left join bars on live.symbol = bars.symbol and bars.recency = 1
where live.place = 1
order by live.symbol
