//! Proposals that close: the legs of a strategy turned round, for a whole number of combos.

use rust_decimal::Decimal;

use crate::broker::{Broker, Feed};
use crate::market::{Price, TwoSided};
use crate::risk::MarketView;
use crate::structures::Leg;

use super::Trader;
use super::act::Decision;

/// Net prices of a set of legs as an order trades them, USD a share, credit negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetQuote {
    pub mid: Price,
    /// Summed half-spreads.
    pub half_width: Price,
}

impl NetQuote {
    /// `None` where a leg has no two-sided quote.
    pub fn of(legs: &[Leg], market: &MarketView) -> Option<Self> {
        let mut net = Self { mid: Price::ZERO, half_width: Price::ZERO };
        for leg in legs {
            let quote = market.legs.get(&leg.instrument.conid())?;
            let quote: TwoSided = quote.two_sided()?;
            net.mid += quote.mid().times(leg.ratio);
            net.half_width += quote.half_spread().times(leg.ratio.abs());
        }
        Some(net)
    }

    /// Mid and a share of the summed half-spreads, rounded down to the tick: never more than the
    /// budget.
    pub fn mid_plus(&self, share: f64, tick: Price) -> Option<Price> {
        let share = Decimal::try_from(share).ok()?;
        let exact = self.mid.decimal() + self.half_width.decimal() * share;
        (tick > Price::ZERO).then(|| Price::new((exact / tick.decimal()).floor() * tick.decimal()))
    }
}

impl<B: Broker + Feed> Trader<B> {
    /// The worst price of an exit: patient within its budget, urgent beyond natural by a collar.
    pub(super) fn worst_exit_price(
        &self,
        decision: &Decision,
        net: &NetQuote,
        tick: Price,
    ) -> Option<Price> {
        let share = if decision.urgency >= 2 {
            1.0 + self.settings.work.urgent_collar_ratio
        } else {
            self.settings.work.exit_budget_ratio
        };
        net.mid_plus(share, tick)
    }
}

/// Whole combos of a share of what is open, rounded down; where that is none, a reduction of risk
/// closes everything.
pub fn combos_of(fraction: f64, open: i64) -> i64 {
    let part = libm::floor(fraction * open as f64) as i64;
    if part >= 1 { part.min(open) } else { open }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_rounds_down_and_none_closes() {
        assert_eq!(combos_of(0.5, 5), 2);
        assert_eq!(combos_of(1.0, 3), 3);
        assert_eq!(combos_of(0.3, 1), 1);
    }
}
