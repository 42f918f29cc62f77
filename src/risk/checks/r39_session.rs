//! R39: the order's market is open and not halted; an entry keeps away from the open and the close.

use super::{Applies, Check, Finding, below};
use crate::risk::context::Context;
use crate::risk::context::OrderClass;
use crate::risk::inputs::SessionPhase;

pub(super) const CHECK: Check =
    Check { id: "R39", name: "session", unit: "minutes", applies: Applies::Always, run };

fn run(context: &Context<'_>) -> Finding {
    let (session, limits) = (context.inputs.session, &context.inputs.limits.entry);
    match session.phase {
        SessionPhase::Open => {}
        SessionPhase::Closed => return Finding::Fail("the market is closed".to_owned()),
        SessionPhase::Halted => return Finding::Fail("the instrument is halted".to_owned()),
    }
    match context.effects.class {
        OrderClass::Reducing | OrderClass::Hedge => return Finding::Pass,
        OrderClass::Entry => {}
    }
    let (Some(since_open), Some(to_close)) = (session.minutes_since_open, session.minutes_to_close)
    else {
        return Finding::missing("the session's open or close");
    };
    let limit = limits.quiet_minutes_after_open;
    if below(since_open, limit) {
        return Finding::AtLeast { measured: since_open, limit };
    }
    Finding::AtLeast { measured: to_close, limit: limits.quiet_minutes_before_close }
}
