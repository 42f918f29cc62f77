-- about: Price and Greeks of each valid option quote at its own volatility, by exercise style; the other style's value is NULL. A model of its own so that each is computed once.
-- grain: one row a valid bronze row
-- key: ingest_seq
-- owner: pipeline
-- freshness: each run
-- kind: ephemeral
-- live: run
-- engine: deltadesk
with
quotes as (
    select * from silver.option_vols
)
select
    ingest_seq,
    american(option_right, american_spot, strike, years, rate, yield, american_vol)
        as american_value,
    black76(option_right, european_forward, strike, years, rate, european_vol)
        as european_value
from quotes
order by ingest_seq
