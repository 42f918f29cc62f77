//! The price ladder: limits as numbers. A few steps of equal share of a budget, from mid up to the
//! worst price, each re-priced from a fresh mid.
//!
//! Prices are net prices of a BUY order, credit negative, so every order moves up algebraically:
//! an entry for credit asks for less, an exit pays more. Invariants: no step is above the worst
//! price; rounding to ticks goes down and so never pays more than the budget; at unchanged mid the
//! steps never fall.
//!
//! What it deliberately does not do: choose the worst price, wait, or know whether an order filled.

use rust_decimal::Decimal;

use crate::market::Price;
use crate::structures::TickGrid;

/// Fewest and most steps of a ladder.
pub const STEPS: std::ops::RangeInclusive<u32> = 4..=6;
/// Least time at one price, seconds.
pub const STEP_SECONDS_MIN: i64 = 10;

/// One order's ladder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ladder {
    grid: TickGrid,
    steps: u32,
    /// From mid to the last step; negative where the worst price lies below mid.
    budget: Price,
    worst: Price,
}

impl Ladder {
    /// From the mid at which the order was decided to its worst price, in so many steps, both ends
    /// included.
    pub fn between(arrival_mid: Price, worst: Price, (steps, grid): (u32, TickGrid)) -> Self {
        Self { grid, steps, budget: worst - arrival_mid, worst }
    }

    /// The price beyond which the order never goes.
    pub fn worst_price(&self) -> Price {
        self.worst
    }

    /// The limit of a step (the first is 0) at a fresh mid: mid and the step's share of the budget,
    /// on the grid, never beyond the worst price. `None` after the last step.
    pub fn price_at(&self, step: u32, fresh_mid: Price) -> Option<Price> {
        if step >= self.steps {
            return None;
        }
        let share = match self.steps.saturating_sub(1) {
            0 => Decimal::ONE,
            last => Decimal::from(step) / Decimal::from(last),
        };
        let wanted = Price::new(fresh_mid.decimal() + self.budget.decimal() * share);
        Some(self.grid.round_down(wanted.min(self.worst)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::structures::TickBand;
    use crate::structures::testing::price;

    fn cents() -> TickGrid {
        TickGrid::new(&[TickBand { from: 0.0, tick: 0.01 }], &"SPY".into()).unwrap()
    }

    fn prices(ladder: &Ladder, mid: f64) -> Vec<Option<Price>> {
        (0..6).map(|step| ladder.price_at(step, price(mid))).collect()
    }

    #[test]
    fn a_credit_entry_asks_for_less_step_by_step() {
        let entry = Ladder::between(price(-2.0), price(-1.92), (5, cents()));
        let expected = [Some(-2.0), Some(-1.98), Some(-1.96), Some(-1.94), Some(-1.92), None];
        assert_eq!(prices(&entry, -2.0), expected.map(|each| each.map(price)));
    }

    #[test]
    fn each_step_starts_from_the_mid_as_it_is_and_ends_at_the_worst_price() {
        let exit = Ladder::between(price(1.00), price(1.12), (5, cents()));
        // Mid came down: the same share of the budget is paid on top of the lower mid.
        assert_eq!(exit.price_at(2, price(0.90)), Some(price(0.96)));
        assert_eq!(exit.price_at(4, price(0.90)), Some(price(1.02)));
        // Mid went up: no further than the worst price.
        assert_eq!(exit.price_at(2, price(1.20)), Some(price(1.12)));
    }

    #[test]
    fn rounding_never_pays_more() {
        let ladder = Ladder::between(price(1.00), price(1.03), (5, cents()));
        assert_eq!(ladder.price_at(1, price(1.00)), Some(price(1.00)));
    }

    proptest! {
        #[test]
        fn no_step_passes_the_worst_price_whatever_mid_does(
            mid in -9.0_f64..9.0,
            budget_ticks in 0_i64..80,
            drift in -3.0_f64..3.0,
            steps in STEPS,
            tick in 1_i64..10,
        ) {
            let tick = tick as f64 / 100.0;
            let bands = [TickBand { from: 0.0, tick }];
            let grid = TickGrid::new(&bands, &"SPY".into()).unwrap();
            let mid = price(mid);
            let worst = grid.round_down(mid) + price(tick).times(budget_ticks);
            let ladder = Ladder::between(mid, worst, (steps, grid.clone()));
            let mut last = None;
            for step in 0..steps {
                let moved = ladder.price_at(step, mid + price(drift)).unwrap();
                prop_assert!(moved <= ladder.worst_price());
                prop_assert!(grid.holds(moved));
                let still = ladder.price_at(step, mid).unwrap();
                if budget_ticks > 0 {
                    prop_assert!(last.is_none_or(|last| still >= last));
                }
                last = Some(still);
            }
            prop_assert_eq!(last, Some(worst));
        }
    }
}
