//! What a live table keeps when new rows arrive.

use chrono::NaiveDate;

use crate::lake::arrow::array::{Array, AsArray, BooleanArray, RecordBatch, UInt32Array};
use crate::lake::arrow::compute::{concat_batches, filter_record_batch, take_record_batch};
use crate::lake::arrow::datatypes::{Date32Type, SchemaRef};
use crate::lake::arrow::error::ArrowError;
use crate::lake::arrow::row::{RowConverter, SortField};

use super::model::Retention;

/// Days since 1970-01-01, the storage form of a date.
pub fn date32(date: NaiveDate) -> i32 {
    date.signed_duration_since(NaiveDate::default()).num_days() as i32
}

/// The rows that stand after `arrived` came to `held`.
pub fn merge(
    retention: &Retention,
    schema: &SchemaRef,
    held: Vec<RecordBatch>,
    arrived: RecordBatch,
) -> Result<Vec<RecordBatch>, ArrowError> {
    match retention {
        Retention::Run => Ok(vec![arrived]),
        Retention::Batch | Retention::Session | Retention::History => {
            let mut rows = held;
            if arrived.num_rows() > 0 {
                rows.push(arrived);
            }
            // Many small batches cost more to scan than one copy now and then.
            if rows.len() > 32 {
                rows = vec![concat_batches(schema, &rows)?];
            }
            Ok(rows)
        }
        Retention::LatestBy(key) => {
            let mut rows = held;
            rows.push(arrived);
            let all = concat_batches(schema, &rows)?;
            Ok(vec![latest_by(&all, key)?])
        }
    }
}

/// The last row a key, in order of the key.
pub fn latest_by(rows: &RecordBatch, key: &[String]) -> Result<RecordBatch, ArrowError> {
    let keys = key_rows(rows, key)?;
    let mut latest = std::collections::BTreeMap::new();
    for (index, key) in keys.iter().enumerate() {
        latest.insert(key, index as u32);
    }
    let chosen: UInt32Array = latest.into_values().collect::<Vec<_>>().into();
    take_record_batch(rows, &chosen)
}

/// The rows of `rows` whose key is not among those of `offenders`.
pub fn without(
    rows: &RecordBatch,
    offenders: &RecordBatch,
    key: &[String],
) -> Result<(RecordBatch, RecordBatch), ArrowError> {
    let bad: std::collections::BTreeSet<Vec<u8>> = key_rows(offenders, key)?.into_iter().collect();
    let keep: BooleanArray =
        key_rows(rows, key)?.iter().map(|key| Some(!bad.contains(key))).collect();
    let drop: BooleanArray = keep.iter().map(|kept| kept.map(|kept| !kept)).collect();
    Ok((filter_record_batch(rows, &keep)?, filter_record_batch(rows, &drop)?))
}

fn key_rows(rows: &RecordBatch, key: &[String]) -> Result<Vec<Vec<u8>>, ArrowError> {
    let mut columns = Vec::with_capacity(key.len());
    for name in key {
        let column = rows.column_by_name(name).ok_or_else(|| {
            ArrowError::SchemaError(format!("key column `{name}` is not in the result"))
        })?;
        columns.push(column.clone());
    }
    let fields = columns.iter().map(|column| SortField::new(column.data_type().clone())).collect();
    let converter = RowConverter::new(fields)?;
    let converted = converter.convert_columns(&columns)?;
    Ok(converted.iter().map(|row| row.as_ref().to_vec()).collect())
}

/// Rows of an earlier session leave session tables; expired contracts leave latest-row tables.
pub fn roll_session(
    retention: &Retention,
    held: Vec<RecordBatch>,
    session: NaiveDate,
) -> Result<Vec<RecordBatch>, ArrowError> {
    let column = match retention {
        Retention::Session => "session_date",
        Retention::LatestBy(_) => "expiry_date",
        Retention::Run => return Ok(Vec::new()),
        Retention::Batch | Retention::History => return Ok(held),
    };
    let first = date32(session);
    held.iter()
        .map(|rows| match rows.column_by_name(column) {
            Some(dates) => {
                let dates = dates.as_primitive_opt::<Date32Type>().ok_or_else(|| {
                    ArrowError::SchemaError(format!("column `{column}` is not a date"))
                })?;
                let keep: BooleanArray =
                    dates.iter().map(|date| Some(date.is_none_or(|date| date >= first))).collect();
                filter_record_batch(rows, &keep)
            }
            None => Ok(rows.clone()),
        })
        .collect()
}
