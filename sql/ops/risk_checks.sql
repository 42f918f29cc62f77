-- about: Every check of every verdict of the gate.
-- grain: one row an order and check
-- key: order_ref, attempt, check_id
-- owner: risk
-- live: session
create table ops.risk_checks (
    order_ref varchar not null,
    attempt bigint not null,
    check_id varchar not null,
    check_name varchar not null,
    result varchar not null,
    measured double,
    limit_value double,
    unit varchar not null,
    reason varchar not null,
    as_of timestamp not null,
    run_id varchar not null,
    session_date date not null
);
