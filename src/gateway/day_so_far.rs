//! How a session has gone so far: open, high and low of the last prices that the market remembers
//! of it. Of options nothing is told: each instant of their past costs a model.

use chrono::TimeDelta;

use crate::exchange::PastSpan;
use crate::market::{Instrument, Price, Timestamp};

use super::history::session_of;
use super::hours::venues;
use super::house::House;

/// Fine enough for the extremes of a day.
const EVERY: TimeDelta = TimeDelta::minutes(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DaySoFar {
    pub open: Price,
    pub high: Price,
    pub low: Price,
}

impl DaySoFar {
    fn begun(open: Price) -> Self {
        Self { open, high: open, low: open }
    }

    /// One more last price.
    pub fn with(self, last: Price) -> Self {
        Self { high: self.high.max(last), low: self.low.min(last), ..self }
    }
}

impl House {
    /// Up to an instant; `None` before the session and where nothing is remembered of it.
    pub(super) fn day_so_far(&self, instrument: &Instrument, until: Timestamp) -> Option<DaySoFar> {
        if matches!(instrument, Instrument::Option(_)) {
            return None;
        }
        let day = session_of(instrument, until)?;
        let session = self.exchange.calendar().session(venues(instrument).0, day).ok()??;
        let after = session.open - TimeDelta::seconds(1);
        if until <= after {
            return None;
        }
        let span = PastSpan { after, until: until.min(session.close), every: EVERY };
        let quotes = self.exchange.source().past_quotes(instrument.conid(), &span);
        let mut lasts = quotes.iter().filter_map(|quote| quote.last);
        let open = lasts.next()?;
        Some(lasts.fold(DaySoFar::begun(open), DaySoFar::with))
    }
}
