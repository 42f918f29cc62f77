-- about: Valid option quotes with our own implied volatility and Greeks. Greeks a share: gamma per $1, vega per vol point, theta per day, rho per percentage point. A one-sided quote has no volatility.
-- grain: one row a contract and sweep
-- key: conid, received_at, ingest_seq
-- owner: pipeline
-- freshness: each run
-- kind: incremental
-- live: latest by conid
-- engine: deltadesk
with
quotes as (
    select * from silver.option_vols
),
valued as (
    select
        *,
        american(
            option_right, american_spot, strike, years, rate, yield, american_vol
        ) as american_value,
        black76(
            option_right, european_forward, strike, years, rate, european_vol
        ) as european_value
    from quotes
)
select
    conid,
    occ_symbol,
    symbol,
    expiry_date,
    strike_usd,
    option_right,
    bid,
    ask,
    mid,
    last,
    bid_size,
    ask_size,
    volume,
    open_interest,
    spot_usd,
    spot_source,
    forward_usd,
    forward_source,
    years,
    rate,
    yield,
    coalesce(american_vol, european_vol) as vol,
    coalesce(american_value['delta'], european_value['delta']) as delta,
    coalesce(american_value['gamma'], european_value['gamma']) as gamma,
    coalesce(american_value['vega'], european_value['vega']) as vega,
    coalesce(american_value['theta'], european_value['theta']) as theta,
    coalesce(american_value['rho'], european_value['rho']) as rho,
    vendor_vol,
    vendor_delta,
    exercise_style,
    multiplier,
    last_trade_at,
    expires_at,
    quoted_at,
    received_at,
    ingest_seq,
    sweep_id,
    run_id,
    session_date
from valued
order by symbol, expiry_date, option_right, strike_usd, received_at, ingest_seq
