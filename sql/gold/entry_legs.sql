-- about: Out-of-the-money legs of each symbol's entry expiry, with expected payoffs at expiry under two measures: forecast (own smile volatility scaled by forecast over implied) and neutral (own smile volatility); drift to the parity forward. A share, undiscounted.
-- grain: one row a contract
-- key: conid
-- owner: pipeline
-- freshness: each run
-- kind: ephemeral
-- live: run
-- engine: portable
with
smile as (
    select * from gold.smile
),
payoffs as (
    select * from gold.entry_payoffs
)
select
    smile.conid,
    smile.symbol,
    smile.expiry_date,
    smile.option_right,
    smile.strike,
    smile.bid,
    smile.ask,
    smile.mid,
    smile.half_spread,
    cast(smile.multiplier as double) as multiplier,
    smile.spot_usd,
    smile.forward_usd,
    smile.years,
    payoffs.forecast_vol,
    abs(smile.delta) as delta_size,
    payoffs.forecast['price'] as forecast_payoff,
    payoffs.neutral['price'] as neutral_payoff,
    abs(payoffs.forecast['price'] - smile.forward_usd * payoffs.forecast['delta'])
    / smile.strike as beyond_probability
from payoffs
inner join smile on payoffs.conid = smile.conid
order by smile.symbol, smile.option_right, smile.strike, smile.conid
