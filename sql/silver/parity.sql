-- about: Forward, rate and spot behind each expiry of a sweep, from put-call parity near the money.
-- grain: one row a symbol, sweep and expiry
-- key: symbol, sweep_key, expiry_date
-- owner: pipeline
-- freshness: each run
-- kind: incremental
-- live: run
-- engine: portable
-- params: parity_pairs_max, parity_pairs_min, parity_spot_age_seconds_max
with
settings as (
    select * from params
),
quotes as (
    select * from silver.option_rows where reason is null
),
rates as (
    select * from bronze.rates
),
dividends as (
    select * from bronze.dividends
),
underlyings as (
    select * from silver.underlying_quotes
),
clock as (
    select * from run
),
curve as (
    select
        rates.maturity_date,
        rates.rate,
        lag(rates.maturity_date) over (order by rates.maturity_date) as previous_date,
        lead(rates.maturity_date) over (order by rates.maturity_date) as next_date,
        lead(rates.rate) over (order by rates.maturity_date) as next_rate
    from clock
    cross join rates
    where rates.valid_through >= clock.session_date
),
strikes as (
    select
        symbol,
        sweep_key,
        expiry_date,
        cast(strike_usd as double) as strike,
        min(exercise_style) as exercise_style,
        max(years) as years,
        max(received_at) as received_at,
        max(session_date) as session_date,
        max(case when option_right = 'C' then cast(mid as double) end) as call_mid,
        max(case when option_right = 'P' then cast(mid as double) end) as put_mid,
        sum(cast(ask - bid as double)) / 2 as half_spreads
    from quotes
    group by symbol, sweep_key, expiry_date, strike_usd
),
rated as (
    select
        strikes.*,
        strikes.call_mid - strikes.put_mid as gap,
        case
            when strikes.expiry_date <= curve.maturity_date or curve.next_date is null
                then curve.rate
            else curve.rate + (curve.next_rate - curve.rate)
                * cast(strikes.expiry_date - curve.maturity_date as double)
                / cast(curve.next_date - curve.maturity_date as double)
        end as rate
    from strikes
    left join curve
        on (curve.previous_date is null or strikes.expiry_date >= curve.maturity_date)
        and (curve.next_date is null or strikes.expiry_date < curve.next_date)
),
placed as (
    select
        *,
        row_number() over (
            partition by symbol, sweep_key, expiry_date
            order by case when gap is null then 1 else 0 end, abs(gap), strike
        ) as nearness
    from rated
),
near as (
    select
        placed.*,
        settings.parity_pairs_min as pairs_min,
        settings.parity_spot_age_seconds_max as age_seconds_max,
        case
            when placed.nearness <= settings.parity_pairs_max
                then placed.strike + exp(placed.rate * placed.years) * placed.gap
        end as forward,
        case
            when placed.nearness <= settings.parity_pairs_max and placed.gap is not null
                then placed.half_spreads
        end as error
    from settings
    cross join placed
),
expiries as (
    select
        symbol,
        sweep_key,
        expiry_date,
        min(exercise_style) as exercise_style,
        max(years) as years,
        max(received_at) as received_at,
        max(session_date) as session_date,
        max(rate) as rate,
        case when count(forward) >= max(pairs_min) then median(forward) end as forward,
        median(error) as forward_error_usd,
        count(forward) as pairs,
        max(age_seconds_max) as age_seconds_max
    from near
    group by symbol, sweep_key, expiry_date
),
known_dividends as (
    select
        dividends.symbol,
        dividends.ex_date,
        cast(dividends.amount_usd as double) as amount_usd
    from clock
    cross join dividends
    where dividends.valid_through >= clock.session_date
),
paid as (
    select
        expiries.symbol,
        expiries.sweep_key,
        expiries.expiry_date,
        max(expiries.exercise_style) as exercise_style,
        max(expiries.years) as years,
        max(expiries.received_at) as received_at,
        max(expiries.session_date) as session_date,
        max(expiries.rate) as rate,
        max(expiries.forward) as forward,
        max(expiries.forward_error_usd) as forward_error_usd,
        max(expiries.pairs) as pairs,
        max(expiries.age_seconds_max) as age_seconds_max,
        sum(
            case
                when known_dividends.ex_date > expiries.session_date
                    and known_dividends.ex_date <= expiries.expiry_date
                    then known_dividends.amount_usd * exp(
                        -expiries.rate
                        * cast(known_dividends.ex_date - expiries.session_date as double) / 365
                    )
                when known_dividends.ex_date is not null then 0
            end
            order by known_dividends.ex_date
        ) as dividends_usd
    from expiries
    left join known_dividends on expiries.symbol = known_dividends.symbol
    group by expiries.symbol, expiries.sweep_key, expiries.expiry_date
),
quoted as (
    select
        paid.*,
        case
            when abs(extract(epoch from (underlyings.received_at - paid.received_at)))
                <= paid.age_seconds_max
                then cast(underlyings.price as double)
        end as quoted_spot_usd,
        case
            when paid.exercise_style = 'american'
                then paid.forward * exp(-paid.rate * paid.years) + paid.dividends_usd
        end as implied_spot_usd
    from paid
    left join underlyings on paid.symbol = underlyings.symbol
),
spotted as (
    select
        *,
        coalesce(
            quoted_spot_usd,
            first_value(implied_spot_usd) over (
                partition by symbol, sweep_key
                order by case when implied_spot_usd is null then 1 else 0 end, expiry_date
            )
        ) as spot_usd
    from quoted
),
carried as (
    select
        *,
        case
            when forward is not null then forward
            when exercise_style = 'american'
                then (spot_usd - dividends_usd) * exp(rate * years)
        end as forward_usd
    from spotted
)
select
    carried.symbol,
    carried.sweep_key,
    carried.expiry_date,
    carried.exercise_style,
    carried.years,
    carried.rate,
    carried.forward_usd,
    case
        when carried.forward is not null then 'parity'
        when carried.forward_usd is not null then 'carry'
    end as forward_source,
    carried.forward_error_usd,
    carried.pairs,
    carried.spot_usd,
    case
        when carried.quoted_spot_usd is not null then 'quote'
        when carried.spot_usd is not null then 'parity'
    end as spot_source,
    carried.dividends_usd,
    case
        when carried.exercise_style = 'american'
            then carried.rate - ln(carried.forward_usd / carried.spot_usd) / carried.years
    end as yield,
    carried.received_at,
    clock.run_id,
    carried.session_date
from clock
cross join carried
order by carried.symbol, carried.sweep_key, carried.expiry_date
