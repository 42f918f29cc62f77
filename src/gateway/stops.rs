//! Stop orders and orders if touched: at which price of the market one becomes an order of the
//! exchange, and how a trailing one follows.
//!
//! Prices are those of the instrument, whichever side the client is on. Pure: what is quoted is
//! handed in.
//!
//! What triggers is IB's default by instrument: options by bid and ask, all else by the last price
//! (TWS API reference, trigger methods). Two things are assumptions: that one quote is enough where
//! IB asks for two in a row, and that bid and ask stand in where a market has no last price. A
//! buyer's stop looks at the bid, a seller's at the ask, and a trailing one follows the same price.
//! What is to be touched lies on the better side of the market: a buyer's looks at the ask, a
//! seller's at the bid.

use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};

use crate::exchange::Quoted;
use crate::market::{Price, SecurityKind};
use crate::structures::Reject;

use super::orders::refuse;
use super::words::WireOrder;

/// The price that is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Method {
    BidAsk,
    Last,
    /// Whichever comes first.
    Either,
    Middle,
}

/// How far a trailing stop stays behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Trail {
    Amount(Price),
    /// Per cent of the price that it follows.
    Percent(Decimal),
}

/// From which side a price is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Side {
    /// The market gets worse for the client: a stop.
    #[default]
    Worse,
    /// It gets better: an order if touched.
    Better,
}

/// A stop, or a price to be touched, that has not been reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// Of a trailing stop unknown until something is quoted.
    pub at: Option<Price>,
    pub trail: Option<Trail>,
    pub method: Method,
    #[serde(default)]
    pub side: Side,
}

/// What a look at the market has brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    Waits,
    Reached,
}

impl Stop {
    /// The stop of an order; `None` for an order that has none.
    pub fn of(order: &WireOrder, kind: SecurityKind) -> Result<Option<Self>, Reject> {
        let (trail, side) = match order.order_type.as_str() {
            "STP" | "STP LMT" => (None, Side::Worse),
            "TRAIL" | "TRAIL LIMIT" => (Some(trail_of(order)?), Side::Worse),
            "MIT" | "LIT" => (None, Side::Better),
            _ => return Ok(None),
        };
        let at = if trail.is_some() { order.trail_stop } else { order.aux };
        let at = at.map(|at| positive(at, "trigger price")).transpose()?;
        if at.is_none() && trail.is_none() {
            let said = format!("a {} order needs a trigger price", order.order_type);
            return refuse(321, format!("Error validating request: {said}"));
        }
        Ok(Some(Self { at, trail, method: method_of(order.trigger_method, kind)?, side }))
    }

    /// Looks at what is quoted: follows where it trails, and says whether it is reached. `sign` is
    /// 1 for a buyer, -1 for a seller.
    pub fn look(&mut self, quoted: &Quoted, sign: i64) -> Look {
        // Where it is reached from: above for a buyer's stop and what a seller wants touched.
        let sign = match self.side {
            Side::Worse => sign,
            Side::Better => -sign,
        };
        let seen = self.seen(quoted, sign);
        let Some(follow) = seen.first().copied() else { return Look::Waits };
        if let Some(trail) = self.trail {
            let behind = trail.behind(follow);
            let new = if sign > 0 { follow + behind } else { follow - behind };
            let better = |at: Price| if sign > 0 { at.min(new) } else { at.max(new) };
            self.at = Some(self.at.map_or(new, better));
        }
        let reached = |price: &Price| match self.at {
            Some(at) if sign > 0 => *price >= at,
            Some(at) => *price <= at,
            None => false,
        };
        if seen.iter().any(reached) { Look::Reached } else { Look::Waits }
    }

    /// The prices that count; of two the last one first.
    fn seen(&self, quoted: &Quoted, sign: i64) -> Vec<Price> {
        let side = if sign > 0 { quoted.bid } else { quoted.ask };
        let found = match self.method {
            Method::BidAsk => [side, None],
            Method::Last => [quoted.last.or(side), None],
            Method::Either => [quoted.last, side],
            Method::Middle => {
                [quoted.bid.zip(quoted.ask).map(|(bid, ask)| bid.midpoint(ask)), None]
            }
        };
        found.into_iter().flatten().collect()
    }
}

