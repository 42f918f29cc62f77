//! The price ladder: limits as numbers. A few steps of equal share of a budget, from near mid up
//! to the worst price, each re-priced from a fresh mid.
//!
//! Prices are net prices of a BUY order, credit negative, so every order moves up algebraically:
//! an entry for credit asks for less, an exit pays more. Invariants: no step is above the worst
//! price; rounding to ticks goes down and so never pays more than the budget; at unchanged mid the
//! steps never fall.
//!
//! What it deliberately does not do: wait, or know whether an order filled.

use chrono::Duration;
use serde::Deserialize;

use crate::market::Price;
use crate::structures::TickGrid;

/// Fewest and most steps of a ladder.
pub const STEPS: std::ops::RangeInclusive<u32> = 4..=6;
/// Least time at one price, seconds.
pub const STEP_SECONDS_MIN: i64 = 10;

/// The numbers of the settings.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LadderParameters {
    pub ladder_steps: u32,
    /// Seconds an order stands at one price.
    pub step_seconds: i64,
    /// Share of the summed half-spreads that an entry may give up ...
    pub entry_budget_ratio: f64,
    /// ... and of the trade's edge, whichever is less.
    pub entry_edge_ratio: f64,
    /// Share of the summed half-spreads that an exit in no hurry may give up.
    pub exit_budget_ratio: f64,
    /// What an urgent order may pay beyond natural, as share of the summed half-spreads.
    pub urgent_collar_ratio: f64,
}

/// How much an order may give up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Urgency {
    /// An entry, with its expected value a share after costs, where it is known.
    Entry {
        edge: Option<f64>,
    },
    Exit,
    /// To natural and the collar beyond.
    Urgent,
}

/// The combo's market, USD a share, signed as the order's price.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LadderMarket {
    pub mid: f64,
    /// Half of the legs' summed ask - bid, by ratio.
    pub half_spreads: f64,
}

/// No ladder can be built.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum LadderError {
    #[error("ladder setting {0} is out of range")]
    Setting(&'static str),
    #[error("mid or spread of the combo is not a number")]
    NoMarket,
    #[error("the edge of {0} USD a share is spent before the first step")]
    NoEdge(f64),
}

/// One order's ladder.
#[derive(Debug, Clone, PartialEq)]
pub struct Ladder {
    grid: TickGrid,
    steps: u32,
    step_seconds: i64,
    /// USD a share, from mid to the last step.
    budget: f64,
    worst_price: Price,
}

impl Ladder {
    pub fn new(
        market: LadderMarket,
        urgency: Urgency,
        grid: TickGrid,
        parameters: &LadderParameters,
    ) -> Result<Self, LadderError> {
        sound(parameters)?;
        let half = market.half_spreads;
        if !(market.mid.is_finite() && half.is_finite() && half >= 0.0) {
            return Err(LadderError::NoMarket);
        }
        let budget = match urgency {
            Urgency::Entry { edge: None } => parameters.entry_budget_ratio * half,
            Urgency::Entry { edge: Some(edge) } => {
                if !edge.is_finite() || edge <= 0.0 {
                    return Err(LadderError::NoEdge(edge));
                }
                (parameters.entry_budget_ratio * half).min(parameters.entry_edge_ratio * edge)
            }
            Urgency::Exit => parameters.exit_budget_ratio * half,
            Urgency::Urgent => (1.0 + parameters.urgent_collar_ratio) * half,
        };
        let end = Price::from_f64(market.mid + budget).ok_or(LadderError::NoMarket)?;
        let worst_price = grid.round_down(end);
        let (steps, step_seconds) = (parameters.ladder_steps, parameters.step_seconds);
        Ok(Self { grid, steps, step_seconds, budget, worst_price })
    }

    /// The price beyond which the order never goes: what the gate is asked to accept.
    pub fn worst_price(&self) -> Price {
        self.worst_price
    }

    pub fn steps(&self) -> u32 {
        self.steps
    }

    /// How long the order stands at each price.
    pub fn step_duration(&self) -> Duration {
        Duration::seconds(self.step_seconds)
    }

    /// The limit of a step (the first is 0) at a fresh mid: mid and the step's share of the budget,
    /// on the grid, never beyond the worst price. `None` after the last step, or without a mid.
    pub fn price_at(&self, step: u32, fresh_mid: f64) -> Option<Price> {
        if step >= self.steps {
            return None;
        }
        let share = f64::from(step + 1) / f64::from(self.steps);
        let wanted = Price::from_f64(fresh_mid + share * self.budget)?;
        Some(self.grid.round_down(wanted.min(self.worst_price)))
    }

    /// The step that stands after an order has worked for `elapsed`; `None` once the ladder ended.
    pub fn step_after(&self, elapsed: Duration) -> Option<u32> {
        let step = u32::try_from(elapsed.num_seconds() / self.step_seconds).ok()?;
        (step < self.steps).then_some(step)
    }
}

