//! What stands behind a server: the embedded gateway with its market, or Interactive Brokers.

use std::sync::Arc;

use anyhow::bail;
use chrono::TimeDelta;
use tokio::runtime::Handle;

use crate::broker::ib::{Bounds, Endpoint, IbBroker, IbParts, Reference, Universe};
use crate::gateway::{Script, Speed};
use crate::journal::Journal;
use crate::market::{Clock, Symbol, Timestamp, Usd, WallClock};

use super::embedded::{self, Embedded, Market, Published, Running, Time};
use super::files::{self, Origin};
use super::home::{Home, Served};
use super::live::Filed;
use super::memory::recall;
use super::paper;
use super::settings::BrokerKind;
use super::world::Plans;

/// How far beyond its kept clock a simulated market goes on, seconds of the wall.
const BEYOND_CLOCK_SECONDS: f64 = 3.0;
/// Market data lines that IB gives an account without a booster pack.
const LINES: usize = 100;
/// Options are looked up to so many days past the furthest target.
const BEYOND_TARGET_DAYS: i64 = 30;
/// Our identity at the embedded gateway, which has no other client.
const ONLY_CLIENT: i32 = 1;
/// The journal's name for the account's cash when this home first saw it, millionths of a USD.
const OPENING_CASH: &str = "opening_cash_micros";

/// What was asked for.
#[derive(Debug, Clone)]
pub struct ServeOrder {
    pub speed: Speed,
    /// Seed of the embedded market; 1 without it.
    pub seed: Option<u64>,
    /// Where the embedded market's time begins; the wall's own time without it.
    pub from: Option<Timestamp>,
    pub faults: Script,
}

/// The broker's side of a server.
pub struct Behind {
    pub clock: Arc<dyn Clock>,
    pub broker: IbBroker,
    /// What it is, for the operator.
    pub said: String,
    cash: OpeningCash,
    /// Serves for as long as this lives.
    pub embedded: Option<Embedded>,
}

/// Where the cash before our first execution is known from.
enum OpeningCash {
    Settings(Usd),
    Account,
}

impl Behind {
    /// The account's cash before the first execution that this home hears of: of an account at IB,
    /// what it held when it was first served, without that day's executions, which are told.
    pub fn opening_cash(&self, journal: &mut Journal) -> anyhow::Result<Usd> {
        if let OpeningCash::Settings(cash) = self.cash {
            return Ok(cash);
        }
        if let Some(micros) = journal.watermark(OPENING_CASH)? {
            return Ok(Usd::from_micros(micros.parse()?));
        }
        let cash = self.broker.cash_before_news()?;
        journal.set_watermark(OPENING_CASH, &cash.micros().to_string())?;
        Ok(cash)
    }
}

/// Puts up whatever the settings name.
pub fn put_up(
    order: ServeOrder,
    home: &Home,
    (plans, origins): (&Plans, &[(String, Origin)]),
    handle: &Handle,
) -> anyhow::Result<Behind> {
    match plans.settings.desk.broker {
        BrokerKind::Paper => embedded_market(order, home, plans, handle),
        BrokerKind::Ib => {
            refuse_simulation(&order)?;
            if let Some(lacks) = files::lacks(home.root(), origins) {
                bail!(lacks);
            }
            interactive_brokers(home, plans, handle)
        }
    }
}

fn embedded_market(
    order: ServeOrder,
    home: &Home,
    plans: &Plans,
    handle: &Handle,
) -> anyhow::Result<Behind> {
    let (market, from) = market_of(&order, home, plans)?;
    let running = Running {
        market: &market,
        from,
        speed: order.speed,
        faults: order.faults,
        folder: &home.gateway(),
    };
    let embedded = embedded::start(running, &plans.settings, &plans.calendar, handle)?;
    let clock: Arc<dyn Clock> = Arc::new(embedded.gateway.clone());
    let universe = universe(plans, LINES);
    let recalled = recall(home, (handle, clock.now()), universe.horizon_days)?;
    let endpoint = Endpoint {
        address: embedded.address.to_string(),
        client_id: ONLY_CLIENT,
        account: plans.settings.paper.account_id.clone(),
    };
    let parts = IbParts {
        endpoint,
        universe,
        recalled,
        bounds: Bounds::shipped(),
        calendar: Arc::clone(&plans.calendar),
        clock: Arc::clone(&clock),
        reference: Box::new(Published(embedded.gateway.clone())),
    };
    Ok(Behind {
        clock,
        broker: IbBroker::start(parts, handle),
        said: format!("paper gateway on {}", embedded.address),
        cash: OpeningCash::Settings(paper::initial_cash(&plans.settings)?),
        embedded: Some(embedded),
    })
}

