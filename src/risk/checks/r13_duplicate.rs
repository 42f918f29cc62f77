//! R13: the same order is not sent again within the window. An opening repeats one that works or
//! has filled with the same legs, whatever strategy and size it was given: each decision names a
//! strategy of its own. Any other order repeats one that still works for its strategy with the same
//! legs and quantity; a second try after a cancelled one repeats nothing.

use super::{Applies, Check, Finding};
use crate::risk::context::Context;
use crate::risk::inputs::{Fate, RecentOrder};
use crate::structures::Purpose;

pub(super) const CHECK: Check = Check {
    id: "R13",
    name: "duplicate",
    unit: "seconds since the same order",
    applies: Applies::NewOrders,
    run,
};

fn run(context: &Context<'_>) -> Finding {
    let (proposed, inputs) = (context.proposed, context.inputs);
    let repeats = |sent: &RecentOrder| {
        let opens = proposed.purpose() == Purpose::Open;
        sent.legs == proposed.request.legs
            && sent.order_ref.purpose() == proposed.purpose()
            && match sent.fate {
                Fate::Works => {
                    opens
                        || (sent.strategy_id == proposed.strategy_id
                            && sent.quantity == proposed.request.quantity)
                }
                Fate::Filled => opens,
                Fate::Ended => false,
            }
    };
    let latest = inputs
        .activity
        .recent
        .iter()
        .filter(|sent| repeats(sent))
        .map(|sent| (inputs.now - sent.sent_at).num_milliseconds() as f64 / 1_000.0)
        .reduce(f64::min);
    let limit = inputs.limits.order.duplicate_window_seconds as f64;
    latest.map_or(Finding::Pass, |measured| Finding::AtLeast { measured, limit })
}
