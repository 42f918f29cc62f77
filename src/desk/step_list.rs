//! The step list: every step of the desk by the name that pipelines give it, and what it is built
//! from.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use crate::broker::{Broker, Feed};
use crate::ingest::{
    AccountStep, ChainWindow, ChainsStep, FuturesStep, Known, RatesStep, ReferenceStep,
    UnderlyingsStep, WatchStep,
};
use crate::market::{Symbol, Timestamp};
use crate::pipeline::{Files, Flush, Flusher, Phase, Sequence, Shared, Step};
use crate::trade::{Task, Trader, TraderStep};

use super::memory::Memory;
use super::report_step::ReportStep;
use super::steps::{AuditStep, BuildStep, FlushStep};
use super::upkeep_steps::{CheckpointStep, CompactStep, HealthStep, VacuumStep};
use super::world::Plans;

/// Names of all steps, as pipelines write them.
pub const STEPS: [&str; 23] = [
    "audit.cross",
    "build.close",
    "build.silver",
    "build.sweep",
    "flush.bronze",
    "flush.derived",
    "ingest.account",
    "ingest.chains",
    "ingest.futures",
    "ingest.rates",
    "ingest.reference",
    "ingest.underlyings",
    "ingest.watch",
    "journal.peaks",
    "journal.publish",
    "lake.checkpoint",
    "lake.compact",
    "lake.health",
    "lake.vacuum",
    "report.daily",
    "trade.act",
    "trade.observe",
    "trade.reconcile",
];

/// What the steps are built from.
pub(super) struct StepParts<'a, B> {
    pub(super) plans: &'a Plans,
    pub(super) files: &'a Files,
    pub(super) broker: &'a Shared<B>,
    pub(super) sequence: &'a Shared<Sequence>,
    pub(super) trader: &'a Shared<Trader<B>>,
    pub(super) flusher: &'a Flusher,
    pub(super) handle: &'a tokio::runtime::Handle,
    pub(super) chains_taken_at: &'a Rc<Cell<Option<Timestamp>>>,
    pub(super) reports: &'a std::path::Path,
    /// Daily bars that an earlier process has written.
    pub(super) memory: &'a Memory,
}

impl<B: Broker + Feed + 'static> StepParts<'_, B> {
    /// Every step, under its name.
    pub(super) fn build(&self) -> anyhow::Result<BTreeMap<&'static str, Box<dyn Step>>> {
        let mut steps = self.ingest();
        let hashes = self
            .plans
            .catalogue
            .models
            .iter()
            .map(|model| (model.path.clone(), model.sql_hash()))
            .collect::<BTreeMap<_, _>>();
        for (name, phase) in [
            ("build.silver", Phase::Silver),
            ("build.sweep", Phase::Sweep),
            ("build.close", Phase::Close),
        ] {
            let sequence = Rc::clone(self.sequence);
            let sql_hashes = hashes.clone();
            steps.insert(name, Box::new(BuildStep { phase, sql_hashes, sequence }));
        }
        for (name, which) in [("flush.bronze", Flush::Bronze), ("flush.derived", Flush::Derived)] {
            steps.insert(name, Box::new(FlushStep { flusher: self.flusher.clone(), which }));
        }
        for (name, task) in [
            ("journal.peaks", Task::Peaks),
            ("journal.publish", Task::Publish),
            ("trade.act", Task::Act),
            ("trade.observe", Task::Observe),
            ("trade.reconcile", Task::Reconcile),
        ] {
            steps.insert(name, Box::new(TraderStep { trader: Rc::clone(self.trader), task }));
        }
        let audits = self.plans.catalogue.cross_audits().cloned().map(Arc::new).collect();
        steps.insert("audit.cross", Box::new(AuditStep { runtime: self.handle.clone(), audits }));
        steps.extend(self.upkeep());
        let report = ReportStep::new(
            self.handle.clone(),
            self.files,
            &self.broker.borrow().description(),
            self.reports.to_owned(),
        )?;
        steps.insert("report.daily", Box::new(report));
        Ok(steps)
    }

    fn upkeep(&self) -> BTreeMap<&'static str, Box<dyn Step>> {
        let runtime = || self.handle.clone();
        let days = self.plans.settings.lake.retention_days;
        let retention = chrono::Duration::days(i64::from(days));
        let mut steps: BTreeMap<&'static str, Box<dyn Step>> = BTreeMap::new();
        steps.insert("lake.compact", Box::new(CompactStep { runtime: runtime() }));
        steps.insert("lake.checkpoint", Box::new(CheckpointStep { runtime: runtime() }));
        steps.insert("lake.vacuum", Box::new(VacuumStep { runtime: runtime(), retention }));
        steps.insert("lake.health", Box::new(HealthStep { runtime: runtime() }));
        steps
    }

    fn ingest(&self) -> BTreeMap<&'static str, Box<dyn Step>> {
        let universe = &self.plans.settings.universe;
        let symbols: Vec<Symbol> = universe.symbols.iter().map(|name| Symbol::new(name)).collect();
        let roots: Vec<Symbol> = universe.futures.iter().map(|name| Symbol::new(name)).collect();
        let bar_symbols = symbols.iter().chain(&roots).cloned().collect();
        let (feed, sequence) = (self.broker, self.sequence);
        let mut steps: BTreeMap<&'static str, Box<dyn Step>> = BTreeMap::new();
        steps.insert(
            "ingest.reference",
            Box::new(ReferenceStep {
                feed: Rc::clone(feed),
                sequence: Rc::clone(sequence),
                bar_symbols,
                delivered: self.memory.delivered.clone(),
            }),
        );
        steps.insert(
            "ingest.rates",
            Box::new(RatesStep {
                feed: Rc::clone(feed),
                sequence: Rc::clone(sequence),
                last: Vec::new(),
            }),
        );
        steps.insert(
            "ingest.underlyings",
            Box::new(UnderlyingsStep {
                feed: Rc::clone(feed),
                sequence: Rc::clone(sequence),
                symbols: symbols.clone(),
            }),
        );
        steps.insert(
            "ingest.futures",
            Box::new(FuturesStep { feed: Rc::clone(feed), sequence: Rc::clone(sequence), roots }),
        );
        steps.insert(
            "ingest.account",
            Box::new(AccountStep { broker: Rc::clone(feed), sequence: Rc::clone(sequence) }),
        );
        let window = ChainWindow {
            dte_targets: universe.dte_targets.clone(),
            put_below_spot_ratio: universe.put_below_spot_ratio,
            call_above_spot_ratio: universe.call_above_spot_ratio,
            both_around_spot_ratio: universe.both_around_spot_ratio,
            strike_spacing_ratio: universe.strike_spacing_ratio,
        };
        steps.insert(
            "ingest.watch",
            Box::new(WatchStep {
                broker: Rc::clone(feed),
                symbols: symbols.clone(),
                window: window.clone(),
            }),
        );
        steps.insert(
            "ingest.chains",
            Box::new(ChainsStep {
                broker: Rc::clone(feed),
                sequence: Rc::clone(sequence),
                symbols,
                window,
                described: self.memory.described.clone(),
                taken_at: Rc::clone(self.chains_taken_at),
                known: Known::default(),
            }),
        );
        steps
    }
}
