-- about: Positions as the broker reports them, one whole snapshot a sweep. Contracts or shares, signed.
-- grain: one row an account, contract and snapshot
-- key: sweep_id, account_id, conid
-- owner: pipeline
-- freshness: each run
-- kind: incremental
-- live: latest by account_id, conid
-- engine: portable
with
positions as (
    select * from bronze.positions
),
contracts as (
    select * from bronze.contracts
),
ranked as (
    select
        *,
        row_number() over (
            partition by sweep_id, account_id, conid
            order by ingest_seq desc
        ) as place
    from positions
)
select
    ranked.account_id,
    ranked.conid,
    contracts.occ_symbol,
    ranked.symbol,
    ranked.security_kind,
    contracts.expiry_date,
    contracts.strike_usd,
    contracts.option_right,
    contracts.multiplier,
    ranked.quantity,
    ranked.average_cost_usd,
    ranked.received_at,
    ranked.ingest_seq,
    ranked.sweep_id,
    ranked.run_id,
    ranked.session_date
from ranked
left join contracts on ranked.conid = contracts.conid
where ranked.place = 1
order by ranked.sweep_id, ranked.account_id, ranked.conid
