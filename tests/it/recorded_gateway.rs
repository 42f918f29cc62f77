//! A recorded day behind the gateway: an unmodified client trades it, and is told when it is over.

#![cfg(test)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use deltadesk::desk::recorded_gateway::{RecordAsked, gateway_over_record};
use deltadesk::gateway::{Rules, Speed};
use futures::StreamExt as _;
use ibapi::orders::{OrderStatusKind, order_builder};
use ibapi::prelude::*;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::gateway::{BOUND, connect, freed};
use crate::homes::{desk, refused, shared_folder};

const SESSION: &str = "2026-02-02";

/// A folder with one recorded day, where there are data.
fn one_day() -> Option<TempDir> {
    let recorded: PathBuf = shared_folder("data/options/ib_chain_snapshots")?;
    let folder = TempDir::new().unwrap();
    let name = format!("ib_chain_{SESSION}.parquet");
    std::fs::copy(recorded.join(&name), folder.path().join(&name)).unwrap();
    Some(folder)
}

/// A gateway over it, so many times as fast, kept in a folder where one is named.
fn serving(
    runtime: &Runtime,
    (folder, state): (&Path, Option<&Path>),
    speed: f64,
) -> (String, JoinSet<()>) {
    if let Some(state) = state {
        runtime.block_on(freed(state));
    }
    let home = TempDir::new().unwrap();
    let asked = RecordAsked { home: home.path(), folder, from: None, seed: 1 };
    let how = (Speed(speed), Rules::unpaced(), runtime.handle());
    let record = gateway_over_record(asked, state, how).unwrap();
    assert_eq!(record.sessions, [SESSION.parse().unwrap()]);
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut serving = JoinSet::new();
    serving
        .spawn_on(async move { record.gateway.serve(listener).await.unwrap() }, runtime.handle());
    (address, serving)
}

/// The SPY option with the narrowest quote among the first strikes around the middle.
async fn quoted_option(client: &Client) -> (Contract, Quote) {
    let spy = client.contract_details(&Contract::stock("SPY").build()).await.unwrap();
    let under = spy[0].contract.contract_id;
    assert!(under > 0, "an id that fits the protocol");
    let chain = client.option_chain("SPY", SecurityType::Stock, under).subscribe().await.unwrap();
    let chain = chain.filter_data().next().await.unwrap().unwrap();
    let wanted = Contract {
        symbol: "SPY".into(),
        security_type: SecurityType::Option,
        last_trade_date_or_contract_month: chain.expirations[0].clone(),
        exchange: "SMART".into(),
        currency: "USD".into(),
        ..Contract::default()
    };
    let listed = client.contract_details(&wanted).await.unwrap();
    let middle = listed.len() / 2;
    for details in listed.iter().skip(middle.saturating_sub(10)) {
        let contract = details.contract.clone();
        let ticks = client.market_data(&contract).snapshot_once(BOUND).await.unwrap();
        let quote = Quote::from_ticks(&ticks);
        if quote.bid.zip(quote.ask).is_some_and(|(bid, ask)| bid > 0.5 && ask - bid < 0.5) {
            return (contract, quote);
        }
    }
    panic!("none of {} options is quoted", listed.len());
}

