//! Writing what is pending to the lake: one commit a table, under a batch number that makes it
//! exactly once.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use anyhow::Context as _;
use tokio::runtime::Handle;

use crate::lake::arrow::array::{AsArray as _, BooleanArray, RecordBatch};
use crate::lake::arrow::compute::{
    SortColumn, cast, concat_batches, filter_record_batch, lexsort_to_indices, take_record_batch,
};
use crate::lake::arrow::datatypes::DataType;
use crate::lake::{Batch, Lake, TableName};
use crate::market::clock::Stopwatch;

use super::step::StepContext;

/// A commit that takes longer is told: nothing is decided while the desk waits for it.
const SLOW_SECONDS: f64 = 5.0;

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
    held: Option<Rc<HeldKeys>>,
}

/// Rows that the lake holds from before this process, by a text column of their table: what is told
/// again after a restart counts in the live tables, and is not written again.
#[derive(Debug)]
pub struct HeldKeys {
    pub table: TableName,
    pub column: &'static str,
    pub keys: BTreeSet<String>,
}

impl HeldKeys {
    fn without_held(&self, rows: &RecordBatch) -> anyhow::Result<RecordBatch> {
        let column = rows
            .column_by_name(self.column)
            .with_context(|| format!("{} has no column {}", self.table, self.column))?;
        let texts = cast(column, &DataType::Utf8)?;
        let is_new = |key: Option<&str>| Some(key.is_none_or(|key| !self.keys.contains(key)));
        let keep: BooleanArray = texts.as_string::<i32>().iter().map(is_new).collect();
        Ok(filter_record_batch(rows, &keep)?)
    }
}

impl Flusher {
    pub fn new(runtime: Handle, numbering: Numbering) -> Self {
        Self { runtime, numbering, written: Rc::default(), held: None }
    }

    /// Passes over rows that the lake holds.
    #[must_use]
    pub fn passing_over(self, held: HeldKeys) -> Self {
        Self { held: Some(Rc::new(held)), ..self }
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
            let mut rows = sorted(&concat_batches(&schema, &batches)?)?;
            if let Some(held) = self.held.as_ref().filter(|held| held.table == table) {
                rows = held.without_held(&rows)?;
                if rows.num_rows() == 0 {
                    continue;
                }
            }
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
            let stopwatch = Stopwatch::start();
            let appended = self
                .runtime
                .block_on(context.lake.append(&spec, &batch, vec![rows]))
                .with_context(|| format!("{table} cannot be written"))?;
            let seconds = stopwatch.elapsed_seconds();
            if seconds > SLOW_SECONDS {
                tracing::error!("the disk is slow: the desk waited {seconds:.1} s for {table}");
            }
            if let (Flush::Bronze, Some(version)) = (which, appended.version) {
                self.written.borrow_mut().bronze.insert(table.to_string(), version);
            }
        }
        Ok(())
    }
}

/// Inside a partition rows stand by symbol, expiry, right, strike and time, so that a reader skips
/// most of a file.
pub fn sorted(rows: &RecordBatch) -> anyhow::Result<RecordBatch> {
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::lake::arrow::array::{ArrayRef, StringArray};

    #[test]
    fn what_the_lake_holds_is_passed_over_and_the_rest_is_not() {
        let held = HeldKeys {
            table: TableName::new("silver", "fills"),
            column: "exec_id",
            keys: ["a", "b"].map(str::to_owned).into(),
        };
        let ids: ArrayRef = Arc::new(StringArray::from(vec!["a", "c", "b"]));
        let rows = RecordBatch::try_from_iter([("exec_id", ids)]).unwrap();
        let left = held.without_held(&rows).unwrap();
        let left: Vec<_> = left.column(0).as_string::<i32>().iter().flatten().collect();
        assert_eq!(left, ["c"]);
        let other = RecordBatch::try_from_iter([("conid", rows.column(0).clone())]).unwrap();
        assert!(held.without_held(&other).is_err());
    }
}
