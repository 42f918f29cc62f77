//! Orders that wait, as an unmodified client of the crate ibapi places and sees them: brackets,
//! groups, stops, and orders that outlive a close or their gateway.

#![cfg(test)]

use std::path::Path;

use deltadesk::desk::paper_gateway::{Asked, Beginning, exchange_at_open, gateway_asked};
use deltadesk::gateway::{Gateway, Rules, Speed};
use futures::StreamExt as _;
use ibapi::orders::builder::TrailBy;
use ibapi::orders::{OcaType, OrderData, OrderStatus, OrderStatusKind, TimeInForce, order_builder};
use ibapi::prelude::*;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::gateway::{BOUND, connect, freed, gateway_with};

/// A client with the stream of what happens to its orders.
struct Told {
    client: Client,
    updates: Subscription<OrderUpdate>,
    /// Every state that was told, and every code with its order.
    states: Vec<OrderStatus>,
    codes: Vec<(Option<i32>, i32)>,
}

impl Told {
    async fn connected(address: &str, client_id: i32) -> Self {
        let client = connect(address, client_id).await.unwrap();
        let updates = client.order_update_stream().await.unwrap();
        Self { client, updates, states: Vec::new(), codes: Vec::new() }
    }

    /// Listens until an order has come to a state.
    async fn until(&mut self, order_id: i32, status: OrderStatusKind) -> OrderStatus {
        let heard = timeout(BOUND, async {
            loop {
                match self.updates.next().await.unwrap().unwrap() {
                    SubscriptionItem::Data(OrderUpdate::OrderStatus(state)) => {
                        self.states.push(state.clone());
                        if (state.order_id, &state.status) == (order_id, &status) {
                            return state;
                        }
                    }
                    SubscriptionItem::Data(_) => {}
                    SubscriptionItem::Notice(notice) => {
                        self.codes.push((notice.request_id, notice.code));
                    }
                }
            }
        });
        match heard.await {
            Ok(state) => state,
            Err(late) => {
                panic!("{order_id} not {status:?}, {late}: {:?} {:?}", self.states, self.codes)
            }
        }
    }

    /// The open orders by id, as the gateway lists them.
    async fn open(&self) -> Vec<OrderData> {
        let listed = self.client.open_orders().await.unwrap();
        let listed: Vec<_> = listed.filter_data().collect().await;
        let orders = listed.into_iter().filter_map(|one| match one.unwrap() {
            Orders::OrderData(data) => Some(data),
            Orders::OrderStatus(_) => None,
        });
        orders.collect()
    }
}

/// SPY as it is listed, and its ask.
async fn spy(client: &Client) -> (Contract, f64) {
    let details = client.contract_details(&Contract::stock("SPY").build()).await.unwrap();
    let contract = details[0].contract.clone();
    let ticks = client.market_data(&contract).snapshot_once(BOUND).await.unwrap();
    (contract, Quote::from_ticks(&ticks).ask.unwrap())
}

