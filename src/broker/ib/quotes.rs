//! What the ticks of one market data line add up to.

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
    bid: Option<Price>,
    ask: Option<Price>,
    last: Option<Price>,
    bid_size: Option<i64>,
    ask_size: Option<i64>,
    volume: Option<i64>,
    open_interest: Option<i64>,
    vendor: VendorGreeks,
    heard: Heard,
    halted: bool,
    /// When the last tick came; none before the first.
    received_at: Option<Timestamp>,
}

/// Which ticks have come since the line was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Heard {
    bid: bool,
    ask: bool,
    model: bool,
}

impl Ticks {
    /// Takes one tick in. Delayed and frozen prices are never taken for live ones.
    pub fn take(&mut self, tick: &TickTypes, at: Timestamp) {
        match tick {
            TickTypes::Price(tick) => self.take_price(tick.tick_type, tick.price, at),
            TickTypes::PriceSize(tick) => {
                self.take_price(tick.price_tick_type, tick.price, at);
                self.take_size(tick.size_tick_type, tick.size, at);
            }
            TickTypes::Size(tick) => self.take_size(tick.tick_type, tick.size, at),
            TickTypes::Generic(tick) if tick.tick_type == TickType::Halted => {
                self.halted = tick.value > 0.0;
            }
            TickTypes::OptionComputation(values) => self.take_model(values, at),
            TickTypes::MarketDataType(kind) if *kind != MarketDataType::Realtime => {
                *self = Self::default();
            }
            TickTypes::Generic(_)
            | TickTypes::String(_)
            | TickTypes::SnapshotEnd
            | TickTypes::RequestParameters(_)
            | TickTypes::MarketDataType(_) => {}
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "ticks that the desk does not use")]
    fn take_price(&mut self, kind: TickType, price: f64, at: Timestamp) {
        // A price below zero is IB's word for none.
        let price = Some(price).filter(|price| *price >= 0.0).and_then(Price::from_f64);
        match kind {
            TickType::Bid => (self.bid, self.heard.bid) = (price, true),
            TickType::Ask => (self.ask, self.heard.ask) = (price, true),
            TickType::Last => self.last = price,
            _ => return,
        }
        self.received_at = Some(at);
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "ticks that the desk does not use")]
    fn take_size(&mut self, kind: TickType, size: f64, at: Timestamp) {
        let size = Some(size).filter(|size| size.is_finite() && *size >= 0.0);
        let size = size.map(|size| size as i64);
        match kind {
            TickType::BidSize => self.bid_size = size,
            TickType::AskSize => self.ask_size = size,
            TickType::Volume => self.volume = size,
            TickType::OptionCallOpenInterest | TickType::OptionPutOpenInterest => {
                self.open_interest = size.filter(|size| *size > 0).or(self.open_interest);
            }
            _ => return,
        }
        self.received_at = Some(at);
    }

    fn take_model(&mut self, values: &OptionComputation, at: Timestamp) {
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
        self.heard.model = true;
        self.received_at = Some(at);
    }

    /// Whether a line opened for one look has brought what it is opened for.
    pub fn is_complete(&self, kind: SecurityKind) -> bool {
        match kind {
            SecurityKind::Option => self.heard.bid && self.heard.ask && self.heard.model,
            SecurityKind::Stock | SecurityKind::Future => self.heard.bid && self.heard.ask,
            SecurityKind::Index => self.last.is_some(),
        }
    }

    /// A new line begins: what it brings is awaited again, what stood stands until then.
    pub fn reopen(&mut self) {
        self.heard = Heard::default();
    }

    pub fn is_halted(&self) -> bool {
        self.halted
    }

    pub fn received_at(&self) -> Option<Timestamp> {
        self.received_at
    }

    pub fn of_option(&self, contract: &OptionContract) -> Option<Received<OptionQuote>> {
        let quote = OptionQuote {
            conid: contract.conid,
            bid: self.bid,
            ask: self.ask,
            last: self.last,
            bid_size: self.bid_size,
            ask_size: self.ask_size,
            volume: self.volume,
            open_interest: self.open_interest,
            vendor: self.vendor,
            quoted_at: None,
        };
        self.received_at.map(|at| Received { quote, at })
    }

    pub fn of_underlying(&self, contract: &StockContract) -> Option<Received<UnderlyingQuote>> {
        let quote = UnderlyingQuote {
            conid: contract.conid,
            symbol: contract.symbol.clone(),
            bid: self.bid,
            ask: self.ask,
            last: self.last,
            bid_size: self.bid_size,
            ask_size: self.ask_size,
            quoted_at: None,
        };
        self.received_at.map(|at| Received { quote, at })
    }

    pub fn of_future(&self, contract: &FutureContract) -> Option<Received<FutureQuote>> {
        let quote = FutureQuote {
            conid: contract.conid,
            symbol: contract.symbol.clone(),
            expiry_date: contract.expiry_date,
            bid: self.bid,
            ask: self.ask,
            last: self.last,
            bid_size: self.bid_size,
            ask_size: self.ask_size,
            volume: self.volume,
            quoted_at: None,
        };
        self.received_at.map(|at| Received { quote, at })
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

    #[test]
    fn a_quote_has_the_age_of_its_own_last_tick() {
        let mut ticks = Ticks::default();
        assert_eq!(ticks.of_underlying(&stock()), None);
        ticks.take(&price(TickType::Bid, 690.0), at(0));
        ticks.take(&price(TickType::Ask, 690.02), at(7));
        let received = ticks.of_underlying(&stock()).unwrap();
        assert_eq!((received.at, received.quote.bid), (at(7), Price::from_f64(690.0)));
        assert!(ticks.is_complete(SecurityKind::Stock) && !ticks.is_complete(SecurityKind::Option));
    }

    #[test]
    fn no_quote_is_none_and_nonsense_is_none() {
        let mut ticks = Ticks::default();
        ticks.take(&price(TickType::Bid, 1.0), at(0));
        for none in [-1.0, f64::NAN, f64::INFINITY] {
            ticks.take(&price(TickType::Bid, none), at(1));
            assert_eq!(ticks.of_underlying(&stock()).unwrap().quote.bid, None, "{none}");
        }
        for size in [-1.0, f64::NAN] {
            let tick = TickSize { tick_type: TickType::BidSize, size };
            ticks.take(&TickTypes::Size(tick), at(1));
            assert_eq!(ticks.of_underlying(&stock()).unwrap().quote.bid_size, None, "{size}");
        }
    }

    #[test]
    fn delayed_prices_are_no_quote() {
        let mut ticks = Ticks::default();
        ticks.take(&price(TickType::Bid, 1.0), at(0));
        ticks.take(&TickTypes::MarketDataType(MarketDataType::Delayed), at(1));
        ticks.take(&price(TickType::DelayedBid, 1.0), at(2));
        assert_eq!(ticks.of_underlying(&stock()), None);
    }
}
