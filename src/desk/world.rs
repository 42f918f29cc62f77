//! A desk in virtual time: every part built and handed to the steps that need it, and the loop that
//! drives each event to its end before the next.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use chrono::NaiveDate;
use sha2::{Digest as _, Sha256};
use tokio::runtime::Runtime;

use crate::broker::{Broker, Feed, Rate, ScheduledEvent};
use crate::exchange::DividendRow;
use crate::journal::Journal;
use crate::lake::{Lake, Rows, TableName};
use crate::market::clock::Stopwatch;
use crate::market::sessions::{Calendar, Venue};
use crate::market::{Clock as _, Timestamp, Usd, VirtualClock};
use crate::pipeline::model::hex;
use crate::pipeline::step::read_pipelines;
use crate::pipeline::{
    Catalogue, FileFault, Files, Flusher, LiveTables, Numbering, Pipeline, Run, Step, StepContext,
};
use crate::pipeline::{Sequence, Shared, deliver, ops_stamp};
use crate::schedule::{Missed, MissedBecause, Occurrence};
use crate::structures::OrderRef;
use crate::trade::{TradeSettings, Trader, TraderParts, Transmission, WorkParameters, shared};

use super::memory::{Memory, held_fills, published, query, told_anew};
use super::settings::{OrderMode, Settings};
use super::step_list::{STEPS, StepParts};

/// The files of a home, read and checked.
pub struct Plans {
    pub settings: Settings,
    pub catalogue: Catalogue,
    pub pipelines: BTreeMap<String, Pipeline>,
    /// `reference/dividends.csv`.
    pub dividends: Vec<DividendRow>,
    /// `reference/rates.csv`, for a live broker.
    pub rates: Vec<Rate>,
    /// `reference/events.csv`, for a live broker.
    pub events: Vec<ScheduledEvent>,
    /// With `reference/session_overrides.csv`.
    pub calendar: Arc<Calendar>,
}

impl Plans {
    /// Every fault of every file at once.
    pub fn read(files: &Files) -> Result<Self, Vec<FileFault>> {
        let settings = Settings::read(files);
        let catalogue = Catalogue::read(files);
        let pipelines = read_pipelines(files, &STEPS);
        let dividends = super::reference::dividends(files);
        let published = (super::reference::rates(files), super::reference::events(files));
        let calendar = super::reference::calendar(files);
        match (settings, catalogue, pipelines, (dividends, published), calendar) {
            (
                Ok(settings),
                Ok(mut catalogue),
                Ok(pipelines),
                (Ok(dividends), (Ok(rates), Ok(events))),
                Ok(calendar),
            ) => {
                catalogue.switch_off(&settings.desk.switched_off);
                let calendar = Arc::new(calendar);
                Ok(Self { settings, catalogue, pipelines, dividends, rates, events, calendar })
            }
            (settings, catalogue, pipelines, (dividends, (rates, events)), calendar) => {
                Err(settings
                    .err()
                    .into_iter()
                    .chain(catalogue.err())
                    .chain(pipelines.err())
                    .chain(dividends.err())
                    .chain(rates.err())
                    .chain(events.err())
                    .chain(calendar.err())
                    .flatten()
                    .collect())
            }
        }
    }
}

/// What a world is built from.
pub struct WorldParts<B> {
    pub plans: Plans,
    pub files: Files,
    pub lake: Lake,
    pub journal: Journal,
    pub broker: B,
    pub calendar: Arc<Calendar>,
    pub start: Timestamp,
    pub reports: std::path::PathBuf,
    /// The account's cash before our first execution.
    pub opening_cash: Usd,
    pub pace: Pace,
}

/// Whose time a world runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Recomputed from its first session; orders as the settings say.
    Virtual,
    /// On a living broker's clock: the account outlives this process, and what was open when an
    /// earlier one ended is looked into before anything is sent.
    Served,
    /// One job on the wall clock. The paper account lives only as long as the process, so nothing
    /// is sent, whatever the settings say.
    ByHand,
}

/// A desk that runs.
pub struct World<B> {
    pub clock: VirtualClock,
    pub calendar: Arc<Calendar>,
    pub broker: Shared<B>,
    pub journal: Shared<Journal>,
    pub live: LiveTables,
    pub lake: Lake,
    pub runtime: Runtime,
    /// When rows of a recorded chain were last taken.
    pub chains_taken_at: Rc<Cell<Option<Timestamp>>>,
    pub reports: std::path::PathBuf,
    trader: Shared<Trader<B>>,
    pipelines: BTreeMap<String, Pipeline>,
    steps: BTreeMap<&'static str, Box<dyn Step>>,
    session_date: Option<NaiveDate>,
    pace: Pace,
}

