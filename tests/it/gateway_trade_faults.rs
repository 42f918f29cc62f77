//! Faults of orders and trades, as an unmodified client of the crate ibapi meets them.

#![cfg(test)]

use std::time::Duration;

use deltadesk::gateway::Rules;
use futures::{Stream, StreamExt as _};
use ibapi::orders::{ExecutionData, Executions, OrderStatusKind, order_builder};
use ibapi::prelude::*;
use tokio::time::{sleep, timeout};

use crate::gateway::{BOUND, Running, connect, gateway_with, puts};

/// One fault from the start, or as its lines say.
async fn faulty(kind: &str, more: &str) -> Running {
    let script = format!("[[fault]]\nkind = '{kind}'\n{more}\n");
    let running = gateway_with(60.0, Rules::unpaced(), &script).await;
    sleep(Duration::from_millis(200)).await;
    running
}

const ALWAYS: &str = "at_seconds = 0\nfor_seconds = 600";

/// Sells a put spread, and what it was.
struct Sold {
    order_id: i32,
    short: Contract,
    updates: Vec<(std::time::Duration, OrderUpdate)>,
}

/// Orders a spread that must fill, and listens to what comes of it until something is enough, or
/// nothing more comes for two seconds.
async fn sell(
    client: &Client,
    quantity: f64,
    enough: impl Fn(&[(Duration, OrderUpdate)]) -> bool,
) -> Sold {
    let [(short, short_quote), (long, long_quote)] = puts(client).await;
    let leg = |conid: i32, action: LegAction| (conid, action);
    let [one, two] =
        [leg(short.contract_id, LegAction::Sell), leg(long.contract_id, LegAction::Buy)];
    let spread = Contract::spread()
        .symbol("SPY")
        .add_leg(one.0, one.1)
        .on_exchange("SMART")
        .done()
        .add_leg(two.0, two.1)
        .on_exchange("SMART")
        .done()
        .build()
        .unwrap();
    let credit = short_quote.bid.unwrap() - long_quote.ask.unwrap();
    let limit = ((0.30 - credit) * 100.0).round() / 100.0;
    let mut stream = client.order_update_stream().await.unwrap().filter_data();
    let order_id = client.next_order_id();
    let order = order_builder::combo_limit_order(Action::Buy, quantity, limit);
    client.submit_order(order_id, &spread, &order).await.unwrap();
    let since = deltadesk::market::clock::Stopwatch::start();
    let mut updates = Vec::new();
    let listening = async {
        while !enough(&updates)
            && let Ok(Some(update)) = timeout(Duration::from_secs(8), stream.next()).await
        {
            updates.push((since.elapsed(), update.unwrap()));
        }
    };
    timeout(BOUND, listening).await.unwrap();
    Sold { order_id, short, updates }
}

/// The first update of its kind.
async fn first(
    updates: &mut (impl Stream<Item = Result<OrderUpdate, ibapi::Error>> + Unpin),
    wanted: impl Fn(&OrderUpdate) -> bool,
) -> OrderUpdate {
    timeout(BOUND, async {
        loop {
            let update = updates.next().await.unwrap().unwrap();
            if wanted(&update) {
                return update;
            }
        }
    })
    .await
    .unwrap()
}

fn executions(updates: &[(Duration, OrderUpdate)]) -> Vec<(Duration, &ExecutionData)> {
    let found = updates.iter().filter_map(|(at, update)| {
        let OrderUpdate::ExecutionData(data) = update else { return None };
        Some((*at, data))
    });
    found.collect()
}

fn commissions(updates: &[(Duration, OrderUpdate)]) -> usize {
    updates.iter().filter(|(_, one)| matches!(one, OrderUpdate::CommissionReport(_))).count()
}

fn statuses(updates: &[(Duration, OrderUpdate)]) -> Vec<(OrderStatusKind, f64, f64)> {
    let found = updates.iter().filter_map(|(_, update)| {
        let OrderUpdate::OrderStatus(status) = update else { return None };
        Some((status.status.clone(), status.filled, status.remaining))
    });
    found.collect()
}

async fn held(client: &Client) -> Vec<(i32, f64)> {
    let mut found = Vec::new();
    let mut positions = client.positions().await.unwrap().filter_data();
    while let Some(PositionUpdate::Position(row)) = positions.next().await.map(Result::unwrap) {
        if row.position != 0.0 {
            found.push((row.contract.contract_id, row.position));
        }
    }
    found
}

