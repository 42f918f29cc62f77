//! R48: the order is whole: one to four different legs of one underlying, in order, each with its
//! contract; an entry opens a structure that is known, and the one it says.

use super::{Applies, Check, Finding};
use crate::risk::context::Context;
use crate::risk::context::OrderClass;
use crate::structures::{Purpose, StructureKind, recognise};

pub(super) const CHECK: Check =
    Check { id: "R48", name: "legs", unit: "legs", applies: Applies::Always, run };

const LEGS_MAX: usize = 4;

fn run(context: &Context<'_>) -> Finding {
    let proposed = context.proposed;
    let (legs, contracts) = (&proposed.request.legs, &proposed.legs);
    if legs.is_empty() || legs.len() > LEGS_MAX {
        return Finding::Fail(format!("{} legs, not 1 to {LEGS_MAX}", legs.len()));
    }
    if !legs.iter().zip(legs.iter().skip(1)).all(|(low, high)| low.conid < high.conid) {
        return Finding::Fail("the legs repeat a contract or are not sorted".to_owned());
    }
    let resolved = legs.len() == contracts.len()
        && legs.iter().zip(contracts).all(|(leg, contract)| *leg == contract.as_order_leg());
    if !resolved {
        return Finding::Fail("the legs and their contracts differ".to_owned());
    }
    let symbol = contracts.first().map(|leg| leg.instrument.symbol());
    if contracts.iter().any(|leg| Some(leg.instrument.symbol()) != symbol) {
        return Finding::Fail("the legs are of different underlyings".to_owned());
    }
    if context.effects.class == OrderClass::Entry && proposed.purpose() == Purpose::Open {
        let found = recognise(contracts);
        if found == StructureKind::Other || found != proposed.structure {
            let claimed = proposed.structure;
            return Finding::Fail(format!("the legs form {found}, the order says {claimed}"));
        }
    }
    Finding::Pass
}
