//! R12: volatility and delta of every option leg are there and sane.

use super::{Applies, Check, Finding, above, below};
use crate::market::Instrument;
use crate::risk::context::Context;

pub(super) const CHECK: Check =
    Check { id: "R12", name: "model_sanity", unit: "volatility", applies: Applies::AddedRisk, run };

fn run(context: &Context<'_>) -> Finding {
    let limits = &context.inputs.limits.price;
    let mut highest: Option<f64> = None;
    for leg in &context.proposed.legs {
        if !matches!(leg.instrument, Instrument::Option(_)) {
            continue;
        }
        let conid = leg.instrument.conid();
        let inputs = context.market_of(leg).map(|market| (market.vol, market.delta));
        let Some((Some(vol), Some(delta))) = inputs else {
            return Finding::Unevaluable(format!("no volatility or delta of contract {conid}"));
        };
        if above(delta.abs(), 1.0) {
            return Finding::Fail(format!("delta {delta} of contract {conid}"));
        }
        if below(vol, limits.vol_min) {
            return Finding::AtLeast { measured: vol, limit: limits.vol_min };
        }
        if above(vol, limits.vol_max) {
            return Finding::AtMost { measured: vol, limit: limits.vol_max };
        }
        highest = Some(highest.map_or(vol, |highest| highest.max(vol)));
    }
    match highest {
        Some(measured) => Finding::AtMost { measured, limit: limits.vol_max },
        None => Finding::NotApplicable("no option leg"),
    }
}
