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
    let after = (|| {
        let excess = inputs.what_if?.excess_liquidity_after.to_f64();
        let working = inputs.book.working_capital().to_f64();
        Some((excess - working) / inputs.account.liquidation_divisor()?)
    })();
    let limit = inputs.limits.account.excess_liquidity_ratio_min;
    Finding::at_least(after, limit, "the broker's what-if or net liquidation")
}
