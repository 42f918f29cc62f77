//! What a table's log says of our batches: which number went into which version, as of when, with
//! what content. Read once when a table is first used, then kept current by the writer.

use std::collections::BTreeMap;

use chrono::DateTime;
use deltalake::Path as ObjectPath;
use deltalake::logstore::LogStore as _;
use futures::TryStreamExt as _;
use object_store::ObjectStoreExt as _;
use serde::Deserialize;

use super::LakeError;
use super::store::TableSlot;
use crate::market::Timestamp;

/// Keys of our metadata in a commit's `commitInfo`.
pub(super) mod key {
    pub const BATCH: &str = "deltadesk_batch";
    /// Microseconds since the epoch, UTC.
    pub const AS_OF: &str = "deltadesk_as_of";
    pub const RUN_ID: &str = "deltadesk_run_id";
    pub const CONTENT_HASH: &str = "deltadesk_content_hash";
    pub const SOURCES: &str = "deltadesk_sources";
}

/// One batch in a table.
#[derive(Debug, Clone, PartialEq, Eq)]
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

#[derive(Debug)]
pub(super) struct Ledger {
    /// Newest version; `None` before the table is created.
    latest: Option<u64>,
    /// The oldest version whose log entry is still there.
    oldest: u64,
    /// By batch number.
    batches: BTreeMap<i64, Committed>,
}

#[derive(Deserialize)]
struct InfoLine {
    #[serde(rename = "commitInfo")]
    commit_info: Option<OurInfo>,
}

#[derive(Deserialize)]
struct OurInfo {
    #[serde(rename = "deltadesk_batch")]
    batch: Option<i64>,
    #[serde(rename = "deltadesk_as_of")]
    as_of: Option<i64>,
    #[serde(rename = "deltadesk_run_id")]
    run_id: Option<String>,
    #[serde(rename = "deltadesk_content_hash")]
    content_hash: Option<String>,
    #[serde(rename = "deltadesk_sources")]
    sources: Option<serde_json::Value>,
}

impl Ledger {
    pub(super) async fn read(slot: &TableSlot) -> Result<Self, LakeError> {
        let mut versions = log_versions(slot).await?;
        versions.sort_unstable();
        let mut ledger = Self { latest: None, oldest: 0, batches: BTreeMap::new() };
        let (Some(first), Some(last)) = (versions.first().copied(), versions.last().copied())
        else {
            return if slot.is_bare()? { Ok(ledger) } else { Err(slot.without_log()) };
        };
        ledger.oldest = first;
        for version in versions {
            let text = read_entry(slot, version).await?;
            if let Some(committed) = parse_entry(slot, version, &text, last)? {
                ledger.batches.insert(committed.batch, committed);
            }
        }
        ledger.latest = Some(last);
        Ok(ledger)
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

    /// In order of version.
    pub(super) fn commits(&self) -> impl Iterator<Item = &Committed> {
        self.batches.values()
    }

    /// The last batch up to `as_of`, with the compactions right behind it; version 0 (no rows)
    /// before the first.
    pub(super) fn version_as_of(&self, as_of: Timestamp) -> Option<u64> {
        let mut found = None;
        for committed in self.batches.values() {
            if committed.as_of <= as_of {
                found = Some(committed);
            }
        }
        let Some(last) = found else {
            return (self.oldest == 0 && self.is_created()).then_some(0);
        };
        let following = self.batches.range(last.batch + 1..).next().map(|(_, next)| next.version);
        Some(following.map_or(self.latest(), |next| next - 1))
    }
}

impl TableSlot {
    /// Whether nothing at all lies in the table's folder.
    fn is_bare(&self) -> Result<bool, LakeError> {
        let Some(folder) = &self.folder else { return Ok(true) };
        let io = |source| LakeError::Io { path: folder.clone(), source };
        Ok(std::fs::read_dir(folder).map_err(io)?.next().is_none())
    }

    fn without_log(&self) -> LakeError {
        self.broken(
            "there are files but no commit in its _delta_log".to_owned(),
            "Restore the folder from a backup, or move it away; the table is then made anew",
        )
    }
}

/// Versions with a log entry, unsorted. A folder that is not there has none.
async fn log_versions(slot: &TableSlot) -> Result<Vec<u64>, LakeError> {
    let store = slot.log_store.object_store(None);
    let log = ObjectPath::from("_delta_log");
    let entries: Vec<_> = store
        .list(Some(&log))
        .try_collect()
        .await
        .map_err(|source| LakeError::delta(&slot.name, source.into()))?;
    Ok(entries
        .iter()
        .filter_map(|entry| entry.location.filename()?.strip_suffix(".json"))
        .filter(|digits| digits.len() == 20)
        .filter_map(|digits| digits.parse().ok())
        .collect())
}

/// Where the log entry of a version lies, from the table's root.
pub(super) fn entry_path(version: u64) -> ObjectPath {
    ObjectPath::from(format!("_delta_log/{version:020}.json"))
}

pub(super) async fn read_entry(slot: &TableSlot, version: u64) -> Result<String, LakeError> {
    let store = slot.log_store.object_store(None);
    let read = async { store.get(&entry_path(version)).await?.bytes().await };
    let bytes = read.await.map_err(|source| LakeError::delta(&slot.name, source.into()))?;
    String::from_utf8(bytes.to_vec()).map_err(|_| slot.torn(version, "it is no text"))
}

impl TableSlot {
    pub(super) fn torn(&self, version: u64, problem: &str) -> LakeError {
        self.broken(
            format!("log entry {version:020}.json cannot be read: {problem}"),
            "If it is the newest entry, a power loss cut it off: delete it, and its rows are \
             written again by the next run; otherwise restore the folder from a backup",
        )
    }
}

/// Our batch in a log entry, where it is one of ours. Every line must be whole.
fn parse_entry(
    slot: &TableSlot,
    version: u64,
    text: &str,
    last: u64,
) -> Result<Option<Committed>, LakeError> {
    let mut found = None;
    let mut lines = 0;
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        lines += 1;
        let whole = line.trim_end().ends_with('}');
        let info: Option<InfoLine> = if line.starts_with("{\"commitInfo\"") {
            Some(serde_json::from_str(line).map_err(|e| slot.torn(version, &e.to_string()))?)
        } else if version == last || !whole {
            serde_json::from_str::<serde::de::IgnoredAny>(line)
                .map_err(|error| slot.torn(version, &error.to_string()))?;
            None
        } else {
            None
        };
        if let Some(info) = info.and_then(|line| line.commit_info) {
            found = info.committed(version);
        }
    }
    if lines == 0 {
        return Err(slot.torn(version, "it is empty"));
    }
    Ok(found)
}

impl OurInfo {
    fn committed(self, version: u64) -> Option<Committed> {
        Some(Committed {
            version,
            batch: self.batch?,
            as_of: DateTime::from_timestamp_micros(self.as_of?)?,
            run_id: self.run_id?,
            content_hash: self.content_hash?,
            sources: self.sources.unwrap_or(serde_json::Value::Null),
        })
    }
}
