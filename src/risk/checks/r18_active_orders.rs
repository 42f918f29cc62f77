//! R18: working orders on one side of one contract, this one included.

use super::{Applies, Check, Finding};
use crate::risk::context::Context;

pub(super) const CHECK: Check =
    Check { id: "R18", name: "active_orders", unit: "orders", applies: Applies::NewOrders, run };

fn run(context: &Context<'_>) -> Finding {
    let most = context
        .proposed
        .legs
        .iter()
        .map(|leg| {
            let sums = context.inputs.book.sums(leg.instrument.conid());
            1 + if leg.ratio > 0 { sums.buy_orders } else { sums.sell_orders }
        })
        .max();
    let limit = context.inputs.limits.order.active_orders_per_side_max as f64;
    Finding::at_most(most.map(|orders| orders as f64), limit, "a leg")
}
