-- about: Daily bars, with 30-day implied volatility where the source gives it. price_basis says whether prices are raw (or restored to it) or of another kind. session_date is the session of the bar; a bar is delivered after its close.
-- grain: one row a symbol and session as delivered
-- key: ingest_seq
-- owner: ingest
-- live: batch
create table bronze.bars (
    symbol varchar not null,
    bar_size varchar not null,
    open decimal(18, 6),
    high decimal(18, 6),
    low decimal(18, 6),
    close decimal(18, 6),
    volume bigint,
    implied_vol double,
    source varchar not null,
    received_at timestamp not null,
    ingest_seq bigint not null,
    run_id varchar not null,
    session_date date not null,
    price_basis varchar
);
