-- about: Out-of-the-money legs of each symbol's entry expiry, with expected payoffs at expiry under two measures: forecast (own smile volatility scaled by forecast over implied) and neutral (own smile volatility); drift to the parity forward. A share, undiscounted.
-- grain: one row a contract
-- key: conid
-- owner: pipeline
-- freshness: each run
-- kind: ephemeral
-- live: run
-- engine: deltadesk
with
smile as (
    select * from gold.smile where exercise_style = 'american' and abs(delta) < 0.5
),
openings as (
    select * from gold.openings
),
legs as (
    select
        smile.*,
        openings.scale,
        black76(
            smile.option_right, smile.forward_usd, smile.strike, smile.years, 0.0,
            smile.vol * openings.scale
        ) as forecast,
        black76(
            smile.option_right, smile.forward_usd, smile.strike, smile.years, 0.0, smile.vol
        ) as neutral
    from smile
    inner join openings
        on smile.symbol = openings.symbol and smile.expiry_date = openings.expiry_date
)
select
    conid,
    symbol,
    expiry_date,
    option_right,
    strike,
    bid,
    ask,
    mid,
    half_spread,
    cast(multiplier as double) as multiplier,
    spot_usd,
    forward_usd,
    years,
    vol * scale as forecast_vol,
    abs(delta) as delta_size,
    forecast['price'] as forecast_payoff,
    neutral['price'] as neutral_payoff,
    abs(forecast['price'] - forward_usd * forecast['delta']) / strike as beyond_probability
from legs
order by symbol, option_right, strike, conid
