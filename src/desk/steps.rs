//! The steps that belong to no trade and no source: building models, writing to the lake, auditing
//! across tables.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::lake::arrow::array::RecordBatch;
use crate::lake::arrow::compute::concat_batches;
use crate::lake::{Cell, Lake, Rows, SessionContext, TableName, narrowed_to_sessions, tables_read};
use crate::market::clock::Stopwatch;
use crate::pipeline::audit::first_row;
use crate::pipeline::catalogue::{Audit, AuditSpan};
use crate::pipeline::flush::{Flush, Flusher};
use crate::pipeline::{
    AuditOutcome, Blocked, BuildReport, ModelRun, Phase, Run, Sequence, Shared, Step, StepContext,
};
use crate::pipeline::{deliver, ops_stamp};

/// Runs the models of a phase.
pub struct BuildStep {
    pub phase: Phase,
    /// SHA-256 of each model's text, by path.
    pub sql_hashes: BTreeMap<String, String>,
    /// Of the rows of bronze.
    pub sequence: Shared<Sequence>,
}

impl Step for BuildStep {
    fn run(&mut self, context: &mut StepContext<'_>) -> anyhow::Result<Vec<String>> {
        let cut = self.sequence.borrow().last();
        let report = match context.live.build(context.run, self.phase) {
            Ok(report) => report,
            Err(error) => {
                if let Some(blocked) = error.downcast_ref::<Blocked>() {
                    record_tests(context, [&blocked.outcome])?;
                }
                return Err(error);
            }
        };
        let told =
            |ran: &&ModelRun| self.phase == Phase::Close || ran.rows_out + ran.rows_quarantined > 0;
        let mut rows: Vec<Vec<Cell>> = Vec::new();
        for ran in report.models.iter().filter(told) {
            let hash = self.sql_hashes.get(&ran.path).cloned().unwrap_or_default();
            let mut row: Vec<Cell> = vec![
                ran.path.as_str().into(),
                (ran.rows_out as i64).into(),
                (ran.rows_quarantined as i64).into(),
                hash.into(),
                ran.duration_ms.into(),
            ];
            row.extend(ops_stamp(context.run));
            let phase = self.phase.name();
            row.extend([LIVE.into(), phase.into(), (ran.rows_in as i64).into(), cut.into()]);
            row.extend([Cell::from(None::<String>), BUILT.into(), None::<String>.into()]);
            rows.push(row);
        }
        deliver(context, &TableName::new("ops", "model_runs"), &MODEL_RUNS, &rows)?;
        let told =
            |outcome: &&AuditOutcome| self.phase == Phase::Close || outcome.offending_rows > 0;
        let outcomes = by_test(&report);
        record_tests(context, outcomes.values().filter(told))?;
        let warned = outcomes.values().filter(|outcome| outcome.verdict() == "warned");
        Ok(warned.map(warning).collect())
    }
}

/// What each test found in all parts of its table together.
fn by_test(report: &BuildReport) -> BTreeMap<String, AuditOutcome> {
    let mut all: BTreeMap<String, AuditOutcome> = BTreeMap::new();
    for outcome in report.models.iter().flat_map(|ran| &ran.audits) {
        match all.get_mut(&outcome.audit) {
            None => {
                all.insert(outcome.audit.clone(), outcome.clone());
            }
            Some(sum) => {
                if sum.offending_rows == 0 {
                    sum.first.clone_from(&outcome.first);
                }
                sum.offending_rows += outcome.offending_rows;
            }
        }
    }
    all
}

/// What an operator reads of a test that warns.
fn warning(outcome: &AuditOutcome) -> String {
    format!(
        "test {}: {} rows offend, first: {}",
        outcome.audit, outcome.offending_rows, outcome.first
    )
}

/// Rows of ops.data_tests.
fn record_tests<'a>(
    context: &mut StepContext<'_>,
    outcomes: impl IntoIterator<Item = &'a AuditOutcome>,
) -> anyhow::Result<()> {
    let row = |outcome: &AuditOutcome| {
        let mut row: Vec<Cell> = vec![
            outcome.audit.as_str().into(),
            (outcome.offending_rows as i64).into(),
            outcome.first.as_str().into(),
        ];
        row.extend(ops_stamp(context.run));
        row.push(outcome.verdict().into());
        row
    };
    let rows: Vec<Vec<Cell>> = outcomes.into_iter().map(row).collect();
    let names = ["audit", "offending_rows", "detail", "as_of", "run_id", "session_date", "verdict"];
    deliver(context, &TableName::new("ops", "data_tests"), &names, &rows)
}