#[test]
fn a_client_trades_a_recorded_day_and_the_account_outlives_the_gateway() {
    let Some(folder) = one_day() else { return };
    let state = TempDir::new().unwrap();
    let runtime = Runtime::new().unwrap();
    let (address, gateway) = serving(&runtime, (folder.path(), Some(state.path())), 60.0);
    let bought = runtime.block_on(async {
        let client = connect(&address, 1).await.unwrap();
        let told = client.server_time().await.unwrap();
        assert_eq!(told.date().to_string(), SESSION, "the record's own time");
        let (option, quote) = quoted_option(&client).await;
        let updates = client.order_update_stream().await.unwrap();
        let order_id = client.next_order_id();
        let limit = (quote.ask.unwrap() * 120.0).round() / 100.0;
        let order = order_builder::limit_order(Action::Buy, 1.0, limit);
        client.submit_order(order_id, &option, &order).await.unwrap();
        let filled = async {
            let mut updates = updates.filter_data();
            while let Some(update) = updates.next().await {
                if let OrderUpdate::OrderStatus(status) = update.unwrap()
                    && status.status == OrderStatusKind::Filled
                {
                    return status.average_fill_price.unwrap();
                }
            }
            panic!("the updates ended");
        };
        let price = timeout(BOUND, filled).await.expect("filled by a later sweep");
        assert!(price > 0.0 && price <= limit, "{price}");
        option.contract_id
    });
    drop(gateway);
    let (address, _gateway) = serving(&runtime, (folder.path(), Some(state.path())), 1.0);
    runtime.block_on(async {
        let client = connect(&address, 1).await.unwrap();
        let mut positions = client.positions().await.unwrap().filter_data();
        let first = timeout(BOUND, positions.next()).await.unwrap().unwrap().unwrap();
        let PositionUpdate::Position(held) = first else { panic!("no position") };
        assert_eq!((held.contract.contract_id, held.position), (bought, 1.0));
    });
}

#[test]
fn when_the_record_is_over_everybody_is_told_and_no_order_is_taken() {
    let Some(folder) = one_day() else { return };
    let runtime = Runtime::new().unwrap();
    let (address, _gateway) = serving(&runtime, (folder.path(), None), 5_000.0);
    runtime.block_on(async {
        let connecting = Client::builder().address(&address).client_id(1);
        let (client, mut notices) =
            timeout(BOUND, connecting.connect_with_notice_stream()).await.unwrap().unwrap();
        let told = async {
            while let Some(notice) = notices.next().await {
                if notice.code == 1100 {
                    return notice.message;
                }
            }
            panic!("the notices ended");
        };
        let told = timeout(BOUND, told).await.expect("told in time");
        assert!(told.contains("the recorded market is over"), "{told}");
        let stands = client.server_time().await.unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(client.server_time().await.unwrap(), stands, "the last state is served");
        assert_eq!(client.managed_accounts().await.unwrap(), ["DU0000001"]);
        let mut updates = client.order_update_stream().await.unwrap();
        let spy = client.contract_details(&Contract::stock("SPY").build()).await.unwrap();
        let order = order_builder::limit_order(Action::Buy, 1.0, 1.0);
        client.submit_order(client.next_order_id(), &spy[0].contract, &order).await.unwrap();
        let refused = timeout(BOUND, updates.next()).await.unwrap().unwrap().unwrap();
        let SubscriptionItem::Notice(refused) = refused else { panic!("{refused:?}") };
        assert_eq!(refused.code, 201);
        assert!(refused.message.contains("the recorded market is over"), "{}", refused.message);
        let connecting = Client::builder().address(&address).client_id(2);
        let (_late, mut notices) =
            timeout(BOUND, connecting.connect_with_notice_stream()).await.unwrap().unwrap();
        let late = async {
            while let Some(notice) = notices.next().await {
                if notice.code == 1100 {
                    return;
                }
            }
            panic!("the notices ended");
        };
        timeout(BOUND, late).await.expect("who comes later is told too");
    });
}

#[test]
fn a_record_that_cannot_be_played_as_asked_says_why() {
    let Some(folder) = one_day() else { return };
    let home = TempDir::new().unwrap();
    let market = format!("recorded:{}", folder.path().display());
    let gateway = |more: &[&str]| {
        desk(home.path(), &[&["gateway", "--port", "0", "--market", &market], more].concat())
    };
    let elsewhere = gateway(&["--from", "2026-03-02"]);
    refused(&elsewhere, &["the record has nothing of 2026-03-02", SESSION]);
    refused(&gateway(&["--from", "now"]), &["a record has its own time"]);
    let empty = TempDir::new().unwrap();
    let market = format!("recorded:{}", empty.path().display());
    let nothing = desk(home.path(), &["gateway", "--port", "0", "--market", &market]);
    refused(&nothing, &["no parquet file"]);
}
