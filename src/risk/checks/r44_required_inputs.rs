//! R44: everything that the desk cannot decide without is there.

use super::{Applies, Check, Finding};
use crate::risk::context::Context;
use crate::risk::inputs::Presence;

pub(super) const CHECK: Check = Check {
    id: "R44",
    name: "required_inputs",
    unit: "inputs missing",
    applies: Applies::AddedRisk,
    run,
};

fn run(context: &Context<'_>) -> Finding {
    let missing: Vec<&str> = context
        .inputs
        .required
        .iter()
        .filter(|input| input.presence == Presence::Missing)
        .map(|input| input.name)
        .collect();
    let finding = if missing.is_empty() {
        Finding::Pass
    } else {
        Finding::Unevaluable(format!("missing: {}", missing.join(", ")))
    };
    finding.with(missing.len() as f64, 0.0)
}
