//! R47: the order's reference was never used, and belongs to its decision.

use super::{Applies, Check, Finding};
use crate::risk::context::Context;

pub(super) const CHECK: Check =
    Check { id: "R47", name: "order_ref", unit: "faults", applies: Applies::NewOrders, run };

fn run(context: &Context<'_>) -> Finding {
    let (proposed, activity) = (context.proposed, context.inputs.activity);
    let order_ref = &proposed.request.order_ref;
    let faults = |finding: Finding, count: f64| finding.with(count, 0.0);
    if activity.known_refs.contains(order_ref) {
        return faults(Finding::Fail(format!("{order_ref} was used before")), 1.0);
    }
    let decision = order_ref.as_str().split('.').next();
    if decision == Some(proposed.decision_id.as_str()) {
        faults(Finding::Pass, 0.0)
    } else {
        let reason = format!("{order_ref} is not of decision {}", proposed.decision_id);
        faults(Finding::Fail(reason), 1.0)
    }
}
