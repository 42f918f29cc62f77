//! R25: maximum loss of the order's cluster after it, held and working, as share of equity.

use super::{Applies, Check, Finding};
use crate::market::Usd;
use crate::risk::context::Context;

pub(super) const CHECK: Check = Check {
    id: "R25",
    name: "cluster_max_loss",
    unit: "of equity",
    applies: Applies::Entries,
    run,
};

fn run(context: &Context<'_>) -> Finding {
    let inputs = context.inputs;
    let after = (|| {
        let symbols = context.cluster_symbols()?;
        let held: Usd = symbols.iter().map(|symbol| inputs.book.max_loss_of(symbol)).sum();
        let own = inputs.book.strategy(&context.proposed.strategy_id);
        let own = own.map_or(0.0, |strategy| strategy.max_loss.to_f64());
        let added = (context.effects.max_loss? - own).max(0.0);
        Some((held.to_f64() + added) / context.equity?)
    })();
    let limit = inputs.limits.exposure.cluster_max_loss_ratio;
    Finding::at_most(after, limit, "the cluster, equity or a bound of the loss")
}