async fn cash(client: &Client) -> f64 {
    let group = AccountGroup("All".to_owned());
    let tags = ["TotalCashValue"];
    let mut rows = client.account_summary(&group, &tags).await.unwrap().filter_data();
    match timeout(BOUND, rows.next()).await.unwrap().unwrap().unwrap() {
        AccountSummaryResult::Summary(row) => row.value.parse().unwrap(),
        AccountSummaryResult::End => panic!("no cash"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_may_be_taken_and_its_client_never_hear_of_it() {
    let running = faulty("drop", "on = 'order_taken'\nfor_seconds = 0.3").await;
    let client = connect(&running.address, 1).await.unwrap();
    let [(put, _), _] = puts(&client).await;
    let mut updates = client.order_update_stream().await.unwrap().filter_data();
    let order_id = client.next_order_id();
    let order = order_builder::limit_order(Action::Buy, 1.0, 0.01);
    client.submit_order(order_id, &put, &order).await.unwrap();
    let lost = async {
        while client.is_connected() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(BOUND, lost).await.unwrap();
    let heard = timeout(Duration::from_millis(50), updates.next()).await;
    assert!(!matches!(heard, Ok(Some(Ok(_)))), "told all the same");
    timeout(BOUND, client.wait_connected()).await.unwrap().unwrap();
    let open = client.open_orders().await.unwrap().filter_data();
    let open: Vec<_> = timeout(BOUND, open.collect()).await.unwrap();
    let ids = open.into_iter().filter_map(|row| match row.unwrap() {
        Orders::OrderData(data) => Some(data.order_id),
        Orders::OrderStatus(_) => None,
    });
    assert_eq!(ids.collect::<Vec<_>>(), [order_id], "it works, once");
}

#[tokio::test(flavor = "multi_thread")]
async fn executions_may_come_without_any_news_of_their_order() {
    let running = faulty("order_news_lost", ALWAYS).await;
    let client = connect(&running.address, 1).await.unwrap();
    let sold = sell(&client, 1.0, |updates| commissions(updates) == 2).await;
    assert_eq!(executions(&sold.updates).len(), 3, "the combo, and each leg");
    assert!(
        executions(&sold.updates).iter().all(|(_, data)| data.execution.order_id == sold.order_id)
    );
    assert_eq!(statuses(&sold.updates), []);
    assert!(!sold.updates.iter().any(|(_, one)| matches!(one, OrderUpdate::OpenOrder(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_may_come_before_its_order_is_told() {
    let running = faulty("execution_before_open_order", ALWAYS).await;
    let client = connect(&running.address, 1).await.unwrap();
    let filled = |updates: &[(Duration, OrderUpdate)]| {
        statuses(updates).iter().any(|(status, _, _)| *status == OrderStatusKind::Filled)
    };
    let sold = sell(&client, 1.0, filled).await;
    let place = |is: fn(&OrderUpdate) -> bool| sold.updates.iter().position(|(_, one)| is(one));
    let execution = place(|one| matches!(one, OrderUpdate::ExecutionData(_))).unwrap();
    let commission = place(|one| matches!(one, OrderUpdate::CommissionReport(_))).unwrap();
    let order = place(|one| matches!(one, OrderUpdate::OpenOrder(_))).unwrap();
    assert!(execution < commission && commission < order);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_combo_may_fill_in_parts() {
    let running = faulty("partial_combo_fill", ALWAYS).await;
    let client = connect(&running.address, 1).await.unwrap();
    let two = |updates: &[(Duration, OrderUpdate)]| {
        statuses(updates).iter().any(|(_, filled, _)| *filled > 1.5)
    };
    let sold = sell(&client, 3.0, two).await;
    let told = statuses(&sold.updates);
    assert!(told.contains(&(OrderStatusKind::Submitted, 1.0, 2.0)), "{told:?}");
    let parts: Vec<f64> =
        executions(&sold.updates).iter().map(|(_, data)| data.execution.shares).collect();
    assert!(parts.len() >= 3 && parts.iter().all(|shares| (*shares - 1.0).abs() < 1e-9));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_legs_of_a_fill_may_be_told_apart() {
    let running = faulty("legs_apart", ALWAYS).await;
    let client = connect(&running.address, 1).await.unwrap();
    let sold = sell(&client, 1.0, |updates| commissions(updates) == 2).await;
    let told: Vec<Duration> = executions(&sold.updates).iter().map(|(at, _)| *at).collect();
    assert_eq!(told.len(), 3);
    assert!(told.windows(2).all(|pair| pair[1] > pair[0] + Duration::from_millis(200)), "{told:?}");
    assert_eq!(statuses(&sold.updates).last().unwrap().0, OrderStatusKind::Filled);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_trade_is_corrected_to_nothing_and_the_account_goes_back() {
    let running = faulty("bust", "on = 'fill'\nafter_seconds = 0.5").await;
    let client = connect(&running.address, 1).await.unwrap();
    let before = cash(&client).await;
    let sold = sell(&client, 1.0, |updates| executions(updates).len() == 5).await;
    let told = executions(&sold.updates);
    let ids: Vec<&str> = told.iter().map(|(_, data)| &*data.execution.execution_id).collect();
    assert_eq!(ids.len(), 5, "{ids:?}");
    for (corrected, data) in ids[1..3].iter().zip(&told[3..]) {
        let (name, version) = corrected.rsplit_once('.').unwrap();
        assert_eq!((version, &*data.1.execution.execution_id), ("01", &*format!("{name}.02")));
        assert!(data.1.execution.shares.abs() < 1e-9);
    }
    assert_eq!(held(&client).await, [], "no position is left");
    assert!((cash(&client).await - before).abs() < 0.005);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_option_may_be_closed_by_force() {
    let running = faulty("liquidation", "on = 'fill'\nafter_seconds = 0.5\nfor_seconds = 60").await;
    let client = connect(&running.address, 1).await.unwrap();
    let sold = sell(&client, 1.0, |updates| commissions(updates) == 2).await;
    let forced = async {
        loop {
            let rows = client.executions(ExecutionFilter::default()).await.unwrap().filter_data();
            let rows: Vec<_> = rows.collect().await;
            let mut forced = rows.into_iter().filter_map(|row| match row.unwrap() {
                Executions::ExecutionData(data) => Some(data),
                Executions::CommissionReport(_) => None,
            });
            if let Some(found) = forced.find(|data| data.execution.liquidation == 1) {
                return found;
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    let forced = timeout(BOUND, forced).await.unwrap();
    assert_eq!(forced.contract.contract_id, sold.short.contract_id);
    assert_eq!((forced.execution.client_id, forced.execution.order_id), (0, 0));
    assert!(forced.execution.order_reference.is_empty());
    let left = held(&client).await;
    assert!(left.iter().all(|(conid, _)| *conid != sold.short.contract_id), "{left:?}");
    assert_eq!(left.len(), 1, "the long one stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_by_hand_is_bound_to_client_0_which_cancels_it() {
    let order = "order = { contract = 'SPY', action = 'BUY', quantity = 7, limit = 1.0 }";
    let running = faulty("manual_order", &format!("on = 'connection'\nnth = 2\n{order}")).await;
    let client = connect(&running.address, 0).await.unwrap();
    let mut updates = client.order_update_stream().await.unwrap().filter_data();
    let _bound = client.auto_open_orders(true).await.unwrap();
    // Answered behind what was asked before it.
    client.server_time().await.unwrap();
    let other = connect(&running.address, 1).await.unwrap();
    let bound = first(&mut updates, |one| matches!(one, OrderUpdate::OrderBound(_))).await;
    let OrderUpdate::OrderBound(bound) = bound else { panic!("{bound:?}") };
    assert_eq!((bound.client_id, bound.order_id), (0, -1));
    let mut seen = other.all_open_orders().await.unwrap().filter_data();
    let Orders::OrderData(data) = timeout(BOUND, seen.next()).await.unwrap().unwrap().unwrap()
    else {
        panic!("no order is open")
    };
    assert_eq!((data.order.perm_id, data.order.client_id), (bound.perm_id, 0));
    let _cancel = client.cancel_order(bound.order_id, "").await.unwrap();
    let ended = |one: &OrderUpdate| {
        let OrderUpdate::OrderStatus(status) = one else { return false };
        status.status == OrderStatusKind::Cancelled
    };
    first(&mut updates, ended).await;
}