impl<B: Broker + Feed + 'static> World<B> {
    /// Builds every part. `runtime` does the lake's work; nothing decides on it.
    pub fn new(parts: WorldParts<B>, runtime: Runtime) -> anyhow::Result<Self> {
        let WorldParts { plans, files, lake, journal, broker, calendar, .. } = parts;
        let WorldParts { start, reports, opening_cash, pace, .. } = parts;
        let handle = runtime.handle().clone();
        let live = LiveTables::new(&plans.catalogue, &plans.settings.params, handle.clone())?;
        let broker = shared(broker);
        let journal = shared(journal);
        let (sequence, numbering) = match pace {
            Pace::Virtual => (Sequence::default(), Numbering::FromStart),
            Pace::Served | Pace::ByHand => {
                (Sequence::after(start.timestamp_micros()), Numbering::Continued)
            }
        };
        let sequence = shared(sequence);
        for spec in live.stored()? {
            runtime.block_on(lake.create(&spec))?;
        }
        let memory = match pace {
            Pace::Served => runtime.block_on(Memory::of(&lake))?,
            // Whatever a demo has written, or a job by hand, is of a market begun anew.
            Pace::ByHand => {
                Memory { published: runtime.block_on(published(&lake))?, ..Memory::default() }
            }
            Pace::Virtual => Memory::default(),
        };
        let fills = held_fills(memory.executed.clone());
        let flusher = Flusher::new(handle.clone(), numbering).passing_over(fills);
        let chains_taken_at = Rc::new(Cell::new(None));
        let trader = shared(Trader::new(TraderParts {
            broker: Rc::clone(&broker),
            journal: Rc::clone(&journal),
            sequence: Rc::clone(&sequence),
            calendar: Arc::clone(&calendar),
            flusher: flusher.clone(),
            settings: trade_settings(&plans, (opening_cash, pace))?,
            published: memory.published.clone(),
        })?);
        let steps = StepParts {
            plans: &plans,
            files: &files,
            broker: &broker,
            sequence: &sequence,
            trader: &trader,
            flusher: &flusher,
            handle: &handle,
            chains_taken_at: &chains_taken_at,
            reports: &reports,
            memory: &memory,
        }
        .build()?;
        let mut world = Self {
            clock: VirtualClock::starting_at(start),
            calendar,
            broker,
            journal,
            live,
            lake,
            runtime,
            chains_taken_at,
            reports,
            trader,
            pipelines: plans.pipelines,
            steps,
            session_date: None,
            pace,
        };
        if pace == Pace::Served {
            let session = world.run_at("restore", start)?.session_date;
            world.live.restore(&world.lake, session, &told_anew())?;
        }
        Ok(world)
    }

    /// Moves the market and the clock to an instant, working orders on the way: each of their steps
    /// is an event of its own.
    pub fn advance_to(&mut self, at: Timestamp) -> anyhow::Result<()> {
        loop {
            let next = self.trader.borrow().next_work_at().filter(|next| *next < at);
            let target = match self.pace {
                Pace::Virtual => next.unwrap_or(at),
                Pace::Served | Pace::ByHand => at,
            };
            let target = self.broker.borrow_mut().advance_to(target)?;
            self.clock.advance_to(target);
            if next.is_none() {
                return Ok(());
            }
            let run = self.run_at(&format!("work-{}", target.format("%Y%m%dT%H%M%SZ")), target)?;
            let trader = Rc::clone(&self.trader);
            let mut context = StepContext { run: &run, live: &mut self.live, lake: &self.lake };
            let mut trader = trader.borrow_mut();
            if trader.take_events(&mut context)? {
                trader.reconcile(&mut context)?;
            }
            trader.work(&mut context)?;
        }
    }

    /// Looks into what an earlier process left at the broker, before anything is sent.
    pub fn resume(&mut self) -> anyhow::Result<Vec<String>> {
        let run = self.run_now("resume")?;
        let trader = Rc::clone(&self.trader);
        let mut context = StepContext { run: &run, live: &mut self.live, lake: &self.lake };
        trader.borrow_mut().resume(&mut context)
    }

    /// Names the contracts of the next sweep to the feed.
    pub fn watch_chains(&mut self) -> anyhow::Result<()> {
        let run = self.run_at("watch", self.clock.now())?;
        if let Some(step) = self.steps.get_mut("ingest.watch") {
            let mut context = StepContext { run: &run, live: &mut self.live, lake: &self.lake };
            step.run(&mut context)?;
        }
        Ok(())
    }

    /// Asks the broker to cancel entries that may still fill.
    pub fn withdraw_entries(&mut self) -> anyhow::Result<()> {
        self.trader.borrow_mut().withdraw_entries(self.clock.now())
    }

    /// Orders that open a strategy and may still fill.
    pub fn working_entries(&self) -> anyhow::Result<Vec<OrderRef>> {
        self.trader.borrow().working_entries()
    }

    /// Hears what the broker has told since the last time.
    pub fn hear_out(&mut self) -> anyhow::Result<()> {
        let run = self.run_now("hear")?;
        let trader = Rc::clone(&self.trader);
        let mut context = StepContext { run: &run, live: &mut self.live, lake: &self.lake };
        let mut trader = trader.borrow_mut();
        if trader.take_events(&mut context)? {
            trader.reconcile(&mut context)?;
        }
        Ok(())
    }

    /// Records an occurrence that was due and does not run.
    pub fn note_missed(&mut self, pipeline: &str, missed: &Missed) -> anyhow::Result<()> {
        let because = match missed.because {
            MissedBecause::NeverLate => "seen too late, and its job does not run late",
            MissedBecause::TooOld => "older than its job's catch-up window",
            MissedBecause::Superseded => "a newer occurrence of its job runs instead",
            MissedBecause::TooMany => "too many were missed; the newest run",
        };
        self.record_run(pipeline, &missed.occurrence, ("missed", because.to_owned()))
    }

    /// Runs one pipeline now; the lines that its steps want read.
    pub fn run_pipeline(&mut self, name: &str, run_id: &str) -> anyhow::Result<Vec<String>> {
        let steps = self
            .pipelines
            .get(name)
            .ok_or_else(|| anyhow!("there is no pipelines/{name}.toml"))?
            .steps
            .clone();
        let run = self.run_at(run_id, self.clock.now())?;
        if self.session_date != Some(run.session_date) {
            self.live.roll_to(run.session_date)?;
            self.session_date = Some(run.session_date);
        }
        let mut lines = Vec::new();
        for step_name in &steps {
            let step = self
                .steps
                .get_mut(step_name.as_str())
                .ok_or_else(|| anyhow!("no step is called {step_name}"))?;
            let mut context = StepContext { run: &run, live: &mut self.live, lake: &self.lake };
            let stopwatch = Stopwatch::start();
            let said = step
                .run(&mut context)
                .with_context(|| format!("job run {run_id}, pipeline {name}, step {step_name}"))?;
            tracing::debug!(
                run.id = run_id,
                step = step_name,
                duration_ms = stopwatch.elapsed_seconds() * 1e3,
                "step ran"
            );
            lines.extend(said);
        }
        Ok(lines)
    }

    /// Runs a job's pipeline and records how it went in ops.job_runs.
    pub fn run_job(
        &mut self,
        pipeline: &str,
        occurrence: &Occurrence,
    ) -> anyhow::Result<Vec<String>> {
        let run_id = occurrence.run_id();
        let outcome = self.run_pipeline(pipeline, run_id.as_str());
        let (status, detail) = match &outcome {
            Ok(lines) => ("succeeded", lines.join("; ")),
            Err(error) => ("failed", format!("{error:#}")),
        };
        self.record_run(pipeline, occurrence, (status, detail))?;
        outcome
    }

    fn record_run(
        &mut self,
        pipeline: &str,
        occurrence: &Occurrence,
        (status, detail): (&str, String),
    ) -> anyhow::Result<()> {
        let run = self.run_at(occurrence.run_id().as_str(), self.clock.now())?;
        let mut context = StepContext { run: &run, live: &mut self.live, lake: &self.lake };
        let mut row: Vec<crate::lake::Cell> = vec![
            occurrence.job.as_str().into(),
            pipeline.into(),
            occurrence.scheduled_at.into(),
            status.into(),
            detail.into(),
        ];
        row.extend(ops_stamp(&run));
        let names = [
            "job",
            "pipeline",
            "scheduled_at",
            "status",
            "detail",
            "as_of",
            "run_id",
            "session_date",
        ];
        deliver(&mut context, &TableName::new("ops", "job_runs"), &names, &[row])?;
        Ok(())
    }

    /// Writes everything that is pending. Bronze that no step has built from is built from first:
    /// the rows of a process that ends are nobody's new rows afterwards. What one step cannot write
    /// keeps none of the others from writing.
    pub fn flush_all(&mut self) -> anyhow::Result<()> {
        let mut outcome = Ok(());
        let run = self.run_now("flush")?;
        for name in ["journal.publish", "build.silver", "flush.bronze", "flush.derived"] {
            if let Some(step) = self.steps.get_mut(name) {
                let mut context = StepContext { run: &run, live: &mut self.live, lake: &self.lake };
                let ran = step.run(&mut context).context(name);
                outcome = outcome.and(ran.map(drop));
            }
        }
        outcome
    }

    /// A run of no job: its id has its instant in it, for what a run finds is kept under its id.
    fn run_now(&self, name: &str) -> anyhow::Result<Run> {
        let now = self.clock.now();
        self.run_at(&format!("{name}-{}", now.format("%Y%m%dT%H%M%S%.6fZ")), now)
    }

    /// The identity of a run of this desk at an instant.
    pub fn run_at(&self, run_id: &str, as_of: Timestamp) -> anyhow::Result<Run> {
        run_of(&self.calendar, run_id, as_of)
    }
}

