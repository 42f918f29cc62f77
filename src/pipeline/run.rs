//! The identity of one run and the parameters that models read.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::NaiveDate;

use crate::lake::arrow::array::{
    ArrayRef, Date32Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use crate::lake::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use crate::lake::{LiveTable, SessionContext};
use crate::market::Timestamp;

use super::retention::date32;

/// The one-row table `run`: the only source of time in SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    pub run_id: String,
    pub as_of: Timestamp,
    pub session_date: NaiveDate,
    pub previous_session_date: NaiveDate,
    /// Regular session of the ETFs.
    pub session_open_at: Timestamp,
    pub session_close_at: Timestamp,
    /// Close of the ETFs' session before this one.
    pub previous_session_close_at: Timestamp,
    /// End of the futures' trading day before this one; a holiday may hold it.
    pub previous_futures_close_at: Timestamp,
    /// `pre`, `regular` or `post`.
    pub session_phase: String,
}

/// The one-row table `params`: every number of the operator's settings that a model may read, named
/// `<section>_<key>`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Params(pub BTreeMap<String, f64>);

fn instant() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// Columns of the one-row table `run`.
pub fn run_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("run_id", DataType::Utf8, false),
        Field::new("as_of", instant(), false),
        Field::new("session_date", DataType::Date32, false),
        Field::new("previous_session_date", DataType::Date32, false),
        Field::new("session_open_at", instant(), false),
        Field::new("session_close_at", instant(), false),
        Field::new("previous_session_close_at", instant(), false),
        Field::new("previous_futures_close_at", instant(), false),
        Field::new("session_phase", DataType::Utf8, false),
    ]))
}

/// The row of `run`.
pub fn run_row(run: &Run) -> anyhow::Result<RecordBatch> {
    let at = |instant: crate::market::Timestamp| -> ArrayRef {
        Arc::new(
            TimestampMicrosecondArray::from(vec![instant.timestamp_micros()]).with_timezone("UTC"),
        )
    };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec![run.run_id.as_str()])),
        at(run.as_of),
        Arc::new(Date32Array::from(vec![date32(run.session_date)])),
        Arc::new(Date32Array::from(vec![date32(run.previous_session_date)])),
        at(run.session_open_at),
        at(run.session_close_at),
        at(run.previous_session_close_at),
        at(run.previous_futures_close_at),
        Arc::new(StringArray::from(vec![run.session_phase.as_str()])),
    ];
    Ok(RecordBatch::try_new(run_schema(), columns)?)
}

/// Gives a session that reads the lake the same one-row table `run`.
pub fn register_run(session: &SessionContext, run: &Run) -> anyhow::Result<()> {
    let table = LiveTable::new(run_schema());
    table.set(vec![run_row(run)?]);
    session.register_table("run", Arc::new(table))?;
    Ok(())
}
