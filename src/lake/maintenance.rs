//! Explicit upkeep: checkpoints, compaction, removal of old files, restoring, verification.
//!
//! Nothing here changes what a table's rows are, except [`Lake::restore`], which sets a table back.

use chrono::{Duration, NaiveDate};
use deltalake::checkpoints::{cleanup_metadata, create_checkpoint};
use deltalake::kernel::transaction::CommitProperties;
use deltalake::logstore::LogStore as _;
use deltalake::operations::vacuum::VacuumMode;
use deltalake::{DeltaTable, FilterOp, FilterValue, Path as ObjectPath};
use futures::TryStreamExt as _;
use object_store::ObjectStoreExt as _;

use super::log::{read_entry, write_copy};
use super::store::{TableSlot, Writing};
use super::{Lake, LakeError, SessionContext, TableName};

/// What a table's newest version consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableHealth {
    pub table: TableName,
    pub version: u64,
    pub files: u64,
    pub bytes: u64,
    pub rows: u64,
}

/// What is wrong with a table, in words that name the file and the next step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableFault {
    pub table: TableName,
    pub problem: String,
}

/// Commits between checkpoints, as Delta's own default.
const CHECKPOINT_EVERY: u64 = 100;

/// Commits of upkeep write no checkpoints and delete no log entries by themselves.
pub(super) fn quiet() -> CommitProperties {
    CommitProperties::default().with_create_checkpoint(false).with_cleanup_expired_logs(Some(false))
}

impl Lake {
    /// Writes a Delta checkpoint at the newest version, so that readers need not replay the log,
    /// and renews the copy of the ledger. Blocks a thread of the runtime.
    pub async fn checkpoint(&self, table: &TableName) -> Result<(), LakeError> {
        let slot = self.inner.existing(table)?;
        let mut writing = slot.writing.lock().await;
        let opened = slot.open_newest(&mut writing).await?;
        create_checkpoint(&opened, None).await.map_err(|source| LakeError::delta(table, source))?;
        let ledger = slot.ledger(&mut writing).await?;
        ledger.set_checkpointed();
        write_copy(&slot, ledger).await
    }

    /// A checkpoint of every table that has had a hundred commits since its last one: before that,
    /// replaying the log costs a reader less than the checkpoint costs here.
    pub async fn checkpoint_all(&self) -> Result<(), LakeError> {
        for table in self.tables() {
            let slot = self.inner.existing(&table)?;
            let behind = slot.ledger(&mut *slot.writing.lock().await).await?.since_checkpoint();
            if behind >= CHECKPOINT_EVERY {
                self.checkpoint(&table).await?;
            }
        }
        Ok(())
    }

    /// Files, bytes and rows of a table's newest version.
    pub async fn health(&self, table: &TableName) -> Result<TableHealth, LakeError> {
        let slot = self.inner.existing(table)?;
        let opened = slot.open_newest(&mut *slot.writing.lock().await).await?;
        let state = opened.snapshot().map_err(|source| LakeError::delta(table, source))?;
        let mut health = TableHealth {
            table: table.clone(),
            version: state.version(),
            files: 0,
            bytes: 0,
            rows: 0,
        };
        for file in state.log_data().iter() {
            health.files += 1;
            health.bytes += file.size() as u64;
            health.rows += file.num_records().ok_or_else(|| {
                slot.broken(format!("{} states no number of rows", file.path()), RESTORE)
            })? as u64;
        }
        Ok(health)
    }

    /// Joins the small files of one session, or of all, into large ones; the rows stay the same.
    /// Returns how many files were joined.
    pub async fn compact(
        &self,
        table: &TableName,
        session: Option<NaiveDate>,
    ) -> Result<u64, LakeError> {
        let slot = self.inner.existing(table)?;
        let mut writing = slot.writing.lock().await;
        let opened = slot.open_newest(&mut writing).await?;
        let day = session.map(|date| date.to_string());
        let filters: Vec<_> = day
            .iter()
            .map(|day| ("session_date", FilterOp::Eq, FilterValue::Scalar(day)))
            .collect();
        let (moved, metrics) = opened
            .optimize()
            .with_filters(&filters)
            .with_commit_properties(quiet())
            .await
            .map_err(|source| LakeError::delta(table, source))?;
        slot.moved_on(&mut writing, &moved).await?;
        Ok(metrics.num_files_removed)
    }

