//! R34: an order that closes only takes off what its strategy holds, its other working orders
//! counted.

use super::{Applies, Check, Finding};
use crate::risk::context::Context;
use crate::structures::Purpose;

pub(super) const CHECK: Check = Check {
    id: "R34",
    name: "reduce_only",
    unit: "contracts beyond the holding",
    applies: Applies::NewOrders,
    run,
};

fn run(context: &Context<'_>) -> Finding {
    let proposed = context.proposed;
    match proposed.purpose() {
        Purpose::Close => {}
        Purpose::Open | Purpose::Roll | Purpose::Repair | Purpose::Hedge => {
            return Finding::NotApplicable("the order does not claim to close");
        }
    }
    let mut beyond = 0;
    for leg in &proposed.legs {
        let conid = leg.instrument.conid();
        let held = context.before.iter().find(|held| held.instrument.conid() == conid);
        let held = held.map_or(0, |held| held.quantity);
        let change = leg.ratio * proposed.request.quantity;
        let working: i64 = context
            .inputs
            .book
            .working_of(&proposed.strategy_id)
            .flat_map(|order| order.legs.iter().map(move |leg| (leg, order.remaining)))
            .filter(|(other, _)| other.instrument.conid() == conid)
            .map(|(other, remaining)| other.ratio * remaining)
            .filter(|other| other.signum() == change.signum())
            .sum();
        let left = if change > 0 { (-held).max(0) } else { held.max(0) };
        beyond = beyond.max((change + working).abs() - left);
    }
    Finding::AtMost { measured: beyond.max(0) as f64, limit: 0.0 }
}
