//! R9: the net price of a combo has the sign and the bound of its structure: credit -W < p < 0,
//! debit 0 < p < W, mirrored for closing.

use super::{Applies, Check, Finding};
use crate::market::Price;
use crate::risk::context::Context;
use crate::structures::net_bounds;

pub(super) const CHECK: Check = Check {
    id: "R9",
    name: "net_price_bounds",
    unit: "USD a share inside the bounds",
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
    let mut inside = f64::INFINITY;
    for price in limit.into_iter().chain([proposed.worst_price]) {
        let over = bounds.above.map_or(f64::INFINITY, |above| (price - above).to_f64());
        let under = bounds.below.map_or(f64::INFINITY, |below| (below - price).to_f64());
        inside = inside.min(over).min(under);
        if !bounds.admits(price) {
            let show = |bound: Option<Price>| bound.map_or("none".to_owned(), |at| at.to_string());
            let (above, below) = (show(bounds.above), show(bounds.below));
            let reason = format!("{price} is not between {above} and {below}");
            return Finding::Fail(reason).with(inside, 0.0);
        }
    }
    if inside.is_finite() { Finding::Pass.with(inside, 0.0) } else { Finding::Pass }
}
