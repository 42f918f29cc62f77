//! Writing what is pending to the lake: one commit a table, under a batch number that makes it
//! exactly once.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use anyhow::Context as _;
use tokio::runtime::Handle;

use crate::lake::arrow::array::RecordBatch;
use crate::lake::arrow::compute::{
    SortColumn, concat_batches, lexsort_to_indices, take_record_batch,
};
use crate::lake::{Batch, TableName, TableSpec};

use super::step::StepContext;

/// How many batches each table has been given in this run of the desk: the batch number under which
/// a write is exactly once.
#[derive(Debug, Default)]
struct BatchNumbers(BTreeMap<TableName, i64>);

/// Which tables are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flush {
    Bronze,
    /// Silver, gold and ops.
    Derived,
}

/// Writes pending rows; the steps that must have them durable share one.
#[derive(Clone)]
pub struct Flusher {
    runtime: Handle,
    numbers: Rc<RefCell<BatchNumbers>>,
}

impl Flusher {
    pub fn new(runtime: Handle) -> Self {
        Self { runtime, numbers: Rc::default() }
    }

    /// Writes what is pending of the chosen tables.
    pub fn flush(&self, context: &mut StepContext<'_>, which: Flush) -> anyhow::Result<()> {
        let chosen = |table: &TableName| (table.schema() == "bronze") == (which == Flush::Bronze);
        for (table, schema, batches) in context.live.take_pending(chosen) {
            let rows = sorted(&concat_batches(&schema, &batches)?)?;
            let spec = TableSpec::from_schema(table.clone(), &schema)?;
            let number = {
                let mut numbers = self.numbers.borrow_mut();
                let number = numbers.0.entry(table.clone()).or_default();
                *number += 1;
                *number
            };
            let batch = Batch {
                number,
                as_of: context.run.as_of,
                run_id: context.run.run_id.clone(),
                source_versions: serde_json::Value::Null,
            };
            self.runtime
                .block_on(context.lake.append(&spec, &batch, vec![rows]))
                .with_context(|| format!("{table} cannot be written"))?;
        }
        Ok(())
    }
}

/// Inside a partition rows stand by symbol, expiry, right, strike and time, so that a reader skips
/// most of a file.
fn sorted(rows: &RecordBatch) -> anyhow::Result<RecordBatch> {
    let wanted = [
        "session_date",
        "symbol",
        "expiry_date",
        "option_right",
        "strike_usd",
        "received_at",
        "as_of",
        "ingest_seq",
    ];
    let columns: Vec<SortColumn> = wanted
        .iter()
        .filter_map(|name| rows.column_by_name(name))
        .map(|values| SortColumn { values: values.clone(), options: None })
        .collect();
    if columns.is_empty() || rows.num_rows() < 2 {
        return Ok(rows.clone());
    }
    Ok(take_record_batch(rows, &lexsort_to_indices(&columns, None)?)?)
}

