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
    let (first, worst) = (limit.to_f64() * sign, proposed.worst_price.to_f64() * sign);
    let least = first.min(worst);
    if least > 0.0 {
        Finding::Pass.with(least, 0.0)
    } else {
        let price = if first <= worst { limit } else { proposed.worst_price };
        let reason = format!("{price} pays for a sale or is paid for a purchase");
        Finding::Fail(reason).with(least, 0.0)
    }
}
