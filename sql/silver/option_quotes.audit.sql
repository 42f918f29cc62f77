-- about: A volatility or delta that no option can have sends its quote to quarantine.
-- audit: row
select
    conid,
    received_at,
    ingest_seq
from silver.option_quotes
where vol <= 0 or vol > 5 or abs(delta) > 1.000001 or gamma < -0.000001 or vega < -0.000001
order by ingest_seq
