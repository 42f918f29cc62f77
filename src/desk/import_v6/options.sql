-- about: Option quotes as the predecessor wrote them: one coding of `right`, no sentinels.
-- written_at is when it wrote a row, which is not when the quote was made.
-- A bid of -1 beside an ask is IB's "nothing bid" and stays as no bid; an implied volatility of
-- 0 and greeks that are all 0 were never computed; open interest was never read, and is 0
-- everywhere.
with
read as (
    select
        *,
        coalesce(ts_utc, "timestamp") as at,
        coalesce(symbol, folder_symbol) as underlying,
        case
            when upper("right") in ('C', 'CALL') then 'C'
            when upper("right") in ('P', 'PUT') then 'P'
        end as side,
        case when regexp_like(expiry, '^[0-9]{8}$')
            then try_cast(
                concat(substr(expiry, 1, 4), '-', substr(expiry, 5, 2), '-', substr(expiry, 7, 2))
                as date
            )
        end as expires_on,
        case when bid >= 0 and bid < 1e9 then bid end as bid_usd,
        case when ask > 0 and ask < 1e9 then ask end as ask_usd,
        delta = 0 and gamma = 0 and theta = 0 and vega = 0 as is_bare,
        cast(
            to_local_time(coalesce(ts_utc, "timestamp") at time zone 'America/New_York') as date
        ) as day
    from v6_rows
)
select
    at as written_at,
    underlying as symbol,
    expires_on as expiry_date,
    case when strike > 0 and strike < 1e9 then cast(strike as decimal(18, 6)) end as strike_usd,
    side as option_right,
    cast(bid_usd as decimal(18, 6)) as bid,
    cast(ask_usd as decimal(18, 6)) as ask,
    case when last > 0 and last < 1e9 then cast(last as decimal(18, 6)) end as last,
    case when volume >= 0 then volume end as volume,
    case when open_interest > 0 then open_interest end as open_interest,
    case when iv > 0 then iv end as vendor_vol,
    case when not is_bare then delta end as vendor_delta,
    case when not is_bare then gamma end as vendor_gamma,
    case when not is_bare then theta end as vendor_theta,
    case when not is_bare then vega end as vendor_vega,
    case
        when at is null then 'bad_time'
        when underlying is null then 'no_symbol'
        when symbol <> folder_symbol then 'folder_lies'
        when side is null then 'unknown_right'
        when expires_on is null then 'bad_expiry'
        when strike is null or not (strike > 0 and strike < 1e9) then 'bad_strike'
        when bid_usd is null and ask_usd is null then 'no_quote'
        when ask_usd is null then 'no_ask'
        when bid_usd > ask_usd then 'crossed'
        when expires_on < day then 'expired'
    end as _reason,
    concat_ws(
        ' ', underlying, expiry, cast(strike as varchar), "right",
        'bid', coalesce(cast(bid as varchar), 'none'), 'ask', coalesce(cast(ask as varchar), 'none')
    ) as _detail,
    coalesce(day, cast('1970-01-01' as date)) as session_date,
    _source_table,
    _source_file,
    _file_state,
    _rank,
    _row,
    coalesce(n_copies, 1) as _copies
from read
