//! Trading days in virtual time, from market to report.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use chrono::{Duration, NaiveDate};
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;

use crate::broker::paper::PaperBroker;
use crate::broker::{Feed, FeedDescription};
use crate::exchange::{
    Exchange, FAIR_VARIANCE_PREMIUM, MarketSource, RecordedMarket, Recording,
    SHIPPED_VARIANCE_PREMIUM, Scenario, SyntheticConfig, SyntheticMarket,
};
use crate::journal::Journal;
use crate::lake::{Durability, Lake, LakeOptions};
use crate::market::clock::Stopwatch;
use crate::market::sessions::{Calendar, Session, Venue};
use crate::market::{Clock as _, Timestamp, WallClock};
use crate::schedule::{Jobs, Occurrence, Planner};

use super::accounts::RecordRead;
use super::daily_bars::daily_bars;
use super::digest::{DayDigest, day_digest, total_digest};
use super::home::Home;
use super::lake_place::refuse_bucket;
use super::market_choice::MarketChoice;
use super::paper::exchange_config;
use super::summary::{DaySummary, day_summary};
use super::world::{Pace, Plans, World, WorldParts};
use super::writer::take_lake;
use super::{files, recording};

/// What was asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct DemoOrder {
    pub market: MarketChoice,
    pub seed: u64,
    pub from: NaiveDate,
    /// Sessions to run; a recorded market ends with its record.
    pub days: usize,
    /// An overlay on the synthetic market, for tests of exit rules.
    pub scenario: Scenario,
}

/// What a home's demo was begun with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DemoMark {
    pub market: String,
    pub seed: u64,
    pub from: NaiveDate,
    pub scenario: String,
    pub description: DescriptionMark,
}

/// The market's description, as reports print it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DescriptionMark {
    pub name: String,
    pub variance_premium: Option<f64>,
    pub futures_lead_seconds: Option<f64>,
    pub notes: Vec<String>,
}

