//! Sessions: one recipe for the whole desk, so that the same text means the same everywhere.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::NaiveDate;
use deltalake::arrow::array::RecordBatch;
use deltalake::arrow::datatypes::Date32Type;
use deltalake::datafusion::catalog::{
    CatalogProvider, MemoryCatalogProvider, MemorySchemaProvider, SchemaProvider, TableProvider,
};
use deltalake::datafusion::common::{ScalarValue, TableReference};
use deltalake::datafusion::execution::context::SQLOptions;
use deltalake::datafusion::execution::runtime_env::RuntimeEnv;
use deltalake::datafusion::prelude::{SessionConfig, SessionContext, col, lit};

use super::functions;
use super::table::PARTITION_COLUMN;
use super::{LakeError, TableName};

/// The catalogue that every table stands in.
pub(super) const CATALOGUE: &str = "datafusion";

/// One partition (results do not depend on threads), UTC, text as Utf8, lower-case identifiers, our
/// functions. Dynamic filters are off: a plan that is run again must carry nothing over.
fn recipe() -> SessionConfig {
    SessionConfig::new()
        .with_target_partitions(1)
        .with_information_schema(true)
        .set_str("datafusion.execution.time_zone", "UTC")
        .set_bool("datafusion.sql_parser.map_string_types_to_utf8view", false)
        .set_bool("datafusion.sql_parser.enable_ident_normalization", true)
        .set_bool("datafusion.execution.parquet.schema_force_view_types", false)
        .set_bool("datafusion.optimizer.enable_dynamic_filter_pushdown", false)
}

/// A session with our settings and functions and no tables.
pub fn new_session() -> Result<SessionContext, LakeError> {
    Ok(session_in(Arc::default()))
}

/// The same over a runtime that other sessions share.
pub(super) fn session_in(runtime: Arc<RuntimeEnv>) -> SessionContext {
    let session = SessionContext::new_with_config_rt(recipe(), runtime);
    for function in functions::all() {
        session.register_udf(function);
    }
    session
}

/// Makes a table known as `<schema>.<table>`; one of that name is replaced.
pub fn register(
    session: &SessionContext,
    name: &TableName,
    table: Arc<dyn TableProvider>,
) -> Result<(), LakeError> {
    let catalogue = session
        .catalog(CATALOGUE)
        .ok_or_else(|| LakeError::Query(format!("the session has no catalogue {CATALOGUE}")))?;
    let schema = if let Some(schema) = catalogue.schema(name.schema()) {
        schema
    } else {
        let schema: Arc<dyn SchemaProvider> = Arc::new(MemorySchemaProvider::new());
        catalogue.register_schema(name.schema(), Arc::clone(&schema))?;
        schema
    };
    if schema.table_exist(name.name()) {
        schema.deregister_table(name.name())?;
    }
    schema.register_table(name.name().to_owned(), table)?;
    Ok(())
}

/// A session with the same tables, in which these names mean the rows of some session dates only,
/// both bounds included: they are then known when a query is planned, and files of other sessions
/// are not read. A table without session dates stays as it is.
pub async fn narrowed_to_sessions(
    session: &SessionContext,
    names: &BTreeSet<TableName>,
    (from, to): (NaiveDate, NaiveDate),
) -> Result<SessionContext, LakeError> {
    let day = |date| lit(day_literal(date));
    let mut narrowed = session.clone();
    for name in names {
        let reference = TableReference::full(CATALOGUE, name.schema(), name.name());
        let table = session.table(reference).await?;
        if table.schema().index_of_column_by_name(None, PARTITION_COLUMN).is_some() {
            let within = col(PARTITION_COLUMN).between(day(from), day(to));
            narrowed = session_with(&narrowed, name, table.filter(within)?.into_view())?;
        }
    }
    Ok(narrowed)
}

/// A session with the same tables, in which `name` means another one. Tables that are registered
/// later in the first session in a schema other than `name`'s are seen in both.
pub fn session_with(
    session: &SessionContext,
    name: &TableName,
    table: Arc<dyn TableProvider>,
) -> Result<SessionContext, LakeError> {
    let old = session
        .catalog(CATALOGUE)
        .ok_or_else(|| LakeError::Query(format!("the session has no catalogue {CATALOGUE}")))?;
    let catalogue = MemoryCatalogProvider::new();
    for schema_name in old.schema_names() {
        if let Some(schema) = old.schema(&schema_name) {
            let schema: Arc<dyn SchemaProvider> = if schema_name == name.schema() {
                Arc::new(Overlay {
                    name: name.name().to_owned(),
                    table: Arc::clone(&table),
                    below: schema,
                })
            } else {
                schema
            };
            catalogue.register_schema(&schema_name, schema)?;
        }
    }
    let copy = session_in(session.runtime_env());
    copy.register_catalog(CATALOGUE, Arc::new(catalogue));
    if old.schema(name.schema()).is_none() {
        register(&copy, name, table)?;
    }
    Ok(copy)
}

/// A schema in which one name means another table.
#[derive(Debug)]
struct Overlay {
    name: String,
    table: Arc<dyn TableProvider>,
    below: Arc<dyn SchemaProvider>,
}

#[async_trait::async_trait]
impl SchemaProvider for Overlay {
    fn table_names(&self) -> Vec<String> {
        let mut names: BTreeSet<String> = self.below.table_names().into_iter().collect();
        names.insert(self.name.clone());
        names.into_iter().collect()
    }

    async fn table(
        &self,
        name: &str,
    ) -> deltalake::datafusion::error::Result<Option<Arc<dyn TableProvider>>> {
        if name == self.name {
            return Ok(Some(Arc::clone(&self.table)));
        }
        self.below.table(name).await
    }

    fn table_exist(&self, name: &str) -> bool {
        name == self.name || self.below.table_exist(name)
    }
}

/// The tables of the form `<schema>.<table>` that a statement reads; names of common table
/// expressions and single-word tables are not among them.
pub fn tables_read(session: &SessionContext, sql: &str) -> Result<BTreeSet<TableName>, LakeError> {
    let state = session.state();
    let dialect = state.config().options().sql_parser.dialect;
    let statement = state.sql_to_statement(sql, &dialect)?;
    let references = state.resolve_table_references(&statement)?;
    Ok(references
        .iter()
        .filter_map(|reference| {
            reference.schema().map(|schema| TableName::new(schema, reference.table()))
        })
        .collect())
}

/// A date as the engine compares it.
pub(super) fn day_literal(date: NaiveDate) -> ScalarValue {
    ScalarValue::Date32(Some(Date32Type::from_naive_date(date)))
}

/// Runs a query; anything that would change data, tables or settings is refused.
pub async fn query_read_only(
    session: &SessionContext,
    sql: &str,
) -> Result<Vec<RecordBatch>, LakeError> {
    let options =
        SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    let frame = session.sql_with_options(sql, options).await?;
    Ok(frame.collect().await?)
}
