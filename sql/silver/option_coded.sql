-- about: Option quotes in our coding, sentinels as NULL, joined to their contract, with their own fault, if any.
-- grain: one row a bronze row
-- key: ingest_seq
-- owner: pipeline
-- freshness: each run
-- kind: ephemeral
-- live: run
-- engine: portable
with
quotes as (
    select * from bronze.option_quotes
),
contracts as (
    select * from bronze.contracts where security_kind = 'OPT'
),
coded as (
    select
        quotes.conid,
        coalesce(contracts.occ_symbol, quotes.occ_symbol) as occ_symbol,
        quotes.symbol,
        coalesce(contracts.expiry_date, quotes.expiry_date) as expiry_date,
        coalesce(contracts.strike_usd, quotes.strike_usd) as strike_usd,
        case
            when quotes.option_right in ('C', 'CALL') then 'C'
            when quotes.option_right in ('P', 'PUT') then 'P'
        end as option_right,
        case when quotes.bid > 0 then quotes.bid end as bid,
        case when quotes.ask > 0 then quotes.ask end as ask,
        case when quotes.last > 0 then quotes.last end as last,
        case when quotes.bid_size >= 0 then quotes.bid_size end as bid_size,
        case when quotes.ask_size >= 0 then quotes.ask_size end as ask_size,
        quotes.volume,
        quotes.open_interest,
        case
            when quotes.vendor_vol > 0 and abs(quotes.vendor_vol) < 1e300 then quotes.vendor_vol
        end as vendor_vol,
        case
            when quotes.vendor_delta in (-1, -2) then null
            when quotes.vendor_delta = 0 and coalesce(quotes.vendor_gamma, 0) = 0
                and coalesce(quotes.vendor_theta, 0) = 0 and coalesce(quotes.vendor_vega, 0) = 0
                then null
            when abs(quotes.vendor_delta) < 1e300 then quotes.vendor_delta
        end as vendor_delta,
        contracts.conid is null as is_unknown,
        coalesce(
            quotes.expiry_date <> contracts.expiry_date
            or quotes.strike_usd <> contracts.strike_usd
            or quotes.symbol <> contracts.symbol
            or contracts.option_right <> substr(quotes.option_right, 1, 1),
            false
        ) as is_mismatch,
        contracts.exercise_style,
        contracts.multiplier,
        contracts.last_trade_at,
        contracts.expires_at,
        coalesce(quotes.sweep_id, '') as sweep_key,
        quotes.quoted_at,
        quotes.received_at,
        quotes.ingest_seq,
        quotes.sweep_id,
        quotes.run_id,
        quotes.session_date
    from quotes
    left join contracts on quotes.conid = contracts.conid
),
judged as (
    select
        *,
        case
            when option_right is null then 'unknown_right'
            when is_unknown then 'unknown_contract'
            when is_mismatch then 'contract_mismatch'
            when expires_at is null then 'no_expiry_instant'
            when received_at >= expires_at then 'expired'
            when bid is null and ask is null then 'no_quote'
            when bid > ask then 'crossed'
        end as fault
    from coded
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
    cast((bid + ask) / 2 as decimal(18, 6)) as mid,
    last,
    bid_size,
    ask_size,
    volume,
    open_interest,
    vendor_vol,
    vendor_delta,
    exercise_style,
    multiplier,
    last_trade_at,
    expires_at,
    extract(epoch from (expires_at - received_at)) / 31536000.0 as years,
    fault,
    case when fault is null then 1 else 0 end as is_sound,
    case when bid is null then 0 else 1 end
    + case when ask is null then 0 else 1 end
    + case when last is null then 0 else 1 end
    + case when bid_size is null then 0 else 1 end
    + case when ask_size is null then 0 else 1 end
    + case when volume is null then 0 else 1 end
    + case when open_interest is null then 0 else 1 end
    + case when vendor_vol is null then 0 else 1 end
    + case when vendor_delta is null then 0 else 1 end as fields,
    sweep_key,
    case when sweep_id is null then cast(received_at as varchar) else '' end as stamp_key,
    quoted_at,
    received_at,
    ingest_seq,
    sweep_id,
    run_id,
    session_date
from judged
order by ingest_seq
