//! The values of a market data line: read off the market, live or as they were, and told as ticks.
//!
//! Delayed values are those of a quarter of an hour ago where the market remembers them. Where it
//! does not (a recorded market), delayed lines bring nothing. This market knows no single trades:
//! a last price has no size, and its time is when it was first quoted.

use chrono::{Days, NaiveDate, TimeDelta};
use rust_decimal::Decimal;

use crate::exchange::{MarketSource, PastQuote, PastSpan};
use crate::market::{ConId, Instrument, OptionRight, Price, Timestamp, VendorGreeks};

use super::data_event::DataEvent;
use super::day_so_far::DaySoFar;
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
    /// What the bid, the ask and the last price of an option imply.
    pub implied: [Option<Computation>; 3],
    pub day: Option<DaySoFar>,
    /// When the last price was first quoted.
    pub last_at: Option<Timestamp>,
    pub halted: Option<Halted>,
    pub open_interest: Option<i64>,
    /// Of all calls and of all puts on it.
    pub option_volume: Option<[i64; 2]>,
    /// The middle of both sides, or the last price of what has none.
    pub mark: Option<Price>,
}

/// Whether trading is halted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Halted {
    No,
    /// For all, as the halt of an underlying halts its options too.
    Generally,
}

impl Halted {
    fn value(self) -> f64 {
        match self {
            Self::No => 0.0,
            Self::Generally => 1.0,
        }
    }
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
    /// Of bid, ask and last.
    implied: [i32; 3],
    high: i32,
    low: i32,
    open: i32,
    last_at: i32,
    halted: i32,
}

const LIVE: Fields = Fields {
    bid: 1,
    ask: 2,
    last: 4,
    bid_size: 0,
    ask_size: 3,
    volume: 8,
    close: 9,
    model: 13,
    implied: [10, 11, 12],
    high: 6,
    low: 7,
    open: 14,
    last_at: 45,
    halted: 49,
};
const DELAYED: Fields = Fields {
    bid: 66,
    ask: 67,
    last: 68,
    bid_size: 69,
    ask_size: 70,
    volume: 74,
    close: 75,
    model: 83,
    implied: [80, 81, 82],
    high: 72,
    low: 73,
    open: 76,
    last_at: 88,
    halted: 90,
};
const MARK: i32 = 37;
const CALL_OPEN_INTEREST: i32 = 27;
const PUT_OPEN_INTEREST: i32 = 28;
/// Of calls and of puts.
const OPTION_VOLUME: [i32; 2] = [29, 30];

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
        let halted =
            if source.is_halted(instrument.symbol()) { Halted::Generally } else { Halted::No };
        let seen = Self { halted: Some(halted), ..seen.unwrap_or_default() };
        seen.stamped(source.quote_received_at(conid)).marked(instrument)
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
        seen.stamped(Some(quote.at)).marked(instrument)
    }

    /// Of a combo that is bought, its legs with their ratios: what is bought costs the ask, what is
    /// sold brings the bid. It has neither a last price nor volume nor values of a model.
    pub fn of_combo(legs: &[(Self, i64)]) -> Self {
        type Value<T> = fn(&Seen) -> Option<T>;
        let net = |bought: Value<Price>, sold: Value<Price>| -> Option<Price> {
            let one = |(leg, ratio): &(Self, i64)| {
                let side = if *ratio > 0 { bought } else { sold };
                side(leg).map(|price| price.times(*ratio))
            };
            legs.iter().map(one).sum()
        };
        let scarcest = |bought: Value<i64>, sold: Value<i64>| -> Option<i64> {
            let one = |(leg, ratio): &(Self, i64)| {
                let side = if *ratio > 0 { bought } else { sold };
                side(leg)?.checked_div(ratio.abs())
            };
            legs.iter().map(one).collect::<Option<Vec<i64>>>()?.into_iter().min()
        };
        let (bid, ask) = (net(|leg| leg.bid, |leg| leg.ask), net(|leg| leg.ask, |leg| leg.bid));
        Self {
            bid,
            ask,
            bid_size: scarcest(|leg| leg.bid_size, |leg| leg.ask_size),
            ask_size: scarcest(|leg| leg.ask_size, |leg| leg.bid_size),
            mark: middle(bid, ask),
            halted: legs.iter().filter_map(|(leg, _)| leg.halted).max(),
            ..Self::default()
        }
    }

    fn stamped(self, at: Option<Timestamp>) -> Self {
        Self { last_at: at.filter(|_| self.last.is_some()), ..self }
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
    pub fn since(&self, said: &Self, of: (i32, Shown, Option<&Instrument>)) -> Vec<Event> {
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
        if let Some(day) = self.day {
            let said = said.day;
            price(fields.open, said.map(|day| day.open), Some(day.open), None);
            price(fields.high, said.map(|day| day.high), Some(day.high), None);
            price(fields.low, said.map(|day| day.low), Some(day.low), None);
        }
        let mut size = |field: i32, said: Option<i64>, now: Option<i64>| {
            if let Some(size) = now.filter(|_| said != now) {
                events.push(Event::TickSize { req_id, field, size: size.into() });
            }
        };
        size(fields.bid_size, said.bid_size, self.bid_size);
        size(fields.ask_size, said.ask_size, self.ask_size);
        size(fields.volume, said.volume, self.volume);
        if let Some(field) = instrument.map(open_interest_field) {
            size(field, said.open_interest, self.open_interest);
        }
        for (place, field) in OPTION_VOLUME.into_iter().enumerate() {
            let of = |seen: &Self| seen.option_volume.and_then(|both| both.get(place).copied());
            size(field, of(said), of(self));
        }
        if let Some(at) = self.last_at.filter(|_| said.last != self.last) {
            let value = at.timestamp().to_string();
            events.push(Event::Data(DataEvent::TickString {
                req_id,
                field: fields.last_at,
                value,
            }));
        }
        if let Some(halted) = self.halted.filter(|_| said.halted != self.halted) {
            let (field, value) = (fields.halted, halted.value());
            events.push(Event::Data(DataEvent::TickGeneric { req_id, field, value }));
        }
        let mut computed = |field: i32, said: Option<Computation>, now: Option<Computation>| {
            if let Some(values) = now.filter(|_| said != now) {
                events.push(Event::TickOptionComputation { req_id, field, values });
            }
        };
        for (field, (said, now)) in
            fields.implied.into_iter().zip(said.implied.into_iter().zip(self.implied))
        {
            computed(field, said, now);
        }
        computed(fields.model, said.model, self.model);
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
