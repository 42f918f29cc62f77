-- about: The best listed iron condor of each symbol, or why there is none. The few best wings of each side, by expected value per maximum loss, are paired. Measures as in put_credit_spread.
-- grain: one row a symbol
-- key: symbol
-- owner: entries
-- freshness: each run
-- kind: snapshot
-- live: run
-- engine: deltadesk
-- priority: 10
-- requires: signals.spot_usd, signals.forecast_vol, signals.forecast_weight, signals.iv30, signals.beta_spy, vol_surface.rate, dividends.amount_usd, dividends.valid_through
-- uses: signals.iv_rank, signals.futures_change_overnight_ratio
-- params: iron_condor_short_delta_min, iron_condor_short_delta_max, iron_condor_budget_ratio, iron_condor_combo_tick_usd, iron_condor_leg_width_ratio_max, iron_condor_credit_width_ratio_min, iron_condor_credit_fees_ratio_min, iron_condor_edge_cost_ratio_min, marks_exit_budget_ratio, marks_commission_usd_contract
with
settings as (
    select
        iron_condor_short_delta_min as short_delta_min,
        iron_condor_short_delta_max as short_delta_max,
        iron_condor_budget_ratio as budget_ratio,
        iron_condor_combo_tick_usd as tick_usd,
        iron_condor_leg_width_ratio_max as leg_width_ratio_max,
        iron_condor_credit_width_ratio_min as credit_width_ratio_min,
        iron_condor_credit_fees_ratio_min as credit_fees_ratio_min,
        iron_condor_edge_cost_ratio_min as edge_cost_ratio_min,
        marks_exit_budget_ratio as exit_budget_ratio,
        8 * marks_commission_usd_contract as fees_usd
    from params
),
contexts as (
    select * from gold.openings
),
legs as (
    select * from gold.entry_legs
),
puts as (
    select * from gold.condor_sides where option_right = 'P'
),
calls as (
    select * from gold.condor_sides where option_right = 'C'
),
condors as (
    select
        puts.symbol,
        puts.short_conid as short_put_conid,
        puts.long_conid as long_put_conid,
        calls.short_conid as short_call_conid,
        calls.long_conid as long_call_conid,
        puts.short_strike as put_strike,
        calls.short_strike as call_strike,
        puts.short_vol as put_vol,
        calls.short_vol as call_vol,
        puts.forward_usd,
        puts.years,
        puts.multiplier,
        greatest(puts.width, calls.width) as width,
        puts.natural_credit + calls.natural_credit as natural_credit,
        puts.mid_credit + calls.mid_credit as mid_credit,
        puts.half_spreads + calls.half_spreads as half_spreads,
        puts.forecast_cost + calls.forecast_cost as forecast_cost,
        puts.neutral_cost + calls.neutral_cost as neutral_cost,
        puts.beyond_probability + calls.beyond_probability as beyond_probability
    from puts
    inner join calls
        on puts.symbol = calls.symbol and puts.short_strike < calls.short_strike
),
priced as (
    select
        settings.*,
        condors.*,
        floor(
            (settings.budget_ratio * condors.half_spreads - condors.mid_credit)
            / settings.tick_usd + 0.000001
        ) * settings.tick_usd as worst_price,
        settings.exit_budget_ratio * condors.half_spreads * condors.multiplier
            as exit_cost_usd
    from settings
    cross join condors
),
valued as (
    select
        *,
        -worst_price as credit,
        (width + worst_price) * multiplier + fees_usd as max_loss_usd,
        width * multiplier as margin_usd,
        (-worst_price - forecast_cost) * multiplier - fees_usd - exit_cost_usd
            as expected_value_usd,
        (-worst_price - neutral_cost) * multiplier - fees_usd - exit_cost_usd
            as expected_value_neutral_usd,
        fees_usd + exit_cost_usd + (mid_credit + worst_price) * multiplier as cost_usd,
        case
            when worst_price >= 0 then 'no credit at the worst price'
            when -worst_price >= width then 'credit not below the width'
            when 2 * half_spreads > leg_width_ratio_max * -worst_price
                then 'legs too wide for the credit'
            when -worst_price < credit_width_ratio_min * width
                then 'credit below its share of the width'
            when -worst_price * multiplier < credit_fees_ratio_min * fees_usd
                then 'credit below its multiple of fees'
        end as fault
    from priced
),
ranked as (
    select
        *,
        row_number() over (
            partition by symbol
            order by
                case when fault is null then 0 else 1 end,
                expected_value_usd / max_loss_usd desc nulls last,
                short_put_conid, long_put_conid, short_call_conid, long_call_conid
        ) as place
    from valued
),
chosen as (
    select
        *,
        black76(
            'P', forward_usd, put_strike + worst_price, years, 0.0, put_vol
        ) as lower_break_even,
        black76(
            'C', forward_usd, call_strike - worst_price, years, 0.0, call_vol
        ) as upper_break_even
    from ranked
    where place = 1
),
shorts as (
    select
        symbol,
        sum(case when option_right = 'P' then 1 else 0 end) as short_puts,
        sum(case when option_right = 'C' then 1 else 0 end) as short_calls
    from settings
    inner join legs
        on legs.delta_size >= settings.short_delta_min
        and legs.delta_size <= settings.short_delta_max
    group by symbol
),
judged as (
    select
        contexts.symbol,
        contexts.expiry_date,
        contexts.dte,
        contexts.gaps,
        chosen.short_put_conid,
        chosen.long_put_conid,
        chosen.short_call_conid,
        chosen.long_call_conid,
        chosen.natural_credit,
        chosen.mid_credit,
        chosen.worst_price,
        chosen.max_loss_usd,
        chosen.margin_usd,
        chosen.width,
        chosen.credit,
        1 - (
            chosen.lower_break_even['price']
            - chosen.forward_usd * chosen.lower_break_even['delta']
        ) / (chosen.put_strike + chosen.worst_price)
        - (
            chosen.forward_usd * chosen.upper_break_even['delta']
            - chosen.upper_break_even['price']
        ) / (chosen.call_strike - chosen.worst_price) as probability_of_profit,
        case
            when chosen.beyond_probability > 0.5 then 1.0
            else 2 * chosen.beyond_probability
        end as probability_of_touch,
        chosen.expected_value_usd,
        chosen.expected_value_neutral_usd,
        chosen.cost_usd,
        case
            when contexts.bar is not null then contexts.bar
            when coalesce(shorts.short_puts, 0) = 0
                then 'no quoted short put in the delta range'
            when coalesce(shorts.short_calls, 0) = 0
                then 'no quoted short call in the delta range'
            when chosen.symbol is null then 'no listed wings in the width range'
            when chosen.fault is not null then chosen.fault
            when chosen.expected_value_usd is null or chosen.cost_usd is null
                or chosen.max_loss_usd is null
                then 'unevaluable: no expected value'
            when chosen.expected_value_usd < chosen.edge_cost_ratio_min * chosen.cost_usd
                then 'expected value below its margin over costs'
        end as fault
    from contexts
    left join shorts on contexts.symbol = shorts.symbol
    left join chosen on contexts.symbol = chosen.symbol
)
select
    symbol,
    cast(
        case
            when short_put_conid is not null then substr(
                md5(
                    concat_ws(
                        '|', 'iron_condor', symbol, cast(short_put_conid as varchar),
                        cast(long_put_conid as varchar), cast(short_call_conid as varchar),
                        cast(long_call_conid as varchar)
                    )
                ),
                1, 16
            )
        end as varchar
    ) as candidate_id,
    'iron_condor' as structure,
    expiry_date,
    dte,
    case
        when short_put_conid is not null then array_sort(
            make_array(
                named_struct('conid', short_put_conid, 'ratio', cast(-1 as bigint)),
                named_struct('conid', long_put_conid, 'ratio', cast(1 as bigint)),
                named_struct('conid', short_call_conid, 'ratio', cast(-1 as bigint)),
                named_struct('conid', long_call_conid, 'ratio', cast(1 as bigint))
            )
        )
    end as legs,
    cast(-natural_credit as decimal(18, 6)) as natural_price,
    cast(-mid_credit as decimal(18, 6)) as mid_price,
    cast(worst_price as decimal(18, 6)) as worst_price,
    cast(max_loss_usd as decimal(18, 6)) as max_loss_usd,
    cast(margin_usd as decimal(18, 6)) as margin_usd,
    width,
    credit,
    probability_of_profit,
    probability_of_touch,
    expected_value_usd,
    expected_value_neutral_usd,
    cost_usd,
    case
        when fault is null then 'candidate'
        when fault like 'unevaluable%' then 'unevaluable'
        else 'refused'
    end as verdict,
    cast(
        case
            when fault is not null then fault
            when gaps <> '' then concat('not known: ', gaps)
            else 'expected value above its margin over costs'
        end as varchar
    ) as reason
from judged
order by symbol
