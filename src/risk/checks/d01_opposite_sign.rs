//! DESK 1: no leg opposite in sign to another strategy's position in the same contract (entries),
//! nor to a working order in it (any order: the broker refuses both sides at once; an exit waits).

use super::{Applies, Check, Finding};
use crate::risk::context::Context;
use crate::risk::context::OrderClass;

pub(super) const CHECK: Check =
    Check { id: "D1", name: "opposite_sign", unit: "contracts", applies: Applies::NewOrders, run };

fn run(context: &Context<'_>) -> Finding {
    let (proposed, book) = (context.proposed, context.inputs.book);
    for leg in &proposed.legs {
        let conid = leg.instrument.conid();
        let sums = book.sums(conid);
        let against = if leg.ratio > 0 { sums.working_sell } else { sums.working_buy };
        if against > 0 {
            let reason = format!("a working order trades {conid} the other way: wait for it");
            return Finding::Fail(reason).with(against as f64, 0.0);
        }
        let (long, short) = book.held_by_others(&proposed.strategy_id, conid);
        let opposite = if leg.ratio > 0 { short } else { long };
        match context.effects.class {
            OrderClass::Reducing => {}
            OrderClass::Hedge | OrderClass::Entry => {
                if opposite > 0 {
                    let reason =
                        format!("another strategy holds {opposite} of {conid} the other way");
                    return Finding::Fail(reason).with(opposite as f64, 0.0);
                }
            }
        }
    }
    Finding::Pass.with(0.0, 0.0)
}
