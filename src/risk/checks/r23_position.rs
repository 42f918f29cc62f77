//! R23: contracts of one option or future after the order, working orders on its side included.

use super::{Applies, Check, Finding};
use crate::market::Instrument;
use crate::risk::context::Context;

pub(super) const CHECK: Check =
    Check { id: "R23", name: "position", unit: "contracts", applies: Applies::AddedRisk, run };

fn run(context: &Context<'_>) -> Finding {
    let mut most: Option<i64> = None;
    for leg in &context.proposed.legs {
        if matches!(leg.instrument, Instrument::Stock(_) | Instrument::Index(_)) {
            continue;
        }
        let sums = context.inputs.book.sums(leg.instrument.conid());
        let change = leg.ratio * context.proposed.request.quantity;
        let working = if change > 0 { sums.working_buy } else { -sums.working_sell };
        let after = (sums.long - sums.short + working + change).abs();
        most = Some(most.map_or(after, |most| most.max(after)));
    }
    let limit = context.inputs.limits.account.position_contracts_max as f64;
    most.map_or(Finding::NotApplicable("no option or future leg"), |contracts| Finding::AtMost {
        measured: contracts as f64,
        limit,
    })
}
