//! Exactly-once appends: a data file, then one commit that carries the batch's number.
//!
//! The commit is made directly on the log instead of through delta-rs' writer, whose commits
//! re-read every active file: here the cost does not grow with the number of commits. That is sound
//! because an append reads nothing of the table, and one process writes a lake.

use std::collections::HashMap;
use std::sync::Arc;

use deltalake::arrow::array::{Array, ArrayRef, AsArray, Float64Array, RecordBatch};
use deltalake::arrow::compute::{CastOptions, cast_with_options};
use deltalake::arrow::datatypes::{DataType, Float64Type, SchemaRef};
use deltalake::kernel::transaction::CommitData;
use deltalake::kernel::{Action, Add, Transaction};
use deltalake::logstore::LogStore as _;
use deltalake::protocol::{DeltaOperation, SaveMode};
use deltalake::writer::{DeltaWriter as _, RecordBatchWriter};
use object_store::Error as StoreError;
use serde_json::{Value, json};

use super::digest::content_hash;
use super::log::{entry_path, key, put_entry, read_entry};
use super::store::{Durability, TableSlot, Writing};
use super::{Committed, Lake, LakeError, TableName, TableSpec};
use crate::market::Timestamp;

/// The identity of one write.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Counts the table's batches; gaps are allowed, going back is not.
    pub number: i64,
    /// The desk's instant as of which the rows stand.
    pub as_of: Timestamp,
    pub run_id: String,
    /// Versions and cuts that the rows were made from; `Null` for what came from outside.
    pub source_versions: Value,
}

/// Whether rows were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Written,
    /// The table holds this batch with the same content; nothing was done.
    AlreadyThere,
    /// There were no rows; nothing was done.
    Empty,
}

/// What an append did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// The version that holds the batch; `None` where it is empty.
    pub version: Option<u64>,
    pub outcome: Outcome,
}

pub(super) struct Writer {
    schema: SchemaRef,
    parquet: RecordBatchWriter,
}

/// Application id of a table's batches in Delta's transactions.
pub(super) fn app_id(table: &TableName) -> String {
    format!("deltadesk/{table}")
}

impl Lake {
    /// Writes a batch once. The table is made at its first batch. Rows are matched to the table's
    /// columns by name and brought to their kinds; NaN becomes NULL. A batch that the table already
    /// holds is skipped, one that it holds with other content is an error, and so is one that comes
    /// behind a later one.
    pub async fn append(
        &self,
        spec: &TableSpec,
        batch: &Batch,
        rows: Vec<RecordBatch>,
    ) -> Result<Appended, LakeError> {
        let rows: Vec<RecordBatch> = rows
            .iter()
            .filter(|rows| rows.num_rows() > 0)
            .map(|rows| conform(spec, rows))
            .collect::<Result<_, _>>()?;
        let hash = content_hash(&rows)?;
        let slot = self.inner.slot(spec.name())?;
        let mut writing = slot.writing.lock().await;
        if let Some(version) = already_there(&slot, &mut writing, batch, &hash).await? {
            return Ok(Appended { version: Some(version), outcome: Outcome::AlreadyThere });
        }
        if rows.is_empty() {
            return Ok(Appended { version: None, outcome: Outcome::Empty });
        }
        self.ensure_columns(&slot, &mut writing, spec).await?;
        let adds = write_files(&slot, &mut writing, spec, rows).await?;
        let files = adds.iter().map(|add| add.path.clone()).collect();
        self.make_durable(&slot, files).await?;
        let commit = commit_of(spec, batch, &hash, adds);
        let version = put_commit(&slot, &mut writing, &commit).await?;
        self.make_durable(&slot, vec![entry_path(version).to_string()]).await?;
        let committed = Committed {
            version,
            batch: batch.number,
            as_of: batch.as_of,
            run_id: batch.run_id.clone(),
            content_hash: hash,
            sources: batch.source_versions.clone(),
        };
        slot.ledger(&mut writing).await?.record(committed);
        Ok(Appended { version: Some(version), outcome: Outcome::Written })
    }

    /// Files of a table, by path from its root, brought to the disk where the lake asks for it.
    pub(super) async fn make_durable(
        &self,
        slot: &TableSlot,
        files: Vec<String>,
    ) -> Result<(), LakeError> {
        let Some(folder) = &slot.folder else { return Ok(()) };
        match self.inner.options.durability {
            Durability::Fsync => {
                self.sync_files(files.iter().map(|file| folder.join(file)).collect()).await
            }
            Durability::Buffered => Ok(()),
        }
    }
}

/// The version that holds the batch, where it is there with the same content.
pub(super) async fn already_there(
    slot: &TableSlot,
    writing: &mut Writing,
    batch: &Batch,
    hash: &str,
) -> Result<Option<u64>, LakeError> {
    let ledger = slot.ledger(writing).await?;
    let table = slot.name.clone();
    let number = batch.number;
    match (ledger.batch(number), ledger.last_batch()) {
        (Some(held), _) if held.content_hash == hash => Ok(Some(held.version)),
        (Some(held), _) => Err(LakeError::ContentDiffers {
            table,
            batch: number,
            stored: held.content_hash.clone(),
            offered: hash.to_owned(),
        }),
        (None, Some(latest)) if latest > number => {
            Err(LakeError::BatchOutOfOrder { table, batch: number, latest })
        }
        (None, _) => Ok(None),
    }
}

