//! What became of orders while nobody could hear of it: the broker's ended orders say, and where
//! they do not, a second look does.
//!
//! An order that was never acknowledged and that the broker shows nowhere stays out of the mirror:
//! whether it was lost is for the desk to say, after a clean reconciliation and a while.

use std::time::Duration;

use futures::StreamExt as _;
use ibapi::orders::{OrderData, OrderStatusKind, Orders};
use ibapi::prelude::{Client, SubscriptionItem};

use crate::market::clock::Stopwatch;
use crate::structures::BrokerStatus;

use super::link::{Link, Lost};
use super::pacing::Priority;

/// How an order ended that the broker lists as completed.
fn ended_as(status: &OrderStatusKind) -> BrokerStatus {
    match status {
        OrderStatusKind::Filled => BrokerStatus::Filled,
        OrderStatusKind::Inactive => BrokerStatus::Rejected,
        OrderStatusKind::Cancelled
        | OrderStatusKind::ApiCancelled
        | OrderStatusKind::ApiPending
        | OrderStatusKind::PendingSubmit
        | OrderStatusKind::PendingCancel
        | OrderStatusKind::PreSubmitted
        | OrderStatusKind::Submitted
        | OrderStatusKind::Unknown(_) => BrokerStatus::Cancelled,
    }
}

/// An order that is shown nowhere is looked for again after this: a gateway that has just begun may
/// not know yet what it has.
const LOOK_AGAIN: Duration = Duration::from_secs(4);

impl Link {
    /// Asks for all that may have happened to orders unheard; the account is read anew after it.
    pub async fn ask_what_was_missed(&self, client: &Client) -> Result<(), Lost> {
        self.mirror().read_after = None;
        let missing = self.ask_open_orders(client).await?;
        self.ask_executions(client).await?;
        self.ask_what_ended(client, missing).await
    }

    /// Takes in how orders ended that worked before and are not among the open ones now.
    pub async fn ask_what_ended(&self, client: &Client, missing: Vec<i32>) -> Result<(), Lost> {
        if missing.is_empty() {
            self.mirror().missing.clear();
            return Ok(());
        }
        let rows = self.ask_completed_orders(client).await?;
        let now = self.clock.now();
        let mut mirror = self.mirror();
        for row in &rows {
            let status = &row.order_state.status;
            let reason = format!("{status} while the desk could not hear of it");
            mirror.book.hear_completed(row, (ended_as(status), &reason), now);
        }
        let mut still = std::mem::take(&mut mirror.missing);
        still.retain(|order_id, _| missing.contains(order_id));
        for order_id in missing {
            // One without a permanent id was never acknowledged.
            let known = mirror.book.perm_id(order_id).is_some();
            if known && mirror.book.has_ended(order_id) == Some(false) {
                still.entry(order_id).or_insert_with(Stopwatch::start);
            } else {
                still.remove(&order_id);
            }
        }
        mirror.missing = still;
        Ok(())
    }

    async fn ask_completed_orders(&self, client: &Client) -> Result<Vec<OrderData>, Lost> {
        self.pacer.leave(Priority::Orders).await;
        let mut stream = self.bounded("completed orders", client.completed_orders(false)).await?;
        let mut rows = Vec::new();
        let until_end = async {
            while let Some(item) = stream.next().await {
                if let SubscriptionItem::Data(Orders::OrderData(data)) = item? {
                    rows.push(data);
                }
            }
            Ok(())
        };
        self.bounded("completed orders", until_end).await?;
        Ok(rows)
    }

    /// Looks once more for orders that were shown nowhere. Still gone, they are over.
    pub async fn look_for_missing(&self, client: &Client) -> Result<(), Lost> {
        let due: Vec<i32> = {
            let mut mirror = self.mirror();
            let due = |since: &Stopwatch| since.elapsed() >= LOOK_AGAIN;
            let found = mirror.missing.iter().filter(|(_, since)| due(since)).map(|(id, _)| *id);
            let found = found.collect();
            mirror.missing.retain(|_, since| !due(since));
            found
        };
        for order_id in due {
            let said = "gone from the broker's orders while the desk could not hear of it";
            self.look_up(client, order_id, said).await?;
        }
        Ok(())
    }
}
