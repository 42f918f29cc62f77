//! What legs pay at expiry, and from it maximum loss, maximum profit and break-evens.
//!
//! Amounts are USD for one combo of the legs as they stand (bought positive). The payoff is
//! piecewise linear in the price of the underlying, so its extremes lie at strikes, at zero, or
//! nowhere. A leg that expires after the others counts at intrinsic value, which is the least that
//! it can be worth: for calendars and diagonals the maximum loss is exact, the maximum profit and
//! the break-evens are not known without a model and are `None`.
//!
//! What it deliberately does not do: value anything before expiry (see `pricing`).

use std::collections::BTreeSet;

use rust_decimal::Decimal;

use super::kind::{Leg, combo_multiplier};
use crate::market::{Instrument, OptionRight, Price, Usd};

/// The least and the most that legs can pay at expiry, USD a combo. `None` is no bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extremes {
    pub least: Option<Usd>,
    pub most: Option<Usd>,
}

/// What the legs are worth at expiry with the underlying at `spot`, USD a combo. Stock and futures
/// count at their price.
pub fn expiry_payoff(legs: &[Leg], spot: Price) -> Usd {
    Usd::from_micros(payoff_micros(legs, spot.micros()))
}

/// The payoff in millionths of a USD: whole numbers are exact, and quick enough for the gate.
fn payoff_micros(legs: &[Leg], spot: i64) -> i64 {
    legs.iter()
        .map(|leg| {
            let value = match &leg.instrument {
                Instrument::Option(option) => match option.right {
                    OptionRight::Call => (spot - option.strike.micros()).max(0),
                    OptionRight::Put => (option.strike.micros() - spot).max(0),
                },
                Instrument::Stock(_) | Instrument::Index(_) | Instrument::Future(_) => spot,
            };
            value * leg.ratio * leg.instrument.multiplier()
        })
        .sum()
}

/// The prices of the underlying at which the payoff turns: zero and the strikes.
pub fn nodes(legs: &[Leg]) -> Vec<Price> {
    let mut nodes = BTreeSet::from([Price::ZERO]);
    for leg in legs {
        if let Instrument::Option(option) = &leg.instrument {
            nodes.insert(option.strike);
        }
    }
    nodes.into_iter().collect()
}

/// The payoff gained for each USD of the underlying above the highest strike, a combo.
fn slope_at_the_top(legs: &[Leg]) -> i64 {
    legs.iter()
        .map(|leg| match &leg.instrument {
            Instrument::Option(option) => match option.right {
                OptionRight::Call => leg.ratio * option.multiplier,
                OptionRight::Put => 0,
            },
            Instrument::Stock(_) | Instrument::Index(_) | Instrument::Future(_) => {
                leg.ratio * leg.instrument.multiplier()
            }
        })
        .sum()
}

/// The least and most that the legs can pay.
pub fn extremes(legs: &[Leg]) -> Extremes {
    let strikes = legs.iter().filter_map(|leg| match &leg.instrument {
        Instrument::Option(option) => Some(option.strike.micros()),
        Instrument::Stock(_) | Instrument::Index(_) | Instrument::Future(_) => None,
    });
    let worthless = payoff_micros(legs, 0);
    let (mut least, mut most) = (worthless, worthless);
    for strike in strikes {
        let payoff = payoff_micros(legs, strike);
        least = least.min(payoff);
        most = most.max(payoff);
    }
    let slope = slope_at_the_top(legs);
    Extremes {
        least: (slope >= 0).then(|| Usd::from_micros(least)),
        most: (slope <= 0).then(|| Usd::from_micros(most)),
    }
}

/// The most that one combo bought at `net_price` (credit negative) can lose at expiry, `fees`
/// (USD a combo, for both ways) included. `None` where there is no bound, or the legs share no
/// multiplier. Never negative.
pub fn maximum_loss(legs: &[Leg], net_price: Price, fees: Usd) -> Option<Usd> {
    let cost = net_price.value(1, combo_multiplier(legs)?);
    Some((cost - extremes(legs).least? + fees).max(Usd::ZERO))
}

/// The most that one combo bought at `net_price` can earn at expiry, after `fees`. `None` where
/// there is no bound, or legs expire on different days.
pub fn maximum_profit(legs: &[Leg], net_price: Price, fees: Usd) -> Option<Usd> {
    if !one_expiry(legs) {
        return None;
    }
    let cost = net_price.value(1, combo_multiplier(legs)?);
    Some(extremes(legs).most? - cost - fees)
}

