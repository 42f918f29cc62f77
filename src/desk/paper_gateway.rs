//! A synthetic exchange for a gateway that stands alone, kept in a folder where one is named.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use chrono::NaiveDate;

use crate::exchange::Exchange;
use crate::gateway::{Gateway, Keeper, Rules, Speed};
use crate::market::sessions::Venue;

use super::embedded::{Market, Time, exchange_of};
use super::world::Plans;
use super::{faults_error, files};

/// A market from the open of a session, with the account of a home's settings.
#[derive(Debug, Clone, Copy)]
pub struct AtOpen<'a> {
    pub home: &'a Path,
    pub seed: u64,
    pub session: NaiveDate,
}

/// An exchange at that open.
pub fn exchange_at_open(home: &Path, seed: u64, session: NaiveDate) -> anyhow::Result<Exchange> {
    let (exchange, _) = built(AtOpen { home, seed, session }, None)?;
    Ok(exchange)
}

/// A gateway over that exchange. Kept in a folder, it goes on where the last one stood.
pub fn gateway_at_open(
    at: AtOpen<'_>,
    folder: Option<&Path>,
    (speed, rules): (Speed, Rules),
) -> anyhow::Result<Gateway> {
    let (exchange, kept) = built(at, folder)?;
    let gateway = Gateway::over(exchange, speed, rules);
    Ok(match kept {
        Some((keeper, kept)) => gateway.keeping(keeper, kept),
        None => gateway,
    })
}

type Keeping = (Keeper, Option<crate::gateway::Kept>);

fn built(at: AtOpen<'_>, folder: Option<&Path>) -> anyhow::Result<(Exchange, Option<Keeping>)> {
    let (set, _) = files::of_home(at.home)?;
    let plans = Plans::read(&set).map_err(faults_error)?;
    let open = plans
        .calendar
        .session_on(Venue::Xnys, at.session)
        .with_context(|| format!("--from {} cannot be the first session", at.session))?
        .open;
    let market = Market { seed: at.seed, first_session: at.session, time: Time::Simulated };
    let keeping = folder
        .map(|folder| -> anyhow::Result<Keeping> {
            let keeper = Keeper::of(folder, &market.to_string())?;
            let kept = keeper.read()?;
            Ok((keeper, kept))
        })
        .transpose()?;
    let kept = keeping.as_ref().and_then(|(_, kept)| kept.as_ref());
    let mut exchange = exchange_of(&market, kept, &plans.settings, &Arc::clone(&plans.calendar))?;
    exchange.advance_to(open)?;
    Ok((exchange, keeping))
}