fn sound(parameters: &LadderParameters) -> Result<(), LadderError> {
    if !STEPS.contains(&parameters.ladder_steps) {
        return Err(LadderError::Setting("ladder_steps"));
    }
    if parameters.step_seconds < STEP_SECONDS_MIN {
        return Err(LadderError::Setting("step_seconds"));
    }
    let ratios = [
        ("entry_budget_ratio", parameters.entry_budget_ratio),
        ("entry_edge_ratio", parameters.entry_edge_ratio),
        ("exit_budget_ratio", parameters.exit_budget_ratio),
        ("urgent_collar_ratio", parameters.urgent_collar_ratio),
    ];
    match ratios.into_iter().find(|(_, ratio)| !(0.0..=1.0).contains(ratio)) {
        Some((name, _)) => Err(LadderError::Setting(name)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::structures::TickBand;
    use crate::structures::testing::price;

    fn parameters() -> LadderParameters {
        LadderParameters {
            ladder_steps: 5,
            step_seconds: 12,
            entry_budget_ratio: 0.35,
            entry_edge_ratio: 0.5,
            exit_budget_ratio: 0.60,
            urgent_collar_ratio: 0.25,
        }
    }

    fn cents() -> TickGrid {
        TickGrid::new(&[TickBand { from: 0.0, tick: 0.01 }], &"SPY".into()).unwrap()
    }

    fn ladder(mid: f64, half_spreads: f64, urgency: Urgency) -> Ladder {
        Ladder::new(LadderMarket { mid, half_spreads }, urgency, cents(), &parameters()).unwrap()
    }

    #[test]
    fn a_credit_entry_asks_for_less_step_by_step() {
        let entry = ladder(-2.0, 0.20, Urgency::Entry { edge: None });
        let prices: Vec<_> = (0..6).map(|step| entry.price_at(step, -2.0)).collect();
        let expected = [Some(-1.99), Some(-1.98), Some(-1.96), Some(-1.95), Some(-1.93), None];
        assert_eq!(prices, expected.map(|each| each.map(price)));
        assert_eq!(entry.worst_price(), price(-1.93));
    }

    #[test]
    fn an_exit_gives_up_more_and_an_urgent_one_crosses() {
        let exit = ladder(1.0, 0.20, Urgency::Exit);
        assert_eq!(exit.worst_price(), price(1.12));
        let urgent = ladder(1.0, 0.20, Urgency::Urgent);
        assert_eq!(urgent.worst_price(), price(1.25));
        assert_eq!(urgent.price_at(4, 1.0), Some(price(1.25)));
    }

    #[test]
    fn an_entry_spends_no_more_than_its_share_of_the_edge() {
        let entry = ladder(-2.0, 0.20, Urgency::Entry { edge: Some(0.04) });
        assert_eq!(entry.worst_price(), price(-1.98));
        let market = LadderMarket { mid: -2.0, half_spreads: 0.2 };
        let spent =
            Ladder::new(market, Urgency::Entry { edge: Some(-0.1) }, cents(), &parameters());
        assert_eq!(spent, Err(LadderError::NoEdge(-0.1)));
    }

    #[test]
    fn steps_end_with_time_and_settings_are_bounded() {
        let entry = ladder(-2.0, 0.20, Urgency::Entry { edge: None });
        assert_eq!(entry.step_after(Duration::seconds(11)), Some(0));
        assert_eq!(entry.step_after(Duration::seconds(12)), Some(1));
        assert_eq!(entry.step_after(Duration::seconds(60)), None);
        let market = LadderMarket { mid: -2.0, half_spreads: 0.2 };
        for broken in [
            LadderParameters { ladder_steps: 3, ..parameters() },
            LadderParameters { step_seconds: 9, ..parameters() },
            LadderParameters { exit_budget_ratio: f64::NAN, ..parameters() },
        ] {
            assert!(Ladder::new(market, Urgency::Exit, cents(), &broken).is_err());
        }
        let blind = LadderMarket { mid: f64::NAN, half_spreads: 0.2 };
        assert!(Ladder::new(blind, Urgency::Exit, cents(), &parameters()).is_err());
        assert_eq!(entry.price_at(0, f64::NAN), None);
    }

    proptest! {
        #[test]
        fn no_step_passes_the_worst_price_whatever_mid_does(
            mid in -9.0_f64..9.0,
            half_spreads in 0.0_f64..2.0,
            drift in -3.0_f64..3.0,
            kind in 0_usize..4,
            tick in 1_i64..10,
        ) {
            let urgency = [
                Urgency::Entry { edge: None },
                Urgency::Entry { edge: Some(0.3) },
                Urgency::Exit,
                Urgency::Urgent,
            ][kind];
            let bands = [TickBand { from: 0.0, tick: tick as f64 / 100.0 }];
            let grid = TickGrid::new(&bands, &"SPY".into()).unwrap();
            let market = LadderMarket { mid, half_spreads };
            let ladder = Ladder::new(market, urgency, grid.clone(), &parameters()).unwrap();
            let most = (1.0 + parameters().urgent_collar_ratio) * half_spreads;
            prop_assert!(ladder.worst_price().to_f64() <= mid + most + 1e-6);
            let mut last = None;
            for step in 0..ladder.steps() {
                let moved = ladder.price_at(step, mid + drift).unwrap();
                prop_assert!(moved <= ladder.worst_price());
                prop_assert!(grid.holds(moved));
                let still = ladder.price_at(step, mid).unwrap();
                prop_assert!(last.is_none_or(|last| still >= last));
                last = Some(still);
            }
        }
    }
}
