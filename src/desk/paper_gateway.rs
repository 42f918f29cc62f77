//! A synthetic exchange for a gateway that stands alone.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use chrono::NaiveDate;

use crate::exchange::{
    Exchange, SHIPPED_VARIANCE_PREMIUM, Scenario, SyntheticConfig, SyntheticMarket,
};
use crate::market::sessions::Venue;

use super::paper::exchange_config;
use super::world::Plans;
use super::{faults_error, files};

/// An exchange at the open of a session, with the account of the home's settings.
pub fn exchange_at_open(home: &Path, seed: u64, session: NaiveDate) -> anyhow::Result<Exchange> {
    let (set, _) = files::of_home(home)?;
    let plans = Plans::read(&set).map_err(faults_error)?;
    let open = plans
        .calendar
        .session_on(Venue::Xnys, session)
        .with_context(|| format!("--from {session} cannot be the first session"))?
        .open;
    let config = SyntheticConfig {
        seed,
        first_session: session,
        variance_premium: SHIPPED_VARIANCE_PREMIUM,
        scenario: Scenario::Ordinary,
    };
    let market = SyntheticMarket::new(config, Arc::clone(&plans.calendar))?;
    let config = exchange_config(&plans.settings, seed)?;
    let mut exchange = Exchange::new(Box::new(market), config, plans.calendar)?;
    exchange.advance_to(open)?;
    Ok(exchange)
}
