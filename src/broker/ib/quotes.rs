//! What the ticks of one market data line add up to.
//!
//! A quote is as old as the older of its two sides: what was heard of the bid and of the ask since
//! the line was opened. Ticks of anything else (volume, open interest, the last trade, the model)
//! make it no younger. IB tells a price together with its size and repeats neither while they
//! stand; a size that is told alone confirms its side's price.

use ibapi::contracts::OptionComputation;
use ibapi::contracts::tick_types::TickType;
use ibapi::market_data::MarketDataType;
use ibapi::prelude::TickTypes;

use crate::broker::Received;
use crate::market::{
    FutureContract, FutureQuote, OptionContract, OptionQuote, Price, SecurityKind, StockContract,
    Timestamp, UnderlyingQuote, VendorGreeks,
};

/// The standing state of one contract's line.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ticks {
    bid: Side,
    ask: Side,
    /// What stood when the line was opened.
    before: Option<Pair>,
    last: Option<Price>,
    last_at: Option<Timestamp>,
    volume: Option<i64>,
    open_interest: Option<i64>,
    vendor: VendorGreeks,
    model_heard: bool,
    halted: bool,
    course: Course,
}

/// How far a line has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Course {
    #[default]
    Begun,
    /// It has been open for so long that a side of which nothing came has no quote.
    Settled,
    /// It shows delayed or frozen values.
    Withheld,
}

/// One side of the market.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Side {
    price: Option<Price>,
    size: Option<i64>,
    /// When its price was told or confirmed last, since the line was opened.
    heard_at: Option<Timestamp>,
}

impl Side {
    /// A size without a price is no side of a quote.
    fn told(self) -> Self {
        if self.heard_at.is_some() { self } else { Self::default() }
    }

    fn resize(&mut self, size: Option<i64>, at: Timestamp) {
        self.size = size;
        self.heard_at = self.heard_at.map(|_| at);
    }
}

/// Both sides, with the age of the older one.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Pair {
    bid: Side,
    ask: Side,
    at: Timestamp,
}

impl Ticks {
    /// Takes one tick in. Delayed and frozen prices are never taken for live ones, though frozen
    /// ones come under the numbers of live ones.
    pub fn take(&mut self, tick: &TickTypes, at: Timestamp) {
        match tick {
            TickTypes::MarketDataType(MarketDataType::Realtime) => {
                if self.course == Course::Withheld {
                    self.course = Course::Begun;
                }
            }
            TickTypes::MarketDataType(_) => {
                *self = Self { course: Course::Withheld, ..Self::default() };
            }
            TickTypes::Generic(tick) if tick.tick_type == TickType::Halted => {
                self.halted = tick.value > 0.0;
            }
            TickTypes::Price(_)
            | TickTypes::PriceSize(_)
            | TickTypes::Size(_)
            | TickTypes::OptionComputation(_)
                if self.course == Course::Withheld => {}
            TickTypes::Price(tick) => self.take_price(tick.tick_type, tick.price, at),
            TickTypes::PriceSize(tick) => {
                self.take_price(tick.price_tick_type, tick.price, at);
                self.take_size(tick.size_tick_type, tick.size, at);
            }
            TickTypes::Size(tick) => self.take_size(tick.tick_type, tick.size, at),
            TickTypes::OptionComputation(values) => self.take_model(values),
            TickTypes::Generic(_)
            | TickTypes::String(_)
            | TickTypes::SnapshotEnd
            | TickTypes::RequestParameters(_) => {}
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "ticks that the desk does not use")]
    fn take_price(&mut self, kind: TickType, price: f64, at: Timestamp) {
        // A price below zero is IB's word for none.
        let price = Some(price).filter(|price| *price >= 0.0).and_then(Price::from_f64);
        match kind {
            TickType::Bid => (self.bid.price, self.bid.heard_at) = (price, Some(at)),
            TickType::Ask => (self.ask.price, self.ask.heard_at) = (price, Some(at)),
            TickType::Last => (self.last, self.last_at) = (price, Some(at)),
            _ => {}
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "ticks that the desk does not use")]
    fn take_size(&mut self, kind: TickType, size: f64, at: Timestamp) {
        let size = Some(size).filter(|size| size.is_finite() && *size >= 0.0);
        let size = size.map(|size| size as i64);
        match kind {
            TickType::BidSize => self.bid.resize(size, at),
            TickType::AskSize => self.ask.resize(size, at),
            TickType::Volume => self.volume = size,
            TickType::OptionCallOpenInterest | TickType::OptionPutOpenInterest => {
                self.open_interest = size.filter(|size| *size > 0).or(self.open_interest);
            }
            _ => {}
        }
    }

    fn take_model(&mut self, values: &OptionComputation) {
        if values.field != TickType::ModelOption {
            return;
        }
        // The crate takes IB's -1 and -2 for none; what is no number is none too.
        let known = |value: Option<f64>| value.filter(|value| value.is_finite());
        self.vendor = VendorGreeks {
            vol: known(values.implied_volatility),
            delta: known(values.delta),
            gamma: known(values.gamma),
            theta: known(values.theta),
            vega: known(values.vega),
        };
        self.model_heard = true;
    }

