//! Explicit upkeep: checkpoints, and what a table consists of.

use deltalake::DeltaTable;
use deltalake::checkpoints::create_checkpoint;

use super::{Lake, LakeError, TableName};

/// What a table's newest version consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableHealth {
    pub table: TableName,
    pub version: u64,
    pub files: u64,
    pub bytes: u64,
    pub rows: u64,
}

impl Lake {
    /// Writes a Delta checkpoint at the newest version, so that readers need not replay the log.
    /// Blocks a thread of the runtime.
    pub async fn checkpoint(&self, table: &TableName) -> Result<(), LakeError> {
        let opened = self.newest(table).await?;
        create_checkpoint(&opened, None).await.map_err(|source| LakeError::delta(table, source))
    }

    /// A checkpoint of every table.
    pub async fn checkpoint_all(&self) -> Result<(), LakeError> {
        for table in self.tables() {
            self.checkpoint(&table).await?;
        }
        Ok(())
    }

    /// Files, bytes and rows of a table's newest version.
    pub async fn health(&self, table: &TableName) -> Result<TableHealth, LakeError> {
        let opened = self.newest(table).await?;
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
            health.rows += file.num_records().unwrap_or(0) as u64;
        }
        Ok(health)
    }

    async fn newest(&self, table: &TableName) -> Result<DeltaTable, LakeError> {
        let slot = self.inner.existing(table)?;
        let version = self.latest_version(table).await?;
        slot.moved_to(DeltaTable::new(slot.log_store.clone()), version).await
    }
}
