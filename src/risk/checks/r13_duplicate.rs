//! R13: the same legs and quantity for the same strategy are not sent again within the window.

use super::{Applies, Check, Finding};
use crate::risk::context::Context;

pub(super) const CHECK: Check = Check {
    id: "R13",
    name: "duplicate",
    unit: "seconds since the same order",
    applies: Applies::NewOrders,
    run,
};

fn run(context: &Context<'_>) -> Finding {
    let (proposed, inputs) = (context.proposed, context.inputs);
    let latest = inputs
        .activity
        .recent
        .iter()
        .filter(|sent| {
            sent.strategy_id == proposed.strategy_id
                && sent.quantity == proposed.request.quantity
                && sent.legs == proposed.request.legs
        })
        .map(|sent| (inputs.now - sent.sent_at).num_milliseconds() as f64 / 1_000.0)
        .reduce(f64::min);
    let limit = inputs.limits.order.duplicate_window_seconds as f64;
    latest.map_or(Finding::Pass, |measured| Finding::AtLeast { measured, limit })
}
