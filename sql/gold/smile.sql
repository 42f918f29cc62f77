-- about: Fresh option quotes with a volatility, each beside its neighbours in strike: the smile's points.
-- grain: one row a contract
-- key: conid
-- owner: pipeline
-- freshness: each run
-- kind: ephemeral
-- live: run
-- engine: portable
-- params: marks_quote_age_seconds_max
with
clock as (
    select * from run
),
settings as (
    select * from params
),
quotes as (
    select * from silver.option_quotes where vol is not null
),
fresh as (
    select
        quotes.conid,
        quotes.symbol,
        quotes.expiry_date,
        cast(quotes.strike_usd as double) as strike,
        quotes.option_right,
        cast(quotes.bid as double) as bid,
        cast(quotes.ask as double) as ask,
        cast(quotes.mid as double) as mid,
        quotes.spot_usd,
        quotes.forward_usd,
        quotes.years,
        quotes.rate,
        quotes.vol,
        quotes.delta,
        quotes.vega,
        quotes.multiplier,
        quotes.exercise_style,
        quotes.received_at,
        cast(quotes.expiry_date - clock.session_date as bigint) as dte
    from clock
    cross join settings
    cross join quotes
    where quotes.expires_at > clock.as_of
        and quotes.received_at <= clock.as_of
        and extract(
            epoch from (least(clock.as_of, clock.session_close_at) - quotes.received_at)
        ) <= settings.marks_quote_age_seconds_max
)
select
    conid,
    symbol,
    expiry_date,
    strike,
    option_right,
    bid,
    ask,
    mid,
    (ask - bid) / 2 as half_spread,
    spot_usd,
    forward_usd,
    years,
    rate,
    vol,
    delta,
    vega,
    multiplier,
    exercise_style,
    received_at,
    dte,
    lag(strike) over along as lower_strike,
    lag(vol) over along as lower_vol,
    lead(strike) over along as upper_strike,
    lead(vol) over along as upper_vol,
    lead(delta) over along as upper_delta
from fresh
window along as (partition by symbol, expiry_date, option_right order by strike, conid)
order by symbol, expiry_date, option_right, strike, conid
