-- about: Forward, rate and spot behind each expiry of a sweep, from put-call parity near the money.
-- grain: one row a symbol, sweep and expiry
-- key: symbol, sweep_key, expiry_date
-- owner: pipeline
-- freshness: each run
-- kind: ephemeral
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
strikes as (
    select
        symbol,
        sweep_key,
        expiry_date,
        strike_usd,
        max(exercise_style) as exercise_style,
        max(years) as years,
        max(received_at) as received_at,
        max(session_date) as session_date,
        max(case when option_right = 'C' then cast(mid as double) end) as call_mid,
        max(case when option_right = 'P' then cast(mid as double) end) as put_mid,
        sum(cast(ask - bid as double)) / 2 as half_spreads
    from quotes
    group by symbol, sweep_key, expiry_date, strike_usd
),
curve as (
    select
        rates.maturity_date,
        rates.rate,
        lag(rates.maturity_date) over (order by rates.maturity_date) as previous_date,
        lead(rates.maturity_date) over (order by rates.maturity_date) as next_date,
        lead(rates.rate) over (order by rates.maturity_date) as next_rate
    from rates
    cross join clock
    where rates.valid_through >= clock.session_date
),
expiries as (
    select
        symbol,
        sweep_key,
        expiry_date,
        min(exercise_style) as exercise_style,
        max(years) as years,
        max(received_at) as received_at,
        max(session_date) as session_date
    from strikes
    group by symbol, sweep_key, expiry_date
),
rated as (
    select
        expiries.symbol,
        expiries.sweep_key,
        expiries.expiry_date,
        expiries.exercise_style,
        expiries.years,
        expiries.received_at,
        expiries.session_date,
        case
            when expiries.expiry_date <= curve.maturity_date or curve.next_date is null
                then curve.rate
            else curve.rate + (curve.next_rate - curve.rate)
                * cast(expiries.expiry_date - curve.maturity_date as double)
                / cast(curve.next_date - curve.maturity_date as double)
        end as rate
    from expiries
    left join curve
        on (curve.previous_date is null or expiries.expiry_date >= curve.maturity_date)
        and (curve.next_date is null or expiries.expiry_date < curve.next_date)
),
pairs as (
    select
        strikes.symbol,
        strikes.sweep_key,
        strikes.expiry_date,
        cast(strikes.strike_usd as double)
        + exp(rated.rate * rated.years) * (strikes.call_mid - strikes.put_mid) as forward,
        strikes.half_spreads,
        row_number() over (
            partition by strikes.symbol, strikes.sweep_key, strikes.expiry_date
            order by abs(strikes.call_mid - strikes.put_mid), strikes.strike_usd
        ) as nearness
    from strikes
    inner join rated
        on strikes.symbol = rated.symbol
        and strikes.sweep_key = rated.sweep_key
        and strikes.expiry_date = rated.expiry_date
    where strikes.call_mid is not null and strikes.put_mid is not null
),
forwards as (
    select
        pairs.symbol,
        pairs.sweep_key,
        pairs.expiry_date,
        median(pairs.forward) as forward,
        median(pairs.half_spreads) as forward_error,
        count(*) as pairs,
        max(settings.parity_pairs_min) as pairs_min
    from pairs
    cross join settings
    where pairs.nearness <= settings.parity_pairs_max
    group by pairs.symbol, pairs.sweep_key, pairs.expiry_date
),
known_dividends as (
    select
        dividends.symbol,
        dividends.ex_date,
        cast(dividends.amount_usd as double) as amount_usd
    from dividends
    cross join clock
    where dividends.valid_through >= clock.session_date
),
paid as (
    select
        rated.symbol,
        rated.sweep_key,
        rated.expiry_date,
        sum(
            case
                when known_dividends.ex_date > rated.session_date
                    and known_dividends.ex_date <= rated.expiry_date
                    then known_dividends.amount_usd * exp(
                        -rated.rate
                        * cast(known_dividends.ex_date - rated.session_date as double) / 365
                    )
                else 0
            end
        ) as dividends_usd
    from rated
    inner join known_dividends on rated.symbol = known_dividends.symbol
    group by rated.symbol, rated.sweep_key, rated.expiry_date
),
joined as (
    select
        rated.symbol,
        rated.sweep_key,
        rated.expiry_date,
        rated.exercise_style,
        rated.years,
        rated.rate,
        case when forwards.pairs >= forwards.pairs_min then forwards.forward end as forward,
        forwards.forward_error,
        coalesce(forwards.pairs, 0) as pairs,
        paid.dividends_usd,
        case
            when abs(extract(epoch from (underlyings.received_at - rated.received_at)))
                <= settings.parity_spot_age_seconds_max
                then cast(underlyings.price as double)
        end as quoted_spot_usd
    from rated
    cross join settings
    left join forwards
        on rated.symbol = forwards.symbol
        and rated.sweep_key = forwards.sweep_key
        and rated.expiry_date = forwards.expiry_date
    left join paid
        on rated.symbol = paid.symbol
        and rated.sweep_key = paid.sweep_key
        and rated.expiry_date = paid.expiry_date
    left join underlyings on rated.symbol = underlyings.symbol
),
implied as (
    select
        *,
        case
            when exercise_style = 'american'
                then forward * exp(-rate * years) + dividends_usd
        end as implied_spot_usd
    from joined
),
anchored as (
    select
        *,
        first_value(implied_spot_usd) over (
            partition by symbol, sweep_key
            order by case when implied_spot_usd is null then 1 else 0 end, expiry_date
        ) as nearest_spot_usd
    from implied
),
spotted as (
    select
        *,
        coalesce(quoted_spot_usd, nearest_spot_usd) as spot_usd
    from anchored
),
carried as (
    select
        *,
        case
            when forward is not null then forward
            when exercise_style = 'american'
                then (spot_usd - dividends_usd) * exp(rate * years)
        end as any_forward
    from spotted
)
select
    symbol,
    sweep_key,
    expiry_date,
    years,
    rate,
    any_forward as forward,
    case
        when forward is not null then 'parity'
        when any_forward is not null then 'carry'
    end as forward_source,
    forward_error,
    cast(pairs as bigint) as pairs,
    spot_usd,
    case
        when quoted_spot_usd is not null then 'quote'
        when spot_usd is not null then 'parity'
    end as spot_source,
    dividends_usd,
    case
        when exercise_style = 'american' then rate - ln(any_forward / spot_usd) / years
    end as yield
from carried
order by symbol, sweep_key, expiry_date
