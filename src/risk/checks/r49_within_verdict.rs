//! R49: the limit stays inside the worst price; a price step stays inside the worst price and
//! quantity of the verdict that allowed it.

use super::{Applies, Check, Finding};
use crate::risk::context::Context;

pub(super) const CHECK: Check =
    Check { id: "R49", name: "within_verdict", unit: "USD a share", applies: Applies::Always, run };

fn run(context: &Context<'_>) -> Finding {
    let proposed = context.proposed;
    let Some(limit) = proposed.request.order_type.limit() else {
        return Finding::NotApplicable("the order has no limit; R7 judges that");
    };
    let mut worst = proposed.worst_price;
    if let Some(ceiling) = context.ceiling {
        if proposed.request.quantity > ceiling.quantity {
            return Finding::Fail(format!(
                "{} combos are more than the {} of the verdict",
                proposed.request.quantity, ceiling.quantity
            ));
        }
        worst = worst.min(ceiling.worst_price);
    }
    Finding::AtMost { measured: limit.to_f64(), limit: worst.to_f64() }
}
