//! R33: the nearest option leg expires neither too soon nor too late.

use super::{Applies, Check, Finding};
use crate::market::Instrument;
use crate::risk::book::nearest_expiry;
use crate::risk::context::Context;

pub(super) const CHECK: Check = Check {
    id: "R33",
    name: "days_to_expiry",
    unit: "calendar days",
    applies: Applies::Entries,
    run,
};

fn run(context: &Context<'_>) -> Finding {
    let limits = &context.inputs.limits.entry;
    let options = context.proposed.legs.iter().map(|leg| &leg.instrument);
    let options = options.filter(|instrument| matches!(instrument, Instrument::Option(_)));
    let Some(expiry) = nearest_expiry(options) else {
        return Finding::NotApplicable("no option leg");
    };
    let days = (expiry - context.inputs.session_date).num_days();
    if days < limits.days_to_expiry_min {
        Finding::AtLeast { measured: days as f64, limit: limits.days_to_expiry_min as f64 }
    } else {
        Finding::AtMost { measured: days as f64, limit: limits.days_to_expiry_max as f64 }
    }
}
