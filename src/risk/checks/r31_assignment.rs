//! R31: the stock that assignment of the whole book could bring overnight fits buying power.

use super::{Applies, Check, Finding};
use crate::risk::context::Context;

pub(super) const CHECK: Check =
    Check { id: "R31", name: "assignment", unit: "USD", applies: Applies::Entries, run };

fn run(context: &Context<'_>) -> Finding {
    let (account, effects) = (context.inputs.account, &context.effects);
    let numbers = (|| {
        let book = account.assigned_notional?;
        let after = book.plus(effects.assigned_after?.minus(effects.assigned_before?)).worst();
        Some((after, account.overnight_buying_power?.to_f64()))
    })();
    match numbers {
        Some((measured, limit)) => Finding::AtMost { measured, limit },
        None => Finding::missing("assigned notional or overnight buying power"),
    }
}
