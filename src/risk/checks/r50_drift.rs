//! R50: mid has not moved against an entry since its decision by more than a share of it.

use super::{Applies, Check, Finding};
use crate::risk::context::Context;

pub(super) const CHECK: Check =
    Check { id: "R50", name: "drift", unit: "of arrival mid", applies: Applies::Entries, run };

fn run(context: &Context<'_>) -> Finding {
    let drift = context.combo.zip(context.proposed.arrival_mid).map(|(combo, arrival)| {
        let arrival = arrival.to_f64();
        (combo.mid - arrival) / arrival.abs()
    });
    let limit = context.inputs.limits.price.drift_ratio_max;
    Finding::at_most(drift, limit, "the mid now or at the decision")
}
