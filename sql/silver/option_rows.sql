-- about: Option quotes, each with the reason to reject it, if any: its own fault, or a better row of the same contract in the sweep.
-- grain: one row a bronze row
-- key: ingest_seq
-- owner: pipeline
-- freshness: each run
-- kind: ephemeral
-- live: run
-- engine: portable
with
coded as (
    select * from silver.option_coded
),
crowded as (
    select
        conid,
        sweep_key,
        stamp_key,
        is_sound,
        max(received_at) as kept_received_at
    from coded
    where is_sound = 1
    group by conid, sweep_key, stamp_key, is_sound
    having count(*) > 1
),
printed as (
    select
        coded.ingest_seq,
        coded.conid,
        coded.sweep_key,
        coded.stamp_key,
        coded.received_at,
        coded.fields,
        crowded.kept_received_at,
        concat_ws(
            '|',
            coalesce(cast(coded.bid as varchar), ''),
            coalesce(cast(coded.ask as varchar), ''),
            coalesce(cast(coded.last as varchar), ''),
            coalesce(cast(coded.bid_size as varchar), ''),
            coalesce(cast(coded.ask_size as varchar), ''),
            coalesce(cast(coded.volume as varchar), ''),
            coalesce(cast(coded.open_interest as varchar), ''),
            coalesce(cast(coded.vendor_vol as varchar), ''),
            coalesce(cast(coded.vendor_delta as varchar), '')
        ) as print
    from coded
    inner join crowded
        on coded.conid = crowded.conid
        and coded.sweep_key = crowded.sweep_key
        and coded.stamp_key = crowded.stamp_key
        and coded.is_sound = crowded.is_sound
),
contested as (
    select
        ingest_seq,
        received_at,
        kept_received_at,
        print,
        row_number() over best_first as place,
        first_value(print) over best_first as kept_print
    from printed
    window best_first as (
        partition by conid, sweep_key, stamp_key
        order by received_at desc, fields desc, ingest_seq desc
    )
)
select
    coded.conid,
    coded.occ_symbol,
    coded.symbol,
    coded.expiry_date,
    coded.strike_usd,
    coded.option_right,
    coded.bid,
    coded.ask,
    coded.mid,
    coded.last,
    coded.bid_size,
    coded.ask_size,
    coded.volume,
    coded.open_interest,
    coded.vendor_vol,
    coded.vendor_delta,
    coded.exercise_style,
    coded.multiplier,
    coded.last_trade_at,
    coded.expires_at,
    coded.years,
    case
        when coded.fault is not null then coded.fault
        when contested.place is null or contested.place = 1 then null
        when contested.received_at < contested.kept_received_at then 'superseded'
        when contested.print = contested.kept_print then 'duplicate'
        else 'conflict'
    end as reason,
    coded.sweep_key,
    coded.quoted_at,
    coded.received_at,
    coded.ingest_seq,
    coded.sweep_id,
    coded.run_id,
    coded.session_date
from coded
left join contested on coded.ingest_seq = contested.ingest_seq
order by coded.ingest_seq
