//! A session computed again from what the lake recorded of it: the same builds, each given the rows
//! that it was given then, by the models as they are now.
//!
//! Bronze says by the number of each row which build took it; what the desk's own hands put into
//! `ops` before a build says so by its instant. Nothing is written here: the result goes back to
//! the caller.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context as _;
use chrono::NaiveDate;

use crate::lake::arrow::array::{AsArray as _, RecordBatch};
use crate::lake::arrow::compute::{cast, concat_batches};
use crate::lake::arrow::datatypes::{DataType, Int64Type};
use crate::lake::{PinnedSession, TableName};
use crate::market::Timestamp;

use super::built::Phase;
use super::catalogue::{Catalogue, Contract};
use super::live::LiveTables;
use super::model::Retention;
use super::restore::{Before, instant};
use super::run::Run;

/// A build as `ops.model_runs` recorded it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedBuild {
    pub run_id: String,
    pub as_of: Timestamp,
    pub session_date: NaiveDate,
    pub phase: Phase,
    /// Number of the newest row of bronze that it could see.
    pub ingest_seq_cut: i64,
}

/// What a model did over all builds of a session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub rows_in: usize,
    pub rows_out: usize,
    pub rows_quarantined: usize,
    pub duration_ms: i64,
}

/// What a session's builds made.
#[derive(Default)]
pub struct Replayed {
    /// Rows of silver and gold.
    pub tables: BTreeMap<TableName, Vec<RecordBatch>>,
    /// By the model's path.
    pub models: BTreeMap<String, Tally>,
}

/// Runs a session's builds again, in order, on tables that hold nothing yet. `before` is the last
/// build of an earlier session.
pub fn replay(
    (catalogue, live): (&Catalogue, &mut LiveTables),
    pinned: &PinnedSession,
    before: Option<&RecordedBuild>,
    builds: &[(RecordedBuild, Run)],
) -> anyhow::Result<Replayed> {
    let (Some((first, run)), Some((last, _))) = (builds.first(), builds.last()) else {
        return Ok(Replayed::default());
    };
    let begun = Before {
        cut: before.map_or(0, |build| build.ingest_seq_cut),
        as_of: before.map_or(Timestamp::UNIX_EPOCH, |build| build.as_of),
    };
    if before.is_some() {
        live.restore_before(pinned, first.session_date, begun)?;
    }
    live.roll_to(run.session_date)?;
    let mut feeds = Vec::new();
    for contract in catalogue.contracts.values().filter(|contract| is_read(contract)) {
        feeds.extend(Feed::open(contract, live, pinned, (begun, last))?);
    }
    let mut made = Replayed::default();
    for (build, run) in builds {
        for feed in &mut feeds {
            feed.give(build, live)?;
        }
        let report = live.build(run, build.phase).with_context(|| format!("run {}", run.run_id))?;
        for ran in report.models {
            let tally = made.models.entry(ran.path).or_default();
            tally.rows_in += ran.rows_in;
            tally.rows_out += ran.rows_out;
            tally.rows_quarantined += ran.rows_quarantined;
            tally.duration_ms += ran.duration_ms.unwrap_or_default();
        }
        for (table, _, rows) in live.take_pending(|_| true) {
            if matches!(table.schema(), "silver" | "gold") {
                made.tables.entry(table).or_default().extend(rows);
            }
        }
    }
    Ok(made)
}

/// What is told of runs is read by people alone; everything else may be read by a model.
fn is_read(contract: &Contract) -> bool {
    contract.spec.name().schema() == "bronze" || contract.live != Retention::Batch
}

/// The rows of one table that a session's builds are given, a part each.
struct Feed {
    table: TableName,
    rows: RecordBatch,
    /// What says to which build a row belongs, rising: its number, or its instant.
    marks: Vec<i64>,
    by: By,
    given: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Number,
    Instant,
}

