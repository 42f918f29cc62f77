//! The server: the embedded gateway, the live adapter on top of it, and the jobs as they fall due,
//! until it is told to stop.
//!
//! One thread decides. It hears the broker, works its orders and runs one job at a time; the
//! connection and the market run beside it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use chrono::{NaiveDate, TimeDelta};
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::broker::ib::{IbBroker, Listed};
use crate::journal::Journal;
use crate::lake::Lease;
use crate::market::clock::Stopwatch;
use crate::market::sessions::Venue;
use crate::market::{Clock, Timestamp, Usd, WallClock};
use crate::pipeline::Files;
use crate::schedule::{Jobs, Occurrence, Planner};
use crate::structures::OrderState;

use super::behind::{Behind, ServeOrder, put_up};
use super::embedded::Embedded;
use super::ending::nothing_was_left;
use super::files;
use super::home::Home;
use super::lake_place::open_to_write;
use super::memory::note_listing;
use super::world::{Pace, Plans, World, WorldParts};
use super::writer::take_lake;

/// Enough that the embedded gateway at work holds up neither the connection to it nor its timers:
/// what is sent late reads as sent too fast.
const WORKERS: usize = 4;
/// How often the desk looks what is due, of the wall.
pub(super) const LOOK: Duration = Duration::from_millis(50);
/// How often the lease is renewed and the heartbeat written, of the wall.
const MINUTE: f64 = 60.0;
/// How often the desk's time is kept, of the wall.
const SECOND: f64 = 1.0;
/// How long a start waits for daily bars, how often it looks whether the broker is ready, and after
/// how many seconds it says that it is not.
const BARS_WITHIN: Duration = Duration::from_mins(1);
const READY_LOOK: Duration = Duration::from_millis(500);
const READY_SOON: f64 = 4.0;
/// How long a start within a session waits for quotes, of the wall, and how many are enough.
const QUOTES_WITHIN: f64 = 60.0;
const ENOUGH_PERCENT: usize = 95;
/// The day's reference data is read half an hour before the open.
const BEFORE_OPEN: TimeDelta = TimeDelta::minutes(35);
/// How far back the first judgement looks for jobs that still have to run today.
const FIRST_LOOK_BACK: TimeDelta = TimeDelta::hours(12);
/// The journal's name for the instant up to which jobs have been judged.
const WATERMARK: &str = "schedule";

/// Hears what the server does.
pub trait Listener {
    fn line(&mut self, at: Timestamp, text: &str);
}

/// Where a server's time begins for a session: before the first job that the session needs.
pub fn begins(home: &Home, session: NaiveDate) -> anyhow::Result<Timestamp> {
    let (set, _) = files::of_home(home.root())?;
    let plans = Plans::read(&set).map_err(super::faults_error)?;
    Ok(plans.calendar.session_on(Venue::Xnys, session)?.open - BEFORE_OPEN)
}

/// Serves until `stop` turns true, or until an error that the desk cannot go on with; either way it
/// ends in good order.
pub fn run(
    order: ServeOrder,
    home: &Home,
    stop: &watch::Receiver<bool>,
    listener: &mut dyn Listener,
) -> anyhow::Result<()> {
    if home.demo_mark().exists() {
        bail!(
            "{} holds a demo, which lives in virtual time; serve a home of its own \
             (`deltadesk init DIR`, then --home DIR)",
            home.root().display()
        );
    }
    let (set, origins) = files::of_home(home.root())?;
    let plans = Plans::read(&set).map_err(super::faults_error)?;
    let jobs = Jobs::parse("jobs.toml", set.get("jobs.toml").map_or("", String::as_str))
        .map_err(|faults| anyhow!("{faults}"))?;
    jobs.check_pipelines(&plans.pipelines.keys().cloned().collect())
        .map_err(|faults| anyhow!("{faults}"))?;
    home.create()?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build()?;
    let (lease, set_aside) = take_lake(home, "serve", runtime.handle())?;
    let planner = Planner::new(jobs, Arc::clone(&plans.calendar));
    let behind = put_up(order, home, (&plans, &origins), runtime.handle())?;
    let clock = Arc::clone(&behind.clock);
    listener.line(clock.now(), &behind.said);
    for torn in &set_aside {
        listener.line(clock.now(), torn);
    }
    if await_broker(&behind, stop, listener) == Waited::Stopped {
        lease.release(WallClock.now())?;
        listener.line(clock.now(), "stopped before the broker was there: nothing was begun");
        return nothing_was_left(home);
    }
    listener.line(clock.now(), "broker ready: contracts described, account read");
    for missing in behind.broker.wait_for_bars(BARS_WITHIN) {
        listener.line(clock.now(), &format!("daily bars are missing: {missing}"));
    }
    let mut journal = Journal::open(&home.state_db())?;
    let opening_cash = behind.opening_cash(&mut journal)?;
    let Behind { broker, embedded, .. } = behind;
    let world = world_of(
        (plans, set),
        (home, clock.now(), &lease),
        (broker, journal, opening_cash),
        runtime,
    )?;
    let told = world.journal.borrow().last_change()?;
    let (minute, second) = (Stopwatch::start(), Stopwatch::start());
    let mut server = Server {
        world,
        planner,
        clock,
        listener,
        lease,
        minute,
        second,
        told,
        listed: None,
        _embedded: embedded,
    };
    let served = server.serve(home, stop);
    server.end(home, served)
}

