//! The embedded paper gateway of a server: an exchange behind the protocol of TWS, on this machine
//! only, and what it publishes beside the protocol.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Context as _;
use chrono::NaiveDate;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::broker::ib::Reference;
use crate::broker::{Bar, Dividend, FeedDescription, Rate, ScheduledEvent, published};
use crate::exchange::{
    Exchange, SHIPPED_VARIANCE_PREMIUM, Scenario, SyntheticConfig, SyntheticMarket,
};
use crate::gateway::{Gateway, Rules, Script, Speed};
use crate::market::Timestamp;
use crate::market::sessions::{Calendar, Venue};

use super::paper::exchange_config;
use super::settings::Settings;

/// What the embedded market is.
#[derive(Debug, Clone)]
pub struct Market {
    pub seed: u64,
    /// The instant at which its time begins to run.
    pub start: Timestamp,
    pub speed: Speed,
    pub faults: Script,
}

/// A gateway that serves for as long as this lives.
pub struct Embedded {
    pub gateway: Gateway,
    pub address: SocketAddr,
    _serving: JoinSet<()>,
}

/// Starts the gateway on a free port of this machine.
pub fn start(
    market: Market,
    settings: &Settings,
    calendar: &Arc<Calendar>,
    handle: &Handle,
) -> anyhow::Result<Embedded> {
    let mut exchange = exchange_of(&market, settings, calendar)?;
    exchange.advance_to(market.start)?;
    let gateway = Gateway::over(exchange, market.speed, Rules::of_ib()).with_faults(market.faults);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listener = handle.block_on(TcpListener::bind(address)).context("no free port")?;
    let address = listener.local_addr()?;
    let mut serving = JoinSet::new();
    let served = gateway.clone();
    serving.spawn_on(
        async move {
            if let Err(error) = served.serve(listener).await {
                tracing::error!("the embedded market cannot go on: {error}");
            }
        },
        handle,
    );
    Ok(Embedded { gateway, address, _serving: serving })
}

fn exchange_of(
    market: &Market,
    settings: &Settings,
    calendar: &Arc<Calendar>,
) -> anyhow::Result<Exchange> {
    let day = market.start.with_timezone(&chrono_tz::America::New_York).date_naive();
    let config = SyntheticConfig {
        seed: market.seed,
        first_session: first_session(calendar, day)?,
        variance_premium: SHIPPED_VARIANCE_PREMIUM,
        scenario: Scenario::Ordinary,
    };
    let source = SyntheticMarket::new(config, Arc::clone(calendar))?;
    let account = exchange_config(settings, market.seed)?;
    Ok(Exchange::new(Box::new(source), account, Arc::clone(calendar))?)
}

/// The day's session, or the one before: a market begins with a session that it has a past for.
fn first_session(calendar: &Calendar, day: NaiveDate) -> anyhow::Result<NaiveDate> {
    if let Some(session) = calendar.session(Venue::Xnys, day)? {
        return Ok(session.session_date);
    }
    Ok(calendar.previous_session(Venue::Xnys, day)?.session_date)
}

/// What the embedded market publishes.
pub struct Published(pub Gateway);

impl Reference for Published {
    fn rates(&self) -> Vec<Rate> {
        self.0.read(published::rates)
    }

    fn dividends(&self) -> Vec<Dividend> {
        self.0.read(published::dividends)
    }

    fn events(&self) -> Vec<ScheduledEvent> {
        self.0.read(published::events)
    }

    fn history(&self) -> Vec<Bar> {
        self.0.read(published::history)
    }

    fn daily_bar(&self, symbol: &crate::market::Symbol, session: NaiveDate) -> Option<Bar> {
        self.0.read(|market| published::daily_bar(market, symbol, session))
    }

    fn description(&self) -> FeedDescription {
        self.0.read(published::description)
    }
}
