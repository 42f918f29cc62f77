//! Tables whose rows are swapped at run time, and plans that are made once and run again and again.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use deltalake::arrow::array::RecordBatch;
use deltalake::arrow::datatypes::SchemaRef;
use deltalake::datafusion::catalog::{Session, TableProvider};
use deltalake::datafusion::datasource::TableType;
use deltalake::datafusion::error::Result as DataFusionResult;
use deltalake::datafusion::execution::TaskContext;
use deltalake::datafusion::execution::context::SQLOptions;
use deltalake::datafusion::logical_expr::Expr;
use deltalake::datafusion::physical_plan::execution_plan::reset_plan_states;
use deltalake::datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use deltalake::datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use deltalake::datafusion::physical_plan::{ExecutionPlan, SendableRecordBatchStream, collect};
use deltalake::datafusion::prelude::SessionContext;

use super::LakeError;

/// A table with fixed columns whose rows are replaced as a whole. A scan reads the rows of the
/// moment in which it is executed, not of the moment in which it was planned, and states nothing
/// about their number, so that no plan can fold them into itself.
pub struct LiveTable {
    rows: Arc<Contents>,
}

struct Contents {
    schema: SchemaRef,
    batches: RwLock<Vec<RecordBatch>>,
}

impl LiveTable {
    /// Empty.
    pub fn new(schema: SchemaRef) -> Self {
        Self { rows: Arc::new(Contents { schema, batches: RwLock::new(Vec::new()) }) }
    }

    /// Replaces all rows. The batches' columns are the table's.
    pub fn set(&self, batches: Vec<RecordBatch>) {
        *self.rows.batches.write().unwrap_or_else(PoisonError::into_inner) = batches;
    }

    /// The rows of this moment.
    pub fn batches(&self) -> Vec<RecordBatch> {
        self.rows.current()
    }
}

impl Contents {
    fn current(&self) -> Vec<RecordBatch> {
        self.batches.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for LiveTable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("LiveTable").field("schema", &self.rows.schema).finish_non_exhaustive()
    }
}

impl fmt::Debug for Contents {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("live rows")
    }
}

#[async_trait::async_trait]
impl TableProvider for LiveTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.rows.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let partition: Arc<dyn PartitionStream> = Arc::clone(&self.rows) as _;
        let scan = StreamingTableExec::try_new(
            Arc::clone(&self.rows.schema),
            vec![partition],
            projection,
            [],
            false,
            limit,
        )?;
        Ok(Arc::new(scan))
    }
}

impl PartitionStream for Contents {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let batches = futures::stream::iter(self.current().into_iter().map(Ok));
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches))
    }
}

/// A query planned once, run again and again over the current rows of its live tables.
#[derive(Debug, Clone)]
pub struct PreparedQuery {
    plan: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
}

impl PreparedQuery {
    /// Plans a query; anything that would change data, tables or settings is refused.
    pub async fn new(session: &SessionContext, sql: &str) -> Result<Self, LakeError> {
        let options = SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false);
        let frame = session.sql_with_options(sql, options).await?;
        let context = Arc::new(frame.task_ctx());
        let plan = frame.create_physical_plan().await?;
        Ok(Self { plan, context })
    }

    /// Columns of the result.
    pub fn schema(&self) -> SchemaRef {
        self.plan.schema()
    }

    /// Executes the plan over what the tables hold now. What an earlier run built up inside
    /// operators (sides of joins, groups) is dropped first.
    pub async fn run(&self) -> Result<Vec<RecordBatch>, LakeError> {
        let plan = reset_plan_states(Arc::clone(&self.plan))?;
        Ok(collect(plan, Arc::clone(&self.context)).await?)
    }
}
