//! The moment an order leaves, and what is done where nobody can say whether it did.

use crate::broker::{Broker, BrokerError, Feed};
use crate::journal::{Intent, OrderRow};
use crate::market::{Price, Timestamp};
use crate::orders::Ladder;
use crate::risk::Approved;
use crate::structures::{BrokerStatus, OpenOrder, OrderEvent, OrderRef, OrderState};

use super::act::Came;
use super::work::Working;
use super::{Alert, Trader};

impl<B: Broker + Feed> Trader<B> {
    pub(super) fn send(
        &mut self,
        approved: Approved,
        intent: &Intent,
        (ladder, least, now): (Ladder, Option<Price>, Timestamp),
    ) -> anyhow::Result<Came> {
        let order_ref = intent.request.order_ref.clone();
        let working = Working {
            mandate: approved.mandate(),
            limit: intent.request.order_type.limit().unwrap_or(approved.worst_price()),
            ladder,
            least,
            step: 0,
            next_at: Some(now + self.settings.work.step),
            filled: 0,
            max_loss_each: intent.max_loss_each,
            margin_each: intent.margin_each,
        };
        let answer = self.broker.borrow_mut().place(approved);
        match answer {
            Ok(perm_id) => {
                self.journal.borrow_mut().mark_sent(&order_ref, perm_id, now)?;
                self.working.insert(order_ref, working);
                Ok(("sent", format!("{} combos", intent.request.quantity)))
            }
            Err(BrokerError::Rejected(reject)) => {
                let reason = reject.to_string();
                self.journal.borrow_mut().mark_rejected(&order_ref, &reason, now)?;
                let alert = Alert {
                    id: format!("rejected-{order_ref}"),
                    severity: "warning",
                    subject: "order rejected by the broker",
                    message: format!("order {order_ref}: {reason}"),
                };
                self.alert(&alert, now)?;
                Ok(("rejected", reason))
            }
            Err(BrokerError::NoAnswer(reason)) => {
                self.working.insert(order_ref.clone(), working);
                self.lose_sight(&order_ref, &reason, now)?;
                Ok(("unknown", reason))
            }
        }
    }

    /// Nobody can say what became of an order: it stays in the book, is not stepped, keeps entries
    /// out of its underlying, and is never sent again.
    pub(super) fn lose_sight(
        &mut self,
        order_ref: &OrderRef,
        reason: &str,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        let why = format!("the broker gives no answer: {reason}");
        self.journal.borrow_mut().mark_unknown(order_ref, &why, now)?;
        if let Some(working) = self.working.get_mut(order_ref) {
            working.next_at = None;
        }
        let alert = Alert {
            id: format!("unknown-{order_ref}"),
            severity: "critical",
            subject: "an order of unknown fate",
            message: format!(
                "order {order_ref} may work or fill unseen ({reason}); it is not sent again, and \
                 its underlying takes no entries until the broker's orders and positions say what \
                 became of it"
            ),
        };
        self.alert(&alert, now)
    }

    /// Finds out what became of orders of unknown fate: one that the broker lists works; one that
    /// its executions make up whole was filled; one that it does not list, long enough after, while
    /// its positions agree with ours, never worked.
    pub(super) fn find_out(&mut self, now: Timestamp) -> anyhow::Result<()> {
        let orders = self.journal.borrow().open_orders()?;
        let unknown: Vec<OrderRow> =
            orders.into_iter().filter(|order| order.state == OrderState::Unknown).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let at_broker = self.broker.borrow().open_orders();
        let patience =
            chrono::Duration::seconds(self.settings.limits.breaker.release_after_seconds);
        for order in unknown {
            let listed = at_broker.iter().find(|open| open.request.order_ref == order.order_ref);
            if let Some(open) = listed {
                self.hear(&as_event(open, now))?;
                if let Some(working) = self.working.get_mut(&order.order_ref) {
                    working.next_at = Some(now + self.settings.work.step);
                }
            } else if order.filled_quantity >= order.quantity {
                self.hear(&as_filled(&order, now))?;
                self.working.remove(&order.order_ref);
            } else if self.dispute.is_clean() && now - order.changed_at >= patience {
                self.journal.borrow_mut().mark_not_at_broker(&order.order_ref, now)?;
                self.working.remove(&order.order_ref);
            }
        }
        Ok(())
    }
}

/// An order that its executions make up whole, as the broker would have told it.
fn as_filled(order: &OrderRow, now: Timestamp) -> OrderEvent {
    OrderEvent {
        order_ref: order.order_ref.clone(),
        perm_id: order.perm_id.unwrap_or_default(),
        status: BrokerStatus::Filled,
        filled: order.quantity,
        remaining: 0,
        limit: None,
        reason: String::new(),
        at: now,
    }
}

/// An order that the broker lists, as it would have told it.
fn as_event(open: &OpenOrder, now: Timestamp) -> OrderEvent {
    OrderEvent {
        order_ref: open.request.order_ref.clone(),
        perm_id: open.perm_id,
        status: BrokerStatus::Working,
        filled: open.filled,
        remaining: open.request.quantity - open.filled,
        limit: open.request.order_type.limit(),
        reason: String::new(),
        at: now,
    }
}
