//! The values of a market data line: read off the market, live or as they were, and told as ticks.
//!
//! Delayed values are those of a quarter of an hour ago where the market remembers them. Where it
//! does not (a recorded market), delayed lines bring nothing.

use chrono::{Days, NaiveDate, TimeDelta};
use rust_decimal::Decimal;

use crate::exchange::{MarketSource, PastQuote, PastSpan};
use crate::market::{ConId, Instrument, OptionRight, Price, Timestamp, VendorGreeks};

use super::entitlement::Shown;
use super::event::{Computation, Event};
use super::listing::underlying;

/// By how much delayed data are late.
pub(super) const DELAY: TimeDelta = TimeDelta::minutes(15);
/// The grid of a quiet market is a minute wide: a quote older than this is none.
const STANDS_FOR: TimeDelta = TimeDelta::minutes(2);
/// How far back a closed market's last quote is looked for: over a long weekend.
const FROZEN_WITHIN: TimeDelta = TimeDelta::days(5);
/// Into how many steps a stretch is cut in that search, and how often.
const CUTS: i32 = 64;
const ROUNDS: usize = 3;
/// Days to look back for the session before this one.
const CLOSED_WITHIN_DAYS: u64 = 7;

/// Both sides, the last price and what else was said of one instant.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Seen {
    pub bid: Option<Price>,
    pub ask: Option<Price>,
    pub last: Option<Price>,
    pub bid_size: Option<i64>,
    pub ask_size: Option<i64>,
    pub volume: Option<i64>,
    /// The official mark of the session before this one; of an option it is not told.
    pub close: Option<Price>,
    pub model: Option<Computation>,
    pub open_interest: Option<i64>,
    /// The middle of both sides, or the last price of what has none.
    pub mark: Option<Price>,
}

/// Tick types (TWS API reference).
struct Fields {
    bid: i32,
    ask: i32,
    last: i32,
    bid_size: i32,
    ask_size: i32,
    volume: i32,
    close: i32,
    model: i32,
}

const LIVE: Fields =
    Fields { bid: 1, ask: 2, last: 4, bid_size: 0, ask_size: 3, volume: 8, close: 9, model: 13 };
const DELAYED: Fields = Fields {
    bid: 66,
    ask: 67,
    last: 68,
    bid_size: 69,
    ask_size: 70,
    volume: 74,
    close: 75,
    model: 83,
};
const MARK: i32 = 37;
const CALL_OPEN_INTEREST: i32 = 27;
const PUT_OPEN_INTEREST: i32 = 28;

impl Seen {
    /// What stands now.
    pub fn live(source: &dyn MarketSource, instrument: &Instrument) -> Self {
        let conid = instrument.conid();
        let seen = match instrument {
            Instrument::Option(option) => source.option_quote(conid).map(|quote| {
                let spot = underlying(source, &option.symbol)
                    .and_then(|under| source.underlying_quote(under.symbol()))
                    .and_then(|under| middle(under.bid, under.ask).or(under.last));
                Self {
                    bid: quote.bid,
                    ask: quote.ask,
                    last: quote.last,
                    bid_size: quote.bid_size,
                    ask_size: quote.ask_size,
                    volume: quote.volume,
                    model: Some(model(quote.vendor, middle(quote.bid, quote.ask), spot)),
                    open_interest: quote.open_interest,
                    ..Self::default()
                }
            }),
            Instrument::Future(_) => source.future_quote(conid).map(|quote| Self {
                bid: quote.bid,
                ask: quote.ask,
                last: quote.last,
                bid_size: quote.bid_size,
                ask_size: quote.ask_size,
                volume: quote.volume,
                ..Self::default()
            }),
            Instrument::Stock(stock) | Instrument::Index(stock) => {
                source.underlying_quote(&stock.symbol).map(|quote| Self {
                    bid: quote.bid,
                    ask: quote.ask,
                    last: quote.last,
                    bid_size: quote.bid_size,
                    ask_size: quote.ask_size,
                    ..Self::default()
                })
            }
        };
        seen.unwrap_or_default().marked(instrument)
    }

    /// What stood then.
    pub fn at(source: &dyn MarketSource, instrument: &Instrument, at: Timestamp) -> Self {
        let span = PastSpan { after: at - STANDS_FOR, until: at, every: TimeDelta::zero() };
        let quote = source.past_quotes(instrument.conid(), &span).pop();
        quote.map(|quote| Self::past(source, instrument, &quote)).unwrap_or_default()
    }

    /// What stood last, at an instant at which the market may be closed.
    pub fn frozen(source: &dyn MarketSource, instrument: &Instrument, until: Timestamp) -> Self {
        let quote = last_quote(source, instrument.conid(), until);
        quote.map(|quote| Self::past(source, instrument, &quote)).unwrap_or_default()
    }

