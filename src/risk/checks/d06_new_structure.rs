//! DESK 6: at most so many new structures of one cluster and expiry in a session, this one
//! included.

use super::{Applies, Check, Finding};
use crate::risk::book::nearest_expiry;
use crate::risk::context::Context;

pub(super) const CHECK: Check =
    Check { id: "D6N", name: "new_structures", unit: "structures", applies: Applies::Entries, run };

fn run(context: &Context<'_>) -> Finding {
    let (proposed, inputs) = (context.proposed, context.inputs);
    if inputs.book.strategy(&proposed.strategy_id).is_some() {
        return Finding::NotApplicable("the strategy exists already");
    }
    let Some(symbols) = context.cluster_symbols() else {
        return Finding::missing("the cluster of the underlying");
    };
    let expiry = nearest_expiry(proposed.legs.iter().map(|leg| &leg.instrument));
    let opened = inputs.activity.opened.iter().filter(|opened| {
        opened.session_date == inputs.session_date
            && opened.expiry_date == expiry
            && symbols.contains(&opened.symbol)
    });
    let working = inputs.book.working().iter().filter(|order| {
        order.opens_expiry.is_some()
            && order.opens_expiry == expiry
            && symbols.contains(&order.symbol)
    });
    let limit = inputs.limits.exposure.new_structures_per_expiry_max as f64;
    let measured = (opened.count() + working.count() + 1) as f64;
    Finding::AtMost { measured, limit }
}