/// The identity of a run at an instant. An evening belongs to the session before it.
pub fn run_of(calendar: &Calendar, run_id: &str, as_of: Timestamp) -> anyhow::Result<Run> {
    let local = as_of.with_timezone(&chrono_tz::America::New_York).date_naive();
    let session = match calendar.session(Venue::Xnys, local)? {
        Some(session) => session,
        None => calendar.previous_session(Venue::Xnys, local)?,
    };
    let previous = calendar.previous_session(Venue::Xnys, session.session_date)?;
    let futures = calendar.previous_session(Venue::CmeEquityFutures, session.session_date)?;
    let phase = if as_of < session.open {
        "pre"
    } else if as_of < session.close {
        "regular"
    } else {
        "post"
    };
    Ok(Run {
        run_id: run_id.to_owned(),
        as_of,
        session_date: session.session_date,
        previous_session_date: previous.session_date,
        session_open_at: session.open,
        session_close_at: session.close,
        previous_session_close_at: previous.close,
        previous_futures_close_at: futures.close,
        session_phase: phase.to_owned(),
    })
}

impl<B> World<B> {
    /// A query on what the lake holds as of the clock: rows of an earlier pass that lie ahead are
    /// not seen.
    pub fn ask(&self, sql: &str) -> anyhow::Result<Rows> {
        self.runtime.block_on(query(&self.lake, Some(self.clock.now()), sql))
    }
}