    fn past(source: &dyn MarketSource, instrument: &Instrument, quote: &PastQuote) -> Self {
        let model = match instrument {
            Instrument::Option(option) => {
                let under = underlying(source, &option.symbol);
                let spot =
                    under.map(|under| Self::at(source, &under, quote.at)).and_then(|s| s.mark);
                Some(model(quote.vendor, middle(quote.bid, quote.ask), spot))
            }
            Instrument::Stock(_) | Instrument::Index(_) | Instrument::Future(_) => None,
        };
        let seen = Self {
            bid: quote.bid,
            ask: quote.ask,
            last: quote.last,
            bid_size: quote.bid_size,
            ask_size: quote.ask_size,
            volume: quote.volume,
            model,
            ..Self::default()
        };
        seen.marked(instrument)
    }

    fn marked(self, instrument: &Instrument) -> Self {
        let mid = middle(self.bid, self.ask);
        let mark = match instrument {
            Instrument::Option(_) | Instrument::Future(_) => mid,
            Instrument::Stock(_) | Instrument::Index(_) => mid.or(self.last),
        };
        Self { mark, ..self }
    }

    /// The ticks that lead from what was said to this. No quote is a price of -1 with size 0.
    pub fn since(&self, said: &Self, of: (i32, Shown, &Instrument)) -> Vec<Event> {
        let (req_id, shown, instrument) = of;
        let fields = if shown.is_delayed() { DELAYED } else { LIVE };
        let mut events = Vec::new();
        let mut price = |field: i32, said: Option<Price>, now: Option<Price>, size: Option<i64>| {
            if said != now {
                let price = now.map_or(-1.0, Price::to_f64);
                let size = Decimal::from(if now.is_some() { size.unwrap_or_default() } else { 0 });
                events.push(Event::TickPrice { req_id, field, price, size });
            }
        };
        price(fields.bid, said.bid, self.bid, self.bid_size);
        price(fields.ask, said.ask, self.ask, self.ask_size);
        price(fields.last, said.last, self.last, None);
        if self.close.is_some() {
            price(fields.close, said.close, self.close, None);
        }
        if self.mark.is_some() {
            price(MARK, said.mark, self.mark, None);
        }
        let mut size = |field: i32, said: Option<i64>, now: Option<i64>| {
            if let Some(size) = now.filter(|_| said != now) {
                events.push(Event::TickSize { req_id, field, size: size.into() });
            }
        };
        size(fields.bid_size, said.bid_size, self.bid_size);
        size(fields.ask_size, said.ask_size, self.ask_size);
        size(fields.volume, said.volume, self.volume);
        size(open_interest_field(instrument), said.open_interest, self.open_interest);
        if let Some(values) = self.model.filter(|_| said.model != self.model) {
            events.push(Event::TickOptionComputation { req_id, field: fields.model, values });
        }
        events
    }
}

fn open_interest_field(instrument: &Instrument) -> i32 {
    match instrument {
        Instrument::Option(option) if option.right == OptionRight::Call => CALL_OPEN_INTEREST,
        Instrument::Option(_)
        | Instrument::Stock(_)
        | Instrument::Index(_)
        | Instrument::Future(_) => PUT_OPEN_INTEREST,
    }
}

fn model(vendor: VendorGreeks, price: Option<Price>, spot: Option<Price>) -> Computation {
    Computation {
        implied_vol: vendor.vol,
        delta: vendor.delta,
        price: price.map(Price::to_f64),
        dividends: None,
        gamma: vendor.gamma,
        vega: vendor.vega,
        theta: vendor.theta,
        underlying: spot.map(Price::to_f64),
    }
}

pub(super) fn middle(bid: Option<Price>, ask: Option<Price>) -> Option<Price> {
    Some(bid?.midpoint(ask?))
}

/// The last quote up to an instant, found in ever finer steps.
fn last_quote(source: &dyn MarketSource, conid: ConId, until: Timestamp) -> Option<PastQuote> {
    let (mut span, mut found) = ((until - FROZEN_WITHIN, until), None);
    for _ in 0..ROUNDS {
        let (after, until) = span;
        let every = (until - after) / CUTS;
        let quotes = source.past_quotes(conid, &PastSpan { after, until, every });
        let Some(last) = quotes.last().copied() else { break };
        found = Some(last);
        // The last quote of all lies within two steps behind the first one of the last step.
        span = (last.at - TimeDelta::seconds(1), until.min(last.at + every * 2));
    }
    let (after, until) = span;
    let every = TimeDelta::zero();
    let quotes = source.past_quotes(conid, &PastSpan { after, until, every });
    quotes.last().copied().or(found)
}

/// The official mark of the last session before an instant's day in New York.
pub(super) fn close_before(
    source: &dyn MarketSource,
    instrument: &Instrument,
    today: NaiveDate,
) -> Option<Price> {
    match instrument {
        // A chain's marks cost a model each.
        Instrument::Option(_) => None,
        Instrument::Stock(_) | Instrument::Index(_) | Instrument::Future(_) => (1
            ..=CLOSED_WITHIN_DAYS)
            .filter_map(|back| today.checked_sub_days(Days::new(back)))
            .find_map(|day| source.official_mark(instrument.conid(), day)),
    }
}