    /// Whether a line opened for one look has brought what it is opened for.
    pub fn is_complete(&self, kind: SecurityKind) -> bool {
        let both = self.bid.heard_at.is_some() && self.ask.heard_at.is_some();
        match kind {
            SecurityKind::Option => both && self.model_heard,
            SecurityKind::Stock | SecurityKind::Future => both,
            SecurityKind::Index => self.last_at.is_some(),
        }
    }

    /// A new line begins: what it brings is awaited again, what stood stands until then at its age.
    pub fn reopen(&mut self) {
        self.before = self.pair();
        (self.bid, self.ask) = (Side::default(), Side::default());
        (self.model_heard, self.course) = (false, Course::Begun);
    }

    /// The line has been open for long enough: a side that was not told has no quote. Some gateways
    /// say so with a price of -1, others not at all (assumed; never observed of IB).
    /// Whether that is new.
    pub fn settle(&mut self) -> bool {
        let is_new = self.course == Course::Begun;
        if is_new {
            self.course = Course::Settled;
        }
        is_new
    }

    /// Both sides as they were told on this line, or else as they stood before it.
    fn pair(&self) -> Option<Pair> {
        let at = match (self.bid.heard_at, self.ask.heard_at) {
            (Some(bid), Some(ask)) => Some(bid.min(ask)),
            (bid, ask) if self.course == Course::Settled => bid.or(ask),
            (Some(_) | None, None) | (None, Some(_)) => None,
        };
        at.map(|at| Pair { bid: self.bid.told(), ask: self.ask.told(), at }).or(self.before)
    }

    pub fn is_halted(&self) -> bool {
        self.halted
    }

    /// How old the quote is: by its older side, or by the value where that is all there is.
    pub fn received_at(&self, kind: SecurityKind) -> Option<Timestamp> {
        match kind {
            SecurityKind::Index => self.last_at,
            SecurityKind::Option | SecurityKind::Stock | SecurityKind::Future => {
                self.pair().map(|pair| pair.at)
            }
        }
    }

    pub fn of_option(&self, contract: &OptionContract) -> Option<Received<OptionQuote>> {
        let Pair { bid, ask, at } = self.pair()?;
        let quote = OptionQuote {
            conid: contract.conid,
            bid: bid.price,
            ask: ask.price,
            last: self.last,
            bid_size: bid.size,
            ask_size: ask.size,
            volume: self.volume,
            open_interest: self.open_interest,
            vendor: self.vendor,
            quoted_at: None,
        };
        Some(Received { quote, at })
    }

    pub fn of_stock(&self, contract: &StockContract) -> Option<Received<UnderlyingQuote>> {
        let pair = self.pair()?;
        Some(Received { quote: self.underlying(contract, pair), at: pair.at })
    }

    /// An index has a value and, as a rule, no market: whatever sides are told beside it are shown.
    pub fn of_index(&self, contract: &StockContract) -> Option<Received<UnderlyingQuote>> {
        let quote = self.underlying(contract, self.pair().unwrap_or_default());
        self.last_at.map(|at| Received { quote, at })
    }

    fn underlying(&self, contract: &StockContract, sides: Pair) -> UnderlyingQuote {
        let Pair { bid, ask, .. } = sides;
        UnderlyingQuote {
            conid: contract.conid,
            symbol: contract.symbol.clone(),
            bid: bid.price,
            ask: ask.price,
            last: self.last,
            bid_size: bid.size,
            ask_size: ask.size,
            quoted_at: None,
        }
    }

    pub fn of_future(&self, contract: &FutureContract) -> Option<Received<FutureQuote>> {
        let Pair { bid, ask, at } = self.pair()?;
        let quote = FutureQuote {
            conid: contract.conid,
            symbol: contract.symbol.clone(),
            expiry_date: contract.expiry_date,
            bid: bid.price,
            ask: ask.price,
            last: self.last,
            bid_size: bid.size,
            ask_size: ask.size,
            volume: self.volume,
            quoted_at: None,
        };
        Some(Received { quote, at })
    }
}

#[cfg(test)]
mod tests {
    use ibapi::market_data::realtime::{TickPrice, TickSize};

    use super::*;
    use crate::market::ConId;

    fn at(seconds: i64) -> Timestamp {
        chrono::DateTime::from_timestamp(1_772_463_600 + seconds, 0).unwrap()
    }

    fn price(tick_type: TickType, price: f64) -> TickTypes {
        TickTypes::Price(TickPrice { tick_type, price, ..TickPrice::default() })
    }

    fn stock() -> StockContract {
        StockContract { conid: ConId(1), symbol: "SPY".into() }
    }

    fn size(tick_type: TickType, size: f64) -> TickTypes {
        TickTypes::Size(TickSize { tick_type, size })
    }

    fn age(ticks: &Ticks) -> Option<Timestamp> {
        ticks.of_stock(&stock()).map(|received| received.at)
    }

