//! R8: a single option is not bought above the most it can be worth, nor sold below intrinsic value
//! by more than a tolerance.

use super::{Applies, Check, Finding};
use crate::market::{Instrument, OptionRight};
use crate::risk::context::Context;

pub(super) const CHECK: Check =
    Check { id: "R8", name: "intrinsic", unit: "USD a share", applies: Applies::Always, run };

fn run(context: &Context<'_>) -> Finding {
    let [leg] = context.proposed.legs.as_slice() else {
        return Finding::NotApplicable("the value of a combo is judged by R9");
    };
    let Instrument::Option(option) = &leg.instrument else {
        return Finding::NotApplicable("not an option");
    };
    let Some(spot) = context.market_of(leg).and_then(|market| market.spot) else {
        return Finding::missing("the price of the underlying");
    };
    let (price, strike) = (context.worst_price(), option.strike.to_f64());
    if leg.ratio > 0 {
        let most = match option.right {
            OptionRight::Call => spot,
            OptionRight::Put => strike,
        };
        Finding::AtMost { measured: price, limit: most }
    } else {
        let least = option.right.intrinsic(spot, strike);
        let tolerance = context.inputs.limits.price.intrinsic_tolerance_usd;
        Finding::AtLeast { measured: -price, limit: least - tolerance }
    }
}
