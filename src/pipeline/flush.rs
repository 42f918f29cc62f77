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
use crate::lake::{Batch, Lake, TableName};

use super::step::StepContext;

/// How many batches each table has been given in this run of the desk: the batch number under which
/// a write is exactly once.
#[derive(Debug, Default)]
struct Written {
    numbers: BTreeMap<TableName, i64>,
    /// The newest version of each bronze table: what the derived tables were computed from.
    bronze: BTreeMap<String, u64>,
}

/// Which tables are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flush {
    Bronze,
    /// Silver, gold and ops.
    Derived,
}

/// From where the numbers of batches count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbering {
    /// From 1: a run in virtual time recomputes from its start and meets its own batches again.
    FromStart,
    /// After what the table holds: a run on the wall clock writes what nobody wrote before.
    Continued,
}

/// Writes pending rows; the steps that must have them durable share one.
#[derive(Clone)]
pub struct Flusher {
    runtime: Handle,
    numbering: Numbering,
    written: Rc<RefCell<Written>>,
}

impl Flusher {
    pub fn new(runtime: Handle, numbering: Numbering) -> Self {
        Self { runtime, numbering, written: Rc::default() }
    }

    fn next_number(&self, lake: &Lake, table: &TableName) -> anyhow::Result<i64> {
        let mut written = self.written.borrow_mut();
        let last = match (written.numbers.get(table), self.numbering) {
            (Some(number), _) => *number,
            (None, Numbering::FromStart) => 0,
            (None, Numbering::Continued) => {
                let commits = self.runtime.block_on(lake.commits(table))?;
                commits.iter().map(|commit| commit.batch).max().unwrap_or_default()
            }
        };
        written.numbers.insert(table.clone(), last + 1);
        Ok(last + 1)
    }

    /// Writes what is pending of the chosen tables. Derived tables name the bronze versions behind
    /// them; bronze is written first.
    pub fn flush(&self, context: &mut StepContext<'_>, which: Flush) -> anyhow::Result<()> {
        let chosen = |table: &TableName| (table.schema() == "bronze") == (which == Flush::Bronze);
        for (table, schema, batches) in context.live.take_pending(chosen) {
            let rows = sorted(&concat_batches(&schema, &batches)?)?;
            let spec = context.live.spec_of(&table, &schema)?;
            let number = self.next_number(context.lake, &table)?;
            let batch = Batch {
                number,
                as_of: context.run.as_of,
                run_id: context.run.run_id.clone(),
                source_versions: match which {
                    Flush::Bronze => serde_json::Value::Null,
                    Flush::Derived => serde_json::to_value(&self.written.borrow().bronze)?,
                },
            };
            let appended = self
                .runtime
                .block_on(context.lake.append(&spec, &batch, vec![rows]))
                .with_context(|| format!("{table} cannot be written"))?;
            if let (Flush::Bronze, Some(version)) = (which, appended.version) {
                self.written.borrow_mut().bronze.insert(table.to_string(), version);
            }
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
