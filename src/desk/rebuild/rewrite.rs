//! One table's rows of a session in the place of those that it has.

use std::collections::BTreeSet;

use anyhow::Context as _;
use chrono::NaiveDate;
use tokio::runtime::Handle;

use crate::lake::arrow::array::{AsArray as _, RecordBatch};
use crate::lake::arrow::compute::{cast, concat_batches};
use crate::lake::arrow::datatypes::{DataType, Date32Type};
use crate::lake::{Batch, Lake, PinnedSession, Replaced, Rows, TableSpec, conform, digest_table};
use crate::pipeline::{RecordedBuild, sorted};

use super::{Change, TableDone};

/// What says which rows of a table the builds of a session made.
pub(super) struct Mine {
    /// Numbers of bronze rows: after the first, up to the second.
    numbers: (i64, i64),
    runs: BTreeSet<String>,
}

impl Mine {
    pub(super) fn of(
        builds: &[RecordedBuild],
        before: Option<&RecordedBuild>,
        (pinned, runtime): (&PinnedSession, &Handle),
    ) -> anyhow::Result<Self> {
        let from = before.map_or(0, |build| build.ingest_seq_cut);
        let to = builds.last().map_or(from, |build| build.ingest_seq_cut);
        let mut runs: BTreeSet<String> = builds.iter().map(|build| build.run_id.clone()).collect();
        let bronze = pinned.versions().keys().filter(|table| table.schema() == "bronze");
        for table in bronze {
            let sql = format!(
                "select distinct run_id from {table} where ingest_seq > {from} and ingest_seq <= \
                 {to}"
            );
            let found = runtime.block_on(pinned.query(&sql))?;
            let Some(schema) = found.first().map(RecordBatch::schema) else { continue };
            for row in Rows::of(&schema, &found)?.iter() {
                runs.insert(row.text("run_id")?.to_owned());
            }
        }
        Ok(Self { numbers: (from, to), runs })
    }

    fn condition(&self, spec: &TableSpec) -> anyhow::Result<String> {
        let has = |name: &str| spec.arrow_schema().column_with_name(name).is_some();
        if has("ingest_seq") {
            let (from, to) = self.numbers;
            return Ok(format!("(ingest_seq > {from} and ingest_seq <= {to})"));
        }
        if !has("run_id") {
            anyhow::bail!("it has neither ingest_seq nor run_id to tell a session's rows by");
        }
        let runs: Vec<String> =
            self.runs.iter().map(|run| format!("'{}'", run.replace('\'', "''"))).collect();
        Ok(format!("(run_id in ({}))", runs.join(", ")))
    }
}

/// What is written, and as which batch.
pub(super) struct Target<'a> {
    pub(super) spec: &'a TableSpec,
    pub(super) key: &'a [String],
    pub(super) batch: &'a Batch,
}

/// Makes a table hold `rows` for the session; other rows of the same partitions stay.
pub(super) async fn rewrite(
    (lake, pinned): (&Lake, &PinnedSession),
    target: &Target<'_>,
    mine: &Mine,
    rows: Vec<RecordBatch>,
) -> anyhow::Result<TableDone> {
    let Target { spec, key, batch } = target;
    let table = spec.name();
    let condition = mine.condition(spec)?;
    let rows = rows.iter().map(|rows| conform(spec, rows)).collect::<Result<Vec<_>, _>>()?;
    let new = concat_batches(spec.arrow_schema(), &rows)?;
    let old = select(pinned, spec, &format!("where {condition}")).await?;
    let key: Vec<&str> = key.iter().map(String::as_str).collect();
    let hash = |rows: &RecordBatch| digest_table(std::slice::from_ref(rows), &key);
    let mut done = TableDone {
        table: table.clone(),
        rows_before: old.num_rows(),
        rows_after: new.num_rows(),
        change: Change::None,
    };
    if old.num_rows() == new.num_rows() && hash(&old)? == hash(&new)? {
        return Ok(done);
    }
    let (Some(first), Some(last)) =
        (session(&[&old, &new], Ord::min)?, session(&[&old, &new], Ord::max)?)
    else {
        return Ok(done);
    };
    let others =
        format!("where session_date between date '{first}' and date '{last}' and not {condition}");
    let kept = select(pinned, spec, &others).await?;
    let whole = sorted(&concat_batches(spec.arrow_schema(), [&kept, &new])?)?;
    lake.replace(spec, (batch, Replaced::Sessions(first, last)), vec![whole]).await?;
    done.change = Change::Rewritten;
    Ok(done)
}

/// Rows of the table as it stands; none where it is not there, or has not all its columns yet.
async fn select(
    pinned: &PinnedSession,
    spec: &TableSpec,
    filter: &str,
) -> anyhow::Result<RecordBatch> {
    let table = spec.name();
    let empty = RecordBatch::new_empty(spec.arrow_schema().clone());
    if !pinned.versions().contains_key(table) {
        return Ok(empty);
    }
    let found = pinned.query(&format!("select * from {table} {filter}")).await?;
    let Some(schema) = found.first().map(RecordBatch::schema) else { return Ok(empty) };
    let found = concat_batches(&schema, &found)?;
    let mut columns = Vec::with_capacity(spec.arrow_schema().fields().len());
    for field in spec.arrow_schema().fields() {
        columns.push(match found.column_by_name(field.name()) {
            Some(column) => cast(column, field.data_type())?,
            None => crate::lake::arrow::array::new_null_array(field.data_type(), found.num_rows()),
        });
    }
    Ok(RecordBatch::try_new(spec.arrow_schema().clone(), columns)?)
}

/// The first or last session of some rows.
fn session(
    rows: &[&RecordBatch],
    choose: fn(i32, i32) -> i32,
) -> anyhow::Result<Option<NaiveDate>> {
    let mut chosen: Option<i32> = None;
    for rows in rows {
        let dates = rows.column_by_name("session_date").context("it has no session_date")?;
        let dates = cast(dates, &DataType::Date32)?;
        for date in dates.as_primitive::<Date32Type>().iter().flatten() {
            chosen = Some(chosen.map_or(date, |chosen| choose(chosen, date)));
        }
    }
    Ok(chosen.and_then(Date32Type::to_naive_date_opt))
}
