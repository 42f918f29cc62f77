//! DESK 6: maximum loss opened in the cluster within the week, this order included, as share of
//! equity.

use super::{Applies, Check, Finding};
use crate::market::Usd;
use crate::risk::context::Context;

pub(super) const CHECK: Check =
    Check { id: "D6W", name: "week_opened", unit: "of equity", applies: Applies::Entries, run };

fn run(context: &Context<'_>) -> Finding {
    let (inputs, limits) = (context.inputs, &context.inputs.limits.exposure);
    let opened = (|| {
        let symbols = context.cluster_symbols()?;
        let earlier: Usd = inputs
            .activity
            .opened
            .iter()
            .filter(|opened| {
                symbols.contains(&opened.symbol)
                    && (inputs.session_date - opened.session_date).num_days() < limits.week_days
            })
            .map(|opened| opened.max_loss)
            .sum();
        let working: Usd = inputs
            .book
            .working()
            .iter()
            .filter(|order| order.opens_expiry.is_some() && symbols.contains(&order.symbol))
            .map(|order| order.max_loss)
            .sum();
        Some((earlier.to_f64() + working.to_f64() + context.effects.max_loss?) / context.equity?)
    })();
    Finding::at_most(opened, limits.week_opened_ratio, "the cluster, equity or a bound of the loss")
}
