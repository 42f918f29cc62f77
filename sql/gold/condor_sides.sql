-- about: The best few short strikes and wings of each side of a condor, by expected value per maximum loss.
-- grain: one row a symbol, side, short and long contract
-- key: short_conid, long_conid
-- owner: pipeline
-- freshness: each run
-- kind: ephemeral
-- live: run
-- engine: portable
-- params: iron_condor_short_delta_min, iron_condor_short_delta_max, iron_condor_width_ratio_min, iron_condor_width_ratio_max, iron_condor_side_choices, iron_condor_budget_ratio, marks_exit_budget_ratio
with
settings as (
    select
        iron_condor_short_delta_min as short_delta_min,
        iron_condor_short_delta_max as short_delta_max,
        iron_condor_width_ratio_min as width_ratio_min,
        iron_condor_width_ratio_max as width_ratio_max,
        iron_condor_side_choices as side_choices,
        iron_condor_budget_ratio as budget_ratio,
        marks_exit_budget_ratio as exit_budget_ratio
    from params
),
legs as (
    select * from gold.entry_legs
),
sides as (
    select
        short.symbol,
        short.option_right,
        short.conid as short_conid,
        long.conid as long_conid,
        short.strike as short_strike,
        abs(short.strike - long.strike) as width,
        short.multiplier,
        short.forward_usd,
        short.years,
        short.forecast_vol as short_vol,
        short.bid - long.ask as natural_credit,
        short.mid - long.mid as mid_credit,
        short.half_spread + long.half_spread as half_spreads,
        short.forecast_payoff - long.forecast_payoff as forecast_cost,
        short.neutral_payoff - long.neutral_payoff as neutral_cost,
        short.beyond_probability
    from settings
    cross join legs as short
    inner join legs as long
        on short.symbol = long.symbol
        and short.option_right = long.option_right
        and abs(short.strike - long.strike) >= settings.width_ratio_min * short.spot_usd
        and abs(short.strike - long.strike) <= settings.width_ratio_max * short.spot_usd
    where short.delta_size >= settings.short_delta_min
        and short.delta_size <= settings.short_delta_max
        and long.delta_size < short.delta_size
),
placed as (
    select
        sides.*,
        row_number() over (
            partition by sides.symbol, sides.option_right
            order by
                (
                    sides.mid_credit - sides.forecast_cost
                    - (settings.budget_ratio + settings.exit_budget_ratio)
                    * sides.half_spreads
                ) / (sides.width - sides.mid_credit) desc nulls last,
                sides.short_conid, sides.long_conid
        ) as place,
        settings.side_choices
    from settings
    cross join sides
    where sides.mid_credit > 0 and sides.mid_credit < sides.width
)
select
    symbol,
    option_right,
    short_conid,
    long_conid,
    short_strike,
    width,
    multiplier,
    forward_usd,
    years,
    short_vol,
    natural_credit,
    mid_credit,
    half_spreads,
    forecast_cost,
    neutral_cost,
    beyond_probability,
    cast(place as bigint) as place
from placed
where place <= side_choices
order by symbol, option_right, place
