//! R29: no short leg is newly uncovered, by strategy or account, however its strategy's working
//! orders fill.

use super::{Applies, Check, Finding};
use crate::risk::context::Context;

pub(super) const CHECK: Check =
    Check { id: "R29", name: "uncovered", unit: "contracts", applies: Applies::NewOrders, run };

fn run(context: &Context<'_>) -> Finding {
    Finding::AtMost { measured: context.effects.new_uncovered as f64, limit: 0.0 }
}
