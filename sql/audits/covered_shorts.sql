-- about: No short option is uncovered: for each right and each expiry, the shorts that expire then or later are matched by longs that expire then or later, calls also by shares. Judged after each execution group of history, inside a strategy and over the account, and in each of the session's snapshots of positions. An option of which right or expiry is not known offends. Settlements of one instant count together; each goes to the strategies that hold the contract, in order of their ids, as far as they hold it, and what is delivered goes with it.
-- audit: table
with
clock as (
    select * from run
),
contracts as (
    select
        conid,
        expiry_date,
        option_right,
        row_number() over (partition by conid order by ingest_seq desc) as place
    from bronze.contracts
    where security_kind = 'OPT'
),
orders as (
    select
        order_ref,
        strategy_id,
        row_number() over (partition by order_ref order by change_seq desc) as place
    from ops.orders
),
fills as (
    select
        fills.exec_id,
        fills.execution_kind,
        fills.conid,
        fills.symbol,
        contracts.option_right,
        contracts.expiry_date,
        case
            when fills.security_kind in ('STK', 'FUT') then fills.security_kind
            when fills.security_kind <> 'OPT' then 'unknown'
            when contracts.option_right is null or contracts.expiry_date is null then 'unknown'
            else 'OPT'
        end as kind,
        fills.quantity,
        fills.executed_at,
        fills.ingest_seq,
        fills.group_id,
        case
            when fills.execution_kind in ('trade', 'correction') then fills.group_id else '~'
        end as group_key,
        orders.strategy_id
    from silver.fills
    left join contracts on fills.conid = contracts.conid and contracts.place = 1
    left join orders on fills.order_ref = orders.order_ref and orders.place = 1
    where fills.quantity <> 0
),
settlements as (
    select
        *,
        sum(quantity) over (partition by conid order by ingest_seq) as settled
    from fills
    where execution_kind in (
        'assignment', 'exercise', 'expiry', 'cash_settlement', 'liquidation'
    )
),
holders as (
    select
        settlements.exec_id,
        settlements.conid,
        settlements.group_id,
        settlements.ingest_seq,
        settlements.quantity,
        abs(settlements.settled) as settled,
        trades.strategy_id,
        sum(trades.quantity) as held
    from settlements
    inner join fills as trades
        on settlements.conid = trades.conid
        and trades.execution_kind in ('trade', 'correction')
        and trades.strategy_id is not null
        and trades.ingest_seq < settlements.ingest_seq
    group by
        settlements.exec_id, settlements.conid, settlements.group_id, settlements.ingest_seq,
        settlements.quantity, settlements.settled, trades.strategy_id
),
taken as (
    select
        *,
        greatest(
            0,
            least(
                abs(held),
                settled + abs(held) - sum(abs(held)) over (
                    partition by exec_id order by strategy_id
                )
            )
        ) as taken
    from holders
),
shares as (
    select
        exec_id,
        group_id,
        strategy_id,
        quantity,
        taken - lag(taken, 1, 0) over (
            partition by conid, strategy_id order by ingest_seq
        ) as share
    from taken
),
snapshots as (
    select
        positions.sweep_id,
        positions.symbol,
        positions.option_right,
        positions.expiry_date,
        case
            when positions.security_kind in ('STK', 'FUT') then positions.security_kind
            when positions.security_kind <> 'OPT' then 'unknown'
            when positions.option_right is null or positions.expiry_date is null then 'unknown'
            else 'OPT'
        end as kind,
        positions.quantity,
        positions.received_at
    from silver.positions
    inner join clock on positions.session_date = clock.session_date
),
scopes as (
    select 'account' as scope
    union all
    select 'strategy' as scope
),
moves as (
    select
        scopes.scope,
        case when scopes.scope = 'account' then 'account' else fills.strategy_id end
            as subject_id,
        fills.symbol,
        fills.option_right,
        fills.expiry_date,
        fills.kind,
        fills.quantity,
        fills.executed_at,
        fills.group_key
    from scopes
    inner join fills
        on scopes.scope = 'account'
        or (
            fills.execution_kind in ('trade', 'correction') and fills.strategy_id is not null
        )
    union all
    select
        'strategy' as scope,
        shares.strategy_id as subject_id,
        fills.symbol,
        fills.option_right,
        fills.expiry_date,
        fills.kind,
        case
            when fills.exec_id = shares.exec_id
                then case when fills.quantity > 0 then shares.share else -shares.share end
            else fills.quantity * shares.share / abs(shares.quantity)
        end as quantity,
        fills.executed_at,
        fills.group_key
    from shares
    inner join fills
        on shares.exec_id = fills.exec_id
        or (shares.group_id = fills.group_id and fills.execution_kind = 'delivery')
    where shares.share <> 0
    union all
    select
        'snapshot' as scope,
        sweep_id as subject_id,
        symbol,
        option_right,
        expiry_date,
        kind,
        quantity,
        received_at as executed_at,
        '' as group_key
    from snapshots
),
named as (
    select symbol, option_right, expiry_date, kind from fills
    union all
    select symbol, option_right, expiry_date, kind from snapshots
),
levels as (
    select distinct
        coalesce(symbol, '') as symbol,
        case when kind = 'OPT' then option_right end as option_right,
        case when kind = 'OPT' then expiry_date end as expiry_date,
        kind
    from named
    where kind in ('OPT', 'unknown')
),
steps as (
    select
        moves.scope,
        moves.subject_id,
        levels.symbol,
        levels.option_right,
        levels.expiry_date,
        levels.kind,
        moves.executed_at,
        moves.group_key,
        sum(case when moves.kind <> 'STK' then moves.quantity else 0 end) as options,
        sum(case when moves.kind = 'STK' then moves.quantity else 0 end) as shares
    from levels
    inner join moves on levels.symbol = coalesce(moves.symbol, '')
    where (levels.kind = 'unknown' and moves.kind = 'unknown')
        or (
            moves.kind = 'OPT'
            and moves.option_right = levels.option_right
            and moves.expiry_date >= levels.expiry_date
        )
        or (moves.kind = 'STK' and levels.option_right = 'C')
    group by
        moves.scope, moves.subject_id, levels.symbol, levels.option_right,
        levels.expiry_date, levels.kind, moves.executed_at, moves.group_key
),
sums as (
    select
        scope,
        subject_id,
        symbol,
        option_right,
        expiry_date,
        kind,
        executed_at,
        group_key,
        sum(options) over level as options,
        sum(shares) over level as shares
    from steps
    window level as (
        partition by scope, subject_id, symbol, option_right, expiry_date
        order by executed_at, group_key
    )
)
select
    scope,
    subject_id,
    symbol,
    option_right,
    expiry_date,
    executed_at,
    group_key,
    options,
    shares
from sums
where kind = 'unknown' or options + floor(greatest(shares, 0) / 100.0) < 0
order by executed_at, group_key, scope, subject_id, symbol, option_right, expiry_date
