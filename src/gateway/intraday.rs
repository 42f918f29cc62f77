//! Bars within a day, made of the quotes that the market remembers.
//!
//! A bar holds what stood at the instants of the market's own grid: ten seconds in a live session,
//! a minute outside it, coarser in the history before the first session. A stretch without such an
//! instant has no bar. Bars lie on whole multiples of their size of New York's clock; the first one
//! of a session begins with it.

use chrono::{TimeDelta, Timelike as _};

use crate::exchange::{PastQuote, PastSpan};
use crate::market::{Instrument, Timestamp};

use super::event::HistoricalBar;
use super::five_seconds::Show;
use super::house::House;

/// Quotes that make up one bar at most, and the samples of an option in one answer at most: each
/// costs a model.
const QUOTES_A_BAR: i32 = 60;
const OPTION_SAMPLES_MAX: i32 = 800;
/// Bars of one answer at most; the earliest are left out.
const BARS_MAX: usize = 20_000;
/// Where nothing was quoted for longer, a session begins.
const PAUSE: TimeDelta = TimeDelta::minutes(31);

/// Which prices bars are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Prices {
    Of(Show),
    /// The middle bid as open, the least bid as low, the largest ask as high, the middle ask as
    /// close.
    BidAsk,
}

impl Prices {
    pub fn parse(text: &str) -> Option<Self> {
        if text == "BID_ASK" {
            return Some(Self::BidAsk);
        }
        Show::parse(text).map(Self::Of)
    }
}

/// Which bars are wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    /// Not included.
    pub after: Timestamp,
    /// Included.
    pub until: Timestamp,
    /// Seconds of a bar.
    pub size: i64,
    pub prices: Prices,
    /// The stock exchange's hours only.
    pub regular: bool,
    /// Dates as seconds of the epoch.
    pub in_seconds: bool,
}

impl House {
    /// Bars in order, each with its beginning; none where the market remembers nothing.
    pub(super) fn intraday(
        &self,
        instrument: &Instrument,
        wanted: &Wanted,
    ) -> Vec<(Timestamp, HistoricalBar)> {
        let Wanted { after, until, size, .. } = *wanted;
        let fine = TimeDelta::seconds(size) / QUOTES_A_BAR;
        let every = match instrument {
            Instrument::Option(_) => fine.max((until - after) / OPTION_SAMPLES_MAX),
            Instrument::Stock(_) | Instrument::Index(_) | Instrument::Future(_) => fine,
        };
        let span = PastSpan { after, until, every };
        let quotes = self.exchange.source().past_quotes(instrument.conid(), &span);
        let bars = bars_of(quotes, wanted);
        let surplus = bars.len().saturating_sub(BARS_MAX);
        bars.into_iter().skip(surplus).map(|bar| (bar.begins, bar.written(wanted))).collect()
    }
}

/// A bar that is being made.
#[derive(Debug, Clone, Copy)]
struct Making {
    /// The multiple of the size that it lies on, and when it begins.
    slot: i64,
    begins: Timestamp,
    open: f64,
    high: f64,
    low: f64,
    close: f64,
    /// Sums of bids and asks, and how many.
    sums: (f64, f64, f64),
    volume: Option<i64>,
}

impl Making {
    fn written(self, wanted: &Wanted) -> HistoricalBar {
        let local = self.begins.with_timezone(&chrono_tz::America::New_York);
        let date = if wanted.in_seconds {
            self.begins.timestamp().to_string()
        } else {
            local.format("%Y%m%d %H:%M:%S US/Eastern").to_string()
        };
        let (bids, asks, count) = self.sums;
        let (open, close) = match wanted.prices {
            Prices::Of(_) => (self.open, self.close),
            Prices::BidAsk => (bids / count, asks / count),
        };
        HistoricalBar { date, open, high: self.high, low: self.low, close, volume: self.volume }
    }
}

fn bars_of(quotes: Vec<PastQuote>, wanted: &Wanted) -> Vec<Making> {
    let mut bars: Vec<Making> = Vec::new();
    let mut last: Option<PastQuote> = None;
    for quote in quotes {
        let is_pause = last.is_none_or(|last| quote.at - last.at > PAUSE);
        // What was traded since the quote before; a session counts from nothing.
        let before = last.filter(|_| !is_pause).and_then(|last| last.volume).unwrap_or(0);
        let traded = quote.volume.map(|now| if now >= before { now - before } else { now });
        last = Some(quote);
        if wanted.regular && !is_regular(quote.at) {
            continue;
        }
        let Some((low, high, value)) = values(&quote, wanted.prices) else { continue };
        let (slot, begins) = place(quote.at, wanted.size);
        let sums = (low, high, 1.0);
        let volume = traded.filter(|_| wanted.prices == Prices::Of(Show::Trades));
        if let Some(bar) = bars.last_mut().filter(|bar| bar.slot == slot && !is_pause) {
            bar.high = bar.high.max(high);
            bar.low = bar.low.min(low);
            bar.close = value;
            let (bids, asks, count) = bar.sums;
            bar.sums = (bids + low, asks + high, count + 1.0);
            bar.volume = bar.volume.zip(volume).map(|(sum, more)| sum + more);
        } else {
            let begins = if is_pause { quote.at } else { begins };
            let (open, close) = (value, value);
            bars.push(Making { slot, begins, open, high, low, close, sums, volume });
        }
    }
    bars
}