/// What somebody who watches is told.
pub trait Watcher {
    /// A job begins.
    fn job(&mut self, session: NaiveDate, occurrence: &Occurrence);
    /// A line that the desk wants read.
    fn line(&mut self, at: Timestamp, text: &str);
    /// A session is over.
    fn day(&mut self, day: &DaySummary, digest: &DayDigest);
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct DemoOutcome {
    pub days: Vec<DaySummary>,
    pub digests: Vec<DayDigest>,
    pub total_digest: String,
    pub wall_seconds: f64,
    /// Lines of a recorded market's account: every input row, and the cross-check with its Greeks.
    pub accounts: Vec<String>,
}

/// Runs the demo in `home` to its end.
pub fn run(
    order: &DemoOrder,
    home: &Home,
    watcher: &mut dyn Watcher,
) -> anyhow::Result<DemoOutcome> {
    let stopwatch = Stopwatch::start();
    home.refuse_others()?;
    home.create()?;
    let (set, _) = files::of_home(home.root())?;
    let plans = Plans::read(&set).map_err(super::faults_error)?;
    refuse_bucket(&plans.settings.lake)?;
    let jobs = Jobs::parse("jobs.toml", set.get("jobs.toml").map_or("", String::as_str))
        .map_err(|faults| anyhow::anyhow!("{faults}"))?;
    let pipelines = plans.pipelines.keys().cloned().collect();
    jobs.check_pipelines(&pipelines).map_err(|faults| anyhow::anyhow!("{faults}"))?;
    let calendar = Arc::clone(&plans.calendar);
    let planner = Planner::new(jobs, Arc::clone(&calendar));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build()?;
    let (mut lease, set_aside) = take_lake(home, "demo", runtime.handle())?;
    for torn in &set_aside {
        tracing::error!("{torn}");
    }
    let market = build_market(order, &plans, &calendar, &runtime)?;
    let sessions = sessions_of(order, &market, &calendar)?;
    let record = market.record.clone();
    let mut world = build_world((order, home), (plans, set), (market, &calendar), runtime)?;
    let first = sessions.first().context("no session to run")?;
    let mut outcome = DemoOutcome {
        days: Vec::new(),
        digests: Vec::new(),
        total_digest: String::new(),
        wall_seconds: 0.0,
        accounts: Vec::new(),
    };
    let mut from = first.open - Duration::hours(1);
    for session in &sessions {
        let until = next_morning(&calendar, session)?;
        run_session(&mut world, &planner, (session.session_date, from, until), watcher)?;
        from = until;
        let digest = day_digest(&world, session.session_date)?;
        let day = day_summary(&world, session.session_date)?;
        watcher.day(&day, &digest);
        outcome.days.push(day);
        outcome.digests.push(digest);
        lease.renew(WallClock.now())?;
    }
    if let Some(record) = record {
        outcome.accounts = super::accounts::of_recording(&world, &record)?;
    }
    outcome.total_digest = total_digest(&outcome.digests);
    outcome.wall_seconds = stopwatch.elapsed_seconds();
    lease.release(WallClock.now())?;
    Ok(outcome)
}

/// Every occurrence of every job between two instants, each to its end before the next.
fn run_session(
    world: &mut World<PaperBroker>,
    planner: &Planner,
    (session, from, until): (NaiveDate, Timestamp, Timestamp),
    watcher: &mut dyn Watcher,
) -> anyhow::Result<()> {
    let mut due: std::collections::VecDeque<Occurrence> = planner.occurrences(from, until)?.into();
    while let Some(occurrence) = due.pop_front() {
        let Some(job) = planner.jobs().get(&occurrence.job) else { continue };
        let pipeline = job.pipeline.clone();
        watcher.job(session, &occurrence);
        world.advance_to(occurrence.scheduled_at)?;
        for line in world.run_job(&pipeline, &occurrence)? {
            watcher.line(occurrence.scheduled_at, &line);
        }
        for follower in planner.triggered_by(&occurrence).into_iter().rev() {
            due.push_front(follower);
        }
    }
    Ok(())
}

/// The market of a demo, and the sessions on which it can be traded.
struct BuiltMarket {
    source: Box<dyn MarketSource>,
    sessions: Option<Vec<NaiveDate>>,
    record: Option<RecordRead>,
}

fn build_market(
    order: &DemoOrder,
    plans: &Plans,
    calendar: &Arc<Calendar>,
    runtime: &Runtime,
) -> anyhow::Result<BuiltMarket> {
    let synthetic = |variance_premium: f64| -> anyhow::Result<BuiltMarket> {
        let config = SyntheticConfig {
            seed: order.seed,
            first_session: order.from,
            variance_premium,
            scenario: order.scenario,
        };
        let market = SyntheticMarket::new(config, Arc::clone(calendar))?;
        Ok(BuiltMarket { source: Box::new(market), sessions: None, record: None })
    };
    match &order.market {
        MarketChoice::Synthetic => synthetic(SHIPPED_VARIANCE_PREMIUM),
        MarketChoice::Fair => synthetic(FAIR_VARIANCE_PREMIUM),
        MarketChoice::Recorded(folder) => {
            let rows = recording::read_folder(folder, runtime.handle())?;
            let read = rows.len();
            let stamps = rows.iter().map(|row| row.received_at).collect();
            let start = rows
                .iter()
                .map(|row| row.received_at)
                .min()
                .context("the recording holds no row")?;
            let recording = Recording {
                name: order.market.to_string(),
                rows,
                dividends: plans.dividends.clone(),
                bars: daily_bars(folder, &plans.dividends, runtime.handle())?,
                start: start - Duration::seconds(1),
            };
            let market = RecordedMarket::new(recording, Arc::clone(calendar))?;
            let sessions = market.sessions().collect();
            let faults = market.record().faults.clone();
            let record = Some(RecordRead { read, stamps, faults });
            Ok(BuiltMarket { source: Box::new(market), sessions: Some(sessions), record })
        }
    }
}

fn sessions_of(
    order: &DemoOrder,
    market: &BuiltMarket,
    calendar: &Calendar,
) -> anyhow::Result<Vec<Session>> {
    if let Some(dates) = &market.sessions {
        let chosen = dates.iter().take(order.days);
        return chosen.map(|date| Ok(calendar.session_on(Venue::Xnys, *date)?)).collect();
    }
    if order.days == 0 {
        bail!("--days 0 runs nothing; ask for at least one");
    }
    let mut sessions = vec![
        calendar
            .session_on(Venue::Xnys, order.from)
            .with_context(|| format!("--from {} cannot be the first session", order.from))?,
    ];
    while sessions.len() < order.days {
        let last = sessions.last().map_or(order.from, |session| session.session_date);
        let next = calendar.next_session(Venue::Xnys, last)?;
        sessions.push(next);
    }
    Ok(sessions)
}

fn build_world(
    (order, home): (&DemoOrder, &Home),
    (plans, set): (Plans, crate::pipeline::Files),
    (market, calendar): (BuiltMarket, &Arc<Calendar>),
    runtime: Runtime,
) -> anyhow::Result<World<PaperBroker>> {
    let config = exchange_config(&plans.settings, order.seed)?;
    let start = market.source.now();
    let exchange = Exchange::new(market.source, config, Arc::clone(calendar))?;
    let broker = PaperBroker::new(exchange);
    mark_home(order, home, &broker.description())?;
    let lake =
        runtime.block_on(Lake::open(&home.lake(), LakeOptions::local(Durability::Buffered)))?;
    let opening_cash = super::paper::initial_cash(&plans.settings)?;
    let parts = WorldParts {
        plans,
        files: set,
        lake,
        journal: Journal::create(&home.state_db())?,
        broker,
        calendar: Arc::clone(calendar),
        start,
        reports: home.reports(),
        opening_cash,
        pace: Pace::Virtual,
    };
    World::new(parts, runtime)
}

/// The same home continues the same demo only: what it was begun with is written down once.
fn mark_home(order: &DemoOrder, home: &Home, market: &FeedDescription) -> anyhow::Result<()> {
    let mark = DemoMark {
        market: order.market.to_string(),
        seed: order.seed,
        from: order.from,
        scenario: format!("{:?}", order.scenario),
        description: DescriptionMark {
            name: market.name.clone(),
            variance_premium: market.variance_premium,
            futures_lead_seconds: market.futures_lead_seconds,
            notes: market.notes.clone(),
        },
    };
    let path = home.demo_mark();
    if path.exists() {
        let text = std::fs::read_to_string(&path)?;
        let found: DemoMark = serde_json::from_str(&text)
            .with_context(|| format!("{} is damaged; choose a new --home", path.display()))?;
        if found != mark {
            bail!(
                "{} holds a demo of {} with seed {} from {}; choose another --home for this one",
                home.root().display(),
                found.market,
                found.seed,
                found.from
            );
        }
        return Ok(());
    }
    Home::write_whole(&path, &serde_json::to_string_pretty(&mark)?)
}

/// An hour before the next session's open, where the next day's jobs begin.
fn next_morning(calendar: &Calendar, session: &Session) -> anyhow::Result<Timestamp> {
    let next = calendar.next_session(Venue::Xnys, session.session_date)?;
    Ok(next.open - Duration::hours(1))
}