/// How waiting for the broker ended.
#[derive(Debug, PartialEq, Eq)]
enum Waited {
    Ready,
    Stopped,
}

/// Waits for ever, as a server does whose broker is restarted every night, and says why.
fn await_broker(
    behind: &Behind,
    stop: &watch::Receiver<bool>,
    listener: &mut dyn Listener,
) -> Waited {
    let waited = Stopwatch::start();
    let mut told = String::new();
    while behind.broker.wait_until_ready(READY_LOOK).is_err() {
        if *stop.borrow() {
            return Waited::Stopped;
        }
        let standing = behind.broker.standing();
        if waited.elapsed_seconds() > READY_SOON && standing != told {
            let text = format!("waiting for the broker: {standing}; `deltadesk check` says more");
            listener.line(behind.clock.now(), &text);
            told = standing;
        }
    }
    Waited::Ready
}

fn world_of(
    (plans, set): (Plans, Files),
    (home, now, lease): (&Home, Timestamp, &Lease),
    (broker, journal, opening_cash): (IbBroker, Journal, Usd),
    runtime: Runtime,
) -> anyhow::Result<World<IbBroker>> {
    let lake = runtime.block_on(open_to_write(home, lease))?;
    let calendar = Arc::clone(&plans.calendar);
    let parts = WorldParts {
        plans,
        files: set,
        lake,
        journal,
        broker,
        calendar,
        start: now,
        reports: home.reports(),
        opening_cash,
        pace: Pace::Served,
    };
    World::new(parts, runtime)
}

/// A desk that serves.
pub(super) struct Server<'a> {
    pub world: World<IbBroker>,
    planner: Planner,
    pub clock: Arc<dyn Clock>,
    pub listener: &'a mut dyn Listener,
    pub lease: Lease,
    minute: Stopwatch,
    second: Stopwatch,
    /// The journal's last change that the listener has been told.
    told: i64,
    /// The listing noted last.
    listed: Option<Listed>,
    _embedded: Option<Embedded>,
}

