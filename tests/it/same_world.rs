//! One gateway, three unmodified clients of different make: ibapi over protobuf, ib_async and
//! ib_insync over text. Each trades the same, and each sees of every other what that one sees of
//! itself: positions, cash, executions, commissions, orders that rest and orders that have ended.
//!
//! `DELTADESK_PYTHON` names an interpreter that has `tests/clients/requirements.txt`.

#![cfg(test)]

use std::path::PathBuf;
use std::process::{Command, Output};

use deltadesk::gateway::Rules;
use futures::StreamExt as _;
use ibapi::orders::{Executions, OrderStatusKind, order_builder};
use ibapi::prelude::*;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::gateway::{BOUND, Running, connect, gateway_of, puts};

/// A client by its library, the protocol version that it and the gateway agree on, and its id.
const CLIENTS: [(&str, u32, i32); 3] =
    [("ibapi", 226, 10), ("ib_async", 178, 11), ("ib_insync", 176, 12)];
/// Added to the id of a client that only looks.
const LOOKING: i32 = 10;

/// The interpreter, or why the test is not run; in continuous integration it must be there.
#[expect(clippy::disallowed_methods, reason = "the interpreter is named by the run")]
pub fn python() -> Option<PathBuf> {
    let named = std::env::var("DELTADESK_PYTHON").ok();
    if named.is_none() {
        let why =
            "not run: DELTADESK_PYTHON names no interpreter with tests/clients/requirements.txt";
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{why}");
        println!("{why}");
    }
    named.map(PathBuf::from)
}

/// What a script says in its last line. A process for each: the two libraries each bring their own
/// event loop.
async fn asked(script: &str, arguments: Vec<String>) -> Option<String> {
    let mut command = Command::new(python()?);
    command.arg(format!("tests/clients/{script}")).args(arguments);
    let run = tokio::task::spawn_blocking(move || command.output().unwrap());
    let Output { status, stdout, stderr } = timeout(BOUND * 4, run).await.unwrap().unwrap();
    let said = String::from_utf8(stdout).unwrap();
    assert!(status.success(), "{said}\n{}", String::from_utf8_lossy(&stderr));
    said.lines().last().map(str::to_owned)
}

fn port_of(running: &Running) -> String {
    running.address.rsplit_once(':').unwrap().1.to_owned()
}

/// Lets a client do something, and reads what it knows at the end.
async fn world_after(what: &str, (name, version, id): (&str, u32, i32), at: &Running) -> Value {
    if name != "ibapi" {
        let arguments = [what, name, &version.to_string(), &id.to_string(), &port_of(at)];
        let said = asked("same_world.py", arguments.map(str::to_owned).to_vec()).await;
        return serde_json::from_str(&said.unwrap()).unwrap();
    }
    let client = connect(&at.address, id).await.unwrap();
    assert_eq!(client.server_version(), i32::try_from(version).unwrap());
    match what {
        "trade" => trade(&client).await,
        "cancel" => cancel(&client).await,
        _ => {}
    }
    world_of(&client).await
}

