//! R47: the order's reference was never used, and belongs to its decision.

use super::{Applies, Check, Finding};
use crate::risk::context::Context;

pub(super) const CHECK: Check =
    Check { id: "R47", name: "order_ref", unit: "", applies: Applies::NewOrders, run };

fn run(context: &Context<'_>) -> Finding {
    let (proposed, activity) = (context.proposed, context.inputs.activity);
    let order_ref = &proposed.request.order_ref;
    if activity.known_refs.contains(order_ref) {
        return Finding::Fail(format!("{order_ref} was used before"));
    }
    let decision = order_ref.as_str().split('.').next();
    if decision == Some(proposed.decision_id.as_str()) {
        Finding::Pass
    } else {
        Finding::Fail(format!("{order_ref} is not of decision {}", proposed.decision_id))
    }
}
