//! The lake of a home, opened to be read: no lease, nothing written, each table at one version.

use std::collections::BTreeMap;

use anyhow::{Context as _, anyhow};
use futures::StreamExt as _;
use tokio::runtime::Runtime;

use super::fault::explained;
use super::output::Sink;
use crate::desk::home::Home;
use crate::desk::lake_place::open_to_read;
use crate::lake::arrow::datatypes::SchemaRef;
use crate::lake::datafusion::execution::context::SQLOptions;
use crate::lake::{PinnedSession, PreparedQuery, Rows, TableName};
use crate::market::Timestamp;

/// A lake at fixed versions.
pub struct OpenLake {
    runtime: Runtime,
    pinned: PinnedSession,
}

impl OpenLake {
    /// Opens the home's lake at the newest versions, or at those of an instant.
    pub fn open(home: &Home, as_of: Option<Timestamp>) -> anyhow::Result<Self> {
        let runtime = runtime()?;
        let pinned = runtime.block_on(async {
            let lake = open_to_read(home).await?;
            anyhow::Ok(lake.session_at(as_of).await?)
        })?;
        // Errors of the planner then say line and column.
        pinned.state_ref().write().config_mut().options_mut().sql_parser.collect_spans = true;
        Ok(Self { runtime, pinned })
    }

    /// Each table and the version at which it stands.
    pub fn versions(&self) -> &BTreeMap<TableName, u64> {
        self.pinned.versions()
    }

    /// Whether the table has been made; before its first batch it has not.
    pub fn has(&self, table: &str) -> bool {
        self.versions().keys().any(|name| name.to_string() == table)
    }

    /// Name and type of each column.
    pub fn columns(&self, table: &TableName) -> anyhow::Result<SchemaRef> {
        let sql = format!("select * from {table} limit 0");
        let query = self.runtime.block_on(PreparedQuery::new(&self.pinned, &sql))?;
        Ok(query.schema())
    }

    /// All rows of a query on tables that are there.
    pub fn rows(&self, sql: &str) -> anyhow::Result<Rows> {
        self.runtime.block_on(async {
            let query = PreparedQuery::new(&self.pinned, sql).await?;
            let batches = query.run().await?;
            Ok(Rows::of(&query.schema(), &batches)?)
        })
    }

    /// Passes the rows of a query on as they come; how many there were.
    pub fn stream(
        &self,
        sql: &str,
        begin: impl FnOnce(&SchemaRef) -> anyhow::Result<Sink>,
    ) -> anyhow::Result<usize> {
        let read_only = SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false);
        self.runtime.block_on(async {
            let told = |error| anyhow!(explained(&error, sql, self.versions()));
            let frame = self.pinned.sql_with_options(sql, read_only).await.map_err(told)?;
            let mut batches = frame.execute_stream().await.map_err(told)?;
            let mut sink = begin(&batches.schema())?;
            let mut rows = 0;
            while let Some(batch) = batches.next().await {
                let batch = batch.map_err(told)?;
                rows += batch.num_rows();
                sink.take(&batch)?;
                if sink.is_gone() {
                    break;
                }
            }
            sink.finish()?;
            Ok(rows)
        })
    }
}

/// The runtime that the lake works on.
pub fn runtime() -> anyhow::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("the threads that read the lake cannot be started")
}
