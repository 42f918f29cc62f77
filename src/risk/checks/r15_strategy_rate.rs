//! R15: orders of one strategy within the window, this one included.

use super::{Applies, Check, Finding};
use crate::risk::context::Context;

pub(super) const CHECK: Check = Check {
    id: "R15",
    name: "strategy_rate",
    unit: "orders in the window",
    applies: Applies::NewOrders,
    run,
};

fn run(context: &Context<'_>) -> Finding {
    let (inputs, limits) = (context.inputs, &context.inputs.limits.order);
    let recent = inputs
        .activity
        .recent
        .iter()
        .filter(|sent| {
            sent.strategy_id == context.proposed.strategy_id
                && (inputs.now - sent.sent_at).num_minutes() < limits.strategy_orders_window_minutes
        })
        .count();
    let limit = limits.strategy_orders_max as f64;
    Finding::AtMost { measured: (recent + 1) as f64, limit }
}
