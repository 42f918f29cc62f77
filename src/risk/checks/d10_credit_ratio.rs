//! DESK 10: the credit at the worst ladder price is enough of the width: of the wider side for a
//! structure sold on both sides, of the only one otherwise.

use super::{Applies, Check, Finding};
use crate::risk::context::Context;
use crate::structures::width;

pub(super) const CHECK: Check =
    Check { id: "D10", name: "credit_ratio", unit: "of width", applies: Applies::Entries, run };

fn run(context: &Context<'_>) -> Finding {
    let (proposed, limits) = (context.proposed, &context.inputs.limits.entry);
    if !proposed.structure.is_credit() {
        return Finding::NotApplicable("not a credit structure");
    }
    let ratio = width(&proposed.legs).map(|width| -context.worst_price() / width.to_f64());
    let limit = if proposed.structure.is_two_sided_credit() {
        limits.credit_ratio_two_sided_min
    } else {
        limits.credit_ratio_single_min
    };
    Finding::at_least(ratio, limit, "a bounded width")
}
