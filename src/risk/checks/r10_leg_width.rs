//! R10: the legs' summed bid-ask widths are a small part of the net price.

use super::{Applies, Check, Finding};
use crate::market::Instrument;
use crate::risk::context::Context;
use crate::structures::Leg;

pub(super) const CHECK: Check =
    Check { id: "R10", name: "leg_width", unit: "of net price", applies: Applies::Entries, run };

fn run(context: &Context<'_>) -> Finding {
    let options = |leg: &Leg| matches!(leg.instrument, Instrument::Option(_));
    if !context.proposed.legs.iter().all(options) {
        return Finding::NotApplicable("not an option structure");
    }
    let ratio = context.combo.map(|combo| combo.width / combo.mid.abs());
    let limit = context.inputs.limits.entry.leg_width_ratio_max;
    Finding::at_most(ratio, limit, "a two-sided quote of a leg")
}
