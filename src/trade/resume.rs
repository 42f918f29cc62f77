//! Beginning and ending beside a living broker: what an earlier process left open, and what this
//! one must not leave.

use crate::broker::{Broker, Feed};
use crate::journal::OrderRow;
use crate::market::Timestamp;
use crate::pipeline::StepContext;
use crate::structures::{OrderRef, OrderState, Purpose};

use super::{Alert, Trader};

/// Why entries are cancelled before a stop.
const STOPS: &str = "the desk stops";

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

    /// Before a stop: the broker is asked to cancel every entry that may still fill, whether or not
    /// that can be written down, and none is stepped any more. Asked again, it asks again. Exits
    /// work on; they only reduce risk.
    pub fn withdraw_entries(&mut self, now: Timestamp) -> anyhow::Result<()> {
        let mut outcome = self.find_out(now);
        for order in self.entries()? {
            if let Some(working) = self.working.get_mut(&order.order_ref) {
                working.next_at = None;
            }
            // One of unknown fate is given up so long after its last change.
            if order.state != OrderState::Unknown && !order.reason.ends_with(STOPS) {
                let mut journal = self.journal.borrow_mut();
                let noted = journal.note_cancelling(&order.order_ref, STOPS, now);
                outcome = outcome.and(noted.map_err(Into::into));
            }
            outcome = outcome.and(self.ask_to_cancel(&order.order_ref, now));
        }
        outcome
    }

    /// Orders that open a strategy and may still fill.
    pub fn working_entries(&self) -> anyhow::Result<Vec<OrderRef>> {
        Ok(self.entries()?.into_iter().map(|order| order.order_ref).collect())
    }

    fn entries(&self) -> anyhow::Result<Vec<OrderRow>> {
        let mut open = self.journal.borrow().open_orders()?;
        open.retain(|order| order.order_ref.purpose() == Purpose::Open);
        Ok(open)
    }
}
