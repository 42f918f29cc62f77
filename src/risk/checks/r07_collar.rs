//! R7: the worst price, of a price step its limit, lies no further beyond natural than the collar.
//! A market order has no worst price and is refused.

use super::{Applies, Check, Finding};
use crate::risk::context::Context;
use crate::risk::context::PRICE_ROUNDING;

pub(super) const CHECK: Check = Check {
    id: "R7",
    name: "price_collar",
    unit: "USD a share beyond natural",
    applies: Applies::Always,
    run,
};

fn run(context: &Context<'_>) -> Finding {
    let (proposed, limits) = (context.proposed, context.inputs.limits);
    if proposed.request.order_type.limit().is_none() {
        return Finding::Fail("the order has no limit price".to_owned());
    }
    let Some(combo) = context.combo else {
        return Finding::missing("a two-sided quote of a leg");
    };
    let tick = match &context.ticks {
        Ok(grid) => grid.tick_at(proposed.worst_price).to_f64(),
        Err(error) => return Finding::Unevaluable(error.to_string()),
    };
    let by_ticks = limits.price.collar_ticks as f64 * tick;
    let collar = (limits.price.collar_width_ratio * combo.width).max(by_ticks);
    let measured = context.worst_price() - combo.natural;
    Finding::AtMost { measured, limit: collar + PRICE_ROUNDING }
}
