//! What the live tables held when an earlier process ended, read back from the lake: a desk that
//! starts again goes on with what it knew, not with nothing.
//!
//! A table comes back as its `live` header has it: the newest row a key, the session's rows, or the
//! history. Nothing that comes back is written again. A batch or a run is over and does not come
//! back, and what a broker tells anew at every start is left to it.

use anyhow::Context as _;
use chrono::{Days, NaiveDate};

use crate::lake::arrow::array::RecordBatch;
use crate::lake::arrow::compute::concat_batches;
use crate::lake::arrow::datatypes::Schema;
use crate::lake::{Lake, TableName};

use super::live::LiveTables;
use super::model::Retention;
use super::slot::{Slot, Storage, conform};

/// The longest look back of a model is a year of sessions.
const HISTORY: Days = Days::new(400);
/// Columns that grow from row to row, as far as a table has them: which of two rows is the newer.
const RISING: [&str; 3] = ["ingest_seq", "change_seq", "as_of"];

impl LiveTables {
    /// Fills the tables from the lake as it stands, for a desk that goes on in a session.
    pub fn restore(
        &mut self,
        lake: &Lake,
        session: NaiveDate,
        told_anew: &[TableName],
    ) -> anyhow::Result<()> {
        let runtime = self.runtime.clone();
        let pinned = runtime.block_on(lake.session_at(None))?;
        for (table, slot) in &mut self.slots {
            if slot.storage == Storage::LiveOnly || told_anew.contains(table) {
                continue;
            }
            let Some(sql) = selection(table, slot, session) else { continue };
            let rows = runtime
                .block_on(pinned.query(&sql))
                .with_context(|| format!("{table} cannot be read back from the lake"))?;
            let Some(schema) = rows.first().map(RecordBatch::schema) else { continue };
            let rows = conform(&slot.schema, &concat_batches(&schema, &rows)?)
                .with_context(|| format!("{table} in the lake does not fit its columns"))?;
            slot.held = vec![rows];
            slot.publish();
        }
        Ok(())
    }
}

/// The statement whose rows a table held; `None` where an end of the process ends it too.
fn selection(table: &TableName, slot: &Slot, session: NaiveDate) -> Option<String> {
    let has = |name: &str| slot.schema.column_with_name(name).is_some();
    let (upwards, downwards) = (rising(&slot.schema, "asc"), rising(&slot.schema, "desc"));
    match &slot.retention {
        Retention::Run | Retention::Batch => None,
        Retention::LatestBy(key) => {
            let key = key.join(", ");
            let living = if has("expiry_date") {
                format!("where expiry_date >= date '{session}' or expiry_date is null")
            } else {
                String::new()
            };
            Some(format!(
                "select * from (select *, row_number() over (partition by {key} {downwards})
                     as newest_first from {table} {living}) as numbered
                 where newest_first = 1 order by {key}"
            ))
        }
        Retention::Session => {
            Some(format!("select * from {table} where session_date = date '{session}' {upwards}"))
        }
        Retention::History => {
            let first = session - HISTORY;
            Some(format!("select * from {table} where session_date >= date '{first}' {upwards}"))
        }
    }
}

fn rising(schema: &Schema, direction: &str) -> String {
    let columns: Vec<String> = RISING
        .into_iter()
        .filter(|name| schema.column_with_name(name).is_some())
        .map(|name| format!("{name} {direction}"))
        .collect();
    if columns.is_empty() { String::new() } else { format!("order by {}", columns.join(", ")) }
}
