//! R22: look-ahead excess liquidity after this order and all working ones, as share of net
//! liquidation.

use super::{Applies, Check, Finding};
use crate::risk::context::Context;

pub(super) const CHECK: Check = Check {
    id: "R22",
    name: "look_ahead",
    unit: "of net liquidation",
    applies: Applies::AddedRisk,
    run,
};

fn run(context: &Context<'_>) -> Finding {
    let account = context.inputs.account;
    let after = (|| {
        let excess = account.look_ahead_excess_liquidity?.to_f64() - context.capital_needed()?;
        Some(excess / account.liquidation_divisor()?)
    })();
    let limit = context.inputs.limits.account.look_ahead_ratio_min;
    Finding::at_least(after, limit, "look-ahead excess liquidity, net liquidation or margin")
}
