//! The market's path: process, dividends, records and halts, moved together along the grid.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use super::etf::{Etf, PerEtf};
use super::futures::Futures;
use super::past::{Past, Was};
use super::process::{Lapse, Overlay, Process, State};
use super::scenario::Scenario;
use super::tape::{Barred, Record, SessionTimes};
use super::valuation::Law;

/// A market-wide halt lasts this long, and none of the first two begins later than this before
/// the close.
const HALT_SECONDS: i64 = 900;
const NO_HALT_BEFORE_CLOSE_SECONDS: i64 = 2_100;
/// Falls of SPY from the last close that halt all trading; the last one for the day.
const HALT_FALLS: [f64; 3] = [0.07, 0.13, 0.20];

/// The market-wide circuit breaker.
#[derive(Debug, Clone, Copy, Default)]
struct Breaker {
    /// How many of [`HALT_FALLS`] have been reached today.
    reached: usize,
    halted_until: i64,
}

/// What the path needs beside its seed.
#[derive(Debug)]
pub(super) struct Course {
    pub scenario: Scenario,
    /// Sessions of the whole span, in order.
    pub sessions: Vec<SessionTimes>,
    pub first_session: NaiveDate,
}

/// See the module's comment.
#[derive(Debug)]
pub(super) struct Path {
    process: Process,
    course: Course,
    /// The first session of which something still trades, and how many sessions lie between
    /// it and the first live one.
    upcoming: usize,
    live_sessions: usize,
    records: BTreeMap<NaiveDate, Record>,
    last_close: PerEtf<f64>,
    last_vix: Option<f64>,
    breaker: Breaker,
    past: Past,
}

impl Path {
    pub fn new(seed: u64, law: &Law, spots: PerEtf<f64>, course: Course) -> Self {
        Self {
            process: Process::new(seed, law.time.begins_at(), spots),
            course,
            upcoming: 0,
            live_sessions: 0,
            records: BTreeMap::new(),
            last_close: spots,
            last_vix: None,
            breaker: Breaker::default(),
            past: Past::default(),
        }
    }

    pub fn state(&self) -> &State {
        &self.process.state
    }

    pub fn records(&self) -> &BTreeMap<NaiveDate, Record> {
        &self.records
    }

    /// The states before this one, as far as they are kept.
    pub fn past(&self) -> &Past {
        &self.past
    }

    /// Spots at the last close of the stock exchange.
    pub fn last_close(&self) -> &PerEtf<f64> {
        &self.last_close
    }

    /// The VIX at that close.
    pub fn last_vix(&self) -> Option<f64> {
        self.last_vix
    }

    /// The session that is on or comes next.
    pub fn session(&self) -> Option<&SessionTimes> {
        self.course.sessions.get(self.upcoming)
    }

    pub fn is_halted(&self) -> bool {
        self.state().at < self.breaker.halted_until
    }

    /// One step, if it ends no later than `limit`: its end.
    pub fn step(&mut self, limit: i64, law: &Law, futures: &Futures) -> Option<i64> {
        let from = self.state().at;
        let (to, variance_years) = law.time.step(from).filter(|(to, _)| *to <= limit)?;
        let growth = law.carry.log_growth(from, to);
        let overlay = self.overlay(from, to);
        self.process.step(Lapse { to, variance_years, growth }, &overlay);
        for etf in Etf::ALL {
            let paid: f64 = law.carry.between(etf, from, to).map(|dividend| dividend.amount).sum();
            *self.process.state.spots.get_mut(etf) -= paid;
        }
        self.record(law, futures);
        self.past.keep(Was { state: *self.state(), is_halted: self.is_halted() });
        Some(to)
    }

    fn overlay(&self, from: i64, to: i64) -> Overlay {
        match self.session() {
            Some(session) if session.date >= self.course.first_session => {
                let times = (from, to);
                self.course.scenario.overlay(self.live_sessions, times, session.open)
            }
            _ => Overlay::NONE,
        }
    }

    fn record(&mut self, law: &Law, futures: &Futures) {
        let Some(times) = self.session().copied() else { return };
        let state = *self.state();
        if state.at < times.futures_open {
            return;
        }
        let record = self.records.entry(times.date).or_insert_with(|| Record::new(times));
        for what in Barred::all() {
            let (start, end) = what.span(&times);
            if !(start..=end).contains(&state.at) {
                continue;
            }
            let value = match what {
                Barred::Etf(etf) => Some(*state.spots.get(etf)),
                Barred::Vix => Some(law.vix_index(&state)),
                Barred::Future(root) => {
                    let front = futures.front(root, times.date);
                    front.map(|listed| listed.fair(&state, &law.carry))
                }
            };
            if let Some(value) = value {
                record.see(what, state.at, value);
            }
        }
        if state.at == times.open {
            record.opening = Some(state.spots);
            record.opening_vix = Some(law.vix_index(&state));
        }
        if state.at == times.close {
            record.closing = Some(state);
            record.implied_vols = PerEtf::from_fn(|etf| law.thirty_day_vol(etf, &state));
            self.last_close = state.spots;
            self.last_vix = Some(law.vix_index(&state));
        }
        let fall = 1.0 - state.spots.spy / self.last_close.spy;
        self.breaker.watch(fall, state.at, &times);
        if state.at >= times.futures_close.max(times.options_close) {
            self.upcoming += 1;
            self.live_sessions += usize::from(times.date >= self.course.first_session);
        }
    }
}

impl Breaker {
    /// Takes SPY's fall from the last close, a fraction, at an instant of or between sessions.
    fn watch(&mut self, fall: f64, at: i64, times: &SessionTimes) {
        if at <= times.open || at >= times.close {
            *self = Self::default();
            return;
        }
        let reached = HALT_FALLS.iter().filter(|level| fall >= **level).count();
        if reached <= self.reached {
            return;
        }
        self.reached = reached;
        if reached == HALT_FALLS.len() {
            self.halted_until = times.close;
        } else if at < times.close - NO_HALT_BEFORE_CLOSE_SECONDS {
            self.halted_until = at + HALT_SECONDS;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_level_halts_once_the_last_for_the_day_and_none_late_but_that() {
        let times = SessionTimes {
            date: NaiveDate::default(),
            open: 0,
            close: 23_400,
            options_close: 24_300,
            futures_open: -55_800,
            futures_close: 27_000,
        };
        let mut breaker = Breaker::default();
        let mut after = |fall, at| {
            breaker.watch(fall, at, &times);
            breaker.halted_until
        };
        assert_eq!(after(0.069, 100), 0);
        assert_eq!(after(0.071, 200), 1_100);
        assert_eq!(after(0.10, 1_200), 1_100);
        assert_eq!(after(0.05, 1_300), 1_100);
        assert_eq!(after(0.08, 1_400), 1_100);
        assert_eq!(after(0.14, 22_000), 1_100);
        assert_eq!(after(0.21, 22_500), 23_400);
        assert_eq!(after(0.21, 23_400), 0);
    }
}