fn trade_settings(
    plans: &Plans,
    (opening_cash, pace): (Usd, Pace),
) -> anyhow::Result<TradeSettings> {
    let settings = &plans.settings;
    let commission = settings
        .params
        .0
        .get("marks_commission_usd_contract")
        .ok_or_else(|| anyhow!("deltadesk.toml: [marks] commission_usd_contract is missing"))?;
    let mut hash = Sha256::new();
    for model in &plans.catalogue.models {
        hash.update(model.sql.as_bytes());
    }
    Ok(TradeSettings {
        limits: settings.risk.clone(),
        work: WorkParameters {
            steps: settings.work.ladder_steps,
            step: chrono::Duration::seconds(settings.work.step_seconds),
            exit_budget_ratio: settings.work.exit_budget_ratio,
            urgent_collar_ratio: settings.work.urgent_collar_ratio,
            refused_entry_rest: chrono::Duration::minutes(settings.work.refused_entry_rest_minutes),
        },
        transmission: match (settings.desk.orders, pace) {
            (OrderMode::Send, Pace::Virtual | Pace::Served) => Transmission::Send,
            (OrderMode::Observe, _) | (_, Pace::ByHand) => Transmission::Observe,
        },
        capital: Usd::from_f64(settings.desk.capital_usd)
            .ok_or_else(|| anyhow!("deltadesk.toml: [desk] capital_usd is no amount"))?,
        opening_cash,
        commission_usd_contract: *commission,
        settings_hash: settings.hash.clone(),
        sql_hash: hex(&hash.finalize()),
    })
}
