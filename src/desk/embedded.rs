//! The embedded paper gateway of a server: an exchange behind the protocol of TWS, on this machine
//! only, and what it publishes beside the protocol.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::broker::ib::Reference;
use crate::broker::{Dividend, FeedDescription, Rate, ScheduledEvent, published};
use crate::exchange::{
    Exchange, SHIPPED_VARIANCE_PREMIUM, Scenario, SyntheticConfig, SyntheticMarket,
};
use crate::gateway::{Gateway, Keeper, Kept, Rules, Script, Speed};
use crate::market::Timestamp;
use crate::market::sessions::{Calendar, Venue};

use super::paper::exchange_config;
use super::settings::Settings;

/// The market of a served home: chosen once, for its positions mean nothing in another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Market {
    pub seed: u64,
    pub first_session: NaiveDate,
    pub time: Time,
}

/// Whose time the market runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Time {
    /// The wall's.
    Wall,
    /// Its own, which stands still while nobody serves.
    Simulated,
}

impl Market {
    /// The market whose time begins at an instant.
    pub fn beginning(
        seed: u64,
        (start, time): (Timestamp, Time),
        calendar: &Calendar,
    ) -> anyhow::Result<Self> {
        let day = start.with_timezone(&chrono_tz::America::New_York).date_naive();
        Ok(Self { seed, first_session: first_session(calendar, day)?, time })
    }
}

impl std::fmt::Display for Market {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "synthetic, seed {}, from {}", self.seed, self.first_session)
    }
}

/// How it is run this time.
#[derive(Debug, Clone)]
pub struct Running<'a> {
    pub market: &'a Market,
    /// The earliest instant at which its time may go on.
    pub from: Timestamp,
    pub speed: Speed,
    pub faults: Script,
    /// Where the account is kept.
    pub folder: &'a Path,
}

/// A gateway that serves for as long as this lives.
pub struct Embedded {
    pub gateway: Gateway,
    pub address: SocketAddr,
    _serving: JoinSet<()>,
}

/// Starts the gateway on a free port of this machine.
pub fn start(
    running: Running<'_>,
    settings: &Settings,
    calendar: &Arc<Calendar>,
    handle: &Handle,
) -> anyhow::Result<Embedded> {
    let keeper = Keeper::of(running.folder, &running.market.to_string())?;
    let kept = keeper.read()?;
    let mut exchange = exchange_of(running.market, kept.as_ref(), settings, calendar)?;
    if kept.is_none() {
        exchange.advance_to(running.from)?;
    }
    let gateway = Gateway::over(exchange, running.speed, Rules::of_ib())
        .with_faults(running.faults)
        .keeping(keeper, kept)
        .going_on_from(running.from)?;
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

/// The exchange of a market, where it was left or with an account in cash.
pub fn exchange_of(
    market: &Market,
    kept: Option<&Kept>,
    settings: &Settings,
    calendar: &Arc<Calendar>,
) -> anyhow::Result<Exchange> {
    let config = SyntheticConfig {
        seed: market.seed,
        first_session: market.first_session,
        variance_premium: SHIPPED_VARIANCE_PREMIUM,
        scenario: Scenario::Ordinary,
    };
    let source = Box::new(SyntheticMarket::new(config, Arc::clone(calendar))?);
    let account = exchange_config(settings, market.seed)?;
    Ok(match kept {
        Some(kept) => {
            Exchange::resumed(source, account, Arc::clone(calendar), kept.exchange.clone())?
        }
        None => Exchange::new(source, account, Arc::clone(calendar))?,
    })
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

    fn description(&self) -> FeedDescription {
        self.0.read(published::description)
    }
}
