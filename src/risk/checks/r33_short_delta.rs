//! R33: no short leg nearer to the money than the largest admitted delta.

use super::{Applies, Check, Finding};
use crate::market::Instrument;
use crate::risk::context::Context;

pub(super) const CHECK: Check =
    Check { id: "R33D", name: "short_delta", unit: "delta", applies: Applies::Entries, run };

fn run(context: &Context<'_>) -> Finding {
    let mut highest: Option<f64> = None;
    for leg in &context.proposed.legs {
        if leg.ratio > 0 || !matches!(leg.instrument, Instrument::Option(_)) {
            continue;
        }
        let Some(delta) = context.market_of(leg).and_then(|market| market.delta) else {
            return Finding::missing("the delta of a short leg");
        };
        if delta.is_nan() {
            return Finding::missing("the delta of a short leg");
        }
        highest = Some(highest.map_or(delta.abs(), |highest| highest.max(delta.abs())));
    }
    if context.proposed.structure.is_time_spread() {
        return Finding::NotApplicable("the short leg of a time spread may be at the money");
    }
    let limit = context.inputs.limits.entry.short_delta_max;
    highest.map_or(Finding::NotApplicable("no short option leg"), |measured| Finding::AtMost {
        measured,
        limit,
    })
}
