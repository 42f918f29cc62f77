//! R45: equity's fall from its highest, as share of that.

use super::{Applies, Check, Finding};
use crate::risk::context::Context;

pub(super) const CHECK: Check = Check {
    id: "R45D",
    name: "drawdown",
    unit: "of highest equity",
    applies: Applies::Entries,
    run,
};

fn run(context: &Context<'_>) -> Finding {
    let limit = context.inputs.limits.loss.drawdown_ratio_max;
    Finding::at_most(context.inputs.account.drawdown_ratio, limit, "the drawdown")
}