#[tokio::test(flavor = "multi_thread")]
async fn three_clients_trade_at_one_gateway_and_each_sees_what_all_have_done() {
    if python().is_none() {
        return;
    }
    // Unpaced: a message too many is dropped, and ibapi waits for some answers without a bound.
    let running = gateway_of(20.0, Rules::unpaced()).await;
    for (place, trader) in CLIENTS.into_iter().enumerate() {
        for (what, resting) in [("trade", 1), ("cancel", 0)] {
            let known = timeout(BOUND * 4, world_after(what, trader, &running)).await.unwrap();
            for (name, version, id) in CLIENTS {
                let looking = world_after("look", (name, version, id + LOOKING), &running);
                let seen = timeout(BOUND * 4, looking).await.unwrap();
                assert_eq!(seen, known, "{name} sees what {} knows", trader.0);
            }
            let counts = ["executions", "open", "completed"]
                .map(|key| known[key].as_array().map_or(0, Vec::len));
            let ended = place + 1 + place + usize::from(what == "cancel");
            assert_eq!(counts, [3 * (place + 1), resting, ended], "{known}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn brackets_groups_and_trailing_stops_wait_for_clients_over_text() {
    if python().is_none() {
        return;
    }
    let rules = Rules { master_client: Some(31), ..Rules::of_ib() };
    let running = gateway_of(60.0, rules).await;
    for (name, _, id) in CLIENTS.into_iter().filter(|(name, _, _)| *name != "ibapi") {
        let arguments = [name, &id.to_string(), &port_of(&running)].map(str::to_owned).to_vec();
        let said = asked("waiting_orders.py", arguments).await.unwrap();
        assert!(said.contains("bracket, group and trailing stop"), "{said}");
    }
}

/// Waits for an order's state.
async fn until(client: &Client, order_id: i32, wanted: OrderStatusKind) {
    timeout(BOUND, async {
        loop {
            let mut seen = client.all_open_orders().await.unwrap().filter_data();
            let mut found = false;
            while let Some(order) = seen.next().await {
                if let Orders::OrderStatus(status) = order.unwrap() {
                    found |= status.order_id == order_id && status.status == wanted;
                }
            }
            if found {
                return;
            }
        }
    })
    .await
    .unwrap();
}

/// One spread that fills, and an order that rests.
async fn trade(client: &Client) {
    let [(short, short_quote), (long, long_quote)] = puts(client).await;
    let spread = Contract::spread()
        .symbol("SPY")
        .add_leg(short.contract_id, LegAction::Sell)
        .on_exchange("SMART")
        .done()
        .add_leg(long.contract_id, LegAction::Buy)
        .on_exchange("SMART")
        .done()
        .build()
        .unwrap();
    let cents = |price: f64| (price * 100.0).round() / 100.0;
    let limit = cents(0.10 - (short_quote.bid.unwrap() - long_quote.ask.unwrap()));
    let mut updates = client.order_update_stream().await.unwrap().filter_data();
    let order = order_builder::combo_limit_order(Action::Buy, 1.0, limit);
    client.submit_order(client.next_order_id(), &spread, &order).await.unwrap();
    let filled = async {
        let mut commissions = 0;
        while commissions < 2 {
            let update = updates.next().await.unwrap().unwrap();
            commissions += i32::from(matches!(update, OrderUpdate::CommissionReport(_)));
        }
    };
    timeout(BOUND, filled).await.expect("filled in time");
    let order_id = client.next_order_id();
    let resting =
        order_builder::limit_order(Action::Sell, 1.0, cents(2.0 * short_quote.ask.unwrap()));
    client.submit_order(order_id, &short, &resting).await.unwrap();
    until(client, order_id, OrderStatusKind::Submitted).await;
}

/// Cancels the client's own orders, and waits until they have ended.
async fn cancel(client: &Client) {
    let mut own = client.open_orders().await.unwrap().filter_data();
    let mut ids = Vec::new();
    while let Some(order) = own.next().await {
        if let Orders::OrderData(data) = order.unwrap() {
            ids.push(data.order_id);
        }
    }
    assert_eq!(ids.len(), 1);
    let mut updates = client.order_update_stream().await.unwrap().filter_data();
    let _cancel = client.cancel_order(ids[0], "").await.unwrap();
    timeout(BOUND, async {
        loop {
            if let OrderUpdate::OrderStatus(status) = updates.next().await.unwrap().unwrap()
                && status.status == OrderStatusKind::Cancelled
            {
                return;
            }
        }
    })
    .await
    .expect("cancelled in time");
}

/// What a client can know of the account, as `same_world.py` writes it.
async fn world_of(client: &Client) -> Value {
    let mut positions = Vec::new();
    let mut held = client.positions().await.unwrap().filter_data();
    while let Some(PositionUpdate::Position(row)) = held.next().await.map(Result::unwrap) {
        let cost = (row.average_cost * 1e4).round() / 1e4;
        positions.push(json!([row.contract.contract_id, row.position, cost]));
    }
    positions.sort_by_key(|row| row[0].as_i64());
    json!({
        "positions": positions,
        "cash": cash_of(client).await,
        "executions": executions_of(client).await,
        "open": open_of(client).await,
        "completed": completed_of(client).await,
    })
}

async fn cash_of(client: &Client) -> String {
    let group = AccountGroup("All".to_owned());
    let mut rows = client.account_summary(&group, &["TotalCashValue"]).await.unwrap().filter_data();
    match timeout(BOUND, rows.next()).await.unwrap().unwrap().unwrap() {
        AccountSummaryResult::Summary(row) => row.value,
        AccountSummaryResult::End => panic!("no cash"),
    }
}

/// Executions by their names, each with its commission, if it has one.
async fn executions_of(client: &Client) -> Vec<Value> {
    let mut rows = client.executions(ExecutionFilter::default()).await.unwrap().filter_data();
    let (mut executions, mut commissions) = (Vec::new(), std::collections::BTreeMap::new());
    while let Some(row) = rows.next().await {
        match row.unwrap() {
            Executions::ExecutionData(data) => executions.push(data),
            Executions::CommissionReport(report) => {
                commissions.insert(report.execution_id, report.commission);
            }
        }
    }
    executions.sort_by(|one, other| one.execution.execution_id.cmp(&other.execution.execution_id));
    let row = |data: ibapi::orders::ExecutionData| {
        let done = data.execution;
        let commission = commissions.get(&done.execution_id);
        let (id, side) = (done.execution_id, done.side.to_string());
        json!([id, data.contract.contract_id, side, done.shares, done.price, commission])
    };
    executions.into_iter().map(row).collect()
}

async fn open_of(client: &Client) -> Vec<Value> {
    let mut rows = client.all_open_orders().await.unwrap().filter_data();
    let mut open = Vec::new();
    while let Some(row) = rows.next().await {
        if let Orders::OrderData(data) = row.unwrap() {
            let order = data.order;
            let (action, limit) = (order.action.to_string(), order.limit_price);
            let size = order.total_quantity;
            open.push(json!([order.perm_id, order.client_id, action, size, limit]));
        }
    }
    open
}

async fn completed_of(client: &Client) -> Vec<i64> {
    let mut rows = client.completed_orders(false).await.unwrap().filter_data();
    let mut completed = Vec::new();
    while let Some(row) = rows.next().await {
        if let Orders::OrderData(data) = row.unwrap() {
            completed.push(data.order.perm_id);
        }
    }
    completed.sort_unstable();
    completed
}
