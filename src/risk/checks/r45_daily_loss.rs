//! R45: the session's realised and unrealised loss as share of equity.

use super::{Applies, Check, Finding};
use crate::risk::context::Context;

pub(super) const CHECK: Check =
    Check { id: "R45", name: "daily_loss", unit: "of equity", applies: Applies::Entries, run };

fn run(context: &Context<'_>) -> Finding {
    let loss = context
        .inputs
        .account
        .profit_today
        .zip(context.equity)
        .map(|(profit, equity)| -profit.to_f64() / equity);
    let limit = context.inputs.limits.loss.daily_loss_ratio_max;
    Finding::at_most(loss, limit, "the session's profit or equity")
}
