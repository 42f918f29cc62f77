//! Proposals that close: the legs of a strategy turned round, for a whole number of combos.
//!
//! A leg to be sold that nobody bids for cannot be sold, and no combo with it can fill: it stays
//! with its strategy, where it covers what it covered, and the others go. What stays is sold when
//! somebody bids again, or expires.

use rust_decimal::Decimal;

use crate::broker::{Broker, Feed};
use crate::market::Price;
use crate::risk::MarketView;
use crate::structures::{Holding, Leg, Purpose, StructureKind};

use super::Trader;
use super::act::{Plan, Room, Skipped, Terms};
use super::decision::Decision;
use super::inputs::Gathered;

/// Net prices of a set of legs as an order trades them, USD a share, credit negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetQuote {
    pub mid: Price,
    /// Summed half-spreads.
    pub half_width: Price,
}

impl NetQuote {
    /// `None` where a leg has no two-sided quote; one to be bought may lack a bid, which then
    /// counts as zero.
    pub fn of(legs: &[Leg], market: &MarketView) -> Option<Self> {
        let mut net = Self { mid: Price::ZERO, half_width: Price::ZERO };
        for leg in legs {
            let quote = market.legs.get(&leg.instrument.conid())?;
            let (mid, half) = match quote.two_sided() {
                Some(two_sided) => (two_sided.mid(), two_sided.half_spread()),
                None if quote.bid.is_none() && leg.ratio > 0 => {
                    let half = quote.ask?.midpoint(Price::ZERO);
                    (half, half)
                }
                None => return None,
            };
            net.mid += mid.times(leg.ratio);
            net.half_width += half.times(leg.ratio.abs());
        }
        Some(net)
    }

    /// Mid and a share of the summed half-spreads, USD a share.
    fn mid_plus(&self, share: f64) -> Option<Price> {
        let share = Decimal::try_from(share).ok()?;
        Some(Price::new(self.mid.decimal() + self.half_width.decimal() * share))
    }
}

impl<B: Broker + Feed> Trader<B> {
    pub(super) fn plan_exit(
        &self,
        decision: &Decision,
        legs: Vec<Leg>,
        gathered: &Gathered,
    ) -> anyhow::Result<Result<Plan, Skipped>> {
        let skip = |why: &str| Ok(Err(Skipped(why.to_owned())));
        let (Some(fraction), Some(urgency)) = (decision.fraction, decision.urgency) else {
            return skip("the decision has no fraction or no urgency");
        };
        if !(fraction > 0.0 && fraction <= 1.0) {
            return Ok(Err(Skipped(format!("{fraction} is no fraction of what is open"))));
        }
        if self.has_working(&decision.subject_id)? {
            return skip("an order of the strategy still works");
        }
        let strategies = self.journal.borrow().strategies()?;
        let Some(row) = strategies.iter().find(|row| row.strategy_id == decision.subject_id) else {
            return skip("the strategy is not in the journal");
        };
        if legs.iter().any(|leg| leg.ratio == 0) {
            return skip("it holds stock from an assignment: close that unit by hand");
        }
        let legs = lowest_terms(what_can_trade(legs, &gathered.market));
        let held = self.holdings_of(&self.journal.borrow().held_legs()?, &decision.subject_id);
        let open = whole_combos(&legs, &held);
        if legs.is_empty() || open < 1 {
            return skip("nobody bids for what it holds: that stays until it expires");
        }
        let Some(net) = NetQuote::of(&legs, &gathered.market) else {
            return skip("a leg has no quote, no offer, or a crossed one");
        };
        let grid = match self.settings.limits.ticks.grid(&legs) {
            Ok(grid) => grid,
            Err(error) => return Ok(Err(Skipped(error.to_string()))),
        };
        let budget = self.exit_budget(urgency);
        let (Some(worst), Some(room)) = (net.mid_plus(budget), Room::of(&legs, &grid)) else {
            return skip("no worst price can be made from the quotes");
        };
        let terms = Terms {
            purpose: Purpose::Close,
            quantity: combos_of(fraction, open),
            mid: net.mid,
            worst: room.clip(grid.round_down(worst)),
            structure: StructureKind::from_name(&row.structure).unwrap_or(StructureKind::Other),
            grid,
            room,
        };
        let proposed = self.propose(decision, legs, &terms)?;
        Ok(Ok(Plan {
            ladder: self.ladder(&terms),
            least: room.least,
            proposed,
            max_loss_each: row.max_loss_each,
            margin_each: row.margin_each,
            rule: Some(decision.rule.clone()),
        }))
    }

    /// The share of the summed half-spreads that an exit may pay above mid: patient within its
    /// budget, urgent beyond natural by a collar.
    fn exit_budget(&self, urgency: i64) -> f64 {
        if urgency >= 2 {
            1.0 + self.settings.work.urgent_collar_ratio
        } else {
            self.settings.work.exit_budget_ratio
        }
    }
}

/// The legs without those to be sold for which nobody bids.
fn what_can_trade(legs: Vec<Leg>, market: &MarketView) -> Vec<Leg> {
    let unbid = |leg: &Leg| {
        let quote = market.legs.get(&leg.instrument.conid());
        leg.ratio < 0 && quote.is_some_and(|quote| quote.bid.is_none())
    };
    legs.into_iter().filter(|leg| !unbid(leg)).collect()
}

/// Ratios without a common divisor, as brokers want combos written.
fn lowest_terms(mut legs: Vec<Leg>) -> Vec<Leg> {
    let divisor = legs.iter().map(|leg| leg.ratio.abs()).fold(0, greatest_common_divisor);
    if divisor > 1 {
        for leg in &mut legs {
            leg.ratio /= divisor;
        }
    }
    legs
}

fn greatest_common_divisor(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// How many combos of closing legs the holdings make up.
fn whole_combos(legs: &[Leg], held: &[Holding]) -> i64 {
    let made = |leg: &Leg| {
        let conid = leg.instrument.conid();
        let quantity: i64 =
            held.iter().filter(|held| held.instrument.conid() == conid).map(|h| h.quantity).sum();
        (-quantity / leg.ratio).max(0)
    };
    legs.iter().map(made).min().unwrap_or(0)
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
    use crate::structures::testing::{instrument, put};

    #[test]
    fn a_share_rounds_down_and_none_closes() {
        assert_eq!(combos_of(0.5, 5), 2);
        assert_eq!(combos_of(1.0, 3), 3);
        assert_eq!(combos_of(0.3, 1), 1);
    }

    #[test]
    fn combos_are_those_that_every_leg_still_makes_up() {
        let (short, long) = (instrument(&put(610.0, 30)), instrument(&put(600.0, 30)));
        let leg = |instrument: &_, ratio| Leg { instrument: Clone::clone(instrument), ratio };
        let held = [
            Holding { instrument: short.clone(), quantity: -2 },
            Holding { instrument: long.clone(), quantity: 4 },
        ];
        assert_eq!(whole_combos(&[leg(&short, 1), leg(&long, -1)], &held), 2);
        assert_eq!(whole_combos(&[leg(&long, -1)], &held), 4);
        assert_eq!(whole_combos(&[leg(&short, -1)], &held), 0);
        let halved = lowest_terms(vec![leg(&long, -2)]);
        assert_eq!(halved.first().map(|leg| leg.ratio), Some(-1));
    }
}
