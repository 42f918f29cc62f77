//! The account at the last closes of the stock exchange: what the day's profit counts from.
//!
//! Invariant: a close is noted only if it passed before the house's eyes, at its next beat. After
//! an absence across a close nothing is known until the one that follows. The account's own
//! beginning counts as a close of the day before, in cash.

use std::collections::BTreeMap;

use chrono::{Days, NaiveDate};
use serde::{Deserialize, Serialize};

use crate::market::{ConId, Timestamp};

use super::house::House;

/// Closes that are kept: today's, and the one before it.
const KEPT: usize = 2;

/// The account at one close.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Close {
    /// The session.
    pub day: NaiveDate,
    /// When it was noted.
    pub at: Timestamp,
    /// USD.
    pub equity: f64,
    pub held: BTreeMap<ConId, Held>,
}

/// A position at a close.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Held {
    pub quantity: i64,
    /// Its mark, USD a share or index points.
    pub price: f64,
}

/// The last closes, oldest first.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Closes {
    recent: Vec<Close>,
}

impl Closes {
    fn add(&mut self, close: Close) {
        self.recent.push(close);
        if self.recent.len() > KEPT {
            self.recent.remove(0);
        }
    }

    /// The close that a day counts from.
    pub fn before(&self, today: NaiveDate) -> Option<&Close> {
        self.recent.iter().rev().find(|close| close.day < today)
    }

    /// Nothing where a session has closed since the last of them.
    pub fn still_good(self, closed: Option<NaiveDate>) -> Self {
        let last = self.recent.last().map(|close| close.day);
        if closed.is_some() && last < closed { Self::default() } else { self }
    }
}

impl House {
    /// Notes the account's beginning.
    pub(super) fn note_beginning(&mut self) {
        let begun = self.today().checked_sub_days(Days::new(1));
        let is_new = self.exchange.positions().is_empty();
        if let Some(day) = begun.filter(|_| is_new) {
            self.note(day);
        }
        self.closed = self.exchange.closed_session();
    }

    /// Notes a close that has just passed.
    pub(super) fn note_close(&mut self) {
        let closed = self.exchange.closed_session();
        if closed == self.closed {
            return;
        }
        self.closed = closed;
        if let Some(day) = closed {
            self.note(day);
            self.forget();
            self.keep();
        }
    }

    fn note(&mut self, day: NaiveDate) {
        let Ok(account) = self.exchange.account() else { return };
        let held = self.exchange.marked_positions().map(|(conid, position)| {
            let price = position.mark.price.to_f64();
            (conid, Held { quantity: position.quantity, price })
        });
        let held = held.collect();
        let equity = account.net_liquidation.to_f64();
        self.closes.add(Close { day, at: self.now(), equity, held });
    }

    /// The day in New York.
    pub(super) fn today(&self) -> NaiveDate {
        day_of(self.now())
    }
}

/// The day in New York that an instant belongs to.
pub(super) fn day_of(at: Timestamp) -> NaiveDate {
    at.with_timezone(&chrono_tz::America::New_York).date_naive()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn closes(days: &[&str]) -> Closes {
        let mut closes = Closes::default();
        for on in days {
            closes.add(Close {
                day: day(on),
                at: Timestamp::default(),
                equity: 1.0,
                held: BTreeMap::new(),
            });
        }
        closes
    }

    #[test]
    fn a_day_counts_from_the_close_before_it_even_after_its_own() {
        let closes = closes(&["2026-03-02", "2026-03-03", "2026-03-04"]);
        let from = |on: &str| closes.before(day(on)).map(|close| close.day);
        assert_eq!(from("2026-03-05"), Some(day("2026-03-04")));
        assert_eq!(from("2026-03-04"), Some(day("2026-03-03")));
        assert_eq!(from("2026-03-03"), None, "it is no longer kept");
    }

    #[test]
    fn a_close_that_nobody_saw_makes_the_ones_before_worthless() {
        let kept = closes(&["2026-03-02"]);
        assert_eq!(kept.clone().still_good(None), kept);
        assert_eq!(kept.clone().still_good(Some(day("2026-03-02"))), kept);
        assert_eq!(kept.still_good(Some(day("2026-03-03"))), Closes::default());
        assert_eq!(Closes::default().still_good(None), Closes::default());
    }
}
