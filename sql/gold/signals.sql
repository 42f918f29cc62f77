-- about: What is known about each underlying now: volatility, rank, slope, skew, forecast, beta.
-- grain: one row a symbol and run
-- key: run_id, symbol
-- owner: pipeline
-- freshness: each run
-- kind: snapshot
-- live: run
-- engine: portable
-- params: marks_quote_age_seconds_max, signals_term_short_days, signals_term_long_days, signals_term_gap_days_max, signals_har_share_ratio, signals_forecast_count_min, signals_bias_count_min
with
clock as (
    select * from run
),
settings as (
    select * from params
),
surface as (
    select * from gold.vol_surface where atm_vol is not null
),
statistics as (
    select * from gold.daily_statistics
),
futures as (
    select
        case symbol when 'ES' then 'SPY' when 'NQ' then 'QQQ' when 'RTY' then 'IWM' end as symbol,
        change_1h_ratio,
        change_4h_ratio,
        change_overnight_ratio,
        change_daily_ratio
    from gold.futures_changes
),
underlyings as (
    select
        underlying_quotes.symbol,
        case
            when extract(epoch from (clock.as_of - underlying_quotes.received_at))
                <= settings.marks_quote_age_seconds_max
                then cast(underlying_quotes.price as double)
        end as price
    from clock
    cross join settings
    cross join silver.underlying_quotes
),
vix as (
    select price / 100 as vol from underlyings where symbol = 'VIX'
),
symbols as (
    select symbol from surface
    union
    select symbol from underlyings
),
targets as (
    select 'short' as term, signals_term_short_days as days from params
    union all
    select 'long' as term, signals_term_long_days as days from params
),
placed as (
    select
        symbol,
        years * 365 as days,
        atm_vol,
        atm_vol * atm_vol * years as total_variance,
        skew_25d,
        spot_usd,
        lead(years * 365) over (partition by symbol order by expiry_date) as next_days,
        lead(atm_vol * atm_vol * years) over (
            partition by symbol order by expiry_date
        ) as next_variance
    from surface
),
termed as (
    select
        placed.symbol,
        max(placed.spot_usd) as spot_usd,
        sqrt(
            max(
                case
                    when targets.term = 'short' and placed.days <= targets.days
                        and placed.next_days > targets.days
                        then (
                            placed.total_variance
                            + (placed.next_variance - placed.total_variance)
                            * (targets.days - placed.days) / (placed.next_days - placed.days)
                        ) * 365 / targets.days
                end
            )
        ) as short_vol,
        sqrt(
            max(
                case
                    when targets.term = 'long' and placed.days <= targets.days
                        and placed.next_days > targets.days
                        then (
                            placed.total_variance
                            + (placed.next_variance - placed.total_variance)
                            * (targets.days - placed.days) / (placed.next_days - placed.days)
                        ) * 365 / targets.days
                end
            )
        ) as long_vol,
        min(
            case when targets.term = 'short' then abs(placed.days - targets.days) end
        ) as short_gap_days
    from placed
    cross join targets
    group by placed.symbol
),
nearest as (
    select
        placed.symbol,
        placed.atm_vol,
        placed.skew_25d,
        row_number() over (
            partition by placed.symbol
            order by abs(placed.days - settings.signals_term_short_days), placed.days
        ) as place
    from settings
    cross join placed
),
joined as (
    select
        symbols.symbol,
        coalesce(underlyings.price, termed.spot_usd) as spot_usd,
        case
            when underlyings.price is not null then 'quote'
            when termed.spot_usd is not null then 'parity'
        end as spot_source,
        case
            when termed.short_vol is not null then termed.short_vol
            when termed.short_gap_days <= settings.signals_term_gap_days_max
                then nearest.atm_vol
        end as iv30,
        case
            when termed.short_vol is not null then 'interpolated'
            when termed.short_gap_days <= settings.signals_term_gap_days_max then 'nearest'
        end as iv30_source,
        termed.long_vol - termed.short_vol as term_slope,
        nearest.skew_25d,
        statistics.bar_date,
        statistics.implied_source,
        statistics.implied_vol_low,
        statistics.implied_vol_high,
        statistics.implied_sessions,
        statistics.last_implied_vol,
        statistics.realised_vol_5,
        statistics.realised_vol_21,
        statistics.realised_vol_63,
        statistics.har_variance,
        statistics.bias_ratio,
        statistics.bias_count,
        statistics.forecast_count,
        statistics.forecast_mse,
        statistics.implied_mse,
        statistics.beta_spy,
        statistics.correlation_spy,
        vix.vol as vix_vol,
        futures.change_1h_ratio,
        futures.change_4h_ratio,
        futures.change_overnight_ratio,
        futures.change_daily_ratio
    from settings
    cross join symbols
    left join underlyings on symbols.symbol = underlyings.symbol
    left join termed on symbols.symbol = termed.symbol
    left join nearest on symbols.symbol = nearest.symbol and nearest.place = 1
    left join statistics on symbols.symbol = statistics.symbol
    left join futures on symbols.symbol = futures.symbol
    left join vix on statistics.implied_source = 'vix_proxy'
),
ranked as (
    select
        *,
        case
            when implied_source = 'implied_vol' then iv30
            when implied_source = 'vix_proxy' then coalesce(vix_vol, last_implied_vol)
        end as measure_vol
    from joined
),
forecast as (
    select
        ranked.*,
        case
            when ranked.forecast_count >= settings.signals_forecast_count_min
                and ranked.bias_count >= settings.signals_bias_count_min
                then greatest(0.0, 1 - ranked.forecast_mse / nullif(ranked.implied_mse, 0))
        end as weight,
        ranked.bias_ratio * exp(
            (1 - settings.signals_har_share_ratio)
            * ln(ranked.measure_vol * ranked.measure_vol)
            + settings.signals_har_share_ratio * ln(nullif(ranked.har_variance, 0))
        ) as raw_variance
    from settings
    cross join ranked
)
select
    clock.as_of,
    forecast.symbol,
    forecast.spot_usd,
    forecast.spot_source,
    forecast.iv30,
    forecast.iv30_source,
    case
        when forecast.measure_vol is not null
            and forecast.implied_vol_high > forecast.implied_vol_low
            then least(
                1.0,
                greatest(
                    0.0,
                    (forecast.measure_vol - forecast.implied_vol_low)
                    / (forecast.implied_vol_high - forecast.implied_vol_low)
                )
            )
    end as iv_rank,
    case
        when forecast.implied_vol_low is not null and forecast.measure_vol is not null
            then forecast.implied_source
    end as iv_rank_source,
    forecast.term_slope,
    forecast.skew_25d,
    forecast.realised_vol_5,
    forecast.realised_vol_21,
    forecast.realised_vol_63,
    sqrt(
        exp(
            forecast.weight * ln(forecast.raw_variance)
            + (1 - forecast.weight) * ln(forecast.iv30 * forecast.iv30)
        )
    ) as forecast_vol,
    forecast.weight as forecast_weight,
    sqrt(forecast.forecast_mse) as forecast_error,
    sqrt(forecast.implied_mse) as implied_error,
    forecast.forecast_count,
    cast(21 as bigint) as forecast_horizon_sessions,
    forecast.beta_spy,
    forecast.correlation_spy,
    forecast.change_1h_ratio as futures_change_1h_ratio,
    forecast.change_4h_ratio as futures_change_4h_ratio,
    forecast.change_overnight_ratio as futures_change_overnight_ratio,
    forecast.change_daily_ratio as futures_change_daily_ratio,
    forecast.bar_date,
    clock.run_id,
    clock.session_date
from clock
cross join forecast
order by forecast.symbol
