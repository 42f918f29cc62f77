-- about: Valid option quotes with our own implied volatility and Greeks. Greeks a share: gamma per $1, vega per vol point, theta per day, rho per percentage point. A one-sided quote has no volatility.
-- grain: one row a contract and sweep
-- key: conid, received_at, ingest_seq
-- owner: pipeline
-- freshness: each run
-- kind: incremental
-- live: latest by conid
-- engine: portable
with
quotes as (
    select * from silver.option_vols
),
option_values as (
    select * from silver.option_values
)
select
    quotes.conid,
    quotes.occ_symbol,
    quotes.symbol,
    quotes.expiry_date,
    quotes.strike_usd,
    quotes.option_right,
    quotes.bid,
    quotes.ask,
    quotes.mid,
    quotes.last,
    quotes.bid_size,
    quotes.ask_size,
    quotes.volume,
    quotes.open_interest,
    quotes.spot_usd,
    quotes.spot_source,
    quotes.forward_usd,
    quotes.forward_source,
    quotes.years,
    quotes.rate,
    quotes.yield,
    coalesce(quotes.american_vol, quotes.european_vol) as vol,
    coalesce(
        option_values.american_value['delta'], option_values.european_value['delta']
    ) as delta,
    coalesce(
        option_values.american_value['gamma'], option_values.european_value['gamma']
    ) as gamma,
    coalesce(
        option_values.american_value['vega'], option_values.european_value['vega']
    ) as vega,
    coalesce(
        option_values.american_value['theta'], option_values.european_value['theta']
    ) as theta,
    coalesce(
        option_values.american_value['rho'], option_values.european_value['rho']
    ) as rho,
    quotes.vendor_vol,
    quotes.vendor_delta,
    quotes.exercise_style,
    quotes.multiplier,
    quotes.last_trade_at,
    quotes.expires_at,
    quotes.quoted_at,
    quotes.received_at,
    quotes.ingest_seq,
    quotes.sweep_id,
    quotes.run_id,
    quotes.session_date
from quotes
inner join option_values on quotes.ingest_seq = option_values.ingest_seq
order by
    quotes.symbol, quotes.expiry_date, quotes.option_right, quotes.strike_usd,
    quotes.received_at, quotes.ingest_seq
