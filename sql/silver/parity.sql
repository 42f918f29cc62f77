-- about: Forward, rate and spot behind each expiry of a sweep, from put-call parity near the money. apart_seconds is the time from the first to the last of the quotes behind forward and spot.
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
        max(case when option_right = 'C' then cast(mid as double) end)
        - max(case when option_right = 'P' then cast(mid as double) end) as gap,
        sum(cast(ask - bid as double)) / 2 as half_spreads,
        min(received_at) as first_at,
        max(received_at) as last_at
    from quotes
    group by symbol, sweep_key, expiry_date, strike_usd
),
placed as (
    select
        *,
        row_number() over (
            partition by symbol, sweep_key, expiry_date
            order by abs(gap), strike
        ) as nearness
    from strikes
    where gap is not null
),
near as (
    select placed.*
    from settings
    inner join placed on placed.nearness <= settings.parity_pairs_max
),
listed as (
    select
        symbol,
        sweep_key,
        expiry_date,
        min(exercise_style) as exercise_style,
        max(years) as years,
        max(received_at) as received_at,
        max(session_date) as session_date
    from quotes
    group by symbol, sweep_key, expiry_date
),
rated as (
    select
        listed.*,
        settings.parity_pairs_min as pairs_min,
        settings.parity_spot_age_seconds_max as age_seconds_max,
        case
            when listed.expiry_date <= curve.maturity_date or curve.next_date is null
                then curve.rate
            else curve.rate + (curve.next_rate - curve.rate)
                * cast(listed.expiry_date - curve.maturity_date as double)
                / cast(curve.next_date - curve.maturity_date as double)
        end as rate
    from settings
    cross join listed
    left join curve
        on (curve.previous_date is null or listed.expiry_date >= curve.maturity_date)
        and (curve.next_date is null or listed.expiry_date < curve.next_date)
),
expiries as (
    select
        rated.symbol,
        rated.sweep_key,
        rated.expiry_date,
        max(rated.exercise_style) as exercise_style,
        max(rated.years) as years,
        max(rated.received_at) as received_at,
        max(rated.session_date) as session_date,
        max(rated.rate) as rate,
        case
            when count(near.gap) >= max(rated.pairs_min)
                then median(near.strike + exp(rated.rate * rated.years) * near.gap)
        end as forward,
        median(near.half_spreads) as forward_error_usd,
        min(near.first_at) as first_at,
        max(near.last_at) as last_at,
        count(near.gap) as pairs,
        max(rated.age_seconds_max) as age_seconds_max
    from rated
    left join near
        on rated.symbol = near.symbol
        and rated.sweep_key = near.sweep_key
        and rated.expiry_date = near.expiry_date
    group by rated.symbol, rated.sweep_key, rated.expiry_date
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
        max(expiries.first_at) as first_at,
        max(expiries.last_at) as last_at,
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
            when abs(extract(epoch from (underlyings.received_at - paid.received_at)))
                <= paid.age_seconds_max
                then underlyings.received_at
        end as spot_at,
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
    case
        when carried.forward is not null
            then extract(
                epoch from (
                    greatest(carried.last_at, carried.spot_at)
                    - least(carried.first_at, carried.spot_at)
                )
            )
    end as apart_seconds,
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
