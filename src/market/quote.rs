//! Quotes as a venue gives them. Missing is `None`, never a sentinel.

use chrono::NaiveDate;

use super::{ConId, Price, Symbol, Timestamp};

/// What a data vendor says of an option beside its prices: a cross-check, never an input.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct VendorGreeks {
    /// Fraction.
    pub vol: Option<f64>,
    pub delta: Option<f64>,
    /// Per $1.
    pub gamma: Option<f64>,
    /// Per calendar day.
    pub theta: Option<f64>,
    /// Per volatility point.
    pub vega: Option<f64>,
}

/// A quote of one option, as received.
#[derive(Debug, Clone, PartialEq)]
pub struct OptionQuote {
    pub conid: ConId,
    pub bid: Option<Price>,
    pub ask: Option<Price>,
    pub last: Option<Price>,
    /// Contracts.
    pub bid_size: Option<i64>,
    pub ask_size: Option<i64>,
    pub volume: Option<i64>,
    pub open_interest: Option<i64>,
    pub vendor: VendorGreeks,
    /// The venue's stamp, where it gives one.
    pub quoted_at: Option<Timestamp>,
}

/// A quote of a stock or an index, as received.
#[derive(Debug, Clone, PartialEq)]
pub struct UnderlyingQuote {
    pub conid: ConId,
    pub symbol: Symbol,
    pub bid: Option<Price>,
    pub ask: Option<Price>,
    pub last: Option<Price>,
    pub bid_size: Option<i64>,
    pub ask_size: Option<i64>,
    pub quoted_at: Option<Timestamp>,
}

/// A quote of a future, in index points, as received.
#[derive(Debug, Clone, PartialEq)]
pub struct FutureQuote {
    pub conid: ConId,
    pub symbol: Symbol,
    pub expiry_date: NaiveDate,
    pub bid: Option<Price>,
    pub ask: Option<Price>,
    pub last: Option<Price>,
    pub bid_size: Option<i64>,
    pub ask_size: Option<i64>,
    pub volume: Option<i64>,
    pub quoted_at: Option<Timestamp>,
}

/// A market with both sides, uncrossed: the only thing that marks and fills may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TwoSided {
    bid: Price,
    ask: Price,
}

impl TwoSided {
    /// `None` unless 0 < bid <= ask.
    pub fn new(bid: Option<Price>, ask: Option<Price>) -> Option<Self> {
        match (bid, ask) {
            (Some(bid), Some(ask)) if bid > Price::ZERO && bid <= ask => Some(Self { bid, ask }),
            _ => None,
        }
    }

    pub fn bid(self) -> Price {
        self.bid
    }

    pub fn ask(self) -> Price {
        self.ask
    }

    pub fn mid(self) -> Price {
        self.bid.midpoint(self.ask)
    }

    pub fn half_spread(self) -> Price {
        self.ask - self.mid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_market_needs_both_sides_uncrossed() {
        let price = |value: f64| Price::from_f64(value);
        assert!(TwoSided::new(price(1.0), price(1.1)).is_some());
        assert!(TwoSided::new(price(1.2), price(1.1)).is_none());
        assert!(TwoSided::new(price(0.0), price(1.1)).is_none());
        assert!(TwoSided::new(None, price(1.1)).is_none());
    }
}
