//! Newest log entries that a power loss cut off, set aside.
//!
//! An append is acknowledged when its entry is on the disk, whole. An entry that is not whole was
//! therefore never acknowledged, and whoever offered its batch offers it again. The data files of
//! such a commit stay behind without one, until a vacuum.

use std::fmt;

use deltalake::Path as ObjectPath;
use deltalake::logstore::LogStore as _;
use object_store::ObjectStoreExt as _;

use super::log::{Entry, entry_path, log_versions, read_entry};
use super::store::TableSlot;
use super::{Lake, LakeError, Lease, TableName};

/// An entry that was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornEntry {
    pub table: TableName,
    pub version: u64,
    /// Where its text lies now, from the table's folder.
    pub kept_as: String,
}

impl fmt::Display for TornEntry {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{}: commit {} was cut off before it was acknowledged; its text is kept as {}",
            self.table, self.version, self.kept_as
        )
    }
}

impl Lake {
    /// Sets aside the newest entry of each table where it is empty or cut off, so that the table
    /// stands at the version before it. Any other broken entry is left, and is an error when the
    /// table is used. The lease says that nobody else writes.
    pub async fn set_torn_aside(&self, _held: &Lease) -> Result<Vec<TornEntry>, LakeError> {
        let mut aside = Vec::new();
        for table in self.tables() {
            let slot = self.inner.existing(&table)?;
            let mut writing = slot.writing.lock().await;
            if let Some(torn) = slot.newest_torn().await? {
                writing.ledger = None;
                aside.push(torn);
            }
        }
        Ok(aside)
    }
}

impl TableSlot {
    async fn newest_torn(&self) -> Result<Option<TornEntry>, LakeError> {
        let versions = log_versions(self).await?;
        // Without an entry before it there is no table to go back to.
        let Some(version) = versions.last().copied().filter(|_| versions.len() > 1) else {
            return Ok(None);
        };
        let is_whole = match read_entry(self, version).await {
            Ok(text) => Entry::parse(self, version, &text).is_ok(),
            Err(LakeError::BrokenTable { .. }) => false,
            Err(other) => return Err(other),
        };
        if is_whole {
            return Ok(None);
        }
        let kept_as = format!("_torn_{version:020}.json");
        let store = self.log_store.object_store(None);
        store
            .rename(&entry_path(version), &ObjectPath::from(kept_as.as_str()))
            .await
            .map_err(|source| LakeError::delta(&self.name, source.into()))?;
        Ok(Some(TornEntry { table: self.name.clone(), version, kept_as }))
    }
}