impl Trail {
    fn behind(self, price: Price) -> Price {
        match self {
            Self::Amount(amount) => amount,
            Self::Percent(percent) => Price::new(price.decimal() * percent / Decimal::ONE_HUNDRED),
        }
    }
}

/// A limit `offset` beyond a stop: never worse for the client than the offset says, so rounded to
/// the step towards the stop.
pub fn limit_beyond(stop: Price, offset: Price, (step, sign): (Price, i64)) -> Option<Price> {
    let raw = if sign > 0 { stop + offset } else { stop - offset };
    let towards = if sign > 0 {
        RoundingStrategy::ToNegativeInfinity
    } else {
        RoundingStrategy::ToPositiveInfinity
    };
    let steps = raw.decimal().checked_div(step.decimal())?.round_dp_with_strategy(0, towards);
    Some(Price::new(steps * step.decimal()))
}

/// How far the limit of a trailing stop limit order is from its stop, in prices.
pub fn offset_of(order: &WireOrder) -> Result<Price, Reject> {
    let given = match (order.limit_offset, order.limit, order.trail_stop) {
        (Some(offset), _, _) => Some(offset.abs()),
        (None, Some(limit), Some(stop)) => Some((stop - limit).abs()),
        (None, _, _) => None,
    };
    given.and_then(Price::from_f64).ok_or_else(|| Reject {
        code: 321,
        reason: "Error validating request: a trailing stop limit order needs the offset of its \
                 limit, or a limit and a stop"
            .to_owned(),
    })
}

fn positive(value: f64, name: &str) -> Result<Price, Reject> {
    match Price::from_f64(value).filter(|price| *price > Price::ZERO) {
        Some(price) => Ok(price),
        None => refuse(321, format!("Error validating request: {value} is no {name}")),
    }
}

fn trail_of(order: &WireOrder) -> Result<Trail, Reject> {
    match (order.trailing_percent, order.aux) {
        (Some(percent), _) => match Decimal::try_from(percent) {
            Ok(part) if part > Decimal::ZERO && part < Decimal::ONE_HUNDRED => {
                Ok(Trail::Percent(part))
            }
            Ok(_) | Err(_) => {
                refuse(321, format!("Error validating request: {percent} is no trailing per cent"))
            }
        },
        (None, Some(amount)) => positive(amount, "trailing amount").map(Trail::Amount),
        (None, None) => {
            refuse(321, "Error validating request: a trailing order needs an amount or a per cent")
        }
    }
}

