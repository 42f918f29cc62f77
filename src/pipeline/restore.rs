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
use crate::lake::{Lake, PinnedSession, TableName};
use crate::market::Timestamp;

use super::live::LiveTables;
use super::model::Retention;
use super::slot::{Slot, Storage, conform};

/// The longest look back of a model is a year of sessions.
const HISTORY: Days = Days::new(400);
/// Columns that grow from row to row, as far as a table has them: which of two rows is the newer.
const RISING: [&str; 3] = ["ingest_seq", "change_seq", "as_of"];

/// Which rows were there when a session began.
#[derive(Debug, Clone, Copy)]
pub(super) struct Before {
    /// Number of the newest row of bronze that had been built from.
    pub cut: i64,
    /// When that was built.
    pub as_of: Timestamp,
}

/// Which rows of the lake come back.
#[derive(Debug, Clone, Copy)]
enum Known {
    All,
    Only(Before),
}

impl LiveTables {
    /// Fills the tables from the lake as it stands, for a desk that goes on in a session.
    pub fn restore(
        &mut self,
        lake: &Lake,
        session: NaiveDate,
        told_anew: &[TableName],
    ) -> anyhow::Result<()> {
        let pinned = self.runtime.block_on(lake.session_at(None))?;
        self.fill(&pinned, (session, Known::All), told_anew)
    }

    /// Fills the tables with what they held before a session's first build.
    pub(super) fn restore_before(
        &mut self,
        pinned: &PinnedSession,
        session: NaiveDate,
        before: Before,
    ) -> anyhow::Result<()> {
        self.fill(pinned, (session, Known::Only(before)), &[])
    }

    fn fill(
        &mut self,
        pinned: &PinnedSession,
        which: (NaiveDate, Known),
        left_out: &[TableName],
    ) -> anyhow::Result<()> {
        for (table, slot) in &mut self.slots {
            let absent = slot.storage == Storage::LiveOnly
                || left_out.contains(table)
                || !pinned.versions().contains_key(table);
            if absent {
                continue;
            }
            let Some(sql) = selection(table, slot, which) else { continue };
            let rows = self
                .runtime
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
fn selection(
    table: &TableName,
    slot: &Slot,
    (session, known): (NaiveDate, Known),
) -> Option<String> {
    let has = |name: &str| slot.schema.column_with_name(name).is_some();
    let (upwards, downwards) = (rising(&slot.schema, "asc"), rising(&slot.schema, "desc"));
    let mut conditions = match known {
        Known::All => Vec::new(),
        Known::Only(before) if has("ingest_seq") => vec![format!("ingest_seq <= {}", before.cut)],
        Known::Only(before) if has("as_of") => {
            vec![format!("as_of <= {}", instant(before.as_of))]
        }
        Known::Only(_) => vec![format!("session_date < date '{session}'")],
    };
    match &slot.retention {
        Retention::Run | Retention::Batch => None,
        Retention::LatestBy(key) => {
            let key = key.join(", ");
            if has("expiry_date") {
                let living = format!("(expiry_date >= date '{session}' or expiry_date is null)");
                conditions.push(living);
            }
            let filter = filter(&conditions);
            Some(format!(
                "select * from (select *, row_number() over (partition by {key} {downwards})
                     as newest_first from {table} {filter}) as numbered
                 where newest_first = 1 order by {key}"
            ))
        }
        Retention::Session => {
            conditions.push(format!("session_date = date '{session}'"));
            Some(format!("select * from {table} {} {upwards}", filter(&conditions)))
        }
        Retention::History => {
            let first = session - HISTORY;
            conditions.push(format!("session_date >= date '{first}'"));
            Some(format!("select * from {table} {} {upwards}", filter(&conditions)))
        }
    }
}

fn filter(conditions: &[String]) -> String {
    if conditions.is_empty() {
        String::new()
    } else {
        format!("where {}", conditions.join(" and "))
    }
}

/// An instant as SQL compares it.
pub(super) fn instant(at: Timestamp) -> String {
    format!("timestamp '{}'", at.format("%Y-%m-%dT%H:%M:%S%.6fZ"))
}

fn rising(schema: &Schema, direction: &str) -> String {
    let columns: Vec<String> = RISING
        .into_iter()
        .filter(|name| schema.column_with_name(name).is_some())
        .map(|name| format!("{name} {direction}"))
        .collect();
    if columns.is_empty() { String::new() } else { format!("order by {}", columns.join(", ")) }
}
