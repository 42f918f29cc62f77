//! R53: no new exposure in a dying contract: a future in its roll window, an option on its last
//! day.

use super::{Applies, Check, Finding};
use crate::market::Instrument;
use crate::risk::context::Context;

pub(super) const CHECK: Check = Check {
    id: "R53",
    name: "dying_contract",
    unit: "calendar days",
    applies: Applies::AddedRisk,
    run,
};

fn run(context: &Context<'_>) -> Finding {
    let inputs = context.inputs;
    let futures_min = inputs.limits.entry.future_days_to_expiry_min;
    let mut tightest: Option<(i64, i64)> = None;
    for leg in &context.proposed.legs {
        let (expiry, least) = match &leg.instrument {
            Instrument::Option(option) => (option.expiry_date, 1),
            Instrument::Future(future) => (future.expiry_date, futures_min),
            Instrument::Stock(_) | Instrument::Index(_) => continue,
        };
        let days = (expiry - inputs.session_date).num_days();
        let slack = days - least;
        if tightest.is_none_or(|(days, least)| slack < days - least) {
            tightest = Some((days, least));
        }
    }
    tightest.map_or(Finding::NotApplicable("nothing that expires"), |(days, least)| {
        Finding::AtLeast { measured: days as f64, limit: least as f64 }
    })
}
