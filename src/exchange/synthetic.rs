//! The synthetic market: three ETFs, the VIX, their listed options, and index futures, drawn from
//! one seed.
//!
//! Invariants: the state at an instant is a function of configuration, calendar and instant, never
//! of the calls made; option prices are expectations of the same law that draws the path, times a
//! stated variance premium, so nothing in it is cheap by construction; no quote crosses its fair
//! value. All transcendental functions are `libm`'s and all draws ChaCha's, so that the same seed
//! gives the same bytes on every machine.
//!
//! Deliberately absent: an equity premium (prices drift at the risk-free rate), a lead of futures
//! over ETFs, trading of ETFs outside the stock exchange's hours, splits and special dividends,
//! and any knowledge of orders.

mod answers;
mod build;
mod carry;
mod complex;
mod etf;
mod events;
mod expiries;
mod futures;
mod listing;
mod model;
mod past;
mod path;
mod process;
mod quoting;
mod scenario;
mod smile;
mod streams;
mod tape;
#[cfg(test)]
mod tests;
mod transform;
mod valuation;
mod variance_time;
mod vix;

use std::sync::Arc;

use chrono::NaiveDate;

use crate::market::sessions::{Calendar, CalendarError};
use crate::market::{ConId, Timestamp};

use super::source::{EventRow, MarketDescription};
use etf::Etf;
use futures::Futures;
use listing::Listing;
use path::Path;
use quoting::Moment;
use valuation::{Law, Smiles};

pub use scenario::{Scenario, UnknownScenario};

/// The source named in published rows.
const SOURCE: &str = "synthetic";
/// New strikes and expiries appear this long before the stock exchange opens: 04:00 in New York.
const LISTING_BEFORE_OPEN_SECONDS: i64 = 19_800;

/// What a synthetic market is made from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SyntheticConfig {
    pub seed: u64,
    /// The first session on which the desk trades; 252 sessions of history lie before it.
    pub first_session: NaiveDate,
    /// Implied over delivered variance: 1.25 in the shipped market, 1 in the fair one.
    pub variance_premium: f64,
    pub scenario: Scenario,
}

/// The premium of the shipped market, as measured on daily data of 2005 to 2015.
pub const SHIPPED_VARIANCE_PREMIUM: f64 = 1.25;
/// The premium under which every option is priced at its own expectation.
pub const FAIR_VARIANCE_PREMIUM: f64 = 1.0;

/// Why there is no such market.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SyntheticError {
    #[error("the first session {date} is not a session of the stock exchange: choose one that is")]
    NotASession { date: NaiveDate },
    #[error("the first session {date} leaves no room: it must lie between {earliest} and {latest}")]
    OutsideCalendar { date: NaiveDate, earliest: NaiveDate, latest: NaiveDate },
    #[error("a variance premium of {premium} is outside 0.25 to 4")]
    Premium { premium: f64 },
    #[error(transparent)]
    Calendar(#[from] CalendarError),
}

/// See the module's comment. Time begins at the close of the last futures session before the first
/// session and ends four years later.
#[derive(Debug)]
pub struct SyntheticMarket {
    config: SyntheticConfig,
    calendar: Arc<Calendar>,
    description: MarketDescription,
    law: Law,
    futures: Futures,
    events: Vec<EventRow>,
    path: Path,
    listing: Listing,
    smiles: Smiles,
    /// Mornings on which chains are extended: instant and session.
    mornings: Vec<(i64, NaiveDate)>,
    listed: usize,
    now: Timestamp,
}

impl SyntheticMarket {
    /// Moves the path to the last instant of the grid that is not after `limit`.
    fn run_to(&mut self, limit: i64) {
        while let Some(reached) = self.path.step(limit, &self.law, &self.futures) {
            while let Some((_, session)) =
                self.mornings.get(self.listed).filter(|(at, _)| *at <= reached)
            {
                let spots = self.path.state().spots;
                self.listing
                    .list(&self.calendar, *session, &spots)
                    .expect("the market ends more than the longest option before its calendar");
                self.listed += 1;
            }
        }
    }

    /// What quotes of a market that opened at `opened` and closes at `closes` have in common.
    fn moment(&self, at: i64, (opened, closes): (i64, i64)) -> Moment {
        let state = self.path.state();
        let whole = self.law.time.between(opened, closes);
        Moment {
            seed: self.config.seed,
            at,
            stress: state.stress(),
            open_for: at - opened,
            progress: if whole > 0.0 { self.law.time.between(opened, at) / whole } else { 0.0 },
            session: opened.div_euclid(86_400),
        }
    }

    /// What an ETF, the index or a future is worth on the path now.
    fn underlying_value(&self, conid: ConId) -> Option<f64> {
        let state = self.path.state();
        if conid == listing::VIX_CONID {
            return Some(self.law.vix_index(state));
        }
        let etf = Etf::ALL.into_iter().find(|etf| etf.conid() == conid);
        if let Some(etf) = etf {
            return Some(*state.spots.get(etf));
        }
        self.futures
            .get(conid)
            .filter(|listed| state.at < listed.settles_at)
            .map(|listed| listed.fair(state, &self.law.carry))
    }
}
