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

use crate::broker::ib::{Bounds, Endpoint, IbBroker, IbParts, Universe};
use crate::gateway::{Script, Speed};
use crate::journal::Journal;
use crate::lake::{Durability, Lake, LakeOptions, Lease, LeaseHolder};
use crate::market::clock::Stopwatch;
use crate::market::sessions::Venue;
use crate::market::{Clock, Symbol, Timestamp, WallClock};
use crate::pipeline::Files;
use crate::schedule::{Jobs, Occurrence, Planner};
use crate::structures::OrderState;

use super::embedded::{self, Embedded, Market, Published, Running, Time};
use super::files;
use super::home::Home;
use super::settings::Settings;
use super::world::{Pace, Plans, World, WorldParts};

/// How often the desk looks what is due, of the wall.
const LOOK: Duration = Duration::from_millis(50);
/// How often the lease is renewed and the heartbeat written, of the wall.
const MINUTE: f64 = 60.0;
/// How often the desk's time is kept, of the wall, and how far beyond it a start goes on.
const SECOND: f64 = 1.0;
const BEYOND_CLOCK_SECONDS: f64 = 3.0;
/// How long a start waits for the broker, and a stop for its last words.
const READY_WITHIN: Duration = Duration::from_mins(1);
const LAST_WORDS_WITHIN: f64 = 10.0;
/// How long a start within a session waits for quotes, of the wall, and how many are enough.
const QUOTES_WITHIN: f64 = 60.0;
const ENOUGH_PERCENT: usize = 95;
/// How far back the first judgement looks for jobs that still have to run today.
/// The day's reference data is read half an hour before the open.
const BEFORE_OPEN: TimeDelta = TimeDelta::minutes(35);
const FIRST_LOOK_BACK: TimeDelta = TimeDelta::hours(12);
/// The journal's name for the instant up to which jobs have been judged.
const WATERMARK: &str = "schedule";
/// Market data lines that IB gives an account without a booster pack.
const LINES: usize = 100;
/// Options are looked up to so many days past the furthest target.
const BEYOND_TARGET_DAYS: i64 = 30;

/// What was asked for.
#[derive(Debug, Clone)]
pub struct ServeOrder {
    pub speed: Speed,
    /// Seed of the embedded market.
    pub seed: u64,
    /// Where the embedded market's time begins; the wall's own time without it.
    pub from: Option<Timestamp>,
    pub faults: Script,
}

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

/// Serves until `stop` turns true.
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
    let (set, _) = files::of_home(home.root())?;
    let plans = Plans::read(&set).map_err(super::faults_error)?;
    let jobs = Jobs::parse("jobs.toml", set.get("jobs.toml").map_or("", String::as_str))
        .map_err(|faults| anyhow!("{faults}"))?;
    jobs.check_pipelines(&plans.pipelines.keys().cloned().collect())
        .map_err(|faults| anyhow!("{faults}"))?;
    home.create()?;
    let holder = LeaseHolder {
        host: Home::machine(),
        process: format!("deltadesk serve, process {}", std::process::id()),
    };
    let lease = Lease::take(&home.lake(), holder, WallClock.now())?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let planner = Planner::new(jobs, Arc::clone(&plans.calendar));
    let (market, from) = market_of(&order, home, &plans)?;
    let running = Running {
        market: &market,
        from,
        speed: order.speed,
        faults: order.faults,
        folder: &home.gateway(),
    };
    let embedded = embedded::start(running, &plans.settings, &plans.calendar, runtime.handle())?;
    listener.line(embedded.gateway.now(), &format!("paper gateway on {}", embedded.address));
    let broker = broker_of(&plans, &embedded, &runtime);
    broker.wait_until_ready(READY_WITHIN).context("the broker does not become ready")?;
    let clock = Arc::new(embedded.gateway.clone());
    listener.line(clock.now(), "broker ready: contracts described, account read");
    for missing in broker.wait_for_bars(READY_WITHIN) {
        listener.line(clock.now(), &format!("daily bars are missing: {missing}"));
    }
    let world = world_of((plans, set), (home, clock.now()), broker, runtime)?;
    let told = world.journal.borrow().last_change()?;
    let (minute, second) = (Stopwatch::start(), Stopwatch::start());
    let mut server = Server { world, planner, clock, listener, lease, minute, second, told };
    server.begin()?;
    while !*stop.borrow() {
        server.look(home)?;
        let mut stop = stop.clone();
        // Until the next look, or the stop. A sender that is gone stops too.
        let rest = async { tokio::time::timeout(LOOK, stop.changed()).await };
        if let Ok(Err(_)) = server.world.runtime.block_on(rest) {
            break;
        }
    }
    server.end(home)
}

