//! R9: the net price of a combo has the sign and the bound of its structure: credit -W < p < 0,
//! debit 0 < p < W, mirrored for closing.

use super::{Applies, Check, Finding};
use crate::market::Price;
use crate::risk::context::Context;
use crate::structures::net_bounds;

pub(super) const CHECK: Check = Check {
    id: "R9",
    name: "net_price_bounds",
    unit: "USD a share",
    applies: Applies::Always,
    run,
};

fn run(context: &Context<'_>) -> Finding {
    let proposed = context.proposed;
    if proposed.legs.len() < 2 {
        return Finding::NotApplicable("a single contract is judged by R3 and R8");
    }
    let Some(bounds) = net_bounds(&proposed.legs) else {
        return Finding::Unevaluable("the legs have no common multiplier".to_owned());
    };
    let limit = proposed.request.order_type.limit();
    for price in limit.into_iter().chain([proposed.worst_price]) {
        if !bounds.admits(price) {
            let show = |bound: Option<Price>| bound.map_or("none".to_owned(), |at| at.to_string());
            let (above, below) = (show(bounds.above), show(bounds.below));
            return Finding::Fail(format!("{price} is not between {above} and {below}"));
        }
    }
    Finding::Pass
}
