-- about: Best profit of an open strategy, for trailing stops.
-- grain: one row a strategy and change
-- key: strategy_id, as_of
-- owner: journal
-- live: latest by strategy_id
create table ops.peaks (
    strategy_id varchar not null,
    peak_pnl_usd decimal(18, 6) not null,
    peak_pnl_ratio double not null,
    peaked_at timestamp not null,
    as_of timestamp not null,
    run_id varchar not null,
    session_date date not null
);
