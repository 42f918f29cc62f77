//! R49: the limit stays inside the worst price: the order's own, which for a price step is that of
//! the verdict which allowed it.

use super::{Applies, Check, Finding};
use crate::risk::context::Context;

pub(super) const CHECK: Check =
    Check { id: "R49", name: "within_verdict", unit: "USD a share", applies: Applies::Always, run };

fn run(context: &Context<'_>) -> Finding {
    let proposed = context.proposed;
    let Some(limit) = proposed.request.order_type.limit() else {
        return Finding::NotApplicable("the order has no limit; R7 judges that");
    };
    Finding::AtMost { measured: limit.to_f64(), limit: proposed.worst_price.to_f64() }
}
