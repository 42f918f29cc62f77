-- about: Each open strategy at its mark: P&L, what closing it would bring, Greeks, time left. USD for the whole quantity, credit positive; the option legs only where a strategy holds stock. Closing is judged by the legs' own quotes, not by the mark that the surface corrects: their mids less the exit's share of the half-spreads. beta_delta_1pct_usd is the P&L of a move in which SPY makes 1 %, with a beta of at least 1 (SPY's is 1). is_left_over is 1 where only longs are held for which nobody bids: there is nothing to close.
-- grain: one row an open strategy and run
-- key: run_id, strategy_id
-- owner: pipeline
-- freshness: each run
-- kind: snapshot
-- live: session
-- engine: portable
-- params: marks_exit_budget_ratio, marks_commission_usd_contract
with
clock as (
    select * from run
),
settings as (
    select * from params
),
strategies as (
    select * from ops.strategies where quantity > 0 and closed_at is null
),
marks as (
    select * from gold.marks
),
peaks as (
    select * from ops.peaks
),
signals as (
    select symbol, beta_spy from gold.signals
),
legs as (
    select
        strategy_legs.strategy_id,
        strategy_legs.conid,
        strategy_legs.security_kind,
        strategy_legs.option_right,
        strategy_legs.ratio,
        strategy_legs.multiplier,
        cast(strategy_legs.quantity as double) as quantity,
        cast(strategy_legs.quantity * strategy_legs.multiplier as double) as shares,
        cast(strategy_legs.cash_usd as double) as cash_usd,
        case when strategy_legs.security_kind = 'OPT' then 1 else 0 end as is_option,
        marks.quality,
        marks.mark,
        marks.mid,
        marks.half_spread,
        -- A long that nobody bids for brings nothing and costs nothing: it stays behind.
        case
            when marks.quality = 'no_bid' and strategy_legs.quantity > 0 then 0.0
            else 1.0
        end as closed,
        marks.spot_usd,
        marks.delta,
        marks.gamma,
        marks.vega,
        marks.theta,
        marks.rho,
        marks.dte,
        marks.minutes_to_last_trade
    from ops.strategy_legs
    left join marks on strategy_legs.conid = marks.conid
    where strategy_legs.quantity <> 0
),
folded as (
    select
        strategy_id,
        count(*) as leg_count,
        sum(is_option) as option_legs,
        sum(case when is_option = 1 then 1.0 - closed end) as worthless_legs,
        sum(case when is_option = 1 and mark is null then 1 else 0 end) as unmarked_legs,
        sum(case when delta is null then 1 else 0 end) as unmeasured_legs,
        sum(case when is_option = 1 then shares * mark end order by conid) as value_usd,
        sum(case when is_option = 1 then abs(shares) * half_spread end order by conid)
            as mark_error_usd,
        sum(case when is_option = 1 then closed * shares * mid end order by conid)
            as closing_mid_usd,
        sum(case when is_option = 1 then closed * abs(shares) * half_spread end order by conid)
            as closing_half_spreads_usd,
        max(case when is_option = 1 then multiplier end) as multiplier,
        sum(case when is_option = 1 then abs(quantity) end) as contracts,
        sum(case when is_option = 1 then cash_usd end order by conid) as option_cash_usd,
        max(spot_usd) as spot_usd,
        sum(shares * delta order by conid) as delta_shares,
        sum(shares * gamma order by conid) as gamma_shares,
        sum(shares * vega order by conid) as vega_usd,
        sum(shares * theta order by conid) as theta_usd,
        max(case when is_option = 1 and quantity < 0 then abs(delta) end) as short_delta_max,
        sum(case when is_option = 1 and quantity < 0 and delta is null then 1 else 0 end)
            as unmeasured_shorts,
        min(dte) as dte,
        min(minutes_to_last_trade) as minutes_to_last_trade,
        case
            when max(case when quality = 'missing' or quality is null then 1 else 0 end) = 1
                then 'missing'
            when max(case when quality = 'stale' then 1 else 0 end) = 1 then 'stale'
            when max(case when quality = 'one_sided' then 1 else 0 end) = 1 then 'one_sided'
            when max(case when quality = 'no_bid' then 1 else 0 end) = 1 then 'no_bid'
            else 'two_sided'
        end as mark_quality,
        array_agg(named_struct('conid', conid, 'ratio', ratio) order by conid) as legs,
        array_agg(named_struct('conid', conid, 'ratio', -ratio) order by conid) as closing_legs
    from legs
    group by strategy_id
),
priced as (
    select
        strategies.strategy_id,
        strategies.symbol,
        strategies.structure,
        strategies.state,
        strategies.quantity,
        strategies.opened_at,
        case
            when folded.option_legs = folded.leg_count
                then cast(strategies.open_basis_usd as double)
            else folded.option_cash_usd
        end as basis_usd,
        abs(cast(strategies.max_loss_usd as double)) as max_loss_usd,
        cast(strategies.realised_usd as double) as realised_usd,
        case when folded.unmarked_legs = 0 then folded.value_usd end as value_usd,
        case when folded.unmarked_legs = 0 then folded.mark_error_usd end as mark_error_usd,
        case
            when folded.unmarked_legs = 0
                then folded.closing_mid_usd
                - settings.marks_exit_budget_ratio * folded.closing_half_spreads_usd
        end as closing_value_usd,
        folded.contracts * settings.marks_commission_usd_contract as closing_fees_usd,
        folded.multiplier,
        case when strategies.symbol = 'SPY' then 1.0 else signals.beta_spy end as beta_spy,
        case when folded.unmeasured_legs = 0 then folded.delta_shares end as delta_shares,
        case when folded.unmeasured_legs = 0 then folded.gamma_shares end as gamma_shares,
        case when folded.unmeasured_legs = 0 then folded.vega_usd end as vega_usd,
        case when folded.unmeasured_legs = 0 then folded.theta_usd end as theta_usd,
        case when folded.unmeasured_shorts = 0 then folded.short_delta_max end
            as short_delta_max,
        folded.option_legs,
        case when folded.worthless_legs = folded.leg_count then 1 else 0 end as is_left_over,
        folded.spot_usd,
        folded.dte,
        folded.minutes_to_last_trade,
        folded.mark_quality,
        folded.legs,
        folded.closing_legs,
        cast(peaks.peak_pnl_ratio as double) as stored_peak_ratio
    from settings
    cross join strategies
    inner join folded on strategies.strategy_id = folded.strategy_id
    left join peaks on strategies.strategy_id = peaks.strategy_id
    left join signals on strategies.symbol = signals.symbol
),
profited as (
    select
        *,
        basis_usd + value_usd as pnl_usd,
        basis_usd + closing_value_usd - closing_fees_usd as closing_pnl_usd,
        delta_shares * spot_usd * 0.01 as delta_1pct_usd,
        nullif(abs(basis_usd), 0) as basis_size_usd
    from priced
)
select
    clock.as_of,
    profited.strategy_id,
    profited.symbol,
    profited.structure,
    profited.state,
    profited.quantity,
    case when profited.basis_usd >= 0 then 'credit' else 'debit' end as basis_kind,
    profited.basis_usd,
    profited.max_loss_usd,
    profited.realised_usd,
    profited.value_usd,
    profited.mark_error_usd,
    profited.closing_value_usd,
    profited.closing_fees_usd,
    profited.multiplier,
    profited.pnl_usd,
    profited.closing_pnl_usd,
    profited.pnl_usd / profited.basis_size_usd as pnl_ratio,
    profited.mark_error_usd / profited.basis_size_usd as mark_error_ratio,
    profited.closing_pnl_usd / profited.basis_size_usd as closing_pnl_ratio,
    profited.pnl_usd / nullif(profited.max_loss_usd, 0) as pnl_max_loss_ratio,
    greatest(
        profited.stored_peak_ratio, profited.pnl_usd / profited.basis_size_usd
    ) as peak_pnl_ratio,
    profited.dte,
    profited.minutes_to_last_trade,
    profited.spot_usd,
    profited.delta_shares,
    profited.gamma_shares,
    profited.vega_usd,
    profited.theta_usd,
    profited.delta_1pct_usd,
    case
        when profited.beta_spy is not null
            then profited.delta_1pct_usd * greatest(profited.beta_spy, 1.0)
    end as beta_delta_1pct_usd,
    profited.short_delta_max,
    profited.option_legs,
    cast(profited.is_left_over as bigint) as is_left_over,
    profited.mark_quality,
    profited.legs,
    profited.closing_legs,
    profited.opened_at,
    clock.run_id,
    clock.session_date
from clock
cross join profited
order by profited.strategy_id
