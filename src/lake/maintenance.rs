//! Explicit upkeep: checkpoints, removal of old files, restoring.
//!
//! Nothing here changes what a table's rows are, except [`Lake::restore`], which sets a table back.

use chrono::Duration;
use deltalake::DeltaTable;
use deltalake::checkpoints::{cleanup_metadata, create_checkpoint};
use deltalake::kernel::transaction::CommitProperties;
use deltalake::operations::vacuum::VacuumMode;

use super::log::write_copy;
use super::store::{TableSlot, Writing};
use super::{Lake, LakeError, TableName};

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
        slot.confirm_lease().await?;
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
        slot.confirm_lease().await?;
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
