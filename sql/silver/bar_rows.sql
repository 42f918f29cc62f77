-- about: Daily bars as delivered, sentinels as NULL, with a reason to reject, if any.
-- grain: one row a bronze row
-- key: ingest_seq
-- owner: pipeline
-- freshness: each run
-- kind: ephemeral
-- live: run
-- engine: portable
with
bars as (
    select * from bronze.bars
)
select
    symbol,
    bar_size,
    open,
    high,
    low,
    close,
    volume,
    case when implied_vol > 0 and implied_vol < 10 then implied_vol end as implied_vol,
    source,
    case
        when open is null or high is null or low is null or close is null then 'no_price'
        when open <= 0 or high <= 0 or low <= 0 or close <= 0 then 'no_price'
        when high < low then 'range'
        when close > high or close < low then 'range'
        when price_basis not in ('raw', 'restored') then price_basis
    end as reason,
    received_at,
    ingest_seq,
    run_id,
    session_date
from bars
order by ingest_seq