/// Brings rows to the table's columns: by name, in the stored kinds, NaN as NULL.
pub fn conform(spec: &TableSpec, rows: &RecordBatch) -> Result<RecordBatch, LakeError> {
    let misfit =
        |problem: String| LakeError::SchemaMismatch { table: spec.name().clone(), problem };
    let schema = spec.arrow_schema();
    for field in rows.schema_ref().fields() {
        if schema.column_with_name(field.name()).is_none() {
            return Err(misfit(format!("there is no column `{}`", field.name())));
        }
    }
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let mut columns = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let given = rows
            .column_by_name(field.name())
            .ok_or_else(|| misfit(format!("column `{}` is missing", field.name())))?;
        let column = if given.data_type() == field.data_type() {
            Arc::clone(given)
        } else {
            cast_with_options(given, field.data_type(), &options)
                .map_err(|error| misfit(format!("column `{}`: {error}", field.name())))?
        };
        if !field.is_nullable() && column.null_count() > 0 {
            let first = (0..column.len()).find(|row| column.is_null(*row)).unwrap_or(0);
            return Err(misfit(format!(
                "column `{}` must not be NULL, and is in row {first}",
                field.name()
            )));
        }
        columns.push(without_nan(column));
    }
    RecordBatch::try_new(Arc::clone(schema), columns).map_err(|error| misfit(error.to_string()))
}

/// NaN as NULL in a column of doubles.
fn without_nan(column: ArrayRef) -> ArrayRef {
    if *column.data_type() != DataType::Float64 {
        return column;
    }
    match column.as_primitive_opt::<Float64Type>() {
        Some(numbers) if numbers.iter().flatten().any(f64::is_nan) => {
            let cleaned: Float64Array =
                numbers.iter().map(|number| number.filter(|value| !value.is_nan())).collect();
            Arc::new(cleaned)
        }
        Some(_) | None => column,
    }
}

/// A writer that failed is not used again: what it holds is unknown.
async fn write_files(
    slot: &TableSlot,
    writing: &mut Writing,
    spec: &TableSpec,
    rows: Vec<RecordBatch>,
) -> Result<Vec<Add>, LakeError> {
    let fault = |source| LakeError::delta(&slot.name, source);
    let kept = writing.writer.take().filter(|writer| writer.schema == *spec.arrow_schema());
    let mut writer = if let Some(writer) = kept {
        writer
    } else {
        let partition = spec.partition_column().map(|column| vec![column.to_owned()]);
        let parquet = RecordBatchWriter::try_new(
            slot.log_store.root_url().as_str(),
            Arc::clone(spec.arrow_schema()),
            partition,
            Some(slot.storage.clone()),
        )
        .map_err(fault)?;
        Writer { schema: Arc::clone(spec.arrow_schema()), parquet }
    };
    for batch in rows {
        writer.parquet.write(batch).await.map_err(fault)?;
    }
    let adds = writer.parquet.flush().await.map_err(fault)?;
    writing.writer = Some(writer);
    Ok(adds)
}

/// What a commit says of its batch.
pub(super) fn metadata_of(batch: &Batch, hash: &str) -> HashMap<String, Value> {
    [
        (key::BATCH, json!(batch.number)),
        (key::AS_OF, json!(batch.as_of.timestamp_micros())),
        (key::RUN_ID, json!(batch.run_id)),
        (key::CONTENT_HASH, json!(hash)),
        (key::SOURCES, batch.source_versions.clone()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

fn commit_of(spec: &TableSpec, batch: &Batch, hash: &str, adds: Vec<Add>) -> CommitData {
    let mut metadata = metadata_of(batch, hash);
    metadata.insert("isBlindAppend".to_owned(), json!(true));
    let operation = DeltaOperation::Write {
        mode: SaveMode::Append,
        partition_by: spec.partition_column().map(|column| vec![column.to_owned()]),
        predicate: None,
    };
    CommitData::new(
        adds.into_iter().map(Action::Add).collect(),
        operation,
        metadata,
        vec![Transaction::new(app_id(spec.name()), batch.number)],
    )
}

/// Puts the commit behind the newest version. An entry that somebody else has put there is looked
/// at: what leaves columns and our batches alone (a compaction) is passed, anything else refused.
pub(super) async fn put_commit(
    slot: &TableSlot,
    writing: &mut Writing,
    commit: &CommitData,
) -> Result<u64, LakeError> {
    let bytes = commit.get_bytes().map_err(|error| LakeError::delta(&slot.name, error.into()))?;
    loop {
        let ledger = slot.ledger(writing).await?;
        let version = ledger.latest() + 1;
        slot.confirm_lease().await?;
        match put_entry(slot, version, bytes.to_vec()).await {
            Ok(()) => return Ok(version),
            Err(StoreError::AlreadyExists { .. }) => {
                let foreign = read_entry(slot, version).await?;
                let suspicious = ["{\"metaData\"", "{\"protocol\"", "\"deltadesk/"]
                    .into_iter()
                    .find(|mark| foreign.contains(mark));
                if let Some(mark) = suspicious {
                    let problem = format!("it contains {mark}");
                    let table = slot.name.clone();
                    return Err(LakeError::ForeignCommit { table, version, problem });
                }
                ledger.set_latest(version);
            }
            Err(source) => return Err(LakeError::delta(&slot.name, source.into())),
        }
    }
}
