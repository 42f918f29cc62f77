//! R21: the broker's own answer: excess liquidity after the order, less what working orders tie up,
//! as share of net liquidation. A missing answer is unevaluable.

use super::{Applies, Check, Finding};
use crate::risk::context::Context;

pub(super) const CHECK: Check = Check {
    id: "R21",
    name: "what_if",
    unit: "of net liquidation",
    applies: Applies::AddedRisk,
    run,
};

fn run(context: &Context<'_>) -> Finding {
    let inputs = context.inputs;
    let what_if = match inputs.what_if {
        Ok(what_if) => what_if,
        Err(why) => return Finding::missing(&format!("the broker's what-if ({why})")),
    };
    let excess = what_if.excess_liquidity_after.to_f64();
    let working = inputs.book.working_capital().to_f64();
    let divisor = inputs.account.liquidation_divisor();
    let after = divisor.map(|divisor| (excess - working) / divisor);
    let limit = inputs.limits.account.excess_liquidity_ratio_min;
    Finding::at_least(after, limit, "net liquidation")
}
