//! The lake's upkeep as steps: small files joined, checkpoints, old files deleted, and an account
//! of what there is.

use chrono::Duration;
use tokio::runtime::Handle;

use crate::lake::{Cell, TableName, Vacuum};
use crate::pipeline::{Step, StepContext, deliver, ops_stamp};

/// Joins the small files of each session.
pub struct CompactStep {
    pub runtime: Handle,
}

impl Step for CompactStep {
    fn run(&mut self, context: &mut StepContext<'_>) -> anyhow::Result<Vec<String>> {
        for table in context.lake.tables() {
            self.runtime.block_on(context.lake.compact(&table, None))?;
        }
        Ok(Vec::new())
    }
}

/// Writes Delta checkpoints, so that opening a table stays cheap.
pub struct CheckpointStep {
    pub runtime: Handle,
}

impl Step for CheckpointStep {
    fn run(&mut self, context: &mut StepContext<'_>) -> anyhow::Result<Vec<String>> {
        self.runtime.block_on(context.lake.checkpoint_all())?;
        Ok(Vec::new())
    }
}

/// Deletes the files that no version within the retention needs.
pub struct VacuumStep {
    pub runtime: Handle,
    pub retention: Duration,
}

impl Step for VacuumStep {
    fn run(&mut self, context: &mut StepContext<'_>) -> anyhow::Result<Vec<String>> {
        for table in context.lake.tables() {
            let deleted = context.lake.vacuum(&table, self.retention, Vacuum::Delete);
            self.runtime.block_on(deleted)?;
        }
        Ok(Vec::new())
    }
}

/// Writes down what each table consists of.
pub struct HealthStep {
    pub runtime: Handle,
}

impl Step for HealthStep {
    fn run(&mut self, context: &mut StepContext<'_>) -> anyhow::Result<Vec<String>> {
        let mut rows: Vec<Vec<Cell>> = Vec::new();
        for table in context.lake.tables() {
            let health = self.runtime.block_on(context.lake.health(&table))?;
            let mut row: Vec<Cell> = vec![
                table.to_string().into(),
                (health.version as i64).into(),
                (health.files as i64).into(),
                (health.bytes as i64).into(),
                (health.rows as i64).into(),
            ];
            row.extend(ops_stamp(context.run));
            rows.push(row);
        }
        let names = [
            "table_name",
            "wall_version",
            "wall_files",
            "wall_bytes",
            "row_count",
            "as_of",
            "run_id",
            "session_date",
        ];
        deliver(context, &TableName::new("ops", "table_health"), &names, &rows)?;
        Ok(Vec::new())
    }
}
