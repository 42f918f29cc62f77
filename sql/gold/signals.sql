-- about: What is known about each underlying now: volatility, rank, slope, skew, forecast, beta. A rank may stand on the last close of the VIX, labelled; a forecast needs an implied volatility of this instant, and forecast_gap says what it lacks.
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
        symbol,
        cast(price as double) as price,
        received_at
    from silver.underlying_quotes
),
vix as (
    select price / 100 as vol, received_at from underlyings where symbol = 'VIX'
),
placed as (
    select
        surface.symbol,
        surface.years * 365 as days,
        surface.atm_vol,
        surface.atm_vol * surface.atm_vol * surface.years as total_variance,
        surface.skew_25d,
        surface.spot_usd,
        surface.received_at,
        surface.expiry_date,
        lead(surface.years * 365) over along as next_days,
        lead(surface.atm_vol * surface.atm_vol * surface.years) over along as next_variance,
        settings.signals_term_short_days as short_days,
        settings.signals_term_long_days as long_days,
        row_number() over (
            partition by surface.symbol
            order by
                abs(surface.years * 365 - settings.signals_term_short_days),
                surface.expiry_date
        ) as nearness
    from settings
    cross join surface
    window along as (partition by surface.symbol order by surface.expiry_date)
),
termed as (
    select
        symbol,
        last_value(spot_usd order by received_at, expiry_date) as spot_usd,
        sqrt(
            max(
                case
                    when days <= short_days and next_days > short_days then (
                        total_variance
                        + (next_variance - total_variance)
                        * (short_days - days) / (next_days - days)
                    ) * 365 / short_days
                end
            )
        ) as short_vol,
        sqrt(
            max(
                case
                    when days <= long_days and next_days > long_days then (
                        total_variance
                        + (next_variance - total_variance)
                        * (long_days - days) / (next_days - days)
                    ) * 365 / long_days
                end
            )
        ) as long_vol,
        max(case when nearness = 1 then abs(days - short_days) end) as short_gap_days,
        max(case when nearness = 1 then atm_vol end) as near_vol,
        max(case when nearness = 1 then skew_25d end) as skew_25d
    from placed
    group by symbol
),
priced as (
    select
        coalesce(termed.symbol, underlyings.symbol) as symbol,
        termed.spot_usd,
        termed.short_vol,
        termed.long_vol,
        termed.short_gap_days,
        termed.near_vol,
        termed.skew_25d,
        underlyings.price,
        underlyings.received_at
    from termed
    full join underlyings on termed.symbol = underlyings.symbol
),
dated as (
    select
        priced.*,
        case
            when extract(epoch from (clock.as_of - priced.received_at))
                <= settings.marks_quote_age_seconds_max
                then priced.price
        end as quoted_usd,
        clock.as_of,
        clock.run_id,
        clock.session_date,
        settings.marks_quote_age_seconds_max as quote_age_seconds_max,
        settings.signals_term_gap_days_max as gap_days_max,
        settings.signals_har_share_ratio as har_share_ratio,
        settings.signals_forecast_count_min as forecast_count_min,
        settings.signals_bias_count_min as bias_count_min
    from clock
    cross join settings
    cross join priced
),
joined as (
    select
        dated.as_of,
        dated.run_id,
        dated.session_date,
        dated.har_share_ratio,
        dated.forecast_count_min,
        dated.bias_count_min,
        dated.symbol,
        coalesce(dated.quoted_usd, dated.spot_usd) as spot_usd,
        case
            when dated.quoted_usd is not null then 'quote'
            when dated.spot_usd is not null then 'parity'
        end as spot_source,
        case
            when dated.short_vol is not null then dated.short_vol
            when dated.short_gap_days <= dated.gap_days_max then dated.near_vol
        end as iv30,
        case
            when dated.short_vol is not null then 'interpolated'
            when dated.short_gap_days <= dated.gap_days_max then 'nearest'
        end as iv30_source,
        dated.long_vol - dated.short_vol as term_slope,
        dated.skew_25d,
        statistics.bar_date,
        statistics.implied_source,
        statistics.implied_vol_low,
        statistics.implied_vol_high,
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
        case
            when extract(epoch from (dated.as_of - vix.received_at))
                <= dated.quote_age_seconds_max
                then vix.vol
        end as vix_vol,
        futures.change_1h_ratio,
        futures.change_4h_ratio,
        futures.change_overnight_ratio,
        futures.change_daily_ratio
    from dated
    left join statistics on dated.symbol = statistics.symbol
    left join futures on dated.symbol = futures.symbol
    left join vix on statistics.implied_source = 'vix_proxy'
),
ranked as (
    select
        *,
        case
            when implied_source = 'implied_vol' then iv30
            when implied_source = 'vix_proxy' then vix_vol
        end as instant_vol,
        case
            when implied_source = 'implied_vol' then iv30
            when implied_source = 'vix_proxy' then coalesce(vix_vol, last_implied_vol)
        end as measure_vol,
        case
            when implied_source = 'vix_proxy' and vix_vol is null then 'vix_proxy_last_close'
            else implied_source
        end as measure_source
    from joined
),
forecast as (
    select
        ranked.*,
        case
            when ranked.forecast_count >= ranked.forecast_count_min
                and ranked.bias_count >= ranked.bias_count_min
                then greatest(0.0, 1 - ranked.forecast_mse / nullif(ranked.implied_mse, 0))
        end as weight,
        ranked.bias_ratio * exp(
            (1 - ranked.har_share_ratio)
            * ln(ranked.instant_vol * ranked.instant_vol)
            + ranked.har_share_ratio * ln(nullif(ranked.har_variance, 0))
        ) as raw_variance
    from ranked
)
select
    forecast.as_of,
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
            then forecast.measure_source
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
    case
        when forecast.iv30 is null then 'no 30-day implied volatility'
        when forecast.weight is null
            then cast(coalesce(forecast.forecast_count, 0) as varchar) || ' past forecasts'
        when forecast.instant_vol is null then 'no implied volatility of this instant'
        when forecast.raw_variance is null then 'no realised volatility'
    end as forecast_gap,
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
    forecast.run_id,
    forecast.session_date
from forecast
order by forecast.symbol
