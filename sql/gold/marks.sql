-- about: The mark of every held contract with its error and quality; Greeks a share.
-- grain: one row a held contract
-- key: conid
-- owner: pipeline
-- freshness: each run
-- kind: ephemeral
-- live: run
-- engine: portable
-- params: marks_quote_age_seconds_max, marks_no_bid_ask_usd_max
with
clock as (
    select * from run
),
settings as (
    select * from params
),
held as (
    select
        conid,
        max(symbol) as symbol,
        max(security_kind) as security_kind,
        max(multiplier) as multiplier,
        max(expiry_date) as expiry_date
    from ops.strategy_legs
    where quantity <> 0
    group by conid
),
smile as (
    select
        conid,
        lower_vol
        + (upper_vol - lower_vol) * (strike - lower_strike) / (upper_strike - lower_strike)
            as fit_vol
    from gold.smile
),
surface as (
    select * from gold.vol_surface
),
contracts as (
    select conid, last_trade_at, expires_at from bronze.contracts
),
futures as (
    select
        futures_quotes.conid,
        futures_quotes.bid,
        futures_quotes.ask,
        futures_quotes.price,
        futures_quotes.received_at,
        row_number() over (
            partition by futures_quotes.conid
            order by futures_quotes.received_at desc, futures_quotes.ingest_seq desc
        ) as recency
    from silver.futures_quotes
    inner join held on futures_quotes.conid = held.conid
    cross join clock
    where futures_quotes.session_date = clock.session_date
        and futures_quotes.received_at <= clock.as_of
),
signals as (
    select symbol, spot_usd from gold.signals
),
quoted as (
    select
        held.conid,
        held.symbol,
        held.security_kind,
        held.multiplier,
        held.expiry_date,
        contracts.last_trade_at,
        contracts.expires_at,
        case
            when held.security_kind = 'OPT' then cast(options.bid as double)
            when held.security_kind = 'FUT' then cast(futures.bid as double)
            else cast(underlyings.bid as double)
        end as bid,
        case
            when held.security_kind = 'OPT' then cast(options.ask as double)
            when held.security_kind = 'FUT' then cast(futures.ask as double)
            else cast(underlyings.ask as double)
        end as ask,
        case
            when held.security_kind = 'OPT' then options.received_at
            when held.security_kind = 'FUT' then futures.received_at
            else underlyings.received_at
        end as received_at,
        case
            when held.security_kind = 'FUT' then cast(futures.price as double)
            else signals.spot_usd
        end as spot_usd,
        options.vol,
        case
            when held.security_kind = 'OPT' then options.delta
            else 1.0
        end as delta,
        case when held.security_kind = 'OPT' then options.gamma else 0.0 end as gamma,
        case when held.security_kind = 'OPT' then options.vega else 0.0 end as vega,
        case when held.security_kind = 'OPT' then options.theta else 0.0 end as theta,
        case when held.security_kind = 'OPT' then options.rho else 0.0 end as rho,
        options.rate,
        smile.fit_vol,
        surface.fit_error_vol,
        extract(epoch from (contracts.last_trade_at - clock.as_of)) / 60
            as minutes_to_last_trade,
        cast(held.expiry_date - clock.session_date as bigint) as dte
    from clock
    cross join held
    left join contracts on held.conid = contracts.conid
    left join silver.option_quotes as options on held.conid = options.conid
    left join futures on held.conid = futures.conid and futures.recency = 1
    left join silver.underlying_quotes as underlyings
        on held.symbol = underlyings.symbol and held.security_kind = 'STK'
    left join signals on held.symbol = signals.symbol
    left join smile on held.conid = smile.conid
    left join surface
        on held.symbol = surface.symbol and held.expiry_date = surface.expiry_date
),
judged as (
    select
        quoted.*,
        case
            when quoted.ask is null and quoted.bid is null then 'missing'
            -- After the close of the ETFs a quote ages no more: it is the official mark.
            when extract(
                epoch from (least(clock.as_of, clock.session_close_at) - quoted.received_at)
            ) > settings.marks_quote_age_seconds_max then 'stale'
            when quoted.bid is not null and quoted.ask is not null then 'two_sided'
            when quoted.bid is null and quoted.security_kind = 'OPT'
                and quoted.ask <= settings.marks_no_bid_ask_usd_max then 'no_bid'
            else 'one_sided'
        end as quality
    from clock
    cross join settings
    cross join quoted
),
middled as (
    select
        *,
        case
            when quality = 'two_sided' then (bid + ask) / 2
            when quality = 'no_bid' then ask / 2
        end as mid,
        case
            when quality = 'two_sided' then (ask - bid) / 2
            when quality = 'no_bid' then ask / 2
        end as half_spread,
        vega * (fit_vol - vol) * 100 as fit_gap,
        abs(vega) * fit_error_vol * 100 as fit_error
    from judged
)
select
    conid,
    symbol,
    security_kind,
    multiplier,
    expiry_date,
    dte,
    minutes_to_last_trade,
    quality,
    mid,
    half_spread,
    case
        when fit_gap is null or fit_error is null then mid
        when fit_gap > half_spread + fit_error then mid + fit_gap - half_spread - fit_error
        when fit_gap < -half_spread - fit_error then mid + fit_gap + half_spread + fit_error
        else mid
    end as mark,
    spot_usd,
    vol,
    rate,
    case when quality = 'no_bid' then 0.0 when quality = 'two_sided' then delta end as delta,
    case when quality = 'no_bid' then 0.0 when quality = 'two_sided' then gamma end as gamma,
    case when quality = 'no_bid' then 0.0 when quality = 'two_sided' then vega end as vega,
    case when quality = 'no_bid' then 0.0 when quality = 'two_sided' then theta end as theta,
    case when quality = 'no_bid' then 0.0 when quality = 'two_sided' then rho end as rho,
    received_at
from middled
order by conid
