//! Models computed again from bronze, a session at a time: what is to be done and why, and doing
//! it.
//!
//! A session is computed whole, in memory, before anything of it is written: one whose models fail
//! changes nothing. Each table is then changed in one commit, or left alone where its rows come out
//! as they were. What was judged at the time (verdicts, candidates, decisions) is never rewritten.

mod lineage;
mod plan;
mod rewrite;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, bail};
use chrono::NaiveDate;
use tokio::runtime::Handle;

use crate::lake::{Batch, Cell, Lake, PinnedSession, RowBuilder, TableName};
use crate::market::Timestamp;
use crate::pipeline::{
    LiveTables, Model, ModelFailed, RecordedBuild, Replayed, Tally, recorded_builds, replay,
};

use super::files;
use super::home::Home;
use super::steps::{BUILT, MODEL_RUNS};
use super::world::{Plans, run_of};

pub use plan::{Scope, SessionPlan, Wanted, Why};

use lineage::Lineage;

/// Name of a mode: a session's rows computed again.
const REBUILT: &str = "rebuilt";

/// The models of a home over its lake.
pub struct Models<'a> {
    lake: &'a Lake,
    runtime: &'a Handle,
    plans: Plans,
    lineage: Lineage,
    hashes: BTreeMap<String, String>,
}

/// What became of one table in a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableDone {
    pub table: TableName,
    pub rows_before: usize,
    pub rows_after: usize,
    pub change: Change,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The same values in every column; nothing was written.
    None,
    Rewritten,
}

/// What computing a session again did.
#[derive(Debug, Clone)]
pub struct SessionDone {
    pub session: NaiveDate,
    pub builds: usize,
    pub tables: Vec<TableDone>,
}

impl<'a> Models<'a> {
    /// Reads the home's files; every fault of them is told.
    pub fn open(home: &Home, lake: &'a Lake, runtime: &'a Handle) -> anyhow::Result<Self> {
        let (set, _) = files::of_home(home.root())?;
        let plans = Plans::read(&set).map_err(super::faults_error)?;
        let lineage = Lineage::of(&plans.catalogue.models)?;
        let models = plans.catalogue.models.iter();
        let hashes = models.map(|model| (model.path.clone(), model.sql_hash())).collect();
        Ok(Self { lake, runtime, plans, lineage, hashes })
    }

    /// Computes each session of the plan again, and tells what was done as it is done. A session
    /// that fails ends the work, and is recorded for a retry.
    pub fn rebuild(
        &self,
        sessions: &[SessionPlan],
        at: Timestamp,
        mut told: impl FnMut(&SessionDone) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut live = LiveTables::new(
            &self.plans.catalogue,
            &self.plans.settings.params,
            self.runtime.clone(),
        )?;
        self.must_fit(sessions, &live)?;
        for plan in sessions {
            live.empty();
            told(&self.session(plan, &mut live, at)?)?;
        }
        Ok(())
    }

    /// That each table can hold what its model makes, before anything is computed.
    fn must_fit(&self, sessions: &[SessionPlan], live: &LiveTables) -> anyhow::Result<()> {
        let paths: BTreeSet<&String> =
            sessions.iter().flat_map(|plan| plan.models.keys()).collect();
        for model in paths.into_iter().filter_map(|path| self.model(path)) {
            let Some(schema) = live.schema(&model.table) else { continue };
            let spec = live.spec_of(&model.table, &schema)?;
            let fits = self.runtime.block_on(self.lake.fits(&spec));
            fits.with_context(|| format!("{}: no table was changed", model.path))?;
        }
        Ok(())
    }

