//! A synthetic exchange for a gateway that stands alone, kept in a folder where one is named.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use chrono::NaiveDate;

use crate::exchange::Exchange;
use crate::gateway::{Gateway, Keeper, Rules, Speed};
use crate::market::sessions::Venue;
use crate::market::{Clock as _, Timestamp, WallClock};

use super::embedded::{Market, Time, exchange_of};
use super::world::Plans;
use super::{faults_error, files};

/// When a market begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beginning {
    /// At the open of a session.
    AtOpen(NaiveDate),
    /// Now, and it keeps the wall's time.
    Now,
}

impl fmt::Display for Beginning {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtOpen(session) => write!(out, "from the open of {session}"),
            Self::Now => out.write_str("on the wall's time"),
        }
    }
}

/// Which market is wanted, with the account of a home's settings.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    pub home: &'a Path,
    pub seed: u64,
    pub beginning: Beginning,
}

/// An exchange at that open.
pub fn exchange_at_open(home: &Path, seed: u64, session: NaiveDate) -> anyhow::Result<Exchange> {
    let beginning = Beginning::AtOpen(session);
    let (exchange, ..) = built(Asked { home, seed, beginning }, None)?;
    Ok(exchange)
}

/// A gateway over such an exchange. Kept in a folder, it goes on where the last one stood.
pub fn gateway_asked(
    asked: Asked<'_>,
    folder: Option<&Path>,
    (speed, rules): (Speed, Rules),
) -> anyhow::Result<Gateway> {
    if asked.beginning == Beginning::Now && speed != Speed(1.0) {
        bail!("--from now keeps the wall's time; leave --speed away");
    }
    let (exchange, kept, from) = built(asked, folder)?;
    let gateway = Gateway::over(exchange, speed, rules);
    let gateway = match kept {
        Some((keeper, kept)) => gateway.keeping(keeper, kept),
        None => gateway,
    };
    Ok(gateway.going_on_from(from)?)
}

type Keeping = (Keeper, Option<crate::gateway::Kept>);

/// The exchange, what is kept of it, and from when on it is to be served. One that is kept stands
/// where it was left: the house looks after its orders on the way.
fn built(
    asked: Asked<'_>,
    folder: Option<&Path>,
) -> anyhow::Result<(Exchange, Option<Keeping>, Timestamp)> {
    let (set, _) = files::of_home(asked.home)?;
    let plans = Plans::read(&set).map_err(faults_error)?;
    let (market, from) = match asked.beginning {
        Beginning::AtOpen(session) => {
            let open = plans
                .calendar
                .session_on(Venue::Xnys, session)
                .with_context(|| format!("--from {session} cannot be the first session"))?
                .open;
            let time = Time::Simulated;
            (Market { seed: asked.seed, first_session: session, time }, open)
        }
        Beginning::Now => {
            let now = WallClock.now();
            (Market::beginning(asked.seed, (now, Time::Wall), &plans.calendar)?, now)
        }
    };
    let keeping = folder
        .map(|folder| -> anyhow::Result<Keeping> {
            let keeper = Keeper::of(folder, &market.to_string())?;
            let kept = keeper.read()?;
            Ok((keeper, kept))
        })
        .transpose()?;
    let kept = keeping.as_ref().and_then(|(_, kept)| kept.as_ref());
    let mut exchange = exchange_of(&market, kept, &plans.settings, &Arc::clone(&plans.calendar))?;
    if kept.is_none() {
        exchange.advance_to(from)?;
    }
    Ok((exchange, keeping, from))
}
