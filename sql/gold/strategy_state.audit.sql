-- about: An open strategy has one state a run.
-- audit: table
select
    strategy_id,
    count(*) as copies
from gold.strategy_state
group by strategy_id
having count(*) > 1
order by strategy_id
