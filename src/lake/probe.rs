//! Proof that a table can be read: its newest data files, looked into one by one.

use deltalake::logstore::LogStore as _;
use deltalake::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use deltalake::parquet::file::reader::ChunkReader;
use deltalake::{DeltaTable, Path as ObjectPath};
use object_store::ObjectStoreExt as _;

use super::store::TableSlot;
use super::{Lake, LakeError, TableName};

/// What looking into a table found.
#[derive(Debug)]
pub struct Probed {
    pub version: u64,
    /// Data files of that version.
    pub files: usize,
    /// How many of them were looked into.
    pub read: usize,
    /// What is wrong, a fault a file.
    pub faults: Vec<LakeError>,
}

const REMEDY: &str = "Restore that file from a backup, or move the table's folder away; a run in \
                      virtual time then writes it anew";

impl Lake {
    /// Opens the newest version of a table and reads one row of each of its newest data files, at
    /// most `files_max` of them. A file that is gone, is not as long as the log says, or is no
    /// parquet is a fault that names it; a table that cannot be opened is an error.
    pub async fn probe(&self, table: &TableName, files_max: usize) -> Result<Probed, LakeError> {
        let slot = self.inner.existing(table)?;
        let version = self.latest_version(table).await?;
        let opened = slot.moved_to(DeltaTable::new(slot.log_store.clone()), version).await?;
        let state = opened.snapshot().map_err(|source| LakeError::delta(table, source))?;
        let mut files: Vec<(i64, String, ObjectPath, i64)> = state
            .log_data()
            .iter()
            .map(|file| {
                let path = file.object_store_path();
                (file.modification_time(), file.path().into_owned(), path, file.size())
            })
            .collect();
        files.sort_unstable_by(|a, b| (b.0, &b.1).cmp(&(a.0, &a.1)));
        let mut probed = Probed { version, files: files.len(), read: 0, faults: Vec::new() };
        for (_, name, path, size) in files.iter().take(files_max) {
            probed.read += 1;
            if let Err(problem) = slot.first_row(path, *size).await {
                probed.faults.push(slot.broken(format!("data file {name}: {problem}"), REMEDY));
            }
        }
        Ok(probed)
    }
}

impl TableSlot {
    async fn first_row(&self, path: &ObjectPath, size: i64) -> Result<(), String> {
        let reader = ParquetRecordBatchReaderBuilder::try_new(self.whole_file(path, size).await?)
            .and_then(|builder| builder.with_batch_size(1).with_limit(1).build());
        let first = reader.map_err(|error| error.to_string())?.next();
        first.transpose().map(|_| ()).map_err(|error| error.to_string())
    }

    /// A data file's bytes, where there are as many as the log says.
    pub(super) async fn whole_file(
        &self,
        path: &ObjectPath,
        size: i64,
    ) -> Result<impl ChunkReader + 'static, String> {
        let store = self.log_store.object_store(None);
        let bytes = match store.get(path).await {
            Ok(found) => found.bytes().await.map_err(|error| error.to_string())?,
            Err(object_store::Error::NotFound { .. }) => return Err("it is not there".to_owned()),
            Err(error) => return Err(error.to_string()),
        };
        if bytes.len() as i64 != size {
            return Err(format!("it has {} bytes instead of {size}", bytes.len()));
        }
        Ok(bytes)
    }
}
