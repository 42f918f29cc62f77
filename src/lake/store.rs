//! The lake as a place: its tables, what is known of each, and where they lie.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use deltalake::arrow::datatypes::SchemaRef;
use deltalake::datafusion::execution::runtime_env::RuntimeEnv;
use deltalake::logstore::{LogStore as _, LogStoreRef};
use deltalake::{DeltaTable, DeltaTableBuilder, Path as ObjectPath};
use tokio::sync::Mutex as AsyncMutex;
use url::Url;

use super::append::Writer;
use super::lease::Fence;
use super::ledger::Ledger;
use super::log::log_versions;
use super::{Committed, LakeError, Lease, TableName};
use crate::market::Timestamp;

/// When a commit is safe from a power loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Before the append returns: data file, log entry and their folders are synchronised.
    Fsync,
    /// When the operating system gets round to it: for what can be computed again.
    Buffered,
}

/// How a lake is used.
#[derive(Debug, Clone)]
pub struct LakeOptions {
    pub durability: Durability,
    /// Options of the object store (keys, region, endpoint); empty for a folder.
    pub storage: BTreeMap<String, String>,
}

impl LakeOptions {
    pub(super) fn storage(&self) -> HashMap<String, String> {
        self.storage.clone().into_iter().collect()
    }

    pub fn local(durability: Durability) -> Self {
        Self { durability, storage: BTreeMap::new() }
    }
}

/// A lake: a folder (or a bucket's prefix) of Delta tables, `<schema>/<table>`. Clones are the same
/// lake. Commits of one table are made one after the other; different tables go at the same time.
#[derive(Clone)]
pub struct Lake {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    root: Url,
    folder: Option<PathBuf>,
    pub(super) options: LakeOptions,
    tables: Mutex<BTreeMap<TableName, Arc<TableSlot>>>,
    /// Folders whose own names are on the disk.
    synced_folders: Mutex<BTreeSet<PathBuf>>,
    /// What each commit is held against, in a bucket.
    pub(super) fence: Arc<OnceLock<Fence>>,
    /// Shared by all sessions, so that what is known of a file is read once.
    pub(super) runtime: Arc<RuntimeEnv>,
}

/// What the process knows of one table.
pub(super) struct TableSlot {
    pub(super) name: TableName,
    /// The table's folder, where the lake is one.
    pub(super) folder: Option<PathBuf>,
    pub(super) place: String,
    pub(super) storage: HashMap<String, String>,
    pub(super) log_store: LogStoreRef,
    fence: Arc<OnceLock<Fence>>,
    pub(super) writing: AsyncMutex<Writing>,
    pub(super) reading: AsyncMutex<Option<DeltaTable>>,
}

#[derive(Default)]
pub(super) struct Writing {
    pub(super) ledger: Option<Ledger>,
    pub(super) writer: Option<Writer>,
    /// Columns that the table is known to have.
    pub(super) schema: Option<SchemaRef>,
}

impl Lake {
    /// Opens the lake in a folder, which is made where it is missing, and learns which tables it
    /// has. Must run inside a multi-thread runtime: checkpoints block.
    pub async fn open(path: &Path, options: LakeOptions) -> Result<Self, LakeError> {
        let io = |source| LakeError::Io { path: path.to_path_buf(), problem: source };
        std::fs::create_dir_all(path).map_err(io)?;
        let folder = path.canonicalize().map_err(io)?;
        let root = Url::from_directory_path(&folder).map_err(|()| LakeError::Location {
            location: folder.display().to_string(),
            problem: "it is no absolute path".to_owned(),
        })?;
        Self::open_root(root, Some(folder), options).await
    }

    /// Opens the lake at an address such as `s3://bucket/prefix`.
    pub async fn open_url(address: &str, options: LakeOptions) -> Result<Self, LakeError> {
        let bad = |problem: String| LakeError::Location { location: address.to_owned(), problem };
        let root = Url::parse(&format!("{}/", address.trim_end_matches('/')))
            .map_err(|error| bad(error.to_string()))?;
        Self::open_root(root, None, options).await
    }