    /// Deletes files that no version of the last `retention` needs, orphans of broken writes among
    /// them, and log entries before the last checkpoint that are older than a month. Returns the
    /// files' paths; with `Trial` nothing is deleted.
    pub async fn vacuum(
        &self,
        table: &TableName,
        retention: Duration,
        how: Vacuum,
    ) -> Result<Vec<String>, LakeError> {
        let fault = |source| LakeError::delta(table, source);
        let slot = self.inner.existing(table)?;
        let mut writing = slot.writing.lock().await;
        let opened = slot.open_newest(&mut writing).await?;
        let (moved, metrics) = opened
            .vacuum()
            .with_retention_period(retention)
            .with_mode(VacuumMode::Full)
            .with_dry_run(how == Vacuum::Trial)
            .with_commit_properties(quiet())
            .await
            .map_err(fault)?;
        if how == Vacuum::Delete {
            slot.moved_on(&mut writing, &moved).await?;
            write_copy(&slot, slot.ledger(&mut writing).await?).await?;
            cleanup_metadata(&moved, None).await.map_err(fault)?;
        }
        Ok(metrics.files_deleted)
    }

    /// Sets a table back to an earlier version, by a new commit. Batches behind that version are
    /// forgotten and may be written again.
    pub async fn restore(&self, table: &TableName, version: u64) -> Result<u64, LakeError> {
        let slot = self.inner.existing(table)?;
        let mut writing = slot.writing.lock().await;
        let opened = slot.open_newest(&mut writing).await?;
        let (moved, _) = opened
            .restore()
            .with_version_to_restore(version)
            .with_commit_properties(quiet())
            .await
            .map_err(|source| LakeError::delta(table, source))?;
        slot.moved_on(&mut writing, &moved).await?;
        writing.ledger = None;
        Ok(slot.ledger(&mut writing).await?.latest())
    }

    /// Reads everything: log entries, the presence and size of each file, each row's encoding.
    /// Returns what is wrong, table by table; empty is well.
    pub async fn verify(&self) -> Result<Vec<TableFault>, LakeError> {
        let mut faults = Vec::new();
        let session = self.session_at(None).await?;
        for table in self.tables() {
            let mut note =
                |problem: String| faults.push(TableFault { table: table.clone(), problem });
            match self.missing_files(&table).await {
                Ok(problems) if problems.is_empty() => {
                    if let Err(problem) = read_through(&session, &table).await {
                        note(format!("its rows cannot be read: {problem}. {RESTORE}"));
                    }
                }
                Ok(problems) => problems.into_iter().for_each(note),
                Err(problem) => note(problem.to_string()),
            }
        }
        Ok(faults)
    }

    /// Files of the newest version that are not there, or not whole.
    async fn missing_files(&self, table: &TableName) -> Result<Vec<String>, LakeError> {
        let slot = self.inner.existing(table)?;
        let mut writing = slot.writing.lock().await;
        for version in super::log::log_versions(&slot).await? {
            super::log::Entry::parse(&slot, version, &read_entry(&slot, version).await?)?;
        }
        let opened = slot.open_newest(&mut writing).await?;
        let state = opened.snapshot().map_err(|source| LakeError::delta(table, source))?;
        let store = slot.log_store.object_store(None);
        let mut problems = Vec::new();
        for file in state.log_data().iter() {
            let path = file.path().to_string();
            let found = store.head(&ObjectPath::from(path.as_str())).await;
            match found {
                Ok(found) if found.size == file.size() as u64 => {}
                Ok(found) => problems.push(format!(
                    "{}/{path} has {} bytes instead of {}. {RESTORE}",
                    slot.place,
                    found.size,
                    file.size()
                )),
                Err(problem) => {
                    problems.push(format!("{}/{path}: {problem}. {RESTORE}", slot.place));
                }
            }
        }
        Ok(problems)
    }
}

const RESTORE: &str =
    "Restore the file from a backup, or set the table back to a version before it";

/// Decodes every value of a table and keeps none.
async fn read_through(session: &SessionContext, table: &TableName) -> Result<(), LakeError> {
    let frame = session.sql(&format!("select * from {table}")).await?;
    let mut rows = frame.execute_stream().await?;
    while rows.try_next().await?.is_some() {}
    Ok(())
}

/// Whether a vacuum deletes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vacuum {
    Trial,
    Delete,
}

impl TableSlot {
    /// The table at its newest version, apart from what readers hold.
    pub(super) async fn open_newest(&self, writing: &mut Writing) -> Result<DeltaTable, LakeError> {
        let version = self.ledger(writing).await?.latest();
        self.moved_to(DeltaTable::new(self.log_store.clone()), version).await
    }

    /// An operation of delta-rs has made commits of its own.
    pub(super) async fn moved_on(
        &self,
        writing: &mut Writing,
        moved: &DeltaTable,
    ) -> Result<(), LakeError> {
        if let Some(version) = moved.version() {
            self.ledger(writing).await?.set_latest(version);
        }
        Ok(())
    }
}
