//! R26: short vega of the order's cluster after it, USD a volatility point, as share of equity.
//! Negative where the cluster is long vega.

use super::{Applies, Check, Finding};
use crate::market::Instrument;
use crate::risk::context::Context;

pub(super) const CHECK: Check = Check {
    id: "R26",
    name: "cluster_short_vega",
    unit: "of equity",
    applies: Applies::Entries,
    run,
};

fn run(context: &Context<'_>) -> Finding {
    let inputs = context.inputs;
    let vega_of = |instrument: &Instrument, quantity: i64| -> Option<f64> {
        match instrument {
            Instrument::Option(option) => {
                let market = inputs.market.legs.get(&option.conid)?;
                Some(market.vega? * (quantity * option.multiplier) as f64)
            }
            Instrument::Stock(_) | Instrument::Future(_) | Instrument::Index(_) => Some(0.0),
        }
    };
    let after = (|| {
        let symbols = context.cluster_symbols()?;
        let mut vega = 0.0;
        for strategy in inputs.book.strategies() {
            for held in &strategy.holdings {
                if symbols.contains(held.instrument.symbol()) {
                    vega += vega_of(&held.instrument, held.quantity)?;
                }
            }
        }
        for leg in &context.proposed.legs {
            let quantity = leg.ratio * context.proposed.request.quantity;
            vega += vega_of(&leg.instrument, quantity)?;
        }
        Some(-vega / context.equity?)
    })();
    let limit = inputs.limits.exposure.cluster_short_vega_ratio;
    Finding::at_most(after, limit, "a vega, the cluster or equity")
}
