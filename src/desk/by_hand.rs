//! One job, run by hand on the wall clock: what works without a server.
//!
//! The paper account lives only as long as this process, so nothing is sent: the job ingests,
//! decides, gates and stores, and every approved order is recorded as observed.

use std::sync::Arc;

use anyhow::{anyhow, bail};
use chrono::NaiveDate;

use crate::broker::paper::PaperBroker;
use crate::exchange::{
    Exchange, SHIPPED_VARIANCE_PREMIUM, Scenario, SyntheticConfig, SyntheticMarket,
};
use crate::journal::Journal;
use crate::lake::Lease;
use crate::market::sessions::{Calendar, Venue};
use crate::market::{Clock as _, Timestamp, WallClock};
use crate::schedule::{Job, Jobs, Occurrence, When};

use super::files;
use super::home::Home;
use super::lake_place::open_to_write;
use super::paper::exchange_config;
use super::settings::BrokerKind;
use super::world::{Pace, Plans, World, WorldParts};
use super::writer::take_lake;

/// The market behind a job by hand; any seed is as good as another.
const SEED: u64 = 1;

/// Runs a job now; the lines that it wants read.
pub fn run_job(home: &Home, job: &str, date: Option<NaiveDate>) -> anyhow::Result<Vec<String>> {
    let (set, _) = files::of_home(home.root())?;
    let plans = Plans::read(&set).map_err(super::faults_error)?;
    let jobs = Jobs::parse("jobs.toml", set.get("jobs.toml").map_or("", String::as_str))
        .map_err(|faults| anyhow!("{faults}"))?;
    let Some(found) = jobs.named(job) else {
        let names: Vec<String> = jobs.iter().map(|job| job.name.to_string()).collect();
        bail!("jobs.toml has no job `{job}`; there are {}", names.join(", "));
    };
    if plans.settings.desk.broker == BrokerKind::Ib {
        bail!(
            "{} trades at IB, and a job by hand has a market of its own, whose rows would stand \
             among the real ones; `deltadesk serve` runs the jobs",
            home.root().display()
        );
    }
    if home.demo_mark().exists() {
        bail!(
            "{} holds a demo, which lives in virtual time; run jobs in a home of their own \
             (`deltadesk init DIR`). A demo's report is written again by `deltadesk report`",
            home.root().display()
        );
    }
    let calendar = Arc::clone(&plans.calendar);
    let now = WallClock.now();
    let session = session_for(&calendar, found, now)?;
    if date.is_some_and(|date| date != session) {
        bail!("a job by hand runs for the current session, {session}; leave --date away");
    }
    home.create()?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (lease, set_aside) = take_lake(home, &format!("run {job}"), runtime.handle())?;
    for torn in &set_aside {
        tracing::error!("{torn}");
    }
    let occurrence = Occurrence::new(found, now);
    let mut world = build((home, runtime, &lease), (plans, set), &calendar, (session, now))?;
    world.advance_to(now)?;
    let outcome = world.run_job(&found.pipeline, &occurrence);
    world.flush_all()?;
    lease.release(WallClock.now())?;
    outcome
}

/// The session a job runs for: today's, where its calendar has one now; on-demand jobs take the
/// latest.
fn session_for(calendar: &Calendar, job: &Job, now: Timestamp) -> anyhow::Result<NaiveDate> {
    let today = now.with_timezone(&chrono_tz::America::New_York).date_naive();
    let open = calendar.session(Venue::Xnys, today)?;
    match (&job.when, open) {
        (_, Some(session)) => Ok(session.session_date),
        (When::OnDemand, None) => Ok(calendar.previous_session(Venue::Xnys, today)?.session_date),
        (_, None) => {
            let next = calendar.next_session(Venue::Xnys, today)?;
            bail!(
                "{today} is no session of the stock exchange, and job {} runs in sessions only; \
                 the next one is {}. Jobs with on_demand run at any time",
                job.name,
                next.session_date
            )
        }
    }
}

fn build(
    (home, runtime, lease): (&Home, tokio::runtime::Runtime, &Lease),
    (plans, set): (Plans, crate::pipeline::Files),
    calendar: &Arc<Calendar>,
    (session, now): (NaiveDate, Timestamp),
) -> anyhow::Result<World<PaperBroker>> {
    let config = SyntheticConfig {
        seed: SEED,
        first_session: session,
        variance_premium: SHIPPED_VARIANCE_PREMIUM,
        scenario: Scenario::Ordinary,
    };
    let market = SyntheticMarket::new(config, Arc::clone(calendar))?;
    let account = exchange_config(&plans.settings, SEED)?;
    let exchange = Exchange::new(Box::new(market), account, Arc::clone(calendar))?;
    let lake = runtime.block_on(open_to_write(home, lease))?;
    let opening_cash = super::paper::initial_cash(&plans.settings)?;
    let parts = WorldParts {
        plans,
        files: set,
        lake,
        journal: Journal::open(&home.state_db())?,
        broker: PaperBroker::new(exchange),
        calendar: Arc::clone(calendar),
        start: now,
        reports: home.reports(),
        opening_cash,
        pace: Pace::ByHand,
    };
    World::new(parts, runtime)
}
