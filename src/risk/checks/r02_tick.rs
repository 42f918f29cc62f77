//! R2: limit and worst price lie on the tick grid of the order's contract or combo.

use super::{Applies, Check, Finding};
use crate::risk::context::Context;

pub(super) const CHECK: Check = Check {
    id: "R2",
    name: "tick_grid",
    unit: "USD a share off the grid",
    applies: Applies::Always,
    run,
};

fn run(context: &Context<'_>) -> Finding {
    let proposed = context.proposed;
    let grid = match &context.ticks {
        Ok(grid) => grid,
        Err(error) => return Finding::Unevaluable(error.to_string()),
    };
    let limit = proposed.request.order_type.limit();
    for price in limit.into_iter().chain([proposed.worst_price]) {
        if !grid.holds(price) {
            let tick = grid.tick_at(price);
            let off = (price - grid.round_down(price)).to_f64();
            let reason = format!("{price} is not a multiple of the tick {tick}");
            return Finding::Fail(reason).with(off, 0.0);
        }
    }
    Finding::Pass.with(0.0, 0.0)
}