impl Feed {
    fn open(
        contract: &Contract,
        live: &LiveTables,
        pinned: &PinnedSession,
        (begun, last): (Before, &RecordedBuild),
    ) -> anyhow::Result<Option<Self>> {
        let table = contract.spec.name().clone();
        if !pinned.versions().contains_key(&table) {
            return Ok(None);
        }
        let has = |name: &str| contract.spec.arrow_schema().column_with_name(name).is_some();
        let (by, sql) = if has("ingest_seq") {
            let (from, to) = (begun.cut, last.ingest_seq_cut);
            let within = format!("ingest_seq > {from} and ingest_seq <= {to}");
            (By::Number, format!("select * from {table} where {within} order by ingest_seq"))
        } else {
            let (from, to) = (instant(begun.as_of), instant(last.as_of));
            let within = format!("as_of > {from} and as_of <= {to}");
            let order = if has("change_seq") { "as_of, change_seq" } else { "as_of" };
            let sql = format!("select * from {table} where {within} order by {order}");
            (By::Instant, sql)
        };
        let found = live.runtime.block_on(pinned.query(&sql));
        let found = found.with_context(|| format!("{table} cannot be read"))?;
        let Some(schema) = found.first().map(RecordBatch::schema) else { return Ok(None) };
        let rows = concat_batches(&schema, &found)?;
        let mark = match by {
            By::Number => "ingest_seq",
            By::Instant => "as_of",
        };
        let marks = rows.column_by_name(mark).with_context(|| format!("{table} has no {mark}"))?;
        let marks = cast(marks, &DataType::Int64)?;
        let marks = marks.as_primitive::<Int64Type>().values().to_vec();
        Ok(Some(Self { table, rows, marks, by, given: 0 }))
    }

    /// Puts the rows that a build saw, and no earlier one, into the live table.
    fn give(&mut self, build: &RecordedBuild, live: &mut LiveTables) -> anyhow::Result<()> {
        let at = build.as_of.timestamp_micros();
        let seen = match self.by {
            By::Number => self.marks.partition_point(|mark| *mark <= build.ingest_seq_cut),
            By::Instant => self.marks.partition_point(|mark| *mark <= at),
        };
        if seen > self.given {
            let rows = self.rows.slice(self.given, seen - self.given);
            live.deliver(&self.table, &rows)?;
            self.given = seen;
        }
        Ok(())
    }
}

/// Whether the lake's builds say which rows they saw: an older desk's do not.
pub async fn keeps_cuts(pinned: &PinnedSession) -> anyhow::Result<bool> {
    if !pinned.versions().contains_key(&TableName::new("ops", "model_runs")) {
        return Ok(false);
    }
    let runs = pinned.context().table("ops.model_runs").await?;
    Ok(runs.schema().has_column_with_unqualified_name("ingest_seq_cut"))
}

/// Every build that the lake recorded, in order; those of a desk that did not yet keep its cuts are
/// not among them.
pub async fn recorded_builds(pinned: &PinnedSession) -> anyhow::Result<Vec<RecordedBuild>> {
    let runs = TableName::new("ops", "model_runs");
    if !keeps_cuts(pinned).await? {
        return Ok(Vec::new());
    }
    let sql = format!(
        "select run_id, as_of, session_date, phase, max(ingest_seq_cut) as ingest_seq_cut
         from {runs} where mode = 'live' and ingest_seq_cut is not null
         group by run_id, as_of, session_date, phase order by as_of, ingest_seq_cut, run_id"
    );
    let found = pinned.query(&sql).await?;
    let Some(schema) = found.first().map(RecordBatch::schema) else { return Ok(Vec::new()) };
    let rows = crate::lake::Rows::of(&Arc::clone(&schema), &found)?;
    let build = |row: crate::lake::Row<'_>| {
        let phase = row.text("phase")?;
        anyhow::Ok(RecordedBuild {
            run_id: row.text("run_id")?.to_owned(),
            as_of: row.instant("as_of")?,
            session_date: row.date("session_date")?,
            phase: Phase::named(phase)
                .with_context(|| format!("{runs} has a phase `{phase}` that is none"))?,
            ingest_seq_cut: row.int("ingest_seq_cut")?,
        })
    };
    rows.iter().map(build).collect()
}
