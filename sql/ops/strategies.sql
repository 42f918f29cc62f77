-- about: Strategies, a row at each change; the latest row an id is its state. Basis and realised amounts are USD for the whole quantity, credit positive.
-- grain: one row a strategy and change
-- key: strategy_id, change_seq
-- owner: journal
-- live: latest by strategy_id
create table ops.strategies (
    strategy_id varchar not null,
    change_seq bigint not null,
    symbol varchar not null,
    structure varchar not null,
    state varchar not null,
    quantity bigint not null,
    opened_quantity bigint not null,
    opening_cash_usd decimal(18, 6) not null,
    open_basis_usd decimal(18, 6) not null,
    realised_usd decimal(18, 6) not null,
    commissions_usd decimal(18, 6) not null,
    max_loss_usd decimal(18, 6) not null,
    margin_usd decimal(18, 6) not null,
    close_rule varchar,
    opened_at timestamp,
    closed_at timestamp,
    changed_at timestamp not null,
    as_of timestamp not null,
    run_id varchar not null,
    session_date date not null
);
