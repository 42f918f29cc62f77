//! The stock that assignment could bring overnight.
//!
//! At each of three prices of the underlying (now, and a one-day sigma down and up) every short leg
//! that is in the money with less extrinsic value than a stated amount counts as assigned, and
//! every long leg of the same strategy and right in the money as exercisable against it. Notional
//! is USD at the strikes, never negative.
//!
//! What it deliberately does not do: dividends, stock already delivered, European options.

use super::inputs::MarketView;
use super::limits::AccountLimits;
use super::scenario::OptionState;
use crate::market::{ExerciseStyle, Instrument, OptionContract, OptionRight, Timestamp};
use crate::structures::Holding;

/// Notional at the underlying now, a sigma lower, a sigma higher.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct AssignedNotional(pub [f64; 3]);

impl AssignedNotional {
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let mut sum = self.0;
        for (total, part) in sum.iter_mut().zip(other.0) {
            *total += part;
        }
        Self(sum)
    }

    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        self.plus(Self(other.0.map(|usd| -usd)))
    }

    /// The greatest of the three; NaN if one of them is.
    pub fn worst(self) -> f64 {
        self.0.into_iter().fold(0.0, |worst: f64, usd| {
            if usd.is_nan() || worst.is_nan() { f64::NAN } else { worst.max(usd) }
        })
    }
}

/// The notional of one strategy. `None` where a short American option lacks a model input; a long
/// one without answers for nothing.
pub fn assigned_notional(
    holdings: &[Holding],
    market: &MarketView,
    limits: &AccountLimits,
    now: Timestamp,
) -> Option<AssignedNotional> {
    let mut nodes = [0.0; 3];
    for (node, sigmas) in nodes.iter_mut().zip([0.0, -1.0, 1.0]) {
        for right in [OptionRight::Call, OptionRight::Put] {
            *node += at_node(holdings, right, |option| {
                let state = OptionState::read(option, market.legs.get(&option.conid)?, now)?;
                let sigma = state.vol() / libm::sqrt(limits.sessions_per_year);
                let moved = sigmas * sigma;
                let intrinsic = state.intrinsic(state.spot() * (1.0 + moved));
                let extrinsic = state.value(moved, 1.0, 0.0)? - intrinsic;
                Some(Moneyness {
                    intrinsic,
                    extrinsic,
                    assigned_below: limits.assignment_extrinsic_usd,
                })
            })?;
        }
    }
    Some(AssignedNotional(nodes))
}

struct Moneyness {
    intrinsic: f64,
    extrinsic: f64,
    assigned_below: f64,
}

fn at_node(
    holdings: &[Holding],
    right: OptionRight,
    judge: impl Fn(&OptionContract) -> Option<Moneyness>,
) -> Option<f64> {
    let (mut assigned, mut exercisable, mut strike) = (0_i64, 0_i64, 0.0_f64);
    for holding in holdings {
        let Instrument::Option(option) = &holding.instrument else { continue };
        if option.right != right || option.style == ExerciseStyle::European {
            continue;
        }
        let state = match judge(option) {
            Some(state) => state,
            // A long leg that cannot be judged (nobody bids for it) answers for nothing.
            None if holding.quantity > 0 => continue,
            None => return None,
        };
        let in_the_money = state.intrinsic > 0.0;
        if holding.quantity < 0 && in_the_money && state.extrinsic < state.assigned_below {
            assigned += -holding.quantity * option.multiplier;
            strike = strike.max(option.strike.to_f64());
        }
        if holding.quantity > 0 && in_the_money {
            exercisable += holding.quantity * option.multiplier;
        }
    }
    Some((assigned - exercisable).max(0) as f64 * strike)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::risk::testing::{limits, market_for};
    use crate::structures::testing::{call, instrument, monday, put};

    #[test]
    fn only_deep_shorts_are_assigned_and_long_wings_answer_for_them() {
        let deep = Holding { instrument: instrument(&put(760.0, 2)), quantity: -2 };
        let wing = Holding { instrument: instrument(&put(750.0, 2)), quantity: 2 };
        let far = Holding { instrument: instrument(&call(700.0, 30)), quantity: -3 };
        let all = [deep.clone(), wing.clone(), far];
        let market = market_for(all.iter().map(|holding| &holding.instrument));
        let limits = limits().account;
        let notional =
            |held: &[Holding]| assigned_notional(held, &market, &limits, monday()).unwrap();
        assert!((notional(&all).worst()).abs() < 1e-9);
        assert!((notional(std::slice::from_ref(&deep)).worst() - 152_000.0).abs() < 1e-6);
        let blind = |held: &Holding| {
            let held = std::slice::from_ref(held);
            assigned_notional(held, &MarketView::default(), &limits, monday())
        };
        assert_eq!(blind(&deep), None);
        assert_eq!(blind(&wing), Some(AssignedNotional::default()));
    }
}
