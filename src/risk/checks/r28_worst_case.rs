//! R28: worst grid loss of the book after the order, each working order counted where it hurts, as
//! share of equity.

use super::{Applies, Check, Finding};
use crate::risk::context::Context;

pub(super) const CHECK: Check =
    Check { id: "R28", name: "worst_case", unit: "of equity", applies: Applies::Entries, run };

fn run(context: &Context<'_>) -> Finding {
    let after = context.effects.book_loss_after.zip(context.equity);
    let limit = context.inputs.limits.exposure.worst_case_ratio_max;
    let after = after.map(|(loss, equity)| loss / equity);
    Finding::at_most(after, limit, "the scenario grid of a contract or equity")
}
