-- about: After each execution group no short option is uncovered, inside a strategy and over the account: for each right and each expiry, the shorts that expire then or later are matched by longs that expire then or later, calls also by shares. Settlements of one instant count together.
-- audit: table
with
fills as (
    select * from silver.fills where quantity <> 0
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
moves as (
    select
        'account' as scope,
        'account' as subject_id,
        fills.symbol,
        fills.security_kind,
        contracts.option_right,
        contracts.expiry_date,
        fills.quantity,
        fills.multiplier,
        fills.executed_at,
        case when fills.execution_kind = 'trade' then fills.group_id else '~' end as group_key
    from fills
    left join contracts on fills.conid = contracts.conid and contracts.place = 1
    union all
    select
        'strategy' as scope,
        orders.strategy_id as subject_id,
        fills.symbol,
        fills.security_kind,
        contracts.option_right,
        contracts.expiry_date,
        fills.quantity,
        fills.multiplier,
        fills.executed_at,
        fills.group_id as group_key
    from fills
    inner join orders on fills.order_ref = orders.order_ref and orders.place = 1
    left join contracts on fills.conid = contracts.conid and contracts.place = 1
    where fills.execution_kind = 'trade'
),
levels as (
    select distinct
        scope,
        subject_id,
        symbol,
        option_right,
        expiry_date
    from moves
    where security_kind = 'OPT'
),
steps as (
    select
        levels.scope,
        levels.subject_id,
        levels.symbol,
        levels.option_right,
        levels.expiry_date,
        moves.executed_at,
        moves.group_key,
        sum(case when moves.security_kind = 'OPT' then moves.quantity else 0 end) as options,
        sum(case when moves.security_kind = 'STK' then moves.quantity else 0 end) as shares
    from levels
    inner join moves
        on levels.scope = moves.scope
        and levels.subject_id = moves.subject_id
        and levels.symbol = moves.symbol
    where (
        moves.security_kind = 'OPT'
        and moves.option_right = levels.option_right
        and moves.expiry_date >= levels.expiry_date
    )
    or (moves.security_kind = 'STK' and levels.option_right = 'C')
    group by
        levels.scope, levels.subject_id, levels.symbol, levels.option_right,
        levels.expiry_date, moves.executed_at, moves.group_key
),
sums as (
    select
        scope,
        subject_id,
        symbol,
        option_right,
        expiry_date,
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
where options + floor(greatest(shares, 0) / 100.0) < 0
order by executed_at, group_key, scope, subject_id, symbol, option_right, expiry_date
