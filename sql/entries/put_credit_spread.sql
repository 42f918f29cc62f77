-- about: The best listed put credit spread of each symbol, or why there is none. Expected value and probabilities hold to expiry under the forecast measure: each leg at its own smile volatility scaled by forecast over implied, drift to the parity forward.
-- grain: one row a symbol
-- key: symbol
-- owner: entries
-- freshness: each run
-- kind: snapshot
-- live: run
-- engine: deltadesk
-- priority: 20
-- requires: signals.spot_usd, signals.forecast_vol, signals.forecast_weight, signals.iv30, signals.beta_spy, vol_surface.rate, dividends.amount_usd, dividends.valid_through
-- uses: signals.iv_rank, signals.futures_change_overnight_ratio
-- params: put_credit_spread_short_delta_min, put_credit_spread_short_delta_max, put_credit_spread_width_ratio_min, put_credit_spread_width_ratio_max, put_credit_spread_budget_ratio, put_credit_spread_combo_tick_usd, put_credit_spread_leg_width_ratio_max, put_credit_spread_credit_width_ratio_min, put_credit_spread_credit_fees_ratio_min, put_credit_spread_edge_cost_ratio_min, marks_exit_budget_ratio, marks_commission_usd_contract
with
settings as (
    select
        put_credit_spread_short_delta_min as short_delta_min,
        put_credit_spread_short_delta_max as short_delta_max,
        put_credit_spread_width_ratio_min as width_ratio_min,
        put_credit_spread_width_ratio_max as width_ratio_max,
        put_credit_spread_budget_ratio as budget_ratio,
        put_credit_spread_combo_tick_usd as tick_usd,
        put_credit_spread_leg_width_ratio_max as leg_width_ratio_max,
        put_credit_spread_credit_width_ratio_min as credit_width_ratio_min,
        put_credit_spread_credit_fees_ratio_min as credit_fees_ratio_min,
        put_credit_spread_edge_cost_ratio_min as edge_cost_ratio_min,
        marks_exit_budget_ratio as exit_budget_ratio,
        4 * marks_commission_usd_contract as fees_usd
    from params
),
contexts as (
    select * from gold.openings
),
legs as (
    select * from gold.entry_legs where option_right = 'P'
),
pairs as (
    select
        settings.*,
        short.symbol,
        short.conid as short_conid,
        long.conid as long_conid,
        short.strike as short_strike,
        short.strike - long.strike as width,
        short.multiplier,
        short.forward_usd,
        short.years,
        short.forecast_vol,
        short.beyond_probability,
        short.bid - long.ask as natural_credit,
        short.mid - long.mid as mid_credit,
        short.half_spread + long.half_spread as half_spreads,
        short.forecast_payoff - long.forecast_payoff as forecast_cost,
        short.neutral_payoff - long.neutral_payoff as neutral_cost
    from settings
    inner join legs as short
        on short.delta_size >= settings.short_delta_min
        and short.delta_size <= settings.short_delta_max
    left join legs as long
        on short.symbol = long.symbol
        and short.strike - long.strike >= settings.width_ratio_min * short.spot_usd
        and short.strike - long.strike <= settings.width_ratio_max * short.spot_usd
),
priced as (
    select
        *,
        floor(
            (budget_ratio * half_spreads - mid_credit) / tick_usd + 0.000001
        ) * tick_usd as worst_price,
        exit_budget_ratio * half_spreads * multiplier as exit_cost_usd
    from pairs
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
            when long_conid is null then 'no listed wing in the width range'
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
                case when fault is null then 0 when long_conid is null then 2 else 1 end,
                expected_value_usd / max_loss_usd desc nulls last, short_conid, long_conid
        ) as place
    from valued
),
chosen as (
    select
        *,
        black76(
            'P', forward_usd, short_strike + worst_price, years, 0.0, forecast_vol
        ) as break_even
    from ranked
    where place = 1
),
judged as (
    select
        contexts.symbol,
        contexts.expiry_date,
        contexts.dte,
        contexts.gaps,
        chosen.short_conid,
        chosen.long_conid,
        chosen.natural_credit,
        chosen.mid_credit,
        chosen.worst_price,
        chosen.max_loss_usd,
        chosen.margin_usd,
        chosen.width,
        chosen.credit,
        1 - (
            chosen.break_even['price'] - chosen.forward_usd * chosen.break_even['delta']
        ) / (chosen.short_strike + chosen.worst_price) as probability_of_profit,
        case
            when chosen.long_conid is null then null
            when chosen.beyond_probability > 0.5 then 1.0
            else 2 * chosen.beyond_probability
        end as probability_of_touch,
        chosen.expected_value_usd,
        chosen.expected_value_neutral_usd,
        chosen.cost_usd,
        case
            when contexts.bar is not null then contexts.bar
            when chosen.symbol is null then 'no quoted short put in the delta range'
            when chosen.fault is not null then chosen.fault
            when chosen.expected_value_usd is null or chosen.cost_usd is null
                or chosen.max_loss_usd is null
                then 'unevaluable: no expected value'
            when chosen.expected_value_usd < chosen.edge_cost_ratio_min * chosen.cost_usd
                then 'expected value below its margin over costs'
        end as fault
    from contexts
    left join chosen on contexts.symbol = chosen.symbol
)
select
    symbol,
    cast(
        case
            when long_conid is not null then substr(
                md5(
                    concat_ws(
                        '|', 'put_credit_spread', symbol, cast(short_conid as varchar),
                        cast(long_conid as varchar)
                    )
                ),
                1, 16
            )
        end as varchar
    ) as candidate_id,
    'put_credit_spread' as structure,
    expiry_date,
    dte,
    case
        when long_conid is not null then array_sort(
            make_array(
                named_struct('conid', short_conid, 'ratio', cast(-1 as bigint)),
                named_struct('conid', long_conid, 'ratio', cast(1 as bigint))
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
