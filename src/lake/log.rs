//! Entries of a table's log, as text: what of them concerns our batches.

use chrono::DateTime;
use deltalake::Path as ObjectPath;
use deltalake::logstore::LogStore as _;
use futures::TryStreamExt as _;
use object_store::{Error as StoreError, ObjectStoreExt as _, PutMode, PutOptions};
use serde::Deserialize;

use super::ledger::Ledger;
use super::store::TableSlot;
use super::{Committed, LakeError};

/// Keys of our metadata in a commit's `commitInfo`.
pub(super) mod key {
    pub const BATCH: &str = "deltadesk_batch";
    /// Microseconds since the epoch, UTC.
    pub const AS_OF: &str = "deltadesk_as_of";
    pub const RUN_ID: &str = "deltadesk_run_id";
    pub const CONTENT_HASH: &str = "deltadesk_content_hash";
    pub const SOURCES: &str = "deltadesk_sources";
}

/// Where the copy of the ledger lies; Delta readers pass over names that begin with `_`.
const COPY: &str = "_deltadesk_batches.json";

/// What a log entry tells the ledger.
pub(super) struct Entry {
    pub(super) committed: Option<Committed>,
    pub(super) metadata: Option<serde_json::Value>,
    /// The version to which the table was set back.
    pub(super) restored_to: Option<u64>,
}

#[derive(Deserialize)]
struct InfoLine {
    #[serde(rename = "commitInfo")]
    info: Info,
}

#[derive(Deserialize)]
struct MetadataLine {
    #[serde(rename = "metaData")]
    metadata: serde_json::Value,
}

#[derive(Deserialize)]
struct Info {
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
    operation: Option<String>,
    #[serde(rename = "operationParameters")]
    parameters: Option<serde_json::Value>,
}

impl Entry {
    /// Every line of an entry must be whole: a power loss may have cut it off.
    pub(super) fn parse(slot: &TableSlot, version: u64, text: &str) -> Result<Self, LakeError> {
        let torn = |error: serde_json::Error| slot.torn(version, &error.to_string());
        let mut entry = Self { committed: None, metadata: None, restored_to: None };
        let mut lines = 0;
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            lines += 1;
            if line.starts_with("{\"commitInfo\"") {
                let info = serde_json::from_str::<InfoLine>(line).map_err(torn)?.info;
                entry.restored_to = info.restored_to();
                entry.committed = info.committed(version);
            } else if line.starts_with("{\"metaData\"") {
                let read = serde_json::from_str::<MetadataLine>(line).map_err(torn)?;
                entry.metadata = Some(read.metadata);
            } else if !line.trim_end().ends_with('}') {
                serde_json::from_str::<serde::de::IgnoredAny>(line).map_err(torn)?;
            }
        }
        let last = text.lines().rfind(|line| !line.trim().is_empty());
        match last {
            Some(last) if lines > 0 => {
                serde_json::from_str::<serde::de::IgnoredAny>(last).map_err(torn)?;
                Ok(entry)
            }
            Some(_) | None => Err(slot.torn(version, "it is empty")),
        }
    }
}

impl Info {
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

    fn restored_to(&self) -> Option<u64> {
        if self.operation.as_deref() != Some("RESTORE") {
            return None;
        }
        let version = self.parameters.as_ref()?.get("version")?;
        version.as_u64().or_else(|| version.as_str()?.parse().ok())
    }
}

/// Versions with a log entry, rising. A folder that is not there has none.
pub(super) async fn log_versions(slot: &TableSlot) -> Result<Vec<u64>, LakeError> {
    let store = slot.log_store.object_store(None);
    let log = ObjectPath::from("_delta_log");
    let entries: Vec<_> = store
        .list(Some(&log))
        .try_collect()
        .await
        .map_err(|source| LakeError::delta(&slot.name, source.into()))?;
    let mut versions: Vec<u64> = entries
        .iter()
        .filter_map(|entry| entry.location.filename()?.strip_suffix(".json"))
        .filter(|digits| digits.len() == 20)
        .filter_map(|digits| digits.parse().ok())
        .collect();
    versions.sort_unstable();
    Ok(versions)
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

/// Creates a log entry; one that exists is left alone and is an error.
pub(super) async fn put_entry(
    slot: &TableSlot,
    version: u64,
    bytes: Vec<u8>,
) -> Result<(), StoreError> {
    let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
    let store = slot.log_store.object_store(None);
    store.put_opts(&entry_path(version), bytes.into(), options).await.map(drop)
}

/// The copy of the ledger, where there is one that can be read.
pub(super) async fn read_copy(slot: &TableSlot) -> Result<Option<Ledger>, LakeError> {
    let store = slot.log_store.object_store(None);
    let read = async { store.get(&ObjectPath::from(COPY)).await?.bytes().await };
    match read.await {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
        Err(StoreError::NotFound { .. }) => Ok(None),
        Err(source) => Err(LakeError::delta(&slot.name, source.into())),
    }
}

/// Renews the copy of the ledger.
pub(super) async fn write_copy(slot: &TableSlot, ledger: &Ledger) -> Result<(), LakeError> {
    let fault = |source: StoreError| LakeError::delta(&slot.name, source.into());
    let bytes = serde_json::to_vec(ledger).map_err(|error| {
        fault(StoreError::Generic { store: "the copy of the ledger", source: Box::new(error) })
    })?;
    let store = slot.log_store.object_store(None);
    store.put(&ObjectPath::from(COPY), bytes.into()).await.map(drop).map_err(fault)
}

impl TableSlot {
    /// Whether nothing at all lies in the table's folder.
    pub(super) async fn is_bare(&self) -> Result<bool, LakeError> {
        let store = self.log_store.object_store(None);
        let first = store.list(None).try_next().await;
        first
            .map(|found| found.is_none())
            .map_err(|source| LakeError::delta(&self.name, source.into()))
    }

    pub(super) fn without_log(&self) -> LakeError {
        self.broken(
            "there are files but no commit in its _delta_log".to_owned(),
            "Restore the folder from a backup, or move it away; the table is then made anew",
        )
    }

    pub(super) fn torn(&self, version: u64, problem: &str) -> LakeError {
        self.broken(
            format!("log entry {version:020}.json cannot be read: {problem}"),
            "If it is the newest entry, a power loss cut it off: the next `deltadesk serve`, `run` \
             or `demo` sets it aside, and its rows are written again; otherwise restore the \
             folder from a backup",
        )
    }
}
