//! R42: the breaker's level lets an order of this class pass.

use super::{Applies, Check, Finding};
use crate::risk::context::Context;
use crate::risk::context::OrderClass;
use crate::risk::triggers::BreakerLevel;

pub(super) const CHECK: Check =
    Check { id: "R42", name: "breaker", unit: "level", applies: Applies::Always, run };

fn run(context: &Context<'_>) -> Finding {
    let (level, class) = (context.inputs.breaker, context.effects.class);
    let passes = match level {
        BreakerLevel::Normal => true,
        BreakerLevel::NoNew | BreakerLevel::Hedge => class != OrderClass::Entry,
        BreakerLevel::Reduce | BreakerLevel::Flatten => class == OrderClass::Reducing,
        BreakerLevel::Halt => false,
    };
    if passes {
        Finding::Pass
    } else {
        let (level, class) = (level.as_str(), class.as_str());
        Finding::Fail(format!("the breaker is at {level}; an order of class {class} waits"))
    }
}
