//! Price steps by price, under the numbers that contract details name. That IB gives these rules
//! these numbers is an assumption.

use crate::market::{Instrument, Price};

/// One rule: its number and its steps, each with the price from which it holds.
struct Rule {
    id: i32,
    steps: &'static [(f64, f64)],
}

const CENTS: Rule = Rule { id: 26, steps: &[(0.0, 0.01)] };
/// Options on the VIX: cents under three dollars, five cents from there (Cboe).
const VIX_OPTIONS: Rule = Rule { id: 110, steps: &[(0.0, 0.01), (3.0, 0.05)] };
const QUARTERS: Rule = Rule { id: 67, steps: &[(0.0, 0.25)] };
const TENTHS: Rule = Rule { id: 239, steps: &[(0.0, 0.1)] };

const RULES: [&Rule; 4] = [&CENTS, &VIX_OPTIONS, &QUARTERS, &TENTHS];

/// The number of the rule of a contract.
pub fn rule_of(instrument: &Instrument) -> i32 {
    let rule = match instrument {
        Instrument::Option(option) if option.symbol.as_str() == "VIX" => VIX_OPTIONS,
        Instrument::Stock(_) | Instrument::Index(_) | Instrument::Option(_) => CENTS,
        Instrument::Future(future) if future.min_tick == Price::from_micros(100_000) => TENTHS,
        Instrument::Future(_) => QUARTERS,
    };
    rule.id
}

/// The steps of a rule.
pub fn steps(id: i32) -> Option<Vec<(f64, f64)>> {
    RULES.iter().find(|rule| rule.id == id).map(|rule| rule.steps.to_vec())
}
