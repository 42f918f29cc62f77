//! R26: short vega of the order's cluster after it, held and working, USD a volatility point, as
//! share of equity. Negative where the cluster is long vega.

use super::{Applies, Check, Finding};
use crate::risk::context::Context;
use crate::risk::vega::vega_of;

pub(super) const CHECK: Check = Check {
    id: "R26",
    name: "cluster_short_vega",
    unit: "of equity",
    applies: Applies::Entries,
    run,
};

fn run(context: &Context<'_>) -> Finding {
    let inputs = context.inputs;
    let after = (|| {
        let mut vega = inputs.cluster_vega?;
        for leg in &context.proposed.legs {
            let quantity = leg.ratio * context.proposed.request.quantity;
            vega += vega_of(&leg.instrument, quantity, inputs.market)?;
        }
        Some(-vega / context.equity?)
    })();
    let limit = inputs.limits.exposure.cluster_short_vega_ratio;
    Finding::at_most(after, limit, "a vega, the cluster or equity")
}
