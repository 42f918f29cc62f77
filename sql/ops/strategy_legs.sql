-- about: Legs of strategies as held, a row at each change; quantity 0 is gone.
-- grain: one row a strategy, contract and change
-- key: strategy_id, conid, change_seq
-- owner: journal
-- live: latest by strategy_id, conid
create table ops.strategy_legs (
    strategy_id varchar not null,
    conid bigint not null,
    change_seq bigint not null,
    occ_symbol varchar,
    symbol varchar not null,
    security_kind varchar not null,
    expiry_date date,
    strike_usd decimal(18, 6),
    option_right varchar,
    multiplier bigint not null,
    ratio bigint not null,
    quantity bigint not null,
    cash_usd decimal(18, 6) not null,
    as_of timestamp not null,
    run_id varchar not null,
    session_date date not null
);