    fn session(
        &self,
        plan: &SessionPlan,
        live: &mut LiveTables,
        at: Timestamp,
    ) -> anyhow::Result<SessionDone> {
        let pinned = self.runtime.block_on(self.lake.session_at(None))?;
        let recorded = self.runtime.block_on(recorded_builds(&pinned))?;
        let before = recorded.iter().rfind(|build| build.session_date < plan.session);
        let builds = recorded.iter().filter(|build| build.session_date == plan.session);
        let builds = builds
            .map(|build| {
                let run = run_of(&self.plans.calendar, &build.run_id, build.as_of)?;
                Ok((build.clone(), run))
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        let made = replay((&self.plans.catalogue, live), &pinned, before, &builds);
        let stamp = Stamp { plan, at, pinned: &pinned };
        let made = match made {
            Ok(made) => made,
            Err(error) => {
                self.record_failure(&stamp, &error)?;
                let session = plan.session;
                return Err(error.context(format!(
                    "session {session} stays as it was; mend the model, then `deltadesk models \
                     retry`"
                )));
            }
        };
        let builds: Vec<RecordedBuild> = builds.into_iter().map(|(build, _)| build).collect();
        let mine = rewrite::Mine::of(&builds, before, (&pinned, self.runtime))?;
        let tables = self.write(&stamp, &made, (&mine, live))?;
        let row = |path: &String| {
            let tally = made.models.get(path).copied().unwrap_or_default();
            self.record(&stamp, path, (tally, (BUILT, None)))
        };
        self.append_runs(&stamp, plan.models.keys().map(row).collect())?;
        Ok(SessionDone { session: plan.session, builds: builds.len(), tables })
    }

    fn write(
        &self,
        stamp: &Stamp<'_>,
        made: &Replayed,
        (mine, live): (&rewrite::Mine, &LiveTables),
    ) -> anyhow::Result<Vec<TableDone>> {
        let mut done = Vec::new();
        for model in self.models_of(stamp.plan) {
            let Some(schema) = live.schema(&model.table) else { continue };
            let spec = live.spec_of(&model.table, &schema)?;
            let rows = made.tables.get(&model.table).cloned().unwrap_or_default();
            let batch = self.batch(stamp, &model.table)?;
            let target = rewrite::Target { spec: &spec, key: &model.stored_key(), batch: &batch };
            let rewriting = rewrite::rewrite((self.lake, stamp.pinned), &target, mine, rows);
            let table = self.runtime.block_on(rewriting);
            done.push(table.with_context(|| format!("{} cannot be rewritten", model.table))?);
        }
        Ok(done)
    }

    /// The models of a plan, in the order of their lineage.
    fn models_of<'b>(&'b self, plan: &'b SessionPlan) -> impl Iterator<Item = &'b Model> {
        self.lineage
            .in_order()
            .iter()
            .filter(|path| plan.models.contains_key(*path))
            .filter_map(|path| self.model(path))
    }

    fn model(&self, path: &str) -> Option<&Model> {
        self.plans.catalogue.models.iter().find(|model| model.path == path)
    }

    fn batch(&self, stamp: &Stamp<'_>, table: &TableName) -> anyhow::Result<Batch> {
        let mut last = 0;
        if self.lake.tables().contains(table) {
            let commits = self.runtime.block_on(self.lake.commits(table))?;
            last = commits.iter().map(|commit| commit.batch).max().unwrap_or_default();
        }
        let bronze = stamp.pinned.versions().iter().filter(|(name, _)| name.schema() == "bronze");
        let bronze: BTreeMap<String, u64> =
            bronze.map(|(name, version)| (name.to_string(), *version)).collect();
        Ok(Batch {
            number: last + 1,
            as_of: stamp.at,
            run_id: stamp.run_id(),
            source_versions: serde_json::to_value(bronze)?,
        })
    }

    /// The model that failed, and each of the plan that waits for it.
    fn record_failure(&self, stamp: &Stamp<'_>, error: &anyhow::Error) -> anyhow::Result<()> {
        let failed = error.downcast_ref::<ModelFailed>().map(|failed| failed.path.clone());
        let Some(failed) = failed else { return Ok(()) };
        let mut paths: BTreeSet<&String> = stamp.plan.models.keys().collect();
        paths.insert(&failed);
        let rows = paths.into_iter().map(|path| {
            let state = if *path == failed {
                ("failed", Some(format!("{error:#}")))
            } else {
                ("waiting", Some(failed.clone()))
            };
            self.record(stamp, path, (Tally::default(), state))
        });
        self.append_runs(stamp, rows.collect())
    }

    /// A row of ops.model_runs.
    fn record(
        &self,
        stamp: &Stamp<'_>,
        path: &str,
        (tally, (status, detail)): (Tally, (&str, Option<String>)),
    ) -> Vec<Cell> {
        let inputs: BTreeMap<String, u64> = self
            .lineage
            .stored_inputs(path)
            .into_iter()
            .filter_map(|table| {
                let version = stamp.pinned.versions().get(&table)?;
                Some((table.to_string(), *version))
            })
            .collect();
        let inputs = serde_json::json!(inputs).to_string();
        vec![
            path.into(),
            (tally.rows_out as i64).into(),
            (tally.rows_quarantined as i64).into(),
            self.hashes.get(path).cloned().unwrap_or_default().into(),
            tally.duration_ms.into(),
            stamp.at.into(),
            stamp.run_id().into(),
            stamp.plan.session.into(),
            REBUILT.into(),
            None::<String>.into(),
            (tally.rows_in as i64).into(),
            None::<i64>.into(),
            inputs.into(),
            status.into(),
            detail.into(),
        ]
    }

    fn append_runs(&self, stamp: &Stamp<'_>, rows: Vec<Vec<Cell>>) -> anyhow::Result<()> {
        let table = TableName::new("ops", "model_runs");
        let Some(contract) = self.plans.catalogue.contracts.get(&table) else {
            bail!("the set has no contract for {table}");
        };
        let mut builder = RowBuilder::new(&contract.spec);
        for row in rows {
            builder.push_row(MODEL_RUNS.map(str::to_owned).into_iter().zip(row).collect())?;
        }
        let batch = self.batch(stamp, &table)?;
        let append = self.lake.append(&contract.spec, &batch, vec![builder.finish()?]);
        self.runtime.block_on(append)?;
        Ok(())
    }
}

/// When a session is computed again, and over what.
struct Stamp<'a> {
    plan: &'a SessionPlan,
    at: Timestamp,
    pinned: &'a PinnedSession,
}

impl Stamp<'_> {
    fn run_id(&self) -> String {
        format!("models-{}-{}", self.at.format("%Y%m%dT%H%M%S%.6fZ"), self.plan.session)
    }
}
