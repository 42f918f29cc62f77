//! R3: a single contract is bought at a positive price and sold for one; a combo may have either
//! sign.

use super::{Applies, Check, Finding};
use crate::risk::context::Context;

pub(super) const CHECK: Check =
    Check { id: "R3", name: "price_sign", unit: "USD a share", applies: Applies::Always, run };

fn run(context: &Context<'_>) -> Finding {
    let proposed = context.proposed;
    let [leg] = proposed.legs.as_slice() else {
        return Finding::NotApplicable("the sign of a combo is judged by R9");
    };
    let Some(limit) = proposed.request.order_type.limit() else {
        return Finding::NotApplicable("the order has no limit; R7 judges that");
    };
    let sign = leg.ratio.signum() as f64;
    for price in [limit, proposed.worst_price] {
        if price.to_f64() * sign <= 0.0 {
            return Finding::Fail(format!("{price} pays for a sale or is paid for a purchase"));
        }
    }
    Finding::Pass
}
