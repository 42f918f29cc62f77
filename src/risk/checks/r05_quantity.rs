//! R5: no leg larger than the absolute maximum, in contracts or in shares.

use super::{Applies, Check, Finding};
use crate::market::Instrument;
use crate::risk::context::Context;

pub(super) const CHECK: Check = Check {
    id: "R5",
    name: "order_quantity",
    unit: "contracts or shares",
    applies: Applies::Always,
    run,
};

fn run(context: &Context<'_>) -> Finding {
    let limits = &context.inputs.limits.order;
    let (mut measured, mut limit) = (0.0_f64, limits.quantity_contracts_max as f64);
    for leg in &context.proposed.legs {
        let quantity = leg.ratio.unsigned_abs() as f64 * context.proposed.request.quantity as f64;
        let maximum = match &leg.instrument {
            Instrument::Stock(_) => limits.quantity_shares_max,
            Instrument::Option(_) | Instrument::Future(_) | Instrument::Index(_) => {
                limits.quantity_contracts_max
            }
        } as f64;
        if quantity * limit >= measured * maximum {
            (measured, limit) = (quantity, maximum);
        }
    }
    Finding::AtMost { measured, limit }
}