    #[test]
    fn a_quote_has_the_age_of_its_older_side_and_nothing_else_makes_it_younger() {
        let mut ticks = Ticks::default();
        ticks.take(&price(TickType::Bid, 690.0), at(0));
        assert_eq!(age(&ticks), None, "the ask has not come");
        ticks.take(&price(TickType::Ask, 690.02), at(7));
        let received = ticks.of_stock(&stock()).unwrap();
        assert_eq!((received.at, received.quote.bid), (at(0), Price::from_f64(690.0)));
        assert!(ticks.is_complete(SecurityKind::Stock) && !ticks.is_complete(SecurityKind::Option));
        ticks.take(&size(TickType::Volume, 5_000.0), at(300));
        ticks.take(&size(TickType::OptionPutOpenInterest, 5_000.0), at(300));
        ticks.take(&price(TickType::Last, 690.01), at(300));
        let model = OptionComputation { field: TickType::ModelOption, ..Default::default() };
        ticks.take(&TickTypes::OptionComputation(model), at(300));
        assert_eq!(age(&ticks), Some(at(0)));
        ticks.take(&size(TickType::BidSize, 3.0), at(300));
        assert_eq!(age(&ticks), Some(at(7)), "a size confirms the price of its side");
    }

    #[test]
    fn what_stood_before_a_line_was_opened_keeps_its_age_until_both_sides_are_told_anew() {
        let mut ticks = Ticks::default();
        ticks.take(&price(TickType::Bid, 690.0), at(0));
        ticks.take(&price(TickType::Ask, 690.02), at(1));
        ticks.reopen();
        ticks.take(&size(TickType::AskSize, 4.0), at(9_000));
        ticks.take(&price(TickType::Bid, 700.0), at(9_000));
        let received = ticks.of_stock(&stock()).unwrap();
        assert_eq!((received.at, received.quote.bid), (at(0), Price::from_f64(690.0)));
        ticks.take(&price(TickType::Ask, 700.02), at(9_001));
        let received = ticks.of_stock(&stock()).unwrap();
        assert_eq!((received.at, received.quote.bid), (at(9_000), Price::from_f64(700.0)));
        assert_eq!(received.quote.ask_size, Some(4));
    }

    #[test]
    fn a_side_that_is_never_told_is_none_after_a_while_and_never_an_old_one() {
        let mut ticks = Ticks::default();
        ticks.take(&price(TickType::Bid, 0.05), at(0));
        ticks.take(&price(TickType::Ask, 0.10), at(0));
        ticks.reopen();
        assert!(ticks.settle() && !ticks.settle());
        assert_eq!(age(&ticks), Some(at(0)), "a line that brings nothing makes nothing younger");
        ticks.take(&price(TickType::Ask, 0.05), at(600));
        let received = ticks.of_stock(&stock()).unwrap();
        assert_eq!((received.at, received.quote.bid), (at(600), None));
    }

    #[test]
    fn frozen_prices_come_under_live_numbers_and_are_no_quote_until_live_ones_come_back() {
        let both = |ticks: &mut Ticks, seconds: i64| {
            ticks.take(&price(TickType::Bid, 1.0), at(seconds));
            ticks.take(&price(TickType::Ask, 1.1), at(seconds));
        };
        let mut ticks = Ticks::default();
        both(&mut ticks, 0);
        ticks.take(&TickTypes::MarketDataType(MarketDataType::Frozen), at(1));
        both(&mut ticks, 2);
        assert_eq!(age(&ticks), None);
        ticks.take(&TickTypes::MarketDataType(MarketDataType::Realtime), at(3));
        assert_eq!(age(&ticks), None);
        both(&mut ticks, 4);
        assert_eq!(age(&ticks), Some(at(4)));
    }

    #[test]
    fn an_index_is_as_old_as_its_value() {
        let mut ticks = Ticks::default();
        ticks.take(&price(TickType::Last, 17.5), at(3));
        let received = ticks.of_index(&stock()).unwrap();
        assert_eq!((received.at, received.quote.last), (at(3), Price::from_f64(17.5)));
        assert!(ticks.is_complete(SecurityKind::Index));
    }

    #[test]
    fn no_quote_is_none_and_nonsense_is_none() {
        let mut ticks = Ticks::default();
        ticks.take(&price(TickType::Bid, 1.0), at(0));
        ticks.take(&price(TickType::Ask, 1.0), at(0));
        for none in [-1.0, f64::NAN, f64::INFINITY] {
            ticks.take(&price(TickType::Bid, none), at(1));
            assert_eq!(ticks.of_stock(&stock()).unwrap().quote.bid, None, "{none}");
        }
        for size in [-1.0, f64::NAN] {
            let tick = TickSize { tick_type: TickType::BidSize, size };
            ticks.take(&TickTypes::Size(tick), at(1));
            assert_eq!(ticks.of_stock(&stock()).unwrap().quote.bid_size, None, "{size}");
        }
    }

    #[test]
    fn delayed_prices_are_no_quote() {
        let mut ticks = Ticks::default();
        ticks.take(&price(TickType::Bid, 1.0), at(0));
        ticks.take(&TickTypes::MarketDataType(MarketDataType::Delayed), at(1));
        ticks.take(&price(TickType::DelayedBid, 1.0), at(2));
        assert_eq!(ticks.of_stock(&stock()), None);
    }
}
