//! Verification of a lake: logs, files, statistics, encodings, keys.
//!
//! Reads everything and changes nothing. What would make an answer wrong is a fault; what only
//! takes room is a note.

use std::collections::{BTreeMap, BTreeSet};

use deltalake::arrow::array::AsArray as _;
use deltalake::arrow::datatypes::Int64Type;
use deltalake::logstore::LogStore as _;
use deltalake::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use deltalake::{DeltaTable, Path as ObjectPath};
use futures::TryStreamExt as _;

use super::log::{Entry, log_versions, read_entry};
use super::store::TableSlot;
use super::{Lake, LakeError, SessionContext, TableName};

/// What is wrong with a table, in words that name the file and the next step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableFault {
    pub table: TableName,
    pub problem: String,
}

/// What a verification looked at and found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verified {
    pub tables: u64,
    pub files: u64,
    pub rows: u64,
    /// Something is lost, torn, doubled or not as the log says.
    pub faults: Vec<TableFault>,
    /// Files that no commit names: they take room, and no reader sees them.
    pub notes: Vec<TableFault>,
}

pub(super) const RESTORE: &str =
    "Restore the file from a backup, or set the table back to a version before it";

impl Lake {
    /// Looks at everything: log entries are contiguous and whole; each data file is there, as long
    /// as the log says, with as many rows as it says; every row can be decoded; keys are unique
    /// (`keys`: the columns of a table's key; a table that is not named there has none).
    pub async fn verify(
        &self,
        keys: &BTreeMap<TableName, Vec<String>>,
    ) -> Result<Verified, LakeError> {
        let mut verified = Verified::default();
        let session = self.session_at(None).await?;
        for table in self.tables() {
            verified.tables += 1;
            let key = keys.get(&table).map_or(&[][..], Vec::as_slice);
            let slot = self.inner.existing(&table)?;
            let mut found = Found::default();
            if let Err(problem) = slot.look(&mut found).await {
                found.faults.push(problem.to_string());
            } else if found.faults.is_empty()
                && let Err(problem) = read_through(&session, &table, key, &mut found).await
            {
                found.faults.push(format!("its rows cannot be read: {problem}. {RESTORE}"));
            }
            verified.files += found.files;
            verified.rows += found.rows;
            let told = |problem: String| TableFault { table: table.clone(), problem };
            verified.faults.extend(found.faults.into_iter().map(told));
            verified.notes.extend(found.notes.into_iter().map(told));
        }
        Ok(verified)
    }
}

/// What was found in one table.
#[derive(Default)]
struct Found {
    files: u64,
    /// As the log states them.
    rows: u64,
    faults: Vec<String>,
    notes: Vec<String>,
}

impl TableSlot {
    async fn look(&self, found: &mut Found) -> Result<(), LakeError> {
        let versions = log_versions(self).await?;
        for (before, after) in versions.iter().zip(versions.iter().skip(1)) {
            if *after != before + 1 {
                found.faults.push(format!(
                    "the log goes from {before:020}.json to {after:020}.json. Restore the entries \
                     between from a backup"
                ));
            }
        }
        let mut named = BTreeSet::new();
        for version in &versions {
            let text = read_entry(self, *version).await?;
            Entry::parse(self, *version, &text)?;
            named.extend(files_named(&text));
        }
        let Some(newest) = versions.last() else { return Err(self.without_log()) };
        let opened = self.moved_to(DeltaTable::new(self.log_store.clone()), *newest).await?;
        let state = opened.snapshot().map_err(|source| LakeError::delta(&self.name, source))?;
        for file in state.log_data().iter() {
            let (path, at) = (file.path().into_owned(), file.object_store_path());
            named.insert(at.to_string());
            found.files += 1;
            match (self.rows_in(&at, file.size()).await, file.num_records()) {
                (Ok(rows), Some(stated)) if rows == stated as u64 => found.rows += rows,
                (Ok(rows), stated) => {
                    let stated = stated.map_or_else(|| "no number".into(), |n| n.to_string());
                    found.faults.push(format!(
                        "{}/{path} has {rows} rows, and the log states {stated}. {RESTORE}",
                        self.place
                    ));
                }
                (Err(problem), _) => {
                    found.faults.push(format!("{}/{path}: {problem}. {RESTORE}", self.place));
                }
            }
        }
        self.without_commit(&named, found).await
    }

    /// Rows of a data file by its own footer, where the file is as long as it should be.
    async fn rows_in(&self, path: &ObjectPath, size: i64) -> Result<u64, String> {
        let bytes = self.whole_file(path, size).await?;
        let footer = ParquetRecordBatchReaderBuilder::try_new(bytes);
        let rows = footer.map_err(|error| error.to_string())?.metadata().file_metadata().num_rows();
        Ok(rows as u64)
    }

    /// Notes the data files that no log entry names.
    async fn without_commit(
        &self,
        named: &BTreeSet<String>,
        found: &mut Found,
    ) -> Result<(), LakeError> {
        let store = self.log_store.object_store(None);
        let fault = |source: object_store::Error| LakeError::delta(&self.name, source.into());
        let mut objects = store.list(None);
        let (mut count, mut bytes, mut first) = (0_u64, 0_u64, None);
        while let Some(object) = objects.try_next().await.map_err(fault)? {
            let path = object.location.to_string();
            let is_hidden = path.split('/').any(|part| part.starts_with('_'));
            if !is_hidden && !named.contains(&path) {
                count += 1;
                bytes += object.size;
                first.get_or_insert(path);
            }
        }
        if let Some(first) = first {
            found.notes.push(format!(
                "{count} files ({bytes} bytes) that no commit names, the first is {first}: left by \
                 writes that were cut off, or removed long ago. `deltadesk lake vacuum` deletes \
                 them"
            ));
        }
        Ok(())
    }
}

/// Paths of the files that a log entry adds or removes, as the object store writes them.
fn files_named(entry: &str) -> Vec<String> {
    let path = |line: &str| -> Option<String> {
        let action: serde_json::Value = serde_json::from_str(line).ok()?;
        let file = action.get("add").or_else(|| action.get("remove"))?;
        let decoded = ObjectPath::from_url_path(file.get("path")?.as_str()?).ok()?;
        Some(decoded.to_string())
    };
    entry.lines().filter_map(path).collect()
}

/// Decodes every value of a table and keeps none; counts its rows and its keys.
async fn read_through(
    session: &SessionContext,
    table: &TableName,
    key: &[String],
    found: &mut Found,
) -> Result<(), LakeError> {
    let frame = session.sql(&format!("select * from {table}")).await?;
    let mut rows = frame.execute_stream().await?;
    let mut read = 0;
    while let Some(batch) = rows.try_next().await? {
        read += batch.num_rows() as u64;
    }
    if read != found.rows {
        found.faults.push(format!("{read} rows can be read, and the log states {}", found.rows));
    }
    if key.is_empty() {
        return Ok(());
    }
    let columns = key.join(", ");
    let sql = format!(
        "select count(*) as twice from (select {columns} from {table} group by {columns} \
         having count(*) > 1)"
    );
    let counted = session.sql(&sql).await?.collect().await?;
    let twice =
        counted.first().map_or(0, |rows| rows.column(0).as_primitive::<Int64Type>().value(0));
    if twice > 0 {
        found.faults.push(format!(
            "{twice} keys ({columns}) stand more than once. Look at them: select {columns} from \
             {table} group by {columns} having count(*) > 1"
        ));
    }
    Ok(())
}
