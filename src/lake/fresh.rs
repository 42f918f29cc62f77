//! A session that lasts: each scan reads its table at the newest version, however long ago the
//! statement was planned.

use std::fmt;
use std::sync::Arc;

use deltalake::arrow::datatypes::SchemaRef;
use deltalake::datafusion::catalog::{
    CatalogProvider as _, MemoryCatalogProvider, MemorySchemaProvider, SchemaProvider, Session,
    TableProvider,
};
use deltalake::datafusion::datasource::TableType;
use deltalake::datafusion::error::{DataFusionError, Result as DataFusionResult};
use deltalake::datafusion::execution::SessionState;
use deltalake::datafusion::execution::runtime_env::RuntimeEnvBuilder;
use deltalake::datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use deltalake::datafusion::physical_plan::ExecutionPlan;
use deltalake::datafusion::prelude::SessionContext;

use super::session::{CATALOGUE, session_in};
use super::store::TableSlot;
use super::{Lake, LakeError};

impl Lake {
    /// A session over the tables that the lake has now, each read at its newest version at every
    /// scan. Its queries together hold no more than `memory` bytes; what does not fit is spilled,
    /// or the query fails.
    pub async fn fresh_session(&self, memory: usize) -> Result<SessionContext, LakeError> {
        let runtime = RuntimeEnvBuilder::new().with_memory_limit(memory, 1.0).build_arc()?;
        let context = session_in(runtime);
        let state = Arc::new(context.state());
        let catalogue = MemoryCatalogProvider::new();
        for name in self.tables() {
            let slot = self.inner.existing(&name)?;
            let Some(version) = slot.newest().await? else { continue };
            let now = slot.provider_at(version, Arc::clone(&state)).await?;
            let table = FreshTable { slot, schema: now.schema(), state: Arc::clone(&state) };
            let schema = if let Some(schema) = catalogue.schema(name.schema()) {
                schema
            } else {
                let schema: Arc<dyn SchemaProvider> = Arc::new(MemorySchemaProvider::new());
                catalogue.register_schema(name.schema(), Arc::clone(&schema))?;
                schema
            };
            schema.register_table(name.name().to_owned(), Arc::new(table))?;
        }
        catalogue.register_schema("public", Arc::new(MemorySchemaProvider::new()))?;
        context.register_catalog(CATALOGUE, Arc::new(catalogue));
        Ok(context)
    }
}

/// A table of the lake with the columns that it had when the session began. Columns are only ever
/// added behind them.
struct FreshTable {
    slot: Arc<TableSlot>,
    schema: SchemaRef,
    state: Arc<SessionState>,
}

impl FreshTable {
    async fn newest(&self) -> DataFusionResult<Arc<dyn TableProvider>> {
        let outside = |error: LakeError| DataFusionError::External(Box::new(error));
        let version = self.slot.newest().await.map_err(outside)?;
        let version = version.ok_or_else(|| outside(self.slot.without_log()))?;
        self.slot.provider_at(version, Arc::clone(&self.state)).await.map_err(outside)
    }
}

impl fmt::Debug for FreshTable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("FreshTable").field("table", &self.slot.name).finish_non_exhaustive()
    }
}

#[async_trait::async_trait]
impl TableProvider for FreshTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> DataFusionResult<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let all: Vec<usize> = (0..self.schema.fields().len()).collect();
        let projection = projection.unwrap_or(&all);
        // Filters are asked again above; a limit below them would cut rows that they let through.
        let limit = limit.filter(|_| filters.is_empty());
        self.newest().await?.scan(state, Some(projection), filters, limit).await
    }
}
