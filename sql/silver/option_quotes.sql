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
    select * from silver.option_rows where reason is null
),
parity as (
    select * from silver.parity
),
joined as (
    select
        quotes.*,
        parity.spot_usd,
        parity.forward,
        parity.forward_source,
        parity.spot_source,
        parity.rate,
        parity.yield
    from quotes
    left join parity
        on quotes.symbol = parity.symbol
        and quotes.sweep_key = parity.sweep_key
        and quotes.expiry_date = parity.expiry_date
),
inverted as (
    select
        *,
        case
            when mid is null then null
            when exercise_style = 'european'
                then implied_vol_black76(
                    option_right, cast(mid as double), forward, cast(strike_usd as double),
                    years, rate
                )
            else implied_vol_american(
                option_right, cast(mid as double), spot_usd, cast(strike_usd as double),
                years, rate, yield
            )
        end as vol
    from joined
),
valued as (
    select
        *,
        case
            when vol is null then null
            when exercise_style = 'european'
                then black76(
                    option_right, forward, cast(strike_usd as double), years, rate, vol
                )
            else american(
                option_right, spot_usd, cast(strike_usd as double), years, rate, yield, vol
            )
        end as value
    from inverted
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
    forward as forward_usd,
    forward_source,
    years,
    rate,
    yield,
    vol,
    value['delta'] as delta,
    value['gamma'] as gamma,
    value['vega'] as vega,
    value['theta'] as theta,
    value['rho'] as rho,
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
