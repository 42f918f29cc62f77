//! Readings of the account's truth: its positions, its figures and its open orders.

use futures::StreamExt as _;
use ibapi::Notice;
use ibapi::accounts::types::AccountId;
use ibapi::orders::Orders;
use ibapi::prelude::{AccountUpdate, Client, PositionUpdate, SubscriptionItem};
use tokio::time::timeout;

use crate::market::{ConId, Usd};
use crate::structures::{AccountSnapshot, BrokerPosition};

use super::codes::{OnStream, policy};
use super::link::{Link, Lost};
use super::pacing::Priority;

/// A broker that is set to read only does not tell them, and may not say why.
const OPEN_ORDERS: &str = "open orders (is \"Read-Only API\" ticked?)";

impl Link {
    pub async fn read_positions(&self, client: &Client) -> Result<(), Lost> {
        self.pacer.leave(Priority::Orders).await;
        let mut stream = self.bounded("positions", client.positions()).await?;
        let mut positions = Vec::new();
        let until_end = async {
            while let Some(item) = stream.next().await {
                match item? {
                    SubscriptionItem::Data(PositionUpdate::PositionEnd) => return Ok(()),
                    SubscriptionItem::Data(PositionUpdate::Position(row)) => {
                        if row.account == self.endpoint.account {
                            positions.push(BrokerPosition {
                                conid: ConId(i64::from(row.contract.contract_id)),
                                quantity: row.position.round() as i64,
                                average_cost: Usd::from_f64(row.average_cost).unwrap_or(Usd::ZERO),
                            });
                        }
                    }
                    SubscriptionItem::Notice(notice) => complete(notice)?,
                }
            }
            Err(ibapi::Error::UnexpectedEndOfStream)
        };
        self.bounded("positions", until_end).await?;
        self.pacer.leave(Priority::Orders).await;
        self.end(stream.cancel()).await;
        positions.retain(|held| held.quantity != 0);
        positions.sort_by_key(|held| held.conid);
        self.mirror().positions = positions;
        Ok(())
    }

    pub async fn read_account(&self, client: &Client) -> Result<(), Lost> {
        self.pacer.leave(Priority::Orders).await;
        let account = AccountId(self.endpoint.account.clone());
        let mut stream = self.bounded("the account", client.account_updates(&account)).await?;
        let mut values = std::collections::BTreeMap::new();
        let until_end = async {
            while let Some(item) = stream.next().await {
                match item? {
                    SubscriptionItem::Data(AccountUpdate::AccountValue(row)) => {
                        if row.currency == "USD" || row.currency == "BASE" {
                            values.insert(row.key, row.value);
                        }
                    }
                    SubscriptionItem::Data(AccountUpdate::End) => return Ok(()),
                    SubscriptionItem::Data(_) => {}
                    SubscriptionItem::Notice(notice) => complete(notice)?,
                }
            }
            Err(ibapi::Error::UnexpectedEndOfStream)
        };
        self.bounded("the account", until_end).await?;
        self.pacer.leave(Priority::Orders).await;
        self.end(stream.cancel()).await;
        let usd = |key: &str| values.get(key)?.parse::<f64>().ok().and_then(Usd::from_f64);
        // IB counts what futures have moved since their variation as cash, before it is any.
        let moved = usd("FuturesPNL").or_else(|| self.mirror().holds_no_future());
        let account = (|| {
            Some(AccountSnapshot {
                account_id: self.endpoint.account.clone(),
                net_liquidation: usd("NetLiquidation")?,
                cash: usd("TotalCashValue")? - moved?,
                commodities_cash: usd("TotalCashValue-C")? - moved?,
                initial_margin: usd("InitMarginReq")?,
                maintenance_margin: usd("MaintMarginReq")?,
                excess_liquidity: usd("ExcessLiquidity")?,
                look_ahead_excess_liquidity: usd("LookAheadExcessLiquidity")?,
                buying_power: usd("BuyingPower")?,
                at: self.clock.now(),
            })
        })();
        // An account without one of its figures is none: what needs it cannot be evaluated.
        self.mirror().account = account;
        Ok(())
    }

    /// Orders at the broker, under whichever client's id: those of our account with a reference of
    /// ours. Ours that it does not show, and that are not known to have ended, are returned.
    pub async fn ask_open_orders(&self, client: &Client) -> Result<Vec<i32>, Lost> {
        self.pacer.leave(Priority::Orders).await;
        let mut stream = self.bounded(OPEN_ORDERS, client.all_open_orders()).await?;
        let rows = stream.collect_to_end_within(self.bounds.answer);
        let rows = self.bounded(OPEN_ORDERS, rows).await?;
        let now = self.clock.now();
        let mut mirror = self.mirror();
        let mut missing = mirror.book.alive();
        let mut foreign = 0_usize;
        for row in rows {
            match row {
                Orders::OrderData(data) => {
                    let account = &data.order.account;
                    // One that names no account is of the only one there is (assumed).
                    let is_here = account.is_empty() || *account == self.endpoint.account;
                    let ours = if is_here { mirror.book.hear_open(&data) } else { None };
                    match ours {
                        Some(order_id) => {
                            missing.remove(&order_id);
                        }
                        None => foreign += 1,
                    }
                }
                Orders::OrderStatus(status) => {
                    mirror.book.hear_status(&status, now);
                }
            }
        }
        let before = std::mem::replace(&mut mirror.foreign_orders, foreign);
        drop(mirror);
        if foreign > before {
            tracing::warn!(
                "{foreign} open orders at the broker are not the desk's: they are left alone"
            );
        }
        Ok(missing.into_iter().collect())
    }

    /// Ends a stream; one that cannot be ended in time is left to the connection.
    async fn end(&self, cancel: impl Future<Output = ()>) {
        let _ = timeout(self.bounds.answer, cancel).await;
    }
}

/// A reading of which a part was dropped on the way is none.
fn complete(notice: Notice) -> Result<(), ibapi::Error> {
    match policy(notice.code).stream {
        OnStream::Missed => Err(ibapi::Error::Notice(notice)),
        OnStream::Nothing
        | OnStream::Ended
        | OnStream::Denied
        | OnStream::Later
        | OnStream::Taken => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_with_a_hole_is_none() {
        let said = |code| Notice {
            request_id: None,
            code,
            message: String::new(),
            error_time: None,
            advanced_order_reject_json: String::new(),
        };
        assert!(complete(said(-6)).is_err());
        assert!(complete(said(2104)).is_ok());
    }
}
