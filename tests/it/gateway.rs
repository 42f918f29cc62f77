//! The gateway over a socket, as an unmodified client of the crate ibapi sees it.

#![cfg(test)]

use std::time::Duration;

use deltadesk::desk::paper_gateway::{Asked, Beginning, exchange_at_open, gateway_asked};
use deltadesk::gateway::{Gateway, Rules, Script, Speed};
use futures::StreamExt as _;
use ibapi::orders::{Executions, OrderStatusKind, order_builder};
use ibapi::prelude::*;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// No wait of these tests is longer.
pub const BOUND: Duration = Duration::from_secs(30);

/// A gateway of its own on a free port, for as long as this is held.
pub struct Running {
    pub address: String,
    _serving: JoinSet<()>,
}

pub async fn gateway_of(speed: f64, rules: Rules) -> Running {
    gateway_with(speed, rules, "").await
}

/// The same under a script of faults.
pub async fn gateway_with(speed: f64, rules: Rules, script: &str) -> Running {
    let script = Script::parse(script).unwrap();
    let home = tempfile::tempdir().unwrap();
    let session = "2026-03-02".parse().unwrap();
    let exchange = exchange_at_open(home.path(), 1, session).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let gateway = Gateway::over(exchange, Speed(speed), rules).with_faults(script);
        gateway.serve(listener).await.unwrap();
    });
    Running { address, _serving: serving }
}

