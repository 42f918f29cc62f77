//! R54: the order says which decision it comes from, and what that read.

use super::{Applies, Check, Finding};
use crate::risk::context::Context;

pub(super) const CHECK: Check = Check {
    id: "R54",
    name: "provenance",
    unit: "parts missing",
    applies: Applies::NewOrders,
    run,
};

fn run(context: &Context<'_>) -> Finding {
    let proposed = context.proposed;
    let provenance = &proposed.provenance;
    let parts = [
        ("decision id", proposed.decision_id.is_empty()),
        ("SQL hash", provenance.sql_hash.trim().is_empty()),
        ("settings hash", provenance.settings_hash.trim().is_empty()),
        ("table versions", provenance.table_versions.is_empty()),
    ];
    let missing: Vec<&str> =
        parts.iter().filter(|(_, absent)| *absent).map(|(name, _)| *name).collect();
    let finding = if missing.is_empty() {
        Finding::Pass
    } else {
        Finding::Fail(format!("without {}", missing.join(", ")))
    };
    finding.with(missing.len() as f64, 0.0)
}
