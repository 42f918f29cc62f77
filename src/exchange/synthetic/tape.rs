//! What a session leaves behind: opening and closing prints, the state at the close, daily bars.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use crate::market::Price;
use crate::market::sessions::{Calendar, CalendarError, Venue};

use super::etf::{Etf, PerEtf};
use super::futures::Root;
use super::process::State;

/// The instants of one stock-exchange session and of the futures session of its date, seconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct SessionTimes {
    pub date: NaiveDate,
    pub open: i64,
    pub close: i64,
    pub options_close: i64,
    pub futures_open: i64,
    pub futures_close: i64,
}

impl SessionTimes {
    /// The sessions between two dates, both included.
    pub fn between(
        calendar: &Calendar,
        from: NaiveDate,
        to: NaiveDate,
    ) -> Result<Vec<Self>, CalendarError> {
        calendar
            .sessions(Venue::Xnys, from, to)?
            .into_iter()
            .map(|stocks| {
                let date = stocks.session_date;
                let futures = calendar.session_on(Venue::CmeEquityFutures, date)?;
                Ok(Self {
                    date,
                    open: stocks.open.timestamp(),
                    close: stocks.close.timestamp(),
                    options_close: calendar.session_on(Venue::EtfOptions, date)?.close.timestamp(),
                    futures_open: futures.open.timestamp(),
                    futures_close: futures.close.timestamp(),
                })
            })
            .collect()
    }
}

/// What has a daily bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Barred {
    Etf(Etf),
    Vix,
    Future(Root),
}

impl Barred {
    pub fn name(self) -> &'static str {
        match self {
            Self::Etf(etf) => etf.name(),
            Self::Vix => "VIX",
            Self::Future(root) => root.name(),
        }
    }

    pub fn all() -> impl Iterator<Item = Self> {
        let etfs = Etf::ALL.into_iter().map(Self::Etf);
        etfs.chain([Self::Vix]).chain(Root::LARGE.into_iter().map(Self::Future))
    }

    /// From when to when its bar runs in a session.
    pub fn span(self, times: &SessionTimes) -> (i64, i64) {
        match self {
            Self::Etf(_) => (times.open, times.close),
            Self::Vix => (times.open, times.options_close),
            Self::Future(_) => (times.futures_open, times.futures_close),
        }
    }
}

/// Open, high, low and last of a stretch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bar {
    pub open: f64,
    pub high: f64,
    pub low: f64,
    pub close: f64,
}

impl Bar {
    fn starting(value: f64) -> Self {
        Self { open: value, high: value, low: value, close: value }
    }

    fn see(&mut self, value: f64) {
        self.high = self.high.max(value);
        self.low = self.low.min(value);
        self.close = value;
    }
}

/// One session, as far as it has come.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub times: SessionTimes,
    /// Spots at the opening print.
    pub opening: Option<PerEtf<f64>>,
    /// The VIX at its opening print.
    pub opening_vix: Option<f64>,
    /// The state at the stock exchange's close.
    pub closing: Option<State>,
    /// 30-day at-the-money volatility at the close.
    pub implied_vols: PerEtf<Option<f64>>,
    bars: BTreeMap<Barred, Bar>,
    seen_until: i64,
}

impl Record {
    pub fn new(times: SessionTimes) -> Self {
        Self {
            times,
            opening: None,
            opening_vix: None,
            closing: None,
            implied_vols: PerEtf::default(),
            bars: BTreeMap::new(),
            seen_until: i64::MIN,
        }
    }

    /// Takes one value of something with a bar, at an instant of its span (ends included).
    pub fn see(&mut self, what: Barred, at: i64, value: f64) {
        self.bars.entry(what).or_insert_with(|| Bar::starting(value)).see(value);
        self.seen_until = at;
    }

    /// The bar of something whose span is over.
    pub fn bar(&self, what: Barred) -> Option<Bar> {
        let (_, end) = what.span(&self.times);
        self.bars.get(&what).copied().filter(|_| self.seen_until >= end)
    }
}

/// A price rounded to a number of hundredths, as prints are.
pub(super) fn print(value: f64, tick_hundredths: i64) -> Option<Price> {
    let ticks = libm::round(value * 100.0 / tick_hundredths as f64);
    (ticks.abs() < 1e12).then(|| Price::from_micros(ticks as i64 * tick_hundredths * 10_000))
}
