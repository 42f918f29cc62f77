//! R14: orders a minute, this one included.

use super::{Applies, Check, Finding};
use crate::risk::context::Context;

pub(super) const CHECK: Check = Check {
    id: "R14",
    name: "order_rate",
    unit: "orders a minute",
    applies: Applies::NewOrders,
    run,
};

fn run(context: &Context<'_>) -> Finding {
    let inputs = context.inputs;
    let recent = inputs
        .activity
        .recent
        .iter()
        .filter(|sent| (inputs.now - sent.sent_at).num_seconds() < 60)
        .count();
    let limit = inputs.limits.order.orders_per_minute_max as f64;
    Finding::AtMost { measured: (recent + 1) as f64, limit }
}
