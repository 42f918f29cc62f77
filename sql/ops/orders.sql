-- about: Orders, a row at each change; the latest row a reference is its state.
-- grain: one row an order and change
-- key: order_ref, change_seq
-- owner: journal
-- live: latest by order_ref
create table ops.orders (
    order_ref varchar not null,
    change_seq bigint not null,
    decision_id varchar not null,
    strategy_id varchar not null,
    purpose varchar not null,
    state varchar not null,
    legs varchar not null,
    quantity bigint not null,
    filled_quantity bigint not null,
    limit_price decimal(18, 6),
    worst_price decimal(18, 6),
    arrival_mid decimal(18, 6),
    average_fill_price decimal(18, 6),
    perm_id bigint,
    reason varchar not null,
    created_at timestamp not null,
    changed_at timestamp not null,
    as_of timestamp not null,
    run_id varchar not null,
    session_date date not null
);
