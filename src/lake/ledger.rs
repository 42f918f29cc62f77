//! What a table's log says of our batches: which number went into which version, as of when, with
//! what content. Read when a table is first used, then kept current by the writer.
//!
//! Beside the log lies a copy of what was read of it, renewed with each checkpoint, so that opening
//! a table reads only the entries behind it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::LakeError;
use super::log::{Entry, log_versions, read_copy, read_entry};
use super::store::TableSlot;
use crate::market::Timestamp;

/// One batch in a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Committed {
    pub version: u64,
    pub batch: i64,
    pub as_of: Timestamp,
    pub run_id: String,
    /// SHA-256, hex, over the canonical text of the rows.
    pub content_hash: String,
    /// Versions and cuts that the batch was made from, as written.
    pub sources: serde_json::Value,
}

#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub(super) struct Ledger {
    /// Newest version; `None` before the table is created.
    latest: Option<u64>,
    /// Version of the last checkpoint of ours.
    checkpointed: u64,
    /// The table's metadata action, as last written.
    metadata: Option<serde_json::Value>,
    /// By batch number.
    #[serde(with = "as_list")]
    batches: BTreeMap<i64, Committed>,
}

impl Ledger {
    pub(super) async fn read(slot: &TableSlot) -> Result<Self, LakeError> {
        let versions = log_versions(slot).await?;
        let Some(last) = versions.last().copied() else {
            return if slot.is_bare().await? {
                Ok(Self::default())
            } else {
                Err(slot.without_log())
            };
        };
        let copy = read_copy(slot).await?.filter(|copy| copy.latest <= Some(last));
        let mut ledger = copy.unwrap_or_default();
        let known = ledger.latest;
        for version in versions.into_iter().filter(|version| Some(*version) > known) {
            let text = read_entry(slot, version).await?;
            ledger.take(Entry::parse(slot, version, &text)?);
        }
        ledger.latest = Some(last);
        Ok(ledger)
    }

    fn take(&mut self, entry: Entry) {
        if let Some(restored) = entry.restored_to {
            self.batches.retain(|_, committed| committed.version <= restored);
        }
        if let Some(metadata) = entry.metadata {
            self.metadata = Some(metadata);
        }
        if let Some(committed) = entry.committed {
            self.batches.insert(committed.batch, committed);
        }
    }

    pub(super) fn is_created(&self) -> bool {
        self.latest.is_some()
    }

    /// Newest version; 0 where the table has just been created.
    pub(super) fn latest(&self) -> u64 {
        self.latest.unwrap_or(0)
    }

    pub(super) fn set_latest(&mut self, version: u64) {
        self.latest = Some(version);
    }

    /// A checkpoint was written at the newest version.
    pub(super) fn set_checkpointed(&mut self) {
        self.checkpointed = self.latest();
    }

    /// Commits behind the last checkpoint.
    pub(super) fn since_checkpoint(&self) -> u64 {
        self.latest().saturating_sub(self.checkpointed)
    }

    pub(super) fn metadata(&self) -> Option<&serde_json::Value> {
        self.metadata.as_ref()
    }

    pub(super) fn set_metadata(&mut self, metadata: serde_json::Value) {
        self.metadata = Some(metadata);
    }

    pub(super) fn record(&mut self, committed: Committed) {
        self.latest = Some(committed.version);
        self.batches.insert(committed.batch, committed);
    }

    pub(super) fn batch(&self, number: i64) -> Option<&Committed> {
        self.batches.get(&number)
    }

    /// The highest batch number.
    pub(super) fn last_batch(&self) -> Option<i64> {
        self.batches.keys().next_back().copied()
    }

    /// In order of batch number, which is the order of versions.
    pub(super) fn commits(&self) -> impl Iterator<Item = &Committed> {
        self.batches.values()
    }

    /// The last batch up to `as_of`, with the maintenance right behind it; version 0 (no rows)
    /// before the first.
    pub(super) fn version_as_of(&self, as_of: Timestamp) -> Option<u64> {
        let last = self.batches.values().rfind(|committed| committed.as_of <= as_of);
        let Some(last) = last else { return self.latest.map(|_| 0) };
        let following = self.batches.range(last.batch + 1..).next().map(|(_, next)| next.version);
        Some(following.map_or(self.latest(), |next| next - 1))
    }
}

/// A map of batches as a list: JSON keys are text.
mod as_list {
    use std::collections::BTreeMap;

    use serde::{Deserialize as _, Deserializer, Serializer};

    use super::Committed;

    pub fn serialize<S: Serializer>(
        batches: &BTreeMap<i64, Committed>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(batches.values())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<BTreeMap<i64, Committed>, D::Error> {
        let list = Vec::<Committed>::deserialize(from)?;
        Ok(list.into_iter().map(|committed| (committed.batch, committed)).collect())
    }
}
