//! Sessions over the lake in which every table stands at one version.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use deltalake::arrow::array::RecordBatch;
use deltalake::datafusion::catalog::{
    CatalogProvider as _, MemoryCatalogProvider, MemorySchemaProvider, SchemaProvider,
    TableProvider,
};
use deltalake::datafusion::error::{DataFusionError, Result as DataFusionResult};
use deltalake::datafusion::execution::SessionState;
use deltalake::datafusion::prelude::SessionContext;
use deltalake::delta_datafusion::TableProviderBuilder;
use deltalake::{DeltaTable, DeltaTableError};

use super::session::{CATALOGUE, session_in};
use super::store::{Inner, TableSlot};
use super::{Lake, LakeError, TableName, query_read_only};
use crate::market::Timestamp;

/// A session whose tables `<schema>.<table>` are those of the lake, each at one version. It can be
/// used as a [`SessionContext`].
pub struct PinnedSession {
    context: SessionContext,
    versions: BTreeMap<TableName, u64>,
}

impl PinnedSession {
    /// The version at which each table stands.
    pub fn versions(&self) -> &BTreeMap<TableName, u64> {
        &self.versions
    }

    pub fn context(&self) -> &SessionContext {
        &self.context
    }

    /// Runs a query; anything that would change data, tables or settings is refused.
    pub async fn query(&self, sql: &str) -> Result<Vec<RecordBatch>, LakeError> {
        query_read_only(&self.context, sql).await
    }
}

impl Deref for PinnedSession {
    type Target = SessionContext;

    fn deref(&self) -> &SessionContext {
        &self.context
    }
}

impl Lake {
    /// A session at the newest versions, or at those of `as_of`: per table the last commit whose
    /// own `as_of` is not later. Tables are opened when a query first names them; one that cannot
    /// be read fails the queries that name it, not the session.
    pub async fn session_at(&self, as_of: Option<Timestamp>) -> Result<PinnedSession, LakeError> {
        let mut versions = BTreeMap::new();
        let mut schemas: BTreeMap<String, BTreeMap<String, Pin>> = BTreeMap::new();
        for table in self.tables() {
            let found = match as_of {
                Some(as_of) => self.version_as_of(&table, as_of).await,
                None => self.inner.existing(&table)?.newest().await,
            };
            let version = match found {
                Ok(None) => continue,
                Ok(Some(version)) => {
                    versions.insert(table.clone(), version);
                    Ok(version)
                }
                Err(fault) => Err(fault.to_string()),
            };
            let schema = schemas.entry(table.schema().to_owned()).or_default();
            schema.insert(table.name().to_owned(), Pin { table, version });
        }
        let context = session_in(Arc::clone(&self.inner.runtime));
        let state = Arc::new(context.state());
        let catalogue = MemoryCatalogProvider::new();
        for (schema, tables) in schemas {
            let (inner, state) = (Arc::clone(&self.inner), Arc::clone(&state));
            catalogue.register_schema(&schema, Arc::new(PinnedSchema { inner, tables, state }))?;
        }
        catalogue.register_schema("public", Arc::new(MemorySchemaProvider::new()))?;
        context.register_catalog(CATALOGUE, Arc::new(catalogue));
        Ok(PinnedSession { context, versions })
    }
}

/// A table and the version at which it stands, or why it cannot be read.
#[derive(Debug)]
struct Pin {
    table: TableName,
    version: Result<u64, String>,
}

struct PinnedSchema {
    inner: Arc<Inner>,
    tables: BTreeMap<String, Pin>,
    state: Arc<SessionState>,
}

impl fmt::Debug for PinnedSchema {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("PinnedSchema").field("tables", &self.tables).finish_non_exhaustive()
    }
}

#[async_trait::async_trait]
impl SchemaProvider for PinnedSchema {
    fn table_names(&self) -> Vec<String> {
        self.tables.keys().cloned().collect()
    }

    async fn table(&self, name: &str) -> DataFusionResult<Option<Arc<dyn TableProvider>>> {
        let Some(pin) = self.tables.get(name) else { return Ok(None) };
        let outside = |error: LakeError| DataFusionError::External(Box::new(error));
        let version = pin.version.clone().map_err(|fault| outside(LakeError::Query(fault)))?;
        let slot = self.inner.existing(&pin.table).map_err(outside)?;
        let provider = slot.provider_at(version, Arc::clone(&self.state)).await;
        provider.map(Some).map_err(outside)
    }

    fn table_exist(&self, name: &str) -> bool {
        self.tables.contains_key(name)
    }
}

impl TableSlot {
    /// The table's rows at a version. The newest state seen is kept and moved forward.
    pub(super) async fn provider_at(
        &self,
        version: u64,
        state: Arc<SessionState>,
    ) -> Result<Arc<dyn TableProvider>, LakeError> {
        let mut reading = self.reading.lock().await;
        let newer = reading.as_ref().is_some_and(|table| table.version() > Some(version));
        let kept = if newer { None } else { reading.take() };
        let table = kept.unwrap_or_else(|| DeltaTable::new(Arc::clone(&self.log_store)));
        let table = self.moved_to(table, version).await?;
        let snapshot = table.snapshot().map_err(|source| self.unreadable(version, &source))?;
        let provider = TableProviderBuilder::default()
            .with_log_store(table.log_store())
            .with_eager_snapshot(snapshot.snapshot().clone())
            .with_session(state)
            .await?;
        if !newer {
            *reading = Some(table);
        }
        Ok(provider)
    }

    pub(super) async fn moved_to(
        &self,
        mut table: DeltaTable,
        version: u64,
    ) -> Result<DeltaTable, LakeError> {
        if table.version() != Some(version) {
            let moved = table.load_version(version).await;
            moved.map_err(|source| self.unreadable(version, &source))?;
        }
        Ok(table)
    }

    fn unreadable(&self, version: u64, problem: &DeltaTableError) -> LakeError {
        self.broken(
            format!("version {version} ({version:020}.json) cannot be read: {problem}"),
            "Restore the folder from a backup, or move it away; the table is then made anew",
        )
    }
}
