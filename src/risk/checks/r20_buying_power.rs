//! R20: excess liquidity after this order and all working ones, by our own margin, as share of net
//! liquidation.

use super::{Applies, Check, Finding};
use crate::risk::context::Context;

pub(super) const CHECK: Check = Check {
    id: "R20",
    name: "excess_liquidity",
    unit: "of net liquidation",
    applies: Applies::AddedRisk,
    run,
};

fn run(context: &Context<'_>) -> Finding {
    let account = context.inputs.account;
    let after = (|| {
        let excess = account.excess_liquidity?.to_f64() - context.capital_needed()?;
        Some(excess / account.liquidation_divisor()?)
    })();
    let limit = context.inputs.limits.account.excess_liquidity_ratio_min;
    Finding::at_least(after, limit, "excess liquidity, net liquidation or margin")
}
