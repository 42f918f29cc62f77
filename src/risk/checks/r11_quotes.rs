//! R11: every leg has a fresh, uncrossed quote; two-sided, unless the order reduces risk and only
//! the bid is missing.

use super::{Applies, Check, Finding};
use crate::risk::context::Context;

pub(super) const CHECK: Check =
    Check { id: "R11", name: "quotes", unit: "seconds", applies: Applies::Always, run };

fn run(context: &Context<'_>) -> Finding {
    let mut oldest = 0.0_f64;
    for leg in &context.proposed.legs {
        let conid = leg.instrument.conid();
        let Some(market) = context.market_of(leg) else {
            return Finding::Unevaluable(format!("no quote of contract {conid}"));
        };
        let age = (context.inputs.now - market.received_at).num_milliseconds() as f64 / 1_000.0;
        if age < 0.0 {
            return Finding::Fail(format!("the quote of contract {conid} is from the future"));
        }
        oldest = oldest.max(age);
    }
    if context.combo.is_none() {
        return Finding::Fail("a leg has no two-sided, uncrossed quote".to_owned());
    }
    let limit = context.inputs.limits.price.quote_age_seconds_max;
    Finding::AtMost { measured: oldest, limit }
}