    async fn open_root(
        root: Url,
        folder: Option<PathBuf>,
        options: LakeOptions,
    ) -> Result<Self, LakeError> {
        let names = tables_at(&root, &options).await?;
        let inner = Inner {
            root,
            folder,
            options,
            tables: Mutex::default(),
            synced_folders: Mutex::default(),
            fence: Arc::default(),
            runtime: Arc::default(),
        };
        let lake = Self { inner: Arc::new(inner) };
        for name in names {
            lake.inner.slot(&name)?;
        }
        Ok(lake)
    }

    /// Holds every commit from now on against the lease: who has lost it commits nothing more.
    pub fn write_under(&self, lease: &Lease) {
        if let Some(fence) = lease.fence() {
            self.inner.fence.get_or_init(|| fence);
        }
    }

    /// Every table, in order of name.
    pub fn tables(&self) -> Vec<TableName> {
        lock(&self.inner.tables).keys().cloned().collect()
    }

    /// What was committed to a table by batches, in order of version.
    pub async fn commits(&self, table: &TableName) -> Result<Vec<Committed>, LakeError> {
        let slot = self.inner.existing(table)?;
        let mut writing = slot.writing.lock().await;
        Ok(slot.ledger(&mut writing).await?.commits().cloned().collect())
    }

    /// The newest version of a table.
    pub async fn latest_version(&self, table: &TableName) -> Result<u64, LakeError> {
        let slot = self.inner.existing(table)?;
        slot.newest().await?.ok_or_else(|| slot.without_log())
    }

    /// The version whose rows are exactly those of the commits with an own `as_of` up to the given
    /// one: the last such commit, or the compactions right behind it. `None` where there is no such
    /// version.
    pub async fn version_as_of(
        &self,
        table: &TableName,
        as_of: Timestamp,
    ) -> Result<Option<u64>, LakeError> {
        let slot = self.inner.existing(table)?;
        let mut writing = slot.writing.lock().await;
        Ok(slot.ledger(&mut writing).await?.version_as_of(as_of))
    }

    /// Synchronises files, then the folders that hold them; folders further up where they may be
    /// new. A file that upkeep has deleted since needs no synchronising.
    pub(super) async fn sync_files(&self, files: BTreeSet<PathBuf>) -> Result<(), LakeError> {
        let Some(root) = &self.inner.folder else { return Ok(()) };
        let mut folders: BTreeSet<PathBuf> = BTreeSet::new();
        for parent in files.iter().filter_map(|file| file.parent()) {
            let known = lock(&self.inner.synced_folders).contains(parent);
            let up = parent.ancestors().take_while(|folder| folder.starts_with(root));
            folders.extend(up.take(if known { 1 } else { usize::MAX }).map(Path::to_path_buf));
        }
        let all: Vec<PathBuf> = files.iter().chain(&folders).cloned().collect();
        let work =
            tokio::task::spawn_blocking(move || all.iter().try_for_each(|path| sync_one(path)));
        work.await.map_err(|error| LakeError::Location {
            location: root.display().to_string(),
            problem: format!("its files could not be synchronised: {error}"),
        })??;
        lock(&self.inner.synced_folders).extend(folders);
        Ok(())
    }
}

