//! Orders of one group, of which a fill ends the others or makes them smaller.
//!
//! Invariants: the others are cancelled or reduced within the same instant and before any of them
//! is tried again, so that no two orders of a group that cancels ever both fill; an order that is
//! reduced keeps its place and what has filled of it.

use serde::{Deserialize, Serialize};

use crate::structures::{BrokerStatus, OrderRef};

use super::engine::Exchange;

/// The reason of a cancellation by another order of the group.
pub const GROUP_FILLED: &str = "another order of its group has filled";

/// What a fill of one order does to the others of its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnFill {
    /// Any fill ends the others.
    Cancel,
    /// The others lose the share that has filled, rounded down; what is left of nothing ends.
    Reduce,
}

/// The group that an order belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderGroup {
    pub name: String,
    pub on_fill: OnFill,
}

/// What is left of `remaining` after `filled` of another order's `of`, rounded down.
pub fn reduced(remaining: i64, filled: i64, of: i64) -> i64 {
    let left = i128::from((of - filled).max(0)) * i128::from(remaining) / i128::from(of.max(1));
    // At most `remaining`, which is an i64.
    i64::try_from(left).unwrap_or(remaining)
}

impl Exchange {
    /// Puts a working order into a group.
    pub fn join_group(&mut self, order_ref: &OrderRef, group: OrderGroup) {
        if let Some(order) = self.book.working_by_ref(order_ref) {
            order.group = Some(group);
        }
    }

    /// After a fill of `filled` of the `of` that an order had left.
    pub(super) fn tell_group(
        &mut self,
        perm_id: i64,
        group: &OrderGroup,
        (filled, of): (i64, i64),
    ) {
        let others: Vec<i64> = self
            .book
            .working()
            .filter(|order| order.perm_id != perm_id)
            .filter(|order| order.group.as_ref().is_some_and(|other| other.name == group.name))
            .map(|order| order.perm_id)
            .collect();
        for other in others {
            match group.on_fill {
                OnFill::Cancel => self.cancel_now(other, GROUP_FILLED, self.now),
                OnFill::Reduce => self.reduce(other, (filled, of)),
            }
        }
    }

    fn reduce(&mut self, perm_id: i64, (filled, of): (i64, i64)) {
        let Some(order) = self.book.get_mut(perm_id) else { return };
        let left = reduced(order.remaining(), filled, of);
        if left == order.remaining() {
            return;
        }
        if left == 0 {
            return self.cancel_now(perm_id, GROUP_FILLED, self.now);
        }
        order.request.quantity = order.filled + left;
        let event = order.event(BrokerStatus::Working, self.now);
        self.report_order(event);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Bench;
    use super::*;
    use crate::structures::testing::{monday, stock};

    fn group(on_fill: OnFill) -> OrderGroup {
        OrderGroup { name: "pair".to_owned(), on_fill }
    }

    #[test]
    fn what_is_left_is_rounded_down_and_never_below_nothing() {
        assert_eq!(reduced(10, 3, 10), 7);
        assert_eq!(reduced(3, 1, 2), 1);
        assert_eq!(reduced(5, 9, 9), 0);
        assert_eq!(reduced(5, 12, 9), 0);
        assert_eq!(reduced(i64::MAX, 1, i64::MAX), i64::MAX - 1);
    }

    #[test]
    fn of_a_group_that_cancels_only_one_order_fills_even_within_one_instant() {
        let mut bench = Bench::at(monday(), 1);
        let spy = stock("SPY").conid();
        let requests: Vec<_> = (0..3).map(|_| bench.submit(&[(spy, 1)], 2, 641.0)).collect();
        for request in &requests {
            bench.exchange.join_group(&request.order_ref, group(OnFill::Cancel));
        }
        bench.minute();
        let (events, executions) = bench.events();
        assert_eq!(executions.len(), 1, "{executions:?}");
        let ended = |status| events.iter().filter(|event| event.status == status).count();
        assert_eq!((ended(BrokerStatus::Filled), ended(BrokerStatus::Cancelled)), (1, 2));
        assert!(bench.exchange.open_orders().is_empty());
    }

    #[test]
    fn of_a_group_that_reduces_the_others_lose_the_share_that_filled() {
        let mut bench = Bench::at(monday(), 1);
        let spy = stock("SPY").conid();
        let high = bench.submit(&[(spy, 1)], 6, 641.0);
        let low = bench.submit(&[(spy, 1)], 4, 600.0);
        for request in [&high, &low] {
            bench.exchange.join_group(&request.order_ref, group(OnFill::Reduce));
        }
        bench.quote(spy, (639.99, 640.01), 3);
        bench.minute();
        let open = bench.exchange.open_orders();
        let left: Vec<(i64, i64)> =
            open.iter().map(|order| (order.request.quantity, order.filled)).collect();
        assert_eq!(left, [(6, 3), (2, 0)], "half is done, half of the other is left");
        bench.minute();
        assert!(bench.exchange.open_orders().is_empty(), "the rest ends the other");
    }
}
