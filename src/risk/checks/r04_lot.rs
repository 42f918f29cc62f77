//! R4: at least one whole combo, and no leg without a ratio.

use super::{Applies, Check, Finding};
use crate::risk::context::Context;

pub(super) const CHECK: Check =
    Check { id: "R4", name: "lot", unit: "combos", applies: Applies::Always, run };

fn run(context: &Context<'_>) -> Finding {
    let request = &context.proposed.request;
    if request.legs.iter().any(|leg| leg.ratio == 0) {
        return Finding::Fail("a leg has ratio 0".to_owned());
    }
    Finding::AtLeast { measured: request.quantity as f64, limit: 1.0 }
}
