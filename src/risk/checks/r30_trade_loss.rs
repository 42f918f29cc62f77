//! R30: the most that the order can lose, at its worst price and with fees, as share of equity.

use super::{Applies, Check, Finding};
use crate::risk::context::Context;

pub(super) const CHECK: Check =
    Check { id: "R30", name: "trade_max_loss", unit: "of equity", applies: Applies::Entries, run };

fn run(context: &Context<'_>) -> Finding {
    let loss = context.effects.max_loss.zip(context.equity).map(|(loss, equity)| loss / equity);
    let limit = context.inputs.limits.exposure.trade_max_loss_ratio;
    Finding::at_most(loss, limit, "a bound of the loss or equity")
}