fn cents(price: f64) -> f64 {
    (price * 100.0).round() / 100.0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bracket_goes_from_its_parent_to_one_of_its_ends() {
    let running = gateway_with(60.0, Rules::unpaced(), "").await;
    let mut told = Told::connected(&running.address, 1).await;
    let (contract, ask) = spy(&told.client).await;
    let bracket = told.client.order(&contract).buy(2).bracket();
    let bracket = bracket.entry_limit(cents(ask * 1.01)).take_profit(cents(ask * 1.2));
    let ids = bracket.stop_loss(cents(ask * 0.8)).submit_all().await.unwrap();
    let [parent, profit, loss] = [ids.parent, ids.take_profit, ids.stop_loss].map(|id| id.value());

    let waiting = told.until(loss, OrderStatusKind::PreSubmitted).await;
    assert_eq!((waiting.why_held.as_str(), waiting.parent_id), ("child,trigger", parent));
    let filled = told.until(parent, OrderStatusKind::Filled).await;
    let working = told.until(profit, OrderStatusKind::Submitted).await;
    assert_ne!(filled.perm_id, working.perm_id);
    let open = told.open().await;
    let ends: Vec<_> = open.iter().map(|one| (one.order_id, one.order.oca_group.clone())).collect();
    let group = filled.perm_id.to_string();
    assert_eq!(ends, [(profit, group.clone()), (loss, group)], "the ends are one group");

    // A stop above the market is reached at once.
    let mut order = open[1].order.clone();
    order.aux_price = Some(cents(ask * 1.1));
    told.client.submit_order(loss, &contract, &order).await.unwrap();
    let cancelled = told.until(profit, OrderStatusKind::Cancelled).await;
    assert_eq!((cancelled.filled, cancelled.remaining), (0.0, 2.0));
    assert!(told.states.iter().any(|state| {
        (state.order_id, &state.status) == (loss, &OrderStatusKind::Filled)
            && state.perm_id == waiting.perm_id
    }));
    assert!(told.open().await.is_empty());
    assert_eq!(told.codes, [], "nothing alarming was said before the end");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_order_of_a_group_cancels_all() {
    let running = gateway_with(60.0, Rules::unpaced(), "").await;
    let mut told = Told::connected(&running.address, 1).await;
    let (contract, ask) = spy(&told.client).await;
    let orders = vec![
        order_builder::limit_order(Action::Buy, 1.0, cents(ask * 0.8)),
        order_builder::stop(Action::Buy, 1.0, cents(ask * 1.2)),
        order_builder::limit_order(Action::Buy, 1.0, cents(ask * 1.01)),
    ];
    let orders =
        order_builder::one_cancels_all("first", orders, OcaType::CancelWithBlock).into_iter();
    let orders = orders.map(|order| (contract.clone(), order)).collect();
    let ids = told.client.submit_oca_orders(orders).await.unwrap();
    let ids: Vec<i32> = ids.into_iter().map(|id| id.value()).collect();
    for (id, status) in [
        (ids[2], OrderStatusKind::Filled),
        (ids[0], OrderStatusKind::Cancelled),
        (ids[1], OrderStatusKind::Cancelled),
    ] {
        if !told.states.iter().any(|one| (one.order_id, &one.status) == (id, &status)) {
            told.until(id, status).await;
        }
    }
    assert!(told.open().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_an_order_wait_is_read_back_as_it_was_written() {
    let running = gateway_with(10.0, Rules::unpaced(), "").await;
    let mut told = Told::connected(&running.address, 1).await;
    let (contract, ask) = spy(&told.client).await;
    let low = cents(ask * 0.8);
    let sell = || told.client.order(&contract).sell(1);
    let stop = sell().stop_limit(low, cents(low - 1.0)).good_till_canceled().outside_rth();
    let stop = stop.submit().await.unwrap().value();
    let dated = sell().stop(low).good_till_date("20260304 15:00:00 US/Eastern");
    let dated = dated.submit().await.unwrap().value();
    let trail = sell().trailing_stop(TrailBy::Percent(5.0), low).submit().await.unwrap().value();
    let trail_limit = sell().trailing_stop_limit(TrailBy::Amount(9.0), low, 0.5);
    let trail_limit = trail_limit.submit().await.unwrap().value();
    let withheld = sell().stop(low).do_not_transmit().submit().await.unwrap().value();
    told.until(trail_limit, OrderStatusKind::PreSubmitted).await;
    assert!(told.states.iter().all(|one| one.why_held == "trigger" && one.order_id != withheld));

    let open = told.open().await;
    let of = |id| open.iter().find(|one| one.order_id == id).map(|one| &one.order).unwrap();
    let order = of(stop);
    assert_eq!((order.aux_price, order.limit_price), (Some(low), Some(cents(low - 1.0))));
    assert_eq!(order.tif, TimeInForce::GoodTillCanceled);
    assert!(order.outside_rth && order.transmit && !of(withheld).transmit);
    assert_eq!(of(dated).good_till_date, "20260304 15:00:00 US/Eastern");
    assert_eq!(of(trail).trailing_percent, Some(5.0));
    assert!(of(trail).trail_stop_price.unwrap() > low, "it follows");
    assert_eq!(of(trail_limit).aux_price, Some(9.0));
    assert_eq!(of(trail_limit).limit_price_offset, Some(0.5));

    told.client.global_cancel().await.unwrap();
    told.until(withheld, OrderStatusKind::Cancelled).await;
    assert!(told.open().await.is_empty());
    let bad = told.client.order(&contract).sell(1).stop(low).parent(999).submit().await.unwrap();
    let late = told.client.order(&contract).buy(1).limit(low).submit().await.unwrap();
    told.until(late.value(), OrderStatusKind::Submitted).await;
    let codes: Vec<i32> = told.codes.iter().map(|(_, code)| *code).collect();
    assert_eq!(codes, [202, 202, 202, 202, 202, 135]);
    assert_eq!(told.codes.last(), Some(&(Some(bad.value()), 135)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_close_ends_the_day_orders_and_holds_the_others() {
    let home = tempfile::tempdir().unwrap();
    let session = "2026-03-02".parse().unwrap();
    let mut exchange = exchange_at_open(home.path(), 1, session).unwrap();
    exchange.advance_to("2026-03-02T20:59:00Z".parse().unwrap()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let gateway = Gateway::over(exchange, Speed(20.0), Rules::unpaced());
        gateway.serve(listener).await.unwrap();
    });
    let mut told = Told::connected(&address, 1).await;
    let (contract, ask) = spy(&told.client).await;
    let low = cents(ask * 0.8);
    let buy = || told.client.order(&contract).buy(1).limit(low);
    let lasting = buy().good_till_canceled().submit().await.unwrap().value();
    let day = buy().submit().await.unwrap().value();
    let held = told.client.order(&contract).buy(1).stop(cents(ask * 1.2));
    let held = held.submit().await.unwrap().value();
    let working = told.until(lasting, OrderStatusKind::Submitted).await;
    told.until(held, OrderStatusKind::Cancelled).await;
    let ended = |told: &Told, id: i32, status: OrderStatusKind| {
        told.states.iter().any(|one| (one.order_id, &one.status) == (id, &status))
    };
    assert!(ended(&told, day, OrderStatusKind::Cancelled));
    assert!(ended(&told, lasting, OrderStatusKind::PreSubmitted));
    let open = told.open().await;
    assert_eq!((open.len(), open[0].order.perm_id), (1, working.perm_id));

    let after = told.client.order(&contract).buy(1).limit(low).submit().await.unwrap().value();
    told.until(after, OrderStatusKind::PreSubmitted).await;
    drop(told.client.cancel_order(after, "").await.unwrap());
    told.until(after, OrderStatusKind::Cancelled).await;
    assert!(told.codes.contains(&(Some(after), 399)), "{:?}", told.codes);
}

/// A gateway that keeps its account in a folder.
async fn kept_in(folder: &Path) -> (String, JoinSet<()>) {
    freed(folder).await;
    let home = tempfile::tempdir().unwrap();
    let beginning = Beginning::AtOpen("2026-03-02".parse().unwrap());
    let at = Asked { home: home.path(), seed: 1, beginning };
    let gateway = gateway_asked(at, Some(folder), (Speed(20.0), Rules::unpaced())).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut serving = JoinSet::new();
    serving.spawn(async move { gateway.serve(listener).await.unwrap() });
    (address, serving)
}

#[tokio::test(flavor = "multi_thread")]
async fn held_orders_outlive_their_gateway() {
    let folder = tempfile::tempdir().unwrap();
    let (address, serving) = kept_in(folder.path()).await;
    let mut told = Told::connected(&address, 1).await;
    let (contract, ask) = spy(&told.client).await;
    let bracket = told.client.order(&contract).buy(1).bracket();
    let bracket = bracket.entry_limit(cents(ask * 0.9)).take_profit(cents(ask * 1.2));
    let ids = bracket.stop_loss(cents(ask * 0.8)).submit_all().await.unwrap();
    let parent = ids.parent.value();
    told.until(parent, OrderStatusKind::Submitted).await;
    let before: Vec<_> = told.open().await.iter().map(|one| one.order.perm_id).collect();
    assert_eq!(before.len(), 3);
    drop((told, serving));

    let (address, _serving) = kept_in(folder.path()).await;
    let mut told = Told::connected(&address, 1).await;
    let after: Vec<_> = told.open().await.iter().map(|one| one.order.perm_id).collect();
    assert_eq!(after, before);
    drop(told.client.cancel_order(parent, "").await.unwrap());
    for id in [ids.take_profit.value(), ids.stop_loss.value()] {
        if !told.states.iter().any(|one| one.order_id == id) {
            told.until(id, OrderStatusKind::Cancelled).await;
        }
    }
    assert!(told.open().await.is_empty());
}