/// The home's market, chosen at its first start, and where its time goes on.
fn market_of(
    order: &ServeOrder,
    home: &Home,
    plans: &Plans,
) -> anyhow::Result<(Market, Timestamp)> {
    let now = WallClock.now();
    let is_fast = order.speed.0 > 1.0;
    if let Some(market) = home.served_with()? {
        let from = match market.time {
            Time::Wall if is_fast => {
                bail!("{} runs on the wall's time, at --speed 1", home.root().display())
            }
            Time::Wall => now,
            // What was in flight when it stopped lies behind.
            Time::Simulated => home.clock()?.map_or(now, |kept| {
                kept + TimeDelta::milliseconds((BEYOND_CLOCK_SECONDS * order.speed.0 * 1e3) as i64)
            }),
        };
        return Ok((market, from));
    }
    let (start, time) = match order.from {
        Some(from) => (from, Time::Simulated),
        None if is_fast => bail!(
            "--speed {} needs --from: a market that runs faster than the wall cannot begin now",
            order.speed.0
        ),
        None => (now, Time::Wall),
    };
    let market = Market::beginning(order.seed, (start, time), &plans.calendar)?;
    home.keep_clock(start)?;
    home.mark_served(&market)?;
    Ok((market, start))
}

fn broker_of(plans: &Plans, embedded: &Embedded, runtime: &Runtime) -> IbBroker {
    let settings: &Settings = &plans.settings;
    let symbols = |names: &[String]| names.iter().map(|name| Symbol::new(name)).collect();
    let furthest = settings.universe.dte_targets.iter().max().copied().unwrap_or_default();
    let parts = IbParts {
        endpoint: Endpoint {
            address: embedded.address.to_string(),
            client_id: 1,
            account: settings.paper.account_id.clone(),
        },
        universe: Universe {
            symbols: symbols(&settings.universe.symbols),
            roots: symbols(&settings.universe.futures),
            horizon_days: furthest + BEYOND_TARGET_DAYS,
            lines: LINES,
        },
        bounds: Bounds::shipped(),
        calendar: Arc::clone(&plans.calendar),
        clock: Arc::new(embedded.gateway.clone()),
        reference: Box::new(Published(embedded.gateway.clone())),
    };
    IbBroker::start(parts, runtime.handle())
}

fn world_of(
    (plans, set): (Plans, Files),
    (home, now): (&Home, Timestamp),
    broker: IbBroker,
    runtime: Runtime,
) -> anyhow::Result<World<IbBroker>> {
    let lake = runtime.block_on(Lake::open(&home.lake(), LakeOptions::local(Durability::Fsync)))?;
    let calendar = Arc::clone(&plans.calendar);
    let parts = WorldParts {
        plans,
        files: set,
        lake,
        journal: Journal::open(&home.state_db())?,
        broker,
        calendar,
        start: now,
        reports: home.reports(),
        pace: Pace::Served,
    };
    World::new(parts, runtime)
}

/// A desk that serves.
struct Server<'a> {
    world: World<IbBroker>,
    planner: Planner,
    clock: Arc<dyn Clock>,
    listener: &'a mut dyn Listener,
    lease: Lease,
    minute: Stopwatch,
    second: Stopwatch,
    /// The journal's last change that the listener has been told.
    told: i64,
}

impl Server<'_> {
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

    /// Hears the broker, works orders and runs what is due.
    fn look(&mut self, home: &Home) -> anyhow::Result<()> {
        self.world.advance_to(self.clock.now())?;
        self.world.hear_out()?;
        self.tell_news()?;
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

    /// Entries are cancelled, all that is known is written, the lease is given back.
    fn end(mut self, home: &Home) -> anyhow::Result<()> {
        let withdrawn = self.world.withdraw_entries()?;
        self.say(&format!("stopping: {withdrawn} working entries cancelled"));
        let waited = Stopwatch::start();
        self.world.advance_to(self.clock.now())?;
        while self.world.hear_out()? {
            if waited.elapsed_seconds() > LAST_WORDS_WITHIN {
                self.say(
                    "an entry is not confirmed cancelled; it is looked into at the next start",
                );
                break;
            }
            self.world.runtime.block_on(async { tokio::time::sleep(LOOK).await });
            self.world.advance_to(self.clock.now())?;
        }
        self.tell_news()?;
        self.world.broker.borrow_mut().disconnect();
        self.world.flush_all()?;
        home.keep_clock(self.clock.now())?;
        self.lease.release(WallClock.now())?;
        self.listener.line(self.clock.now(), "stopped: everything is written");
        Ok(())
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

    fn say(&mut self, text: &str) {
        self.listener.line(self.clock.now(), text);
    }
}
