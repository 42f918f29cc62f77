-- about: Expected payoff at expiry of each out-of-the-money leg of a symbol's entry expiry, forward and undiscounted, under the forecast and the neutral measure.
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
)
select
    smile.conid,
    smile.vol * openings.scale as forecast_vol,
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
order by smile.conid
