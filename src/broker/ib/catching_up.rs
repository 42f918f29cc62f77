//! What became of orders while nobody could hear of it: executions and the broker's ended orders
//! say, and where they do not, a second look does.
//!
//! An order that was never acknowledged and that the broker shows nowhere stays out of the mirror:
//! whether it was lost is for the desk to say, after a clean reconciliation and a while.

use std::time::Duration;

use futures::StreamExt as _;
use ibapi::orders::{ExecutionFilter, Executions, OrderData, OrderStatusKind, Orders};
use ibapi::prelude::{Client, SubscriptionItem};

use crate::market::Timestamp;
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

/// Days of executions that are asked for at most: IB keeps no more.
const DAYS_MAX: i64 = 7;
/// The day of then and the day of now, and one more: the broker's days may begin in another zone.
const DAYS_LEAST: i64 = 2;

/// How many days of executions are asked for, where all are known up to an instant. 0 is what the
/// broker tells unasked: those of its day.
fn days_unheard(known_until: Option<Timestamp>, now: Timestamp) -> i32 {
    let day = |at: Timestamp| at.with_timezone(&chrono_tz::America::New_York).date_naive();
    let Some(then) = known_until else { return 0 };
    let days = (day(now) - day(then)).num_days() + DAYS_LEAST;
    i32::try_from(days.clamp(DAYS_LEAST, DAYS_MAX)).unwrap_or_default()
}

impl Link {
    /// Asks for all that may have happened to orders unheard; the account is read anew after it.
    pub async fn ask_what_was_missed(&self, client: &Client) -> Result<(), Lost> {
        self.mirror().read_after = None;
        let missing = self.ask_open_orders(client).await?;
        self.ask_executions(client).await?;
        self.ask_what_ended(client, missing).await
    }

    /// Every execution that may not have been heard of, whoever caused it; what is known already is
    /// passed over.
    pub async fn ask_executions(&self, client: &Client) -> Result<(), Lost> {
        let asked_at = self.clock.now();
        let last_n_days = days_unheard(self.mirror().known_until, asked_at);
        let filter = ExecutionFilter { last_n_days, ..ExecutionFilter::default() };
        self.pacer.leave(Priority::Orders).await;
        let mut stream = self.bounded("executions", client.executions(filter)).await?;
        let rows = stream.collect_to_end_within(self.bounds.answer);
        let rows = self.bounded("executions", rows).await?;
        let now = self.clock.now();
        let mut mirror = self.mirror();
        for row in rows {
            match row {
                Executions::ExecutionData(data) if self.is_ours(&data) => {
                    mirror.book.hear_execution(&data, now);
                }
                Executions::ExecutionData(_) => {}
                Executions::CommissionReport(report) => mirror.book.hear_commission(&report, now),
            }
        }
        mirror.known_until = Some(asked_at);
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executions_are_asked_for_since_they_were_last_heard_of() {
        let at = |text: &str| -> Timestamp { text.parse().unwrap() };
        let now = at("2026-03-10T14:30:00Z");
        assert_eq!(days_unheard(None, now), 0, "nothing was known: the day's");
        for (known_until, days) in [
            ("2026-03-10T14:29:00Z", 2),
            ("2026-03-10T03:59:00Z", 3),
            ("2026-03-06T21:00:00Z", 6),
            ("2026-02-10T21:00:00Z", 7),
            ("2026-03-11T21:00:00Z", 2),
        ] {
            assert_eq!(days_unheard(Some(at(known_until)), now), days, "{known_until}");
        }
    }
}