impl Server<'_> {
    fn serve(&mut self, home: &Home, stop: &watch::Receiver<bool>) -> anyhow::Result<()> {
        self.begin()?;
        while !*stop.borrow() {
            self.look(home)?;
            let mut stop = stop.clone();
            // Until the next look, or the stop. A sender that is gone stops too.
            let rest = async { tokio::time::timeout(LOOK, stop.changed()).await };
            if let Ok(Err(_)) = self.world.runtime.block_on(rest) {
                break;
            }
        }
        Ok(())
    }

    /// What an earlier process left is looked into before anything else.
    fn begin(&mut self) -> anyhow::Result<()> {
        self.world.advance_to(self.clock.now())?;
        for line in self.world.resume()? {
            self.say(&line);
        }
        self.await_quotes()?;
        let now = self.clock.now();
        if self.watermark()?.is_none() {
            let due = self.planner.due(now - FIRST_LOOK_BACK, now)?;
            self.keep_watermark(due.watermark)?;
            for occurrence in due.start {
                self.run(&occurrence)?;
            }
        }
        Ok(())
    }

    /// Waits, bounded, for quotes of the contracts that the first sweep will ask for. While the
    /// market is closed there are none, and nothing is waited for.
    fn await_quotes(&mut self) -> anyhow::Result<()> {
        let waited = Stopwatch::start();
        let quoted = loop {
            self.world.advance_to(self.clock.now())?;
            self.world.watch_chains()?;
            let (quoted, watched) = self.world.broker.borrow().quoted();
            let run = self.world.run_at("quotes", self.clock.now())?;
            let is_open = run.session_phase == "regular" && run.as_of >= run.session_open_at;
            let enough = watched > 0 && quoted * 100 >= watched * ENOUGH_PERCENT;
            if !is_open || enough || waited.elapsed_seconds() > QUOTES_WITHIN {
                break (is_open, quoted, watched);
            }
            self.world.runtime.block_on(async { tokio::time::sleep(LOOK * 5).await });
        };
        if let (true, quoted, watched) = quoted {
            self.say(&format!("quotes of {quoted} of {watched} contracts"));
        }
        Ok(())
    }

    /// Contracts are stored by the jobs; that they are all there is noted beside.
    fn note_listing(&mut self) -> anyhow::Result<()> {
        let listed = self.world.broker.borrow().listed();
        if let Some(listed) = listed.filter(|listed| self.listed.as_ref() != Some(listed)) {
            note_listing(&mut self.world.journal.borrow_mut(), &listed)?;
            self.listed = Some(listed);
        }
        Ok(())
    }

    /// Hears the broker, works orders and runs what is due.
    fn look(&mut self, home: &Home) -> anyhow::Result<()> {
        self.hear()?;
        let now = self.clock.now();
        let watermark = self.watermark()?.unwrap_or(now);
        let due = self.planner.due(watermark, now)?;
        for missed in &due.missed {
            let pipeline = self.pipeline_of(&missed.occurrence);
            self.world.note_missed(&pipeline, missed)?;
            let (job, at) = (&missed.occurrence.job, missed.occurrence.scheduled_at);
            self.say(&format!("{job}: missed its run of {at}"));
        }
        if !due.start.is_empty() || !due.missed.is_empty() {
            self.keep_watermark(due.watermark)?;
        }
        for occurrence in due.start {
            self.run(&occurrence)?;
        }
        if self.second.elapsed_seconds() >= SECOND {
            self.second = Stopwatch::start();
            home.keep_clock(self.clock.now())?;
        }
        if self.minute.elapsed_seconds() >= MINUTE {
            self.minute = Stopwatch::start();
            self.lease.renew(WallClock.now())?;
            home.beat(WallClock.now())?;
            self.note_listing()?;
        }
        Ok(())
    }

    /// Runs one occurrence and what its success makes due. A job that fails is recorded and told;
    /// the desk goes on, and what it could not read is not traded on.
    fn run(&mut self, occurrence: &Occurrence) -> anyhow::Result<()> {
        let mut due = std::collections::VecDeque::from([occurrence.clone()]);
        while let Some(occurrence) = due.pop_front() {
            let pipeline = self.pipeline_of(&occurrence);
            self.world.advance_to(self.clock.now())?;
            match self.world.run_job(&pipeline, &occurrence) {
                Ok(lines) => {
                    self.say(&format!("{}: done", occurrence.job));
                    for line in lines {
                        self.say(&line);
                    }
                    due.extend(self.planner.triggered_by(&occurrence));
                }
                Err(error) => {
                    tracing::error!("job {} failed: {error:#}", occurrence.job);
                    self.say(&format!("{}: failed: {error:#}", occurrence.job));
                }
            }
        }
        Ok(())
    }

    /// Takes in what the broker has told, and tells what came of it.
    pub fn hear(&mut self) -> anyhow::Result<()> {
        self.world.advance_to(self.clock.now())?;
        self.world.hear_out()?;
        self.tell_news()
    }

    /// What became of orders, and what the operator must know.
    fn tell_news(&mut self) -> anyhow::Result<()> {
        let (changes, last) = {
            let journal = self.world.journal.borrow();
            let last = journal.last_change()?;
            if last == self.told {
                return Ok(());
            }
            (journal.changes_since(self.told)?, last)
        };
        self.told = last;
        for order in changes.orders {
            let what = format!("order {}: {}", order.order_ref, order.state.as_str());
            match order.state {
                OrderState::Filled => {
                    self.say(&format!("{what}, {} combos", order.filled_quantity));
                }
                OrderState::Cancelled | OrderState::Rejected | OrderState::Unknown => {
                    self.say(&format!("{what}: {}", order.reason));
                }
                OrderState::Proposed
                | OrderState::Denied
                | OrderState::Approved
                | OrderState::Sent
                | OrderState::Working => {}
            }
        }
        for alert in changes.alerts {
            self.say(&format!("{}: {}: {}", alert.severity, alert.subject, alert.message));
        }
        Ok(())
    }

    fn pipeline_of(&self, occurrence: &Occurrence) -> String {
        let job = self.planner.jobs().get(&occurrence.job);
        job.map_or_else(String::new, |job| job.pipeline.clone())
    }

    fn watermark(&self) -> anyhow::Result<Option<Timestamp>> {
        let kept = self.world.journal.borrow().watermark(WATERMARK)?;
        kept.map(|text| {
            let at = chrono::DateTime::parse_from_rfc3339(&text)
                .with_context(|| format!("the journal's watermark `{text}` is no instant"))?;
            Ok(at.to_utc())
        })
        .transpose()
    }

    fn keep_watermark(&self, at: Timestamp) -> anyhow::Result<()> {
        Ok(self.world.journal.borrow_mut().set_watermark(WATERMARK, &at.to_rfc3339())?)
    }

    pub fn say(&mut self, text: &str) {
        self.listener.line(self.clock.now(), text);
    }
}
