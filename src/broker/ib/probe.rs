//! A look at a broker before anything is built on it: who answers, for which accounts, and whether
//! orders could be reconciled.

use chrono::TimeDelta;
use ibapi::prelude::Client;
use tokio::time::timeout;

use crate::market::Clock;

use super::link::{Bounds, Endpoint, Lost, connect};

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    pub accounts: Vec<String>,
    pub server_version: i32,
    /// The broker's clock less ours.
    pub skew: TimeDelta,
    /// Orders that this client's identity has open; why they are not told.
    pub open_orders: Result<usize, String>,
}

/// The broker's clock less ours.
pub async fn skew(client: &Client, clock: &dyn Clock) -> Result<TimeDelta, ibapi::Error> {
    let told = client.server_time_millis().await?;
    let told = (told.unix_timestamp_nanos() / 1_000_000) as i64;
    Ok(TimeDelta::milliseconds(told - clock.now().timestamp_millis()))
}

/// Connects, asks and leaves; nothing is changed.
pub async fn probe(endpoint: &Endpoint, bounds: Bounds, clock: &dyn Clock) -> Result<Probe, Lost> {
    let client = connect(endpoint, bounds).await?;
    let skew = match timeout(bounds.answer, skew(&client, clock)).await {
        Ok(Ok(skew)) => skew,
        Ok(Err(error)) => return Err(Lost(format!("asked for the time: {error}"))),
        Err(_) => return Err(Lost("it does not tell the time".to_owned())),
    };
    let orders = async {
        let mut stream = client.open_orders().await.map_err(|error| error.to_string())?;
        let rows = stream.collect_to_end_within(bounds.answer).await;
        rows.map(|rows| rows.len()).map_err(|error| error.to_string())
    };
    let open_orders = timeout(bounds.answer, orders).await;
    let open_orders = open_orders.unwrap_or_else(|_| Err("no answer".to_owned()));
    let probe = Probe {
        accounts: client.handshake_managed_accounts().to_vec(),
        server_version: client.server_version(),
        skew,
        open_orders,
    };
    client.disconnect().await;
    Ok(probe)
}