/// The prices of the underlying at which the combo neither earns nor loses at expiry, ascending,
/// before fees. `None` where legs expire on different days.
pub fn break_evens(legs: &[Leg], net_price: Price) -> Option<Vec<Price>> {
    if !one_expiry(legs) {
        return None;
    }
    let cost = net_price.value(1, combo_multiplier(legs)?);
    let profit = |spot: Price| (expiry_payoff(legs, spot) - cost).decimal();
    let nodes = nodes(legs);
    let mut found = BTreeSet::new();
    for (low, high) in nodes.iter().zip(nodes.iter().skip(1)) {
        let (at_low, at_high) = (profit(*low), profit(*high));
        if at_low.is_zero() {
            found.insert(*low);
        }
        if at_low * at_high < Decimal::ZERO {
            let share = at_low / (at_low - at_high);
            found.insert(Price::new(low.decimal() + (*high - *low).decimal() * share));
        }
    }
    if let Some(top) = nodes.last() {
        let (at_top, slope) = (profit(*top), Decimal::from(slope_at_the_top(legs)));
        if at_top.is_zero() {
            found.insert(*top);
        }
        if at_top * slope < Decimal::ZERO {
            found.insert(Price::new(top.decimal() - at_top / slope));
        }
    }
    Some(found.into_iter().collect())
}

fn one_expiry(legs: &[Leg]) -> bool {
    let dates: BTreeSet<_> = legs
        .iter()
        .filter_map(|leg| match &leg.instrument {
            Instrument::Option(option) => Some(option.expiry_date),
            Instrument::Future(future) => Some(future.expiry_date),
            Instrument::Stock(_) | Instrument::Index(_) => None,
        })
        .collect();
    dates.len() <= 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::market::OptionContract;
    use crate::structures::testing::{call, instrument, price, put, stock, usd};

    fn legs(parts: &[(OptionContract, i64)]) -> Vec<Leg> {
        parts
            .iter()
            .map(|(option, ratio)| Leg { instrument: instrument(option), ratio: *ratio })
            .collect()
    }

    #[test]
    fn a_condor_loses_its_wider_side_less_the_credit_plus_fees() {
        let condor = legs(&[
            (put(600.0, 20), 1),
            (put(610.0, 20), -1),
            (call(660.0, 20), -1),
            (call(665.0, 20), 1),
        ]);
        let (net, fees) = (price(-2.0), usd(5.2));
        assert_eq!(maximum_loss(&condor, net, fees), Some(usd(805.2)));
        assert_eq!(maximum_profit(&condor, net, fees), Some(usd(194.8)));
        assert_eq!(break_evens(&condor, net), Some(vec![price(608.0), price(662.0)]));
    }

    #[test]
    fn what_has_no_bound_has_no_maximum() {
        let short = legs(&[(call(660.0, 20), -1)]);
        assert_eq!(maximum_loss(&short, price(-2.0), Usd::ZERO), None);
        let long = legs(&[(call(660.0, 20), 1)]);
        assert_eq!(maximum_loss(&long, price(2.0), Usd::ZERO), Some(usd(200.0)));
        assert_eq!(maximum_profit(&long, price(2.0), Usd::ZERO), None);
        assert_eq!(break_evens(&long, price(2.0)), Some(vec![price(662.0)]));
    }

    #[test]
    fn a_calendar_can_lose_its_debit_and_shares_everything() {
        let calendar = legs(&[(call(640.0, 20), -1), (call(640.0, 50), 1)]);
        assert_eq!(maximum_loss(&calendar, price(4.1), Usd::ZERO), Some(usd(410.0)));
        assert_eq!(maximum_profit(&calendar, price(4.1), Usd::ZERO), None);
        let shares = [Leg { instrument: stock("SPY"), ratio: 1 }];
        assert_eq!(maximum_loss(&shares, price(640.0), Usd::ZERO), Some(usd(640.0)));
    }

    proptest! {
        #[test]
        fn no_expiry_loses_more_than_the_maximum(
            (short, width, net) in (500_i64..700, 1_i64..30, 0.01_f64..0.99),
            spot in 0.0_f64..1_500.0,
        ) {
            let spread = legs(&[
                (call(short as f64, 20), -1),
                (call((short + width) as f64, 20), 1),
            ]);
            let net = price(-net * width as f64);
            let at_expiry = expiry_payoff(&spread, price(spot)) - net.value(1, 100);
            let loss = maximum_loss(&spread, net, Usd::ZERO).unwrap();
            prop_assert!(-at_expiry <= loss);
            let crossing = break_evens(&spread, net).unwrap();
            prop_assert_eq!(crossing.len(), 1);
        }
    }
}
