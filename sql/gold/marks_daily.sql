-- about: Every held contract at its mark at the close, over all strategies: what the next day's P&L explain starts from. Greeks a share.
-- grain: one row a contract and session
-- key: session_date, conid
-- owner: pipeline
-- freshness: daily
-- kind: close
-- live: history
-- engine: portable
with
clock as (
    select * from run
),
marks as (
    select * from gold.marks
),
held as (
    select
        conid,
        sum(quantity) as quantity
    from ops.strategy_legs
    where quantity <> 0
    group by conid
)
select
    clock.as_of,
    held.conid,
    marks.symbol,
    marks.security_kind,
    marks.multiplier,
    held.quantity,
    marks.quality,
    marks.mid,
    marks.half_spread,
    marks.spot_usd,
    marks.vol,
    marks.rate,
    marks.delta,
    marks.gamma,
    marks.vega,
    marks.theta,
    marks.rho,
    clock.run_id,
    clock.session_date
from held
inner join marks on held.conid = marks.conid
cross join clock
where held.quantity <> 0
order by held.conid
