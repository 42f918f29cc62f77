//! Beginning and ending beside a living broker: what an earlier process left open, and what this
//! one must not leave.

use crate::broker::{Broker, Feed};
use crate::market::Timestamp;
use crate::pipeline::StepContext;
use crate::structures::{OrderRef, Purpose};

use super::{Alert, Trader};

impl<B: Broker + Feed> Trader<B> {
    /// Before anything is sent: every order that an earlier process left open is in doubt until the
    /// broker's orders, executions and positions say what became of it. One that still works is
    /// cancelled, for its ladder ended with the process that sent it; what it was for is decided
    /// anew.
    pub fn resume(&mut self, context: &mut StepContext<'_>) -> anyhow::Result<Vec<String>> {
        let now = context.run.as_of;
        let doubted = self.journal.borrow_mut().doubt_open_orders(now)?;
        self.take_events(context)?;
        let open = self.broker.borrow().open_orders();
        let mut lines = Vec::new();
        for order in open {
            let order_ref = order.request.order_ref;
            if self.journal.borrow().order(&order_ref)?.is_none() {
                self.tell_stranger(&order_ref, now)?;
                continue;
            }
            lines.push(format!("resumed: order {order_ref} still works and is cancelled"));
            self.cancel(&order_ref, "the process that sent it has ended", now)?;
        }
        if !doubted.is_empty() {
            lines.push(format!("resumed: {} orders looked into", doubted.len()));
        }
        lines.extend(self.reconcile(context)?);
        Ok(lines)
    }

    fn tell_stranger(&self, order_ref: &OrderRef, now: Timestamp) -> anyhow::Result<()> {
        let alert = Alert {
            id: format!("stranger-{order_ref}"),
            severity: "critical",
            subject: "an order that is not in the journal",
            message: format!(
                "the broker works order {order_ref}, which this home has never sent; does another \
                 desk trade the account? It is left alone: cancel it at the broker if it is yours"
            ),
        };
        self.alert(&alert, now)
    }

    /// Before a stop: entries that work are cancelled. Exits work on; they only reduce risk.
    pub fn withdraw_entries(&mut self, now: Timestamp) -> anyhow::Result<usize> {
        let entries: Vec<OrderRef> = self
            .working
            .keys()
            .filter(|order_ref| order_ref.purpose() == Purpose::Open)
            .cloned()
            .collect();
        for order_ref in &entries {
            self.cancel(order_ref, "the desk stops", now)?;
        }
        Ok(entries.len())
    }

    /// Whether an order that opens a strategy may still fill.
    pub fn has_working_entries(&self) -> anyhow::Result<bool> {
        let open = self.journal.borrow().open_orders()?;
        Ok(open.iter().any(|order| order.order_ref.purpose() == Purpose::Open))
    }
}
