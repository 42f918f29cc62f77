-- about: Valid option quotes with what prices them, and the volatility implied by their mid.
-- grain: one row a valid bronze row
-- key: ingest_seq
-- owner: pipeline
-- freshness: each run
-- kind: ephemeral
-- live: run
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
        parity.spot_source,
        parity.forward_usd,
        parity.forward_source,
        parity.rate,
        parity.yield,
        cast(quotes.mid as double) as price,
        cast(quotes.strike_usd as double) as strike,
        case when quotes.exercise_style = 'american' then parity.spot_usd end as american_spot,
        case when quotes.exercise_style = 'european' then parity.forward_usd end
            as european_forward
    from quotes
    left join parity
        on quotes.symbol = parity.symbol
        and quotes.sweep_key = parity.sweep_key
        and quotes.expiry_date = parity.expiry_date
)
select
    conid,
    occ_symbol,
    symbol,
    expiry_date,
    strike_usd,
    strike,
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
    american_spot,
    european_forward,
    years,
    rate,
    yield,
    implied_vol_american(option_right, price, american_spot, strike, years, rate, yield)
        as american_vol,
    implied_vol_black76(option_right, price, european_forward, strike, years, rate)
        as european_vol,
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
from joined
order by ingest_seq