fn method_of(code: i32, kind: SecurityKind) -> Result<Method, Reject> {
    Ok(match (code, kind) {
        (0, SecurityKind::Option) | (1 | 4, _) => Method::BidAsk,
        (0 | 2 | 3, _) => Method::Last,
        (7, _) => Method::Either,
        (8, _) => Method::Middle,
        (other, _) => {
            return refuse(321, format!("Error validating request: trigger method {other}"));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::structures::testing::price;
    use proptest::prelude::*;

    fn quoted(bid: f64, ask: f64) -> Quoted {
        Quoted { bid: Some(price(bid)), ask: Some(price(ask)), last: None }
    }

    fn order(order_type: &str) -> WireOrder {
        WireOrder { order_type: order_type.to_owned(), ..WireOrder::default() }
    }

    #[test]
    fn a_stop_is_reached_from_its_own_side_and_by_its_own_price() {
        let order = WireOrder { aux: Some(10.0), ..order("STP") };
        let mut stop = Stop::of(&order, SecurityKind::Option).unwrap().unwrap();
        assert_eq!(stop.look(&quoted(9.9, 10.2), 1), Look::Waits, "a buyer looks at the bid");
        assert_eq!(stop.look(&quoted(10.0, 10.2), 1), Look::Reached);
        assert_eq!(stop.look(&quoted(9.8, 10.1), -1), Look::Waits, "a seller looks at the ask");
        assert_eq!(stop.look(&quoted(9.8, 10.0), -1), Look::Reached);
        assert_eq!(stop.look(&Quoted::default(), -1), Look::Waits, "nothing reaches nothing");
        let mut stop = Stop::of(&order, SecurityKind::Stock).unwrap().unwrap();
        let last = Quoted { last: Some(price(9.9)), ..quoted(10.1, 10.3) };
        assert_eq!(stop.look(&last, 1), Look::Waits, "of a stock the last price counts");
        assert_eq!(stop.look(&last, -1), Look::Reached);
        for (method, expected) in [(4, Look::Reached), (7, Look::Reached), (8, Look::Reached)] {
            let order = WireOrder { trigger_method: method, ..order.clone() };
            let mut stop = Stop::of(&order, SecurityKind::Stock).unwrap().unwrap();
            assert_eq!(stop.look(&last, 1), expected, "{method}");
        }
    }

    #[test]
    fn an_order_if_touched_is_reached_from_the_better_side() {
        for kind in ["MIT", "LIT"] {
            let order = WireOrder { aux: Some(10.0), ..order(kind) };
            let mut touch = Stop::of(&order, SecurityKind::Option).unwrap().unwrap();
            assert_eq!(touch.look(&quoted(9.8, 10.1), 1), Look::Waits, "a buyer waits for the ask");
            assert_eq!(touch.look(&quoted(9.7, 10.0), 1), Look::Reached);
            assert_eq!(touch.look(&quoted(9.9, 10.3), -1), Look::Waits, "a seller for the bid");
            assert_eq!(touch.look(&quoted(10.0, 10.3), -1), Look::Reached);
            assert_eq!(touch.look(&Quoted::default(), 1), Look::Waits);
        }
    }

    #[test]
    fn a_stop_without_its_numbers_is_refused() {
        let refused = |order: &WireOrder| Stop::of(order, SecurityKind::Stock).unwrap_err().code;
        assert_eq!(refused(&order("STP")), 321);
        assert_eq!(refused(&order("TRAIL")), 321);
        for number in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(refused(&WireOrder { aux: Some(number), ..order("STP LMT") }), 321);
            let percent = WireOrder { trailing_percent: Some(number), ..order("TRAIL") };
            assert_eq!(refused(&percent), 321, "{number}");
        }
        let method = WireOrder { aux: Some(1.0), trigger_method: 5, ..order("STP") };
        assert_eq!(refused(&method), 321);
        assert_eq!(Stop::of(&order("LMT"), SecurityKind::Stock), Ok(None));
        assert_eq!(offset_of(&order("TRAIL LIMIT")).unwrap_err().code, 321);
    }

    #[test]
    fn a_limit_beyond_a_stop_lies_on_the_step_and_no_further_than_said() {
        let step = price(0.05);
        let limit = |sign| limit_beyond(price(10.02), price(0.11), (step, sign)).unwrap();
        assert_eq!((limit(1), limit(-1)), (price(10.10), price(9.95)));
        assert_eq!(limit_beyond(price(1.0), price(0.1), (Price::ZERO, 1)), None);
    }

    proptest! {
        #[test]
        fn a_trailing_stop_only_follows_and_stays_behind(
            path in prop::collection::vec(900_i64..1_100, 1..60),
            percent in any::<bool>(),
            sells in any::<bool>(),
        ) {
            let sign = if sells { -1 } else { 1 };
            let order = WireOrder {
                aux: (!percent).then_some(0.5),
                trailing_percent: percent.then_some(5.0),
                ..order("TRAIL")
            };
            let mut stop = Stop::of(&order, SecurityKind::Option).unwrap().unwrap();
            let mut last: Option<Price> = None;
            for cents in path {
                let middle = cents as f64 / 100.0;
                let look = stop.look(&quoted(middle, middle), sign);
                let at = stop.at.unwrap();
                if let Some(last) = last {
                    prop_assert!(if sells { at >= last } else { at <= last }, "it never goes back");
                }
                let beyond = if sells { price(middle) <= at } else { price(middle) >= at };
                prop_assert_eq!(look == Look::Reached, beyond);
                last = Some(at);
                if beyond {
                    break;
                }
            }
        }
    }
}
