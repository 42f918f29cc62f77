//! R1: every leg is a known, tradable contract whose trading has not ended.

use super::{Applies, Check, Finding};
use crate::market::Instrument;
use crate::risk::context::Context;

pub(super) const CHECK: Check = Check {
    id: "R1",
    name: "instrument",
    unit: "minutes to last trade",
    applies: Applies::Always,
    run,
};

fn run(context: &Context<'_>) -> Finding {
    let now = context.inputs.now;
    let mut least: Option<f64> = None;
    for leg in &context.proposed.legs {
        let ends = match &leg.instrument {
            Instrument::Option(option) => option.last_trade_at,
            Instrument::Future(future) => future.last_trade_at,
            Instrument::Stock(_) => continue,
            Instrument::Index(index) => {
                return Finding::Fail(format!("{} is an index and cannot be traded", index.symbol));
            }
        };
        let minutes = (ends - now).num_seconds() as f64 / 60.0;
        least = Some(least.map_or(minutes, |least| least.min(minutes)));
    }
    if context.proposed.legs.is_empty() {
        return Finding::Fail("the order has no leg with a known contract".to_owned());
    }
    match least {
        Some(measured) if measured <= 0.0 => {
            Finding::Fail(format!("a leg stopped trading {} minutes ago", -measured))
        }
        Some(measured) => Finding::AtLeast { measured, limit: 0.0 },
        None => Finding::Pass,
    }
}
