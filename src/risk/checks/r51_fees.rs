//! R51: the credit at the worst ladder price is a multiple of round-trip fees.

use super::{Applies, Check, Finding};
use crate::risk::context::Context;
use crate::structures::combo_multiplier;

pub(super) const CHECK: Check = Check {
    id: "R51",
    name: "fee_multiple",
    unit: "times round-trip fees",
    applies: Applies::Entries,
    run,
};

fn run(context: &Context<'_>) -> Finding {
    let proposed = context.proposed;
    if !proposed.structure.is_credit() {
        return Finding::NotApplicable("not a credit structure");
    }
    let multiple = combo_multiplier(&proposed.legs).map(|multiplier| {
        -context.worst_price() * multiplier as f64 / proposed.fees_per_combo.to_f64()
    });
    let limit = context.inputs.limits.entry.credit_fees_multiple_min;
    Finding::at_least(multiple, limit, "a common multiplier")
}
