//! R15: orders of one strategy within the window, this one included. An opening has a strategy of
//! its own each time, so that it counts the openings of the same legs. What reduces risk is never
//! too often.

use super::{Applies, Check, Finding};
use crate::risk::context::Context;
use crate::structures::Purpose;

pub(super) const CHECK: Check = Check {
    id: "R15",
    name: "strategy_rate",
    unit: "orders in the window",
    applies: Applies::AddedRisk,
    run,
};

fn run(context: &Context<'_>) -> Finding {
    let (proposed, inputs, limits) =
        (context.proposed, context.inputs, &context.inputs.limits.order);
    let recent = inputs
        .activity
        .recent
        .iter()
        .filter(|sent| {
            let same = if proposed.purpose() == Purpose::Open {
                sent.order_ref.purpose() == Purpose::Open && sent.legs == proposed.request.legs
            } else {
                sent.strategy_id == proposed.strategy_id
            };
            same && (inputs.now - sent.sent_at).num_minutes()
                < limits.strategy_orders_window_minutes
        })
        .count();
    let limit = limits.strategy_orders_max as f64;
    Finding::AtMost { measured: (recent + 1) as f64, limit }
}
