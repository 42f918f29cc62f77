//! What a build leaves behind when a model of it fails.

#![cfg(test)]

use std::sync::Arc;

use chrono::NaiveDate;

use crate::lake::TableName;
use crate::lake::arrow::array::{ArrayRef, Date32Array, Int64Array, RecordBatch, StringArray};
use crate::market::Timestamp;

use super::retention::date32;
use super::{Catalogue, Files, LiveTables, ModelFailed, Params, Phase, Run};

const BRONZE: &str = "-- about: a\n-- grain: one row a quote\n-- key: ingest_seq\n-- owner: o\n\
    -- live: batch\ncreate table bronze.quotes (\n    symbol varchar not null,\n    \
    ingest_seq bigint not null,\n    session_date date not null\n);\n";
const SILVER: &str = "-- about: a\n-- grain: one row a quote\n-- key: ingest_seq\n-- owner: o\n\
    -- kind: incremental\n-- live: history\n\
    select symbol, ingest_seq, session_date from bronze.quotes order by ingest_seq\n";
const GOLD: &str = "-- about: a\n-- grain: one row a quote\n-- key: ingest_seq\n-- owner: o\n\
    -- kind: snapshot\n-- live: run\n\
    select\n    \
    cast(case when settings.desk_strict > 0 then quotes.symbol else '1' end as bigint) as n,\n    \
    quotes.ingest_seq,\n    quotes.session_date\n\
    from silver.quotes as quotes cross join params as settings order by quotes.ingest_seq\n";

fn strict(yes: f64) -> Params {
    Params([("desk_strict".to_owned(), yes)].into())
}

fn session() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 3, 2).unwrap()
}

fn run() -> Run {
    let as_of: Timestamp = "2026-03-02T15:00:00Z".parse().unwrap();
    Run {
        run_id: "sweep-1".to_owned(),
        as_of,
        session_date: session(),
        previous_session_date: session(),
        session_open_at: as_of,
        session_close_at: as_of,
        previous_session_close_at: as_of,
        previous_futures_close_at: as_of,
        session_phase: "regular".to_owned(),
    }
}

fn quote(ingest_seq: i64) -> RecordBatch {
    let columns: [(&str, ArrayRef); 3] = [
        ("symbol", Arc::new(StringArray::from(vec!["SPY"]))),
        ("ingest_seq", Arc::new(Int64Array::from(vec![ingest_seq]))),
        ("session_date", Arc::new(Date32Array::from(vec![date32(session())]))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

#[test]
fn a_build_that_fails_leaves_every_table_as_it_was() {
    let files: Files = [
        ("sql/bronze/quotes.sql", BRONZE),
        ("sql/silver/quotes.sql", SILVER),
        ("sql/gold/strict.sql", GOLD),
    ]
    .map(|(path, text)| (path.to_owned(), text.to_owned()))
    .into();
    let catalogue = Catalogue::read(&files).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let mut live = LiveTables::new(&catalogue, &strict(1.0), runtime.handle().clone()).unwrap();
    let (bronze, silver) = (TableName::new("bronze", "quotes"), TableName::new("silver", "quotes"));
    let is_silver = |table: &TableName| table.schema() == "silver";

    live.deliver(&bronze, &quote(1)).unwrap();
    let error = live.build(&run(), Phase::Sweep).unwrap_err();
    let failed = error.downcast_ref::<ModelFailed>().unwrap();
    assert_eq!(failed.path, "sql/gold/strict.sql");
    assert_eq!(live.rows(&silver).unwrap().num_rows(), 0);
    assert!(live.take_pending(is_silver).is_empty());

    live.set_params(&strict(0.0)).unwrap();
    live.deliver(&bronze, &quote(2)).unwrap();
    let report = live.build(&run(), Phase::Sweep).unwrap();
    let rows: Vec<_> = report.models.iter().map(|ran| (ran.rows_in, ran.rows_out)).collect();
    assert_eq!(rows, [(2, 2), (2, 2)]);
    assert_eq!(live.rows(&silver).unwrap().num_rows(), 2);
    let pending = live.take_pending(is_silver);
    let written: usize =
        pending.iter().flat_map(|(_, _, rows)| rows).map(RecordBatch::num_rows).sum();
    assert_eq!(written, 2);
}
