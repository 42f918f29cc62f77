-- about: The dated dividends to an expiry agree with the parity forward of American options near the session's close. Where the underlying was quoted, forward discounted plus dividends is that quote. Where it was not, the daily close lies among what the sweeps of five minutes around it say, for the close is no instant of a sweep; that needs sweeps on both sides. The error is that of the quotes behind the forward and of the published rate; American puts are worth more than European ones, so that the forward may look low by a tenth of the interest to expiry; American calls are worth exercising before an ex-date that is close to expiry, so that it may look high by what such a dividend is worth beyond the interest from there to expiry. Quotes that came at different moments may disagree by what the underlying moved in between: four standard deviations of the volatility near the money, over a year of 252 sessions of six and a half hours; without such a volatility they are not judged. An expiry without a forward of its own or without known dividends is not judged: no entry is made there.
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
dividends as (
    select
        dividends.symbol,
        dividends.ex_date,
        max(cast(dividends.amount_usd as double)) as amount_usd
    from bronze.dividends
    inner join clock on dividends.session_date = clock.session_date
    group by dividends.symbol, dividends.ex_date
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
parity as (
    select * from silver.parity
),
quotes as (
    select
        quotes.symbol,
        coalesce(quotes.sweep_id, '') as sweep_key,
        quotes.expiry_date,
        cast(quotes.strike_usd as double) as strike,
        quotes.vol
    from silver.option_quotes as quotes
    inner join clock on quotes.session_date = clock.session_date
    where quotes.vol is not null
        and abs(extract(epoch from (quotes.received_at - clock.session_close_at))) <= 600
),
near as (
    select
        parity.*,
        case when parity.received_at <= clock.session_close_at then 1 else 0 end as is_before
    from clock
    inner join parity on clock.session_date = parity.session_date
    where parity.exercise_style = 'american'
        and parity.forward_source = 'parity'
        and parity.dividends_usd is not null
        and abs(extract(epoch from (parity.received_at - clock.session_close_at))) <= 300
),
ranked as (
    select
        near.symbol,
        near.sweep_key,
        near.expiry_date,
        quotes.vol,
        row_number() over (
            partition by near.symbol, near.sweep_key, near.expiry_date
            order by abs(quotes.strike - near.forward_usd)
        ) as nearness
    from near
    inner join quotes
        on near.symbol = quotes.symbol
        and near.sweep_key = quotes.sweep_key
        and near.expiry_date = quotes.expiry_date
),
vols as (
    select
        symbol,
        sweep_key,
        expiry_date,
        median(vol) as vol
    from ranked
    where nearness <= 4
    group by symbol, sweep_key, expiry_date
),
called as (
    select
        near.symbol,
        near.sweep_key,
        near.expiry_date,
        sum(
            greatest(
                0.0,
                dividends.amount_usd - near.forward_usd * (
                    1 - exp(
                        -near.rate
                        * cast(near.expiry_date - dividends.ex_date as double) / 365
                    )
                )
            )
        ) as early_call_usd
    from near
    inner join dividends
        on near.symbol = dividends.symbol
        and dividends.ex_date > near.session_date
        and dividends.ex_date <= near.expiry_date
    group by near.symbol, near.sweep_key, near.expiry_date
),
judged as (
    select
        near.symbol,
        near.expiry_date,
        near.is_before,
        near.spot_source,
        near.spot_usd,
        near.dividends_usd,
        near.forward_usd * exp(-near.rate * near.years) + near.dividends_usd
            as implied_spot_usd,
        near.forward_error_usd
        + coalesce(rate_errors.rate_error, 0) * near.years * near.forward_usd
        + case
            when near.apart_seconds > 0
                then 4 * vols.vol * near.forward_usd * sqrt(near.apart_seconds / 5896800)
            else 0
        end as error_usd,
        0.1 * greatest(0.0, 1 - exp(-near.rate * near.years)) * near.forward_usd
            as early_usd,
        coalesce(called.early_call_usd, 0) as early_call_usd
    from near
    cross join rate_errors
    left join vols
        on near.symbol = vols.symbol
        and near.sweep_key = vols.sweep_key
        and near.expiry_date = vols.expiry_date
    left join called
        on near.symbol = called.symbol
        and near.sweep_key = called.sweep_key
        and near.expiry_date = called.expiry_date
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
            or spot_usd < implied_spot_usd - error_usd - early_call_usd
        )
),
ranges as (
    select
        symbol,
        expiry_date,
        min(implied_spot_usd - error_usd - early_call_usd) as lowest_usd,
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