fn sync_one(path: &Path) -> Result<(), LakeError> {
    match std::fs::File::open(path).and_then(|file| file.sync_all()) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(LakeError::Io { path: path.to_path_buf(), problem: source })
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// A lock whose holder panicked still guards sound data: each change here is one step.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inner {
    /// The slot of a table that exists.
    pub(super) fn existing(&self, name: &TableName) -> Result<Arc<TableSlot>, LakeError> {
        let found = lock(&self.tables).get(name).cloned();
        found.ok_or_else(|| LakeError::NoSuchTable(name.clone()))
    }

    /// The slot of a table, which may not have been created.
    pub(super) fn slot(&self, name: &TableName) -> Result<Arc<TableSlot>, LakeError> {
        if let Some(slot) = lock(&self.tables).get(name) {
            return Ok(Arc::clone(slot));
        }
        let slot = Arc::new(self.new_slot(name)?);
        lock(&self.tables).insert(name.clone(), Arc::clone(&slot));
        Ok(slot)
    }

    fn new_slot(&self, name: &TableName) -> Result<TableSlot, LakeError> {
        let bad =
            |problem: String| LakeError::Location { location: self.root.to_string(), problem };
        let relative = format!("{}/{}/", name.schema(), name.name());
        let url = self.root.join(&relative).map_err(|error| bad(error.to_string()))?;
        let folder = self.folder.as_ref().map(|root| root.join(name.schema()).join(name.name()));
        if let Some(folder) = &folder {
            std::fs::create_dir_all(folder)
                .map_err(|source| LakeError::Io { path: folder.clone(), problem: source })?;
        }
        let place = folder.as_ref().map_or_else(|| url.to_string(), |f| f.display().to_string());
        let storage = self.options.storage();
        let log_store = DeltaTableBuilder::from_url(url)
            .and_then(|builder| builder.with_storage_options(storage.clone()).build_storage())
            .map_err(|source| LakeError::delta(name, source))?;
        Ok(TableSlot {
            name: name.clone(),
            folder,
            place,
            storage,
            log_store,
            fence: Arc::clone(&self.fence),
            writing: AsyncMutex::default(),
            reading: AsyncMutex::default(),
        })
    }
}

impl TableSlot {
    /// That this process may still commit.
    pub(super) async fn confirm_lease(&self) -> Result<(), LakeError> {
        match self.fence.get() {
            Some(fence) => fence.confirm().await,
            None => Ok(()),
        }
    }

    /// The table's batches, read from its log at first use.
    pub(super) async fn ledger<'a>(
        &self,
        writing: &'a mut Writing,
    ) -> Result<&'a mut Ledger, LakeError> {
        if writing.ledger.is_none() {
            writing.ledger = Some(Ledger::read(self).await?);
        }
        writing.ledger.as_mut().ok_or_else(|| LakeError::NoSuchTable(self.name.clone()))
    }

    /// The newest version, without reading the log where only its listing is needed.
    pub(super) async fn newest(&self) -> Result<Option<u64>, LakeError> {
        let writing = self.writing.lock().await;
        if let Some(ledger) = &writing.ledger {
            return Ok(ledger.is_created().then(|| ledger.latest()));
        }
        let newest = log_versions(self).await?.last().copied();
        if newest.is_none() && !self.is_bare().await? {
            return Err(self.without_log());
        }
        Ok(newest)
    }

    /// An error about this table's folder.
    pub(super) fn broken(&self, problem: String, remedy: &str) -> LakeError {
        LakeError::BrokenTable {
            table: self.name.clone(),
            path: self.place.clone(),
            problem,
            remedy: remedy.to_owned(),
        }
    }
}

/// Names of the folders `<schema>/<table>` that hold something.
async fn tables_at(root: &Url, options: &LakeOptions) -> Result<Vec<TableName>, LakeError> {
    let bad = |problem: String| LakeError::Location { location: root.to_string(), problem };
    let store = DeltaTableBuilder::from_url(root.clone())
        .and_then(|builder| builder.with_storage_options(options.storage()).build_storage())
        .map_err(|error| bad(error.to_string()))?
        .object_store(None);
    let list = async |folder: Option<&ObjectPath>| {
        store.list_with_delimiter(folder).await.map_err(|error| bad(error.to_string()))
    };
    let mut names = Vec::new();
    for schema in list(None).await?.common_prefixes {
        for table in list(Some(&schema)).await?.common_prefixes {
            let (Some(schema), Some(name)) = (schema.filename(), table.filename()) else {
                continue;
            };
            let Ok(name) = format!("{schema}.{name}").parse::<TableName>() else { continue };
            let inside = list(Some(&table)).await?;
            if !(inside.objects.is_empty() && inside.common_prefixes.is_empty()) {
                names.push(name);
            }
        }
    }
    Ok(names)
}
