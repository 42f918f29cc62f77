//! R42: the breaker's level lets an order of this class pass. Levels count from 0, normal, to 5,
//! halt; the limit is the highest that lets the class pass.

use super::{Applies, Check, Finding};
use crate::risk::context::Context;
use crate::risk::context::OrderClass;
use crate::risk::triggers::BreakerLevel;

pub(super) const CHECK: Check =
    Check { id: "R42", name: "breaker", unit: "level", applies: Applies::Always, run };

fn run(context: &Context<'_>) -> Finding {
    let (level, class) = (context.inputs.breaker, context.effects.class);
    let highest = match class {
        OrderClass::Entry => BreakerLevel::Normal,
        OrderClass::Hedge => BreakerLevel::Hedge,
        OrderClass::Reducing => BreakerLevel::Flatten,
    };
    let passes = match level {
        BreakerLevel::Normal => true,
        BreakerLevel::NoNew | BreakerLevel::Hedge => class != OrderClass::Entry,
        BreakerLevel::Reduce | BreakerLevel::Flatten => class == OrderClass::Reducing,
        BreakerLevel::Halt => false,
    };
    let finding = if passes {
        Finding::Pass
    } else {
        let (level, class) = (level.as_str(), class.as_str());
        Finding::Fail(format!("the breaker is at {level}; an order of class {class} waits"))
    };
    finding.with(level.rank(), highest.rank())
}
