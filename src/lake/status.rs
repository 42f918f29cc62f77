//! What a table's newest version consists of, told from its log alone.

use std::collections::BTreeMap;

use super::store::TableSlot;
use super::{Lake, LakeError, TableName};
use crate::market::Timestamp;

/// What a table's newest version consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableHealth {
    pub table: TableName,
    pub version: u64,
    pub rows: u64,
    pub files: u64,
    /// Files that compaction would join: two or more small ones of one session.
    pub joinable: u64,
    pub bytes: u64,
    /// Sessions with rows; 1 where the table is not partitioned.
    pub partitions: u64,
    /// The desk's own instant of the newest batch.
    pub last_as_of: Option<Timestamp>,
    /// Commits behind the last checkpoint of ours.
    pub since_checkpoint: u64,
}

/// A file below this is worth joining with its neighbours of the session: an eighth of the 100 MiB
/// from which Delta's own tools leave files alone.
const SMALL_BYTES: u64 = 100 * 1024 * 1024 / 8;

pub(super) fn is_small(bytes: u64) -> bool {
    bytes < SMALL_BYTES
}

impl Lake {
    /// Rows, files, sizes and freshness of a table's newest version.
    pub async fn health(&self, table: &TableName) -> Result<TableHealth, LakeError> {
        let slot = self.inner.existing(table)?;
        let mut writing = slot.writing.lock().await;
        let opened = slot.open_newest(&mut writing).await?;
        let state = opened.snapshot().map_err(|source| LakeError::delta(table, source))?;
        let ledger = slot.ledger(&mut writing).await?;
        let mut health = TableHealth {
            table: table.clone(),
            version: state.version(),
            rows: 0,
            files: 0,
            joinable: 0,
            bytes: 0,
            partitions: 0,
            last_as_of: ledger.commits().last().map(|committed| committed.as_of),
            since_checkpoint: ledger.since_checkpoint(),
        };
        let mut small: BTreeMap<String, u64> = BTreeMap::new();
        for file in state.log_data().iter() {
            let (path, size) = (file.path().into_owned(), file.size() as u64);
            health.files += 1;
            health.bytes += size;
            health.rows += file.num_records().ok_or_else(|| stated(&slot, &path))? as u64;
            let folder =
                path.rsplit_once('/').map_or_else(String::new, |(folder, _)| folder.into());
            *small.entry(folder).or_default() += u64::from(is_small(size));
        }
        health.partitions = small.len() as u64;
        health.joinable = small.values().filter(|count| **count > 1).sum();
        Ok(health)
    }
}

fn stated(slot: &TableSlot, path: &str) -> LakeError {
    slot.broken(format!("{path} states no number of rows"), super::verify::RESTORE)
}