/// Waits until no gateway holds a folder: one that is dropped ends a little later.
pub async fn freed(folder: &std::path::Path) {
    let Ok(lock) = std::fs::File::open(folder.join("gateway.lock")) else { return };
    let free = async {
        while lock.try_lock().is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(BOUND, free).await.expect("the folder is free in time");
}

/// One that keeps its account in a folder.
async fn gateway_kept_in(folder: &std::path::Path, seed: u64) -> anyhow::Result<Running> {
    freed(folder).await;
    let home = tempfile::tempdir()?;
    let beginning = Beginning::AtOpen("2026-03-02".parse()?);
    let at = Asked { home: home.path(), seed, beginning };
    let gateway = gateway_asked(at, Some(folder), (Speed(20.0), Rules::unpaced()))?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let mut serving = JoinSet::new();
    serving.spawn(async move { gateway.serve(listener).await.unwrap() });
    Ok(Running { address, _serving: serving })
}

pub async fn connect(address: &str, client_id: i32) -> Result<Client, Error> {
    timeout(BOUND, Client::connect(address, client_id)).await.expect("connected in time")
}

/// Two SPY puts some weeks out, the first nearer the money, with the bid of the first and the ask
/// of the second.
pub async fn puts(client: &Client) -> [(Contract, Quote); 2] {
    let spy = client.contract_details(&Contract::stock("SPY").build()).await.unwrap();
    assert_eq!(spy.len(), 1);
    let under = spy[0].contract.contract_id;
    let chain = client.option_chain("SPY", SecurityType::Stock, under).subscribe().await.unwrap();
    let chain = chain.filter_data().next().await.unwrap().unwrap();
    let expiry = chain.expirations[chain.expirations.len() / 2].clone();
    let (year, month, day) =
        (expiry[..4].parse().unwrap(), expiry[4..6].parse().unwrap(), expiry[6..].parse().unwrap());
    let spot = quote(client, &spy[0].contract).await.bid.unwrap();
    let mut strikes = chain.strikes;
    strikes.retain(|strike| *strike < spot * 0.97);
    let mut found = Vec::new();
    for strike in strikes.iter().rev() {
        let put = Contract::put("SPY").strike(*strike).expires_on(year, month, day).build();
        if let Ok(details) = client.contract_details(&put).await
            && details.len() == 1
        {
            let contract = details[0].contract.clone();
            let quote = quote(client, &contract).await;
            if quote.bid.is_some() && quote.ask.is_some() {
                found.push((contract, quote));
            }
        }
        if let Ok(pair) = <[_; 2]>::try_from(found.clone()) {
            return pair;
        }
    }
    panic!("no two puts of {expiry} are listed and quoted");
}

async fn quote(client: &Client, contract: &Contract) -> Quote {
    let ticks = client.market_data(contract).snapshot_once(BOUND).await.unwrap();
    Quote::from_ticks(&ticks)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_ibapi_trades_a_spread_and_sees_the_same_world_everywhere() {
    let running = gateway_of(60.0, Rules::unpaced()).await;
    let client = connect(&running.address, 100).await.unwrap();
    assert_eq!(client.server_version(), 226);
    assert_eq!(client.managed_accounts().await.unwrap(), ["DU0000001"]);
    assert!(client.server_time().await.unwrap().unix_timestamp() >= 1_772_461_800);
    let [(short, short_quote), (long, long_quote)] = puts(&client).await;
    let spread = Contract::spread()
        .symbol("SPY")
        .add_leg(short.contract_id, LegAction::Sell)
        .ratio(1)
        .on_exchange("SMART")
        .done()
        .add_leg(long.contract_id, LegAction::Buy)
        .ratio(1)
        .on_exchange("SMART")
        .done()
        .build()
        .unwrap();
    // Natural, and a little more: it must fill.
    let credit = short_quote.bid.unwrap() - long_quote.ask.unwrap();
    let limit = ((0.10 - credit) * 100.0).round() / 100.0;

    let margin = timeout(BOUND, client.order(&spread).buy(1).limit(limit).analyze());
    let margin = margin.await.unwrap().unwrap();
    assert!(margin.initial_margin_after.unwrap() > margin.initial_margin_before.unwrap());

    let updates = client.order_update_stream().await.unwrap();
    let order_id = client.next_order_id();
    let order = order_builder::combo_limit_order(Action::Buy, 1.0, limit);
    client.submit_order(order_id, &spread, &order).await.unwrap();
    let filled = timeout(BOUND, async {
        let mut updates = updates.filter_data();
        while let Some(update) = updates.next().await {
            if let OrderUpdate::OrderStatus(status) = update.unwrap()
                && status.status == OrderStatusKind::Filled
            {
                return status;
            }
        }
        panic!("the updates ended");
    });
    let filled = filled.await.expect("filled in time");
    assert_eq!((filled.order_id, filled.filled, filled.remaining), (order_id, 1.0, 0.0));
    assert!(filled.average_fill_price.unwrap() <= limit + 1e-9);

    let other = connect(&running.address, 101).await.unwrap();
    let world = account_of(&client).await;
    assert_eq!(world, account_of(&other).await, "both clients see the same world");
    let mut legs = [(short.contract_id, -1.0), (long.contract_id, 1.0)];
    legs.sort_by_key(|(conid, _)| *conid);
    assert_eq!(world.positions, legs);
    let combo = (0, "BOT".to_owned(), filled.average_fill_price.unwrap());
    assert_eq!(world.executions.len(), 3, "the combo as a whole, and each leg");
    assert_eq!(world.executions[0], combo);
    assert!(world.commissions > 0.0);
    assert_eq!(world.completed, [filled.perm_id]);
}

/// What a client can know of the account.
#[derive(Debug, PartialEq)]
struct World {
    positions: Vec<(i32, f64)>,
    /// Contract, side and price; a combo as a whole is contract 0.
    executions: Vec<(i32, String, f64)>,
    commissions: f64,
    completed: Vec<i64>,
}

async fn account_of(client: &Client) -> World {
    let mut world =
        World { positions: vec![], executions: vec![], commissions: 0.0, completed: vec![] };
    let mut positions = client.positions().await.unwrap().filter_data();
    while let Some(PositionUpdate::Position(held)) = positions.next().await.map(Result::unwrap) {
        world.positions.push((held.contract.contract_id, held.position));
    }
    world.positions.sort_by_key(|(conid, _)| *conid);
    let executions = client.executions(ExecutionFilter::default()).await.unwrap();
    let mut executions = executions.filter_data();
    while let Some(execution) = executions.next().await {
        match execution.unwrap() {
            Executions::ExecutionData(data) => {
                let done = data.execution;
                let side = done.side.to_string();
                world.executions.push((data.contract.contract_id, side, done.price));
            }
            Executions::CommissionReport(report) => world.commissions += report.commission,
        }
    }
    world.executions.sort_by_key(|(conid, _, _)| *conid);
    let completed = client.completed_orders(false).await.unwrap();
    let completed: Vec<_> = completed.filter_data().collect().await;
    world.completed = perm_ids(completed);
    world
}

fn perm_ids(orders: Vec<Result<Orders, Error>>) -> Vec<i64> {
    orders
        .into_iter()
        .filter_map(|order| match order.unwrap() {
            Orders::OrderData(data) => Some(data.order.perm_id),
            Orders::OrderStatus(_) => None,
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_of_one_client_is_seen_by_others_and_cancelled_by_its_own() {
    let running = gateway_of(10.0, Rules::unpaced()).await;
    let address = &running.address;
    let (owner, other) = (connect(address, 1).await.unwrap(), connect(address, 2).await.unwrap());
    assert!(matches!(connect(address, 1).await, Err(Error::ClientIdInUse { .. })));
    let [(put, quote), (another, _)] = puts(&owner).await;
    let updates = owner.order_update_stream().await.unwrap();
    let order_id = owner.next_order_id();
    let low = (quote.bid.unwrap() * 50.0).round() / 100.0;
    let order = order_builder::limit_order(Action::Buy, 1.0, low);
    owner.submit_order(order_id, &put, &order).await.unwrap();
    let mut updates = updates.filter_data();
    let mut next_status = async || {
        timeout(BOUND, async {
            loop {
                if let OrderUpdate::OrderStatus(status) = updates.next().await.unwrap().unwrap() {
                    return status;
                }
            }
        })
        .await
        .expect("a status in time")
    };
    let status = next_status().await;
    assert_eq!(status.status, OrderStatusKind::Submitted);

    let all = other.all_open_orders().await.unwrap().filter_data().collect().await;
    assert_eq!(perm_ids(all), [status.perm_id]);
    let own = other.open_orders().await.unwrap().filter_data().collect().await;
    assert!(perm_ids(own).is_empty(), "another client's order is not among one's own");

    // The same id again with another quantity changes that order, and is no second one.
    let larger = order_builder::limit_order(Action::Buy, 2.0, low);
    owner.submit_order(order_id, &put, &larger).await.unwrap();
    while next_status().await.remaining < 2.0 {}
    // The other side is no change of it, nor another contract.
    let sold = order_builder::limit_order(Action::Sell, 1.0, low / 2.0);
    owner.submit_order(order_id, &put, &sold).await.unwrap();
    let cheaper = order_builder::limit_order(Action::Buy, 1.0, low / 2.0);
    owner.submit_order(order_id, &another, &cheaper).await.unwrap();
    let all: Vec<_> = other.all_open_orders().await.unwrap().filter_data().collect().await;
    let [Ok(Orders::OrderData(left)), Ok(Orders::OrderStatus(_))] = all.as_slice() else {
        panic!("{all:?}");
    };
    assert_eq!((left.order.action, left.order.total_quantity), (Action::Buy, 2.0));
    assert_eq!(left.order.limit_price, Some(low));
    assert_eq!(left.contract.contract_id, put.contract_id);
    drop(owner.cancel_order(order_id, "").await.unwrap());
    let pending = next_status().await;
    assert_eq!((pending.status, pending.filled), (OrderStatusKind::PendingCancel, 0.0));
    let cancelled = next_status().await;
    assert_eq!((cancelled.status, cancelled.filled), (OrderStatusKind::Cancelled, 0.0));
    let all = other.all_open_orders().await.unwrap().filter_data().collect().await;
    assert!(perm_ids(all).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contract_takes_twenty_orders_a_side_and_an_option_only_one_side() {
    let running = gateway_of(1.0, Rules::unpaced()).await;
    let client = connect(&running.address, 1).await.unwrap();
    let [(put, quote), (another, _)] = puts(&client).await;
    let low = (quote.bid.unwrap() * 50.0).round() / 100.0;
    let mut updates = client.order_update_stream().await.unwrap();
    let bought = order_builder::limit_order(Action::Buy, 1.0, low);
    for _ in 0..20 {
        client.submit_order(client.next_order_id(), &put, &bought).await.unwrap();
    }
    let one_more = client.next_order_id();
    client.submit_order(one_more, &put, &bought).await.unwrap();
    let other_side = client.next_order_id();
    let sold = order_builder::limit_order(Action::Sell, 1.0, quote.bid.unwrap() * 2.0);
    client.submit_order(other_side, &put, &sold).await.unwrap();
    client.submit_order(client.next_order_id(), &another, &bought).await.unwrap();
    let mut refused = Vec::new();
    while refused.len() < 2 {
        let update = timeout(BOUND, updates.next()).await.unwrap().unwrap().unwrap();
        if let SubscriptionItem::Notice(notice) = update {
            refused.push((notice.request_id, notice.code, notice.message));
        }
    }
    assert_eq!((refused[0].0, refused[0].1), (Some(one_more), 201));
    assert!(refused[0].2.contains("20 orders work on this side"), "{refused:?}");
    assert_eq!((refused[1].0, refused[1].1), (Some(other_side), 201));
    assert!(refused[1].2.contains("both sides"), "{refused:?}");
    let open = client.open_orders().await.unwrap().filter_data().collect().await;
    assert_eq!(perm_ids(open).len(), 21, "twenty on one contract, one on another");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_messages_a_second_are_told_and_the_third_time_closes() {
    let running = gateway_of(1.0, Rules::of_ib()).await;
    let connecting = Client::builder().address(&running.address).client_id(1);
    let connecting = connecting.max_reconnect_attempts(0).connect_with_notice_stream();
    let (client, notices) = timeout(BOUND, connecting).await.unwrap().unwrap();
    let told = async {
        let (mut notices, mut told) = (notices, 0);
        while let Some(notice) = notices.next().await {
            if notice.code == 100 {
                told += 1;
            }
        }
        told
    };
    let sent = async {
        for _ in 0..3 {
            for _ in 0..60 {
                let _ = client.global_cancel().await;
            }
            tokio::time::sleep(Duration::from_millis(1_100)).await;
        }
        assert!(!client.is_connected());
        client.disconnect().await;
    };
    let (told, ()) = timeout(BOUND, futures::future::join(told, sent)).await.unwrap();
    assert!(told >= 3, "{told} times");
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_end_at_their_number_and_come_back_when_they_are_cancelled() {
    let rules = Rules { lines: 2, ..Rules::unpaced() };
    let running = gateway_of(1.0, rules).await;
    let client = connect(&running.address, 1).await.unwrap();
    let mut lines = Vec::new();
    for symbol in ["SPY", "QQQ", "IWM"] {
        let contract = Contract::stock(symbol).build();
        lines.push(client.market_data(&contract).subscribe().await.unwrap());
    }
    let mut third = lines.pop().unwrap().filter_data();
    let refused = timeout(BOUND, third.next()).await.unwrap().unwrap().err();
    assert!(matches!(refused, Some(Error::Notice(notice)) if notice.code == 101));
    lines.pop().unwrap().cancel().await;
    let contract = Contract::stock("IWM").build();
    let again = client.market_data(&contract).subscribe().await.unwrap();
    assert!(timeout(BOUND, again.filter_data().next()).await.unwrap().unwrap().is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn daily_bars_are_those_of_the_market_and_others_are_refused() {
    let running = gateway_of(1.0, Rules::unpaced()).await;
    let client = connect(&running.address, 1).await.unwrap();
    let spy = Contract::stock("SPY").build();
    let history = async |size: HistoricalBarSize| {
        let asked = client.historical_data(&spy, size).duration(10.days());
        let asked = asked.what_to_show(HistoricalWhatToShow::Trades).fetch();
        timeout(BOUND, asked).await.unwrap()
    };
    let bars = history(HistoricalBarSize::Day).await.unwrap().bars;
    assert_eq!(bars.len(), 9, "ten weekdays back, and today has not closed");
    assert!(bars.iter().all(|bar| bar.low > 0.0 && bar.low <= bar.close && bar.close <= bar.high));
    let refused = history(HistoricalBarSize::Min).await.err().unwrap().to_string();
    assert!(refused.contains("162"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_in_a_folder_outlives_its_gateway_and_ids_never_go_back() {
    let folder = tempfile::tempdir().unwrap();
    let running = gateway_kept_in(folder.path(), 1).await.unwrap();
    let client = connect(&running.address, 7).await.unwrap();
    let [(put, quote), _] = puts(&client).await;
    let mut updates = client.order_update_stream().await.unwrap().filter_data();
    // One that fills, and one that rests.
    let prices = [quote.ask.unwrap() * 1.05, quote.bid.unwrap() * 0.5];
    for price in prices {
        let limit = (price * 100.0).round() / 100.0;
        let order = order_builder::limit_order(Action::Buy, 1.0, limit);
        client.submit_order(client.next_order_id(), &put, &order).await.unwrap();
    }
    let filled = timeout(BOUND, async {
        while let Some(update) = updates.next().await {
            if let OrderUpdate::OrderStatus(status) = update.unwrap()
                && status.status == OrderStatusKind::Filled
            {
                return;
            }
        }
    });
    filled.await.expect("filled in time");
    let what_if = order_builder::limit_order(Action::Buy, 1.0, 0.5);
    let margin = client.order(&put).buy(what_if.total_quantity).limit(0.5).analyze();
    timeout(BOUND, margin).await.unwrap().unwrap();
    let next = client.next_valid_order_id().await.unwrap();
    let before = account_of(&client).await;
    let open = client.all_open_orders().await.unwrap().filter_data().collect().await;
    let open = perm_ids(open);
    assert_eq!((before.positions.len(), open.len()), (1, 1));
    drop((client, running));

    let running = gateway_kept_in(folder.path(), 1).await.unwrap();
    let client = connect(&running.address, 7).await.unwrap();
    assert_eq!(before, account_of(&client).await, "the same account");
    let still = client.all_open_orders().await.unwrap().filter_data().collect().await;
    assert_eq!(perm_ids(still), open);
    assert_eq!(client.next_valid_order_id().await.unwrap(), next);
    drop((client, running));

    let other = gateway_kept_in(folder.path(), 2).await.err().unwrap().to_string();
    assert!(other.contains("seed 1") && other.contains("seed 2"), "{other}");
    std::fs::write(folder.path().join("gateway.json"), "{\"market\":").unwrap();
    let damaged = gateway_kept_in(folder.path(), 1).await.err().unwrap().to_string();
    assert!(damaged.contains("gateway.json is damaged"), "{damaged}");
}