/// Columns of ops.model_runs.
pub const MODEL_RUNS: [&str; 15] = [
    "model",
    "rows_out",
    "rows_quarantined",
    "sql_hash",
    "wall_duration_ms",
    "as_of",
    "run_id",
    "session_date",
    "mode",
    "phase",
    "rows_in",
    "ingest_seq_cut",
    "inputs",
    "status",
    "detail",
];
/// A mode: what the desk built as it went.
const LIVE: &str = "live";
/// A status: it ran and its rows stand.
pub const BUILT: &str = "built";

/// Writes what is pending to the lake, one commit a table.
pub struct FlushStep {
    pub flusher: Flusher,
    pub which: Flush,
}

impl Step for FlushStep {
    fn run(&mut self, context: &mut StepContext<'_>) -> anyhow::Result<Vec<String>> {
        self.flusher.flush(context, self.which)?;
        Ok(Vec::new())
    }
}

/// Runs the audits across tables on the lake, side by side: they only read. An offending row fails
/// the day.
pub struct AuditStep {
    pub runtime: Handle,
    pub audits: Vec<Arc<Audit>>,
}

impl Step for AuditStep {
    fn run(&mut self, context: &mut StepContext<'_>) -> anyhow::Result<Vec<String>> {
        let found = self.runtime.block_on(self.all_offenders(context.lake, context.run))?;
        let outcome = |(audit, offenders): (&Arc<Audit>, &RecordBatch)| AuditOutcome {
            audit: audit.name.clone(),
            otherwise: audit.otherwise,
            offending_rows: offenders.num_rows(),
            first: if offenders.num_rows() == 0 { String::new() } else { first_row(offenders) },
        };
        let outcomes: Vec<AuditOutcome> = self.audits.iter().zip(&found).map(outcome).collect();
        record_tests(context, &outcomes)?;
        let blocked = self.audits.iter().zip(&outcomes);
        let blocked = blocked.filter(|(_, outcome)| outcome.verdict() == "blocked");
        let failed: Vec<String> = blocked
            .map(|(audit, outcome)| {
                let (rows, first) = (outcome.offending_rows, &outcome.first);
                format!("{}: {rows} offending rows, first: {first}", audit.path)
            })
            .collect();
        if !failed.is_empty() {
            bail!("the day does not close:\n  {}", failed.join("\n  "));
        }
        let warned = outcomes.iter().filter(|outcome| outcome.verdict() == "warned");
        Ok(warned.map(warning).collect())
    }
}

impl AuditStep {
    /// The offending rows of each audit, in the order of the audits.
    async fn all_offenders(&self, lake: &Lake, run: &Run) -> anyhow::Result<Vec<RecordBatch>> {
        let pinned = lake.session_at(Some(run.as_of)).await?;
        crate::pipeline::run::register_run(pinned.context(), run)?;
        let mut tasks = JoinSet::new();
        for (place, audit) in self.audits.iter().enumerate() {
            let (pinned, audit, run) = (pinned.context().clone(), Arc::clone(audit), run.clone());
            tasks.spawn(async move {
                let stopwatch = Stopwatch::start();
                let found = offending_rows(&pinned, &audit, &run)
                    .await
                    .with_context(|| format!("{}: the audit cannot run", audit.path));
                let duration_ms = stopwatch.elapsed_seconds() * 1e3;
                tracing::debug!(audit = audit.name, duration_ms, "audit ran");
                (place, found)
            });
        }
        let mut found: BTreeMap<usize, RecordBatch> = BTreeMap::new();
        while let Some(ended) = tasks.join_next().await {
            let (place, offenders) = ended.context("an audit ended without an answer")?;
            found.insert(place, offenders?);
        }
        Ok(found.into_values().collect())
    }
}

async fn offending_rows(
    pinned: &SessionContext,
    audit: &Audit,
    run: &Run,
) -> anyhow::Result<RecordBatch> {
    let sessions = match audit.span {
        AuditSpan::History => None,
        AuditSpan::OneSession => Some((run.session_date, run.session_date)),
        AuditSpan::TwoSessions => Some((run.previous_session_date, run.session_date)),
    };
    let session = match sessions {
        None => pinned.clone(),
        Some(sessions) => {
            let tables = tables_read(pinned, &audit.sql)?;
            narrowed_to_sessions(pinned, &tables, sessions).await?
        }
    };
    let frame = session.sql(&audit.sql).await?;
    let schema = std::sync::Arc::new(frame.schema().as_arrow().clone());
    Ok(concat_batches(&schema, &frame.collect().await?)?)
}

/// What a query of a step gives back.
pub async fn query(lake: &Lake, sql: &str, run: &Run) -> anyhow::Result<Rows> {
    let pinned = lake.session_at(Some(run.as_of)).await?;
    let session = pinned.context();
    let frame = session.sql(sql).await?;
    let schema = std::sync::Arc::new(frame.schema().as_arrow().clone());
    Ok(Rows::new(concat_batches(&schema, &frame.collect().await?)?))
}