fn interactive_brokers(home: &Home, plans: &Plans, handle: &Handle) -> anyhow::Result<Behind> {
    let ib = &plans.settings.ib;
    let account = Served::Ib { account_id: ib.account_id.clone() };
    match home.served_with()? {
        None => home.mark_served(&account)?,
        Some(before) if before == account => {}
        Some(before) => bail!(
            "{} belongs to {before}, and the settings name {account}; positions, orders and cash \
             of one account mean nothing in another. Serve another --home",
            home.root().display()
        ),
    }
    let clock: Arc<dyn Clock> = Arc::new(WallClock);
    let reference: Box<dyn Reference> = Box::new(Filed::of(plans));
    let universe = universe(plans, ib.market_data_lines);
    let recalled = recall(home, (handle, clock.now()), universe.horizon_days)?;
    let parts = IbParts {
        endpoint: Endpoint::from(ib),
        universe,
        recalled,
        bounds: Bounds::of_another_machine(),
        calendar: Arc::clone(&plans.calendar),
        clock: Arc::clone(&clock),
        reference,
    };
    Ok(Behind {
        clock,
        broker: IbBroker::start(parts, handle),
        said: format!(
            "Interactive Brokers at {}, {} account {}",
            ib.address,
            ib.account_kind.as_str(),
            ib.account_id
        ),
        cash: OpeningCash::Account,
        embedded: None,
    })
}

fn universe(plans: &Plans, lines: usize) -> Universe {
    let universe = &plans.settings.universe;
    let symbols = |names: &[String]| names.iter().map(|name| Symbol::new(name)).collect();
    let furthest = universe.dte_targets.iter().max().copied().unwrap_or_default();
    Universe {
        symbols: symbols(&universe.symbols),
        roots: symbols(&universe.futures),
        horizon_days: furthest + BEYOND_TARGET_DAYS,
        lines,
    }
}

/// A real account runs on real time, and has the faults that it has.
fn refuse_simulation(order: &ServeOrder) -> anyhow::Result<()> {
    let wrong = if order.speed != Speed(1.0) {
        "--speed"
    } else if order.from.is_some() {
        "--from"
    } else if order.seed.is_some() {
        "--seed"
    } else if order.faults != Script::default() {
        "--faults"
    } else {
        return Ok(());
    };
    bail!("{wrong} is of the embedded market, and the settings say broker = \"ib\"; leave it away")
}

/// The home's market, chosen at its first start, and where its time goes on.
fn market_of(
    order: &ServeOrder,
    home: &Home,
    plans: &Plans,
) -> anyhow::Result<(Market, Timestamp)> {
    let now = WallClock.now();
    let is_fast = order.speed.0 > 1.0;
    match home.served_with()? {
        Some(Served::Synthetic(market)) => {
            let from = match market.time {
                Time::Wall if is_fast => {
                    bail!("{} runs on the wall's time, at --speed 1", home.root().display())
                }
                Time::Wall => now,
                // What was in flight when it stopped lies behind.
                Time::Simulated => home.clock()?.map_or(now, |kept| {
                    let beyond = BEYOND_CLOCK_SECONDS * order.speed.0 * 1e3;
                    kept + TimeDelta::milliseconds(beyond as i64)
                }),
            };
            return Ok((market, from));
        }
        Some(account @ Served::Ib { .. }) => bail!(
            "{} belongs to {account}, and the settings say broker = \"paper\"; serve another \
             --home",
            home.root().display()
        ),
        None => {}
    }
    let (start, time) = match order.from {
        Some(from) => (from, Time::Simulated),
        None if is_fast => bail!(
            "--speed {} needs --from: a market that runs faster than the wall cannot begin now",
            order.speed.0
        ),
        None => (now, Time::Wall),
    };
    let seed = order.seed.unwrap_or(1);
    let market = Market::beginning(seed, (start, time), &plans.calendar)?;
    home.keep_clock(start)?;
    home.mark_served(&Served::Synthetic(market.clone()))?;
    Ok((market, start))
}
