-- about: The volatility surface by expiry: at the money (at the forward), 25-delta wings, skew. Spot, forward, rate and time are those of the newest quote.
-- grain: one row a symbol, expiry and run
-- key: run_id, symbol, expiry_date
-- owner: pipeline
-- freshness: each run
-- kind: snapshot
-- live: run
-- engine: portable
with
clock as (
    select * from run
),
smile as (
    select * from gold.smile
),
points as (
    select
        *,
        case
            when strike <= forward_usd and upper_strike > forward_usd
                then vol + (upper_vol - vol) * (forward_usd - strike) / (upper_strike - strike)
        end as at_forward_vol,
        case
            when option_right = 'P' and delta > -0.25 and upper_delta <= -0.25
                then vol + (upper_vol - vol) * (-0.25 - delta) / (upper_delta - delta)
        end as put_wing_vol,
        case
            when option_right = 'C' and delta >= 0.25 and upper_delta < 0.25
                then vol + (upper_vol - vol) * (0.25 - delta) / (upper_delta - delta)
        end as call_wing_vol,
        abs(
            vol - lower_vol
            - (upper_vol - lower_vol) * (strike - lower_strike) / (upper_strike - lower_strike)
        ) as residual_vol
    from smile
),
surface as (
    select
        symbol,
        expiry_date,
        last_value(dte order by received_at, conid) as dte,
        last_value(years order by received_at, conid) as years,
        last_value(spot_usd order by received_at, conid) as spot_usd,
        last_value(forward_usd order by received_at, conid) as forward_usd,
        last_value(rate order by received_at, conid) as rate,
        (
            coalesce(
                max(case when option_right = 'C' then at_forward_vol end),
                max(case when option_right = 'P' then at_forward_vol end)
            )
            + coalesce(
                max(case when option_right = 'P' then at_forward_vol end),
                max(case when option_right = 'C' then at_forward_vol end)
            )
        ) / 2 as atm_vol,
        max(put_wing_vol) as put_25d_vol,
        max(call_wing_vol) as call_25d_vol,
        median(residual_vol) as fit_error_vol,
        count(*) as quotes,
        max(received_at) as received_at
    from points
    group by symbol, expiry_date
)
select
    clock.as_of,
    surface.symbol,
    surface.expiry_date,
    surface.dte,
    surface.years,
    surface.spot_usd,
    surface.forward_usd,
    surface.rate,
    surface.atm_vol,
    surface.put_25d_vol,
    surface.call_25d_vol,
    surface.put_25d_vol - surface.call_25d_vol as skew_25d,
    surface.fit_error_vol,
    surface.quotes,
    surface.received_at,
    clock.run_id,
    clock.session_date
from clock
cross join surface
order by surface.symbol, surface.expiry_date
