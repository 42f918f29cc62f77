-- about: The dated dividends to an expiry agree with the parity forward of American options near the session's close. Where the underlying was quoted, forward discounted plus dividends is that quote. Where it was not, the daily close lies among what the sweeps of five minutes around it say, for the close is no instant of a sweep; that needs sweeps on both sides. The error is that of the quotes behind the forward and of the published rate; American puts are worth more than European ones, so that the forward may look low by a tenth of the interest to expiry. An expiry without a forward of its own or without known dividends is not judged: no entry is made there.
-- audit: table
-- sessions: 1
with
clock as (
    select * from run
),
rate_errors as (
    select max(rates.rate_error) as rate_error
    from bronze.rates
    inner join clock on rates.session_date = clock.session_date
),
closes as (
    select
        bars.symbol,
        cast(bars.close as double) as close,
        row_number() over (partition by bars.symbol order by bars.ingest_seq desc) as place
    from silver.bars
    inner join clock on bars.session_date = clock.session_date
    where bars.bar_size = '1 day'
),
judged as (
    select
        parity.symbol,
        parity.expiry_date,
        case when parity.received_at <= clock.session_close_at then 1 else 0 end as is_before,
        parity.spot_source,
        parity.spot_usd,
        parity.dividends_usd,
        parity.forward_usd * exp(-parity.rate * parity.years) + parity.dividends_usd
            as implied_spot_usd,
        parity.forward_error_usd
        + coalesce(rate_errors.rate_error, 0) * parity.years * parity.forward_usd as error_usd,
        0.1 * greatest(0.0, 1 - exp(-parity.rate * parity.years)) * parity.forward_usd
            as early_usd
    from clock
    cross join rate_errors
    inner join silver.parity on clock.session_date = parity.session_date
    where parity.exercise_style = 'american'
        and parity.forward_source = 'parity'
        and parity.dividends_usd is not null
        and abs(extract(epoch from (parity.received_at - clock.session_close_at))) <= 300
),
quoted as (
    select
        symbol,
        expiry_date,
        'quote' as held_against,
        spot_usd,
        implied_spot_usd as lowest_usd,
        implied_spot_usd as highest_usd,
        error_usd,
        dividends_usd
    from judged
    where spot_source = 'quote'
        and (
            spot_usd > implied_spot_usd + error_usd + early_usd
            or spot_usd < implied_spot_usd - error_usd
        )
),
ranges as (
    select
        symbol,
        expiry_date,
        min(implied_spot_usd - error_usd) as lowest_usd,
        max(implied_spot_usd + error_usd + early_usd) as highest_usd,
        max(error_usd) as error_usd,
        max(dividends_usd) as dividends_usd
    from judged
    where spot_source = 'parity'
    group by symbol, expiry_date
    having min(is_before) = 0 and max(is_before) = 1
),
closed as (
    select
        ranges.symbol,
        ranges.expiry_date,
        'close' as held_against,
        closes.close as spot_usd,
        ranges.lowest_usd,
        ranges.highest_usd,
        ranges.error_usd,
        ranges.dividends_usd
    from ranges
    inner join closes on ranges.symbol = closes.symbol and closes.place = 1
    where closes.close < ranges.lowest_usd or closes.close > ranges.highest_usd
),
offending as (
    select * from quoted
    union all
    select * from closed
)
select
    symbol,
    expiry_date,
    held_against,
    spot_usd,
    lowest_usd,
    highest_usd,
    error_usd,
    dividends_usd
from offending
order by symbol, expiry_date, held_against, spot_usd
