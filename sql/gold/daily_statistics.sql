-- about: What daily bars say: realised volatility, beta, correlation, implied range, forecast skill.
-- grain: one row a symbol, each time bars arrive
-- key: symbol, run_id
-- owner: pipeline
-- freshness: daily
-- kind: incremental
-- live: latest by symbol
-- engine: portable
-- params: signals_har_share_ratio, signals_bias_count_min, signals_sessions_min
with
clock as (
    select * from run
),
settings as (
    select * from params
),
arrivals as (
    select count(*) as new_bars from bronze.bars
),
bars as (
    select
        bars.symbol,
        bars.session_date,
        cast(bars.open as double) as open,
        cast(bars.high as double) as high,
        cast(bars.low as double) as low,
        cast(bars.close as double) as close,
        bars.implied_vol
    from arrivals
    cross join silver.bars
    where arrivals.new_bars > 0 and bars.bar_size = '1 day'
),
vix as (
    select session_date, close / 100 as implied_vol from bars where symbol = 'VIX'
),
chained as (
    select
        *,
        lag(close) over (partition by symbol order by session_date) as previous_close,
        count(implied_vol) over (partition by symbol) as implied_sessions
    from bars
),
changes as (
    select
        symbol,
        session_date,
        close,
        implied_vol,
        implied_sessions,
        ln(close / previous_close) as change,
        -- Garman and Klass (1980) on the session, with the overnight gap: far less noise than the
        -- squared change, which stands in where a bar has no range.
        coalesce(
            power(ln(open / previous_close), 2)
            + 0.5 * power(ln(high / low), 2)
            - (2 * ln(2) - 1) * power(ln(close / open), 2),
            power(ln(close / previous_close), 2)
        ) as day_variance
    from chained
),
measured as (
    select
        changes.symbol,
        changes.session_date,
        changes.close,
        changes.change,
        changes.day_variance,
        case
            when changes.implied_sessions >= settings.signals_sessions_min
                then changes.implied_vol
            when changes.symbol = 'SPY' then vix.implied_vol
        end as implied_vol,
        case
            when changes.implied_sessions >= settings.signals_sessions_min then 'implied_vol'
            when changes.symbol = 'SPY' and vix.implied_vol is not null then 'vix_proxy'
        end as implied_source
    from settings
    cross join changes
    left join vix on changes.session_date = vix.session_date
),
windows as (
    select
        symbol,
        session_date,
        close,
        change,
        implied_vol,
        implied_source,
        row_number() over (partition by symbol order by session_date desc) as recency,
        252 * avg(day_variance) over (
            partition by symbol order by session_date rows between 4 preceding and current row
        ) as variance_5,
        252 * avg(day_variance) over (
            partition by symbol order by session_date rows between 20 preceding and current row
        ) as variance_21,
        252 * avg(day_variance) over (
            partition by symbol order by session_date rows between 62 preceding and current row
        ) as variance_63,
        count(change) over (
            partition by symbol order by session_date rows between 62 preceding and current row
        ) as changes_63,
        252 * avg(day_variance) over (
            partition by symbol order by session_date rows between 1 following and 21 following
        ) as next_variance,
        count(change) over (
            partition by symbol order by session_date rows between 1 following and 21 following
        ) as next_changes
    from measured
),
based as (
    select
        windows.*,
        case
            when windows.changes_63 = 63
                then (windows.variance_5 + windows.variance_21 + windows.variance_63) / 3
        end as har_variance,
        case when windows.next_changes = 21 then windows.next_variance end as realised_variance,
        settings.signals_har_share_ratio as share
    from settings
    cross join windows
),
related as (
    select
        *,
        exp(
            (1 - share) * ln(implied_vol * implied_vol) + share * ln(nullif(har_variance, 0))
        ) as base_variance
    from based
),
biased as (
    select
        *,
        avg(realised_variance / base_variance) over (
            partition by symbol order by session_date
            rows between unbounded preceding and 21 preceding
        ) as bias_ratio,
        count(realised_variance / base_variance) over (
            partition by symbol order by session_date
            rows between unbounded preceding and 21 preceding
        ) as bias_count
    from related
),
scored as (
    select
        biased.*,
        ln(nullif(biased.realised_variance, 0))
        - ln(
            case
                when biased.bias_count >= settings.signals_bias_count_min
                    then biased.base_variance * biased.bias_ratio
            end
        ) as forecast_miss,
        ln(nullif(biased.realised_variance, 0))
        - ln(
            case
                when biased.bias_count >= settings.signals_bias_count_min
                    and biased.base_variance is not null
                    then biased.implied_vol * biased.implied_vol
            end
        ) as implied_miss
    from settings
    cross join biased
),
spy as (
    select session_date, change from changes where symbol = 'SPY'
),
summaries as (
    select
        scored.symbol,
        max(scored.session_date) as bar_date,
        max(case when scored.recency = 1 then scored.close end) as close,
        max(case when scored.recency = 1 then scored.implied_vol end) as last_implied_vol,
        max(case when scored.recency = 1 then scored.implied_source end) as implied_source,
        max(case when scored.recency = 1 then sqrt(scored.variance_5) end) as realised_vol_5,
        max(case when scored.recency = 1 then sqrt(scored.variance_21) end) as realised_vol_21,
        max(case when scored.recency = 1 then sqrt(scored.variance_63) end) as realised_vol_63,
        max(case when scored.recency = 1 then scored.har_variance end) as har_variance,
        max(case when scored.recency = 1 then scored.bias_ratio end) as bias_ratio,
        max(case when scored.recency = 1 then scored.bias_count end) as bias_count,
        min(case when scored.recency <= 252 then scored.implied_vol end) as implied_vol_low,
        max(case when scored.recency <= 252 then scored.implied_vol end) as implied_vol_high,
        count(case when scored.recency <= 252 then scored.implied_vol end) as implied_sessions,
        count(scored.forecast_miss) as forecast_count,
        avg(scored.forecast_miss * scored.forecast_miss) as forecast_mse,
        avg(scored.implied_miss * scored.implied_miss) as implied_mse,
        count(
            case when scored.recency <= 252 then scored.change * spy.change end
        ) as paired_sessions,
        regr_slope(
            case when scored.recency <= 252 then scored.change end, spy.change
        ) as beta,
        corr(
            case when scored.recency <= 252 then scored.change end, spy.change
        ) as correlation
    from scored
    left join spy on scored.session_date = spy.session_date
    group by scored.symbol
)
select
    clock.as_of,
    summaries.symbol,
    summaries.bar_date,
    summaries.close,
    summaries.implied_source,
    summaries.last_implied_vol,
    case
        when summaries.implied_sessions >= settings.signals_sessions_min
            then summaries.implied_vol_low
    end as implied_vol_low,
    case
        when summaries.implied_sessions >= settings.signals_sessions_min
            then summaries.implied_vol_high
    end as implied_vol_high,
    summaries.implied_sessions,
    summaries.realised_vol_5,
    summaries.realised_vol_21,
    summaries.realised_vol_63,
    summaries.har_variance,
    summaries.bias_ratio,
    summaries.bias_count,
    summaries.forecast_count,
    summaries.forecast_mse,
    summaries.implied_mse,
    case
        when summaries.paired_sessions >= settings.signals_sessions_min then summaries.beta
    end as beta_spy,
    case
        when summaries.paired_sessions >= settings.signals_sessions_min
            then summaries.correlation
    end as correlation_spy,
    summaries.paired_sessions,
    clock.run_id,
    clock.session_date
from settings
cross join clock
cross join summaries
order by summaries.symbol
