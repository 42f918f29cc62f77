-- about: Closes where enough of the credit (or of the debit) is earned at a price that can be had, fees taken off. A buy-back that already costs next to nothing, a share and before fees, is left to the time rule.
-- grain: one row an open strategy
-- key: subject_id
-- owner: rules
-- freshness: each run
-- kind: snapshot
-- live: run
-- engine: portable
-- priority: 40
-- params: take_profit_credit_ratio, take_profit_debit_ratio, take_profit_buy_back_usd_min
with
clock as (
    select * from run
),
settings as (
    select * from params
),
states as (
    select * from gold.strategy_state
),
measured as (
    select
        states.strategy_id,
        states.is_left_over,
        states.closing_pnl_ratio,
        states.mark_quality,
        states.basis_kind,
        -states.closing_value_usd / nullif(states.quantity * states.multiplier, 0)
            as buy_back_usd,
        settings.take_profit_buy_back_usd_min as buy_back_usd_min,
        case
            when states.basis_kind = 'credit' then settings.take_profit_credit_ratio
            else settings.take_profit_debit_ratio
        end as threshold
    from settings
    cross join states
    inner join clock on states.run_id = clock.run_id
),
judged as (
    select
        *,
        case
            when is_left_over = 1 then 'hold'
            when closing_pnl_ratio is null then 'unevaluable'
            when basis_kind = 'credit' and buy_back_usd < buy_back_usd_min then 'hold'
            when closing_pnl_ratio >= threshold then 'fire'
            else 'hold'
        end as verdict
    from measured
)
select
    'strategy' as scope,
    strategy_id as subject_id,
    verdict,
    case when verdict = 'fire' then 'close' end as action,
    case when verdict = 'fire' then 1.0 end as fraction,
    cast(0 as smallint) as urgency,
    closing_pnl_ratio as measured,
    threshold,
    case
        when is_left_over = 1 then 'only longs that nobody bids for: left to expiry'
        when closing_pnl_ratio is null then 'no mark: ' || mark_quality
        when verdict = 'fire' then 'profit that can be had reached its target'
        when basis_kind = 'credit' and buy_back_usd < buy_back_usd_min
            then 'the buy-back costs next to nothing: left to the time rule'
        else 'profit below its target'
    end as reason
from judged
order by strategy_id