/// The lowest, the highest and the last value of one quote.
fn values(quote: &PastQuote, prices: Prices) -> Option<(f64, f64, f64)> {
    match prices {
        Prices::Of(show) => {
            let value = show.of((quote.bid, quote.ask, quote.last))?;
            Some((value, value, value))
        }
        Prices::BidAsk => {
            let (bid, ask) = (quote.bid?.to_f64(), quote.ask?.to_f64());
            Some((bid, ask, ask))
        }
    }
}

/// The bar that holds an instant: its number and its beginning on New York's clock.
fn place(at: Timestamp, size: i64) -> (i64, Timestamp) {
    let local = at.with_timezone(&chrono_tz::America::New_York);
    let of_day = i64::from(local.num_seconds_from_midnight());
    let into = of_day.rem_euclid(size);
    let begins = at - TimeDelta::seconds(into);
    (begins.timestamp(), begins)
}

/// Half past nine to four in New York. A half day ends earlier: nothing is quoted then but futures.
fn is_regular(at: Timestamp) -> bool {
    const OPEN: u32 = 34_200;
    const CLOSE: u32 = 57_600;
    let local = at.with_timezone(&chrono_tz::America::New_York);
    (OPEN..CLOSE).contains(&local.num_seconds_from_midnight())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::{Price, VendorGreeks};

    fn quote(at: &str, cents: i64, volume: i64) -> PastQuote {
        let price = |cents: i64| Some(Price::from_micros(cents * 10_000));
        PastQuote {
            at: at.parse().unwrap(),
            bid: price(cents - 1),
            ask: price(cents + 1),
            last: price(cents),
            bid_size: Some(1),
            ask_size: Some(1),
            volume: Some(volume),
            vendor: VendorGreeks::default(),
        }
    }

    fn wanted(size: i64, prices: Prices) -> Wanted {
        let at = Timestamp::default();
        Wanted { after: at, until: at, size, prices, regular: false, in_seconds: false }
    }

    fn quotes() -> Vec<PastQuote> {
        vec![
            quote("2026-03-02T14:30:00Z", 100, 10),
            quote("2026-03-02T14:30:50Z", 130, 30),
            quote("2026-03-02T14:31:00Z", 90, 35),
            quote("2026-03-02T14:33:10Z", 95, 50),
            // The next session counts its volume anew.
            quote("2026-03-03T14:30:00Z", 200, 7),
        ]
    }

    #[test]
    fn bars_lie_on_multiples_of_their_size_and_empty_ones_are_left_out() {
        let wanted = wanted(60, Prices::Of(Show::Trades));
        let bars: Vec<HistoricalBar> =
            bars_of(quotes(), &wanted).into_iter().map(|bar| bar.written(&wanted)).collect();
        let dates: Vec<&str> = bars.iter().map(|bar| &bar.date[..17]).collect();
        assert_eq!(
            dates,
            ["20260302 09:30:00", "20260302 09:31:00", "20260302 09:33:00", "20260303 09:30:00"]
        );
        let first = &bars[0];
        assert_eq!((first.open, first.high, first.low, first.close), (1.0, 1.3, 1.0, 1.3));
        let volumes: Vec<Option<i64>> = bars.iter().map(|bar| bar.volume).collect();
        assert_eq!(volumes, [Some(30), Some(5), Some(15), Some(7)]);
    }

    #[test]
    fn the_first_bar_of_a_session_begins_with_it() {
        let wanted = Wanted { in_seconds: true, ..wanted(3_600, Prices::Of(Show::Midpoint)) };
        let bars = bars_of(quotes(), &wanted);
        let begins: Vec<String> = bars.iter().map(|bar| bar.written(&wanted).date).collect();
        assert_eq!(begins, ["1772461800", "1772548200"]);
        assert_eq!(bars[0].volume, None);
    }

    #[test]
    fn both_sides_at_once_are_averaged() {
        let wanted = wanted(60, Prices::BidAsk);
        let bar = bars_of(quotes(), &wanted)[0].written(&wanted);
        let close_to = |a: f64, b: f64| (a - b).abs() < 1e-9;
        assert!(close_to(bar.open, 1.14) && close_to(bar.close, 1.16), "{bar:?}");
        assert!(close_to(bar.low, 0.99) && close_to(bar.high, 1.31), "{bar:?}");
    }
}
