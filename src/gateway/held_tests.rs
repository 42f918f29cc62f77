//! Orders that wait, over a scripted market: what is told of them, when they are sent, what ends
//! them.

use std::sync::Arc;

use chrono::TimeDelta;
use rust_decimal::Decimal;
use tokio::sync::mpsc::Receiver;

use crate::exchange::testing::{Bench, FixedMarket, Scripted, Shared};
use crate::exchange::{Exchange, ExchangeConfig};
use crate::market::Timestamp;
use crate::market::sessions::Calendar;
use crate::structures::testing::{monday, stock};

use super::event::Event;
use super::house::{House, SeatId};
use super::keeping::Keeper;
use super::request::Request;
use super::traffic::Rules;
use super::words::{WireContract, WireOrder};

/// A house on a script, with clients 0, 1 and 2, of whom 2 is the master.
pub(super) struct Desk {
    pub house: House,
    pub script: Shared,
    seats: Vec<(SeatId, Receiver<Event>)>,
}

/// What a client was told of an order: its id, its status, and why it is held.
type Told = (i32, String, String);

pub(super) fn order(action: &str, quantity: i64, order_type: &str) -> WireOrder {
    WireOrder {
        action: action.to_owned(),
        quantity: quantity.into(),
        order_type: order_type.to_owned(),
        transmit: true,
        ..WireOrder::default()
    }
}

pub(super) fn limit(action: &str, quantity: i64, price: f64) -> WireOrder {
    WireOrder { limit: Some(price), ..order(action, quantity, "LMT") }
}

pub(super) fn stop(action: &str, quantity: i64, price: f64) -> WireOrder {
    WireOrder { aux: Some(price), ..order(action, quantity, "STP") }
}

fn spy() -> WireContract {
    WireContract {
        symbol: "SPY".to_owned(),
        security_type: "STK".to_owned(),
        ..WireContract::default()
    }
}

impl Desk {
    pub fn new() -> Self {
        let bench = Bench::at(monday(), 1);
        let rules = Rules { master_client: Some(2), ..Rules::unpaced() };
        Self::over(House::new(bench.exchange, rules), bench.script)
    }

    fn over(house: House, script: Shared) -> Self {
        let mut desk = Self { house, script, seats: Vec::new() };
        for client_id in 0..3 {
            let (seat, inbox) = desk.house.seat();
            desk.seats.push((seat, inbox));
            desk.house.handle(seat, Request::StartApi { client_id }).unwrap();
            desk.heard(client_id as usize);
        }
        desk
    }

    /// Client 1 asks.
    pub fn ask(&mut self, request: Request) {
        self.ask_as(1, request);
    }

    fn ask_as(&mut self, client: usize, request: Request) {
        let seat = self.seats[client].0;
        self.house.handle(seat, request).unwrap();
    }

    pub fn place(&mut self, order_id: i32, order: WireOrder) {
        let order = Box::new(WireOrder { order_id, ..order });
        self.ask(Request::PlaceOrder { order_id, contract: Box::new(spy()), order });
    }

    fn heard(&mut self, client: usize) -> Vec<Event> {
        let inbox = &mut self.seats[client].1;
        std::iter::from_fn(|| inbox.try_recv().ok()).collect()
    }

    /// What client 1 has been told: states, and the codes of errors by order.
    pub fn told(&mut self) -> (Vec<Told>, Vec<(i32, i32)>) {
        self.told_to(1)
    }

    fn told_to(&mut self, client: usize) -> (Vec<Told>, Vec<(i32, i32)>) {
        let (mut states, mut codes) = (Vec::new(), Vec::new());
        for event in self.heard(client) {
            if let Event::OrderStatus(status) = &event {
                let status = status.clone();
                states.push((status.order_id, status.status, status.why_held));
            } else if let Event::Error { id, code, .. } = event {
                codes.push((id, code));
            }
        }
        (states, codes)
    }

    /// The states told, without why.
    pub fn states(&mut self) -> Vec<(i32, String)> {
        self.told().0.into_iter().map(|(id, status, _)| (id, status)).collect()
    }

    pub fn codes(&mut self) -> Vec<(i32, i32)> {
        self.told().1
    }

    /// A minute later SPY is quoted a cent wide around a price, a hundred on each side.
    pub fn minute(&mut self, middle: f64) {
        self.minute_of(middle, 100);
    }

    pub fn minute_of(&mut self, middle: f64, size: i64) {
        let at = self.house.now() + TimeDelta::minutes(1);
        let quote = Scripted { at, bid: middle - 0.01, ask: middle + 0.01, size };
        let conid = stock("SPY").conid();
        self.script.lock().unwrap().quotes.entry(conid).or_default().push(quote);
        self.house.advance_to(at).unwrap();
    }

    pub fn stages(&self) -> Vec<(i32, &'static str)> {
        self.house.orders.all().map(|order| (order.order.order_id, order.status())).collect()
    }

    pub fn filled(&self, order_id: i32) -> i64 {
        let mut all = self.house.orders.all();
        all.find(|order| order.order.order_id == order_id).map_or(0, |order| order.filled)
    }

    pub fn perm_id(&self, order_id: i32) -> i64 {
        let mut all = self.house.orders.all();
        all.find(|order| order.order.order_id == order_id).map_or(0, |order| order.order.perm_id)
    }

    /// From now on the market is open between two instants only.
    pub fn open_between(&mut self, open: &str, close: &str) {
        let at = |text: &str| -> Timestamp { text.parse().unwrap() };
        self.script.lock().unwrap().open = Some((at(open), at(close)));
    }
}

fn said(states: &[(i32, &str, &str)]) -> Vec<Told> {
    states.iter().map(|(id, one, why)| (*id, (*one).to_owned(), (*why).to_owned())).collect()
}

fn child(parent_id: i32, order: WireOrder) -> WireOrder {
    WireOrder { parent_id, ..order }
}

fn withheld(order: WireOrder) -> WireOrder {
    WireOrder { transmit: false, ..order }
}

/// Buys two at 641, to sell them at 645 or stop at 636.
fn bracket(desk: &mut Desk) {
    desk.place(1, withheld(limit("BUY", 2, 641.0)));
    desk.place(2, withheld(child(1, limit("SELL", 2, 645.0))));
    assert_eq!(desk.told(), (vec![], vec![]), "what is not transmitted is not told of");
    assert_eq!(desk.house.exchange.open_orders(), []);
    desk.place(3, child(1, stop("SELL", 2, 636.0)));
}

#[test]
fn the_ends_of_a_bracket_wait_for_their_parent_and_the_first_to_fill_ends_the_other() {
    let mut desk = Desk::new();
    bracket(&mut desk);
    let expected =
        [(2, "PreSubmitted", "child"), (3, "PreSubmitted", "child,trigger"), (1, "Submitted", "")];
    let (mut told, codes) = desk.told();
    let mut expected = said(&expected);
    told.sort();
    told.dedup();
    expected.push((1, "PreSubmitted".to_owned(), String::new()));
    expected.sort();
    assert_eq!((told, codes), (expected, vec![]));
    let perm_ids = [1, 2, 3].map(|id| desk.perm_id(id));
    assert!(perm_ids.iter().all(|perm_id| *perm_id > 1_800_000_000), "{perm_ids:?}");

    desk.minute(640.0);
    desk.minute(640.0);
    assert_eq!(
        desk.stages(),
        [(1, "Filled"), (2, "Submitted"), (3, "PreSubmitted")],
        "the limit works, the stop is held"
    );
    let last = desk.told().0.into_iter().rfind(|(id, _, _)| *id == 3);
    assert_eq!(last, Some((3, "PreSubmitted".to_owned(), "trigger".to_owned())));
    desk.minute(646.0);
    desk.minute(646.0);
    assert_eq!(desk.stages(), [(1, "Filled"), (2, "Filled"), (3, "Cancelled")]);
    assert!(desk.codes().contains(&(3, 202)));
    assert_eq!(perm_ids, [1, 2, 3].map(|id| desk.perm_id(id)));
    assert_eq!(desk.house.exchange.positions().len(), 0);
}

#[test]
fn the_stop_of_a_bracket_is_reached_and_ends_the_limit() {
    let mut desk = Desk::new();
    bracket(&mut desk);
    for middle in [640.0, 640.0, 635.9, 635.9, 635.9] {
        desk.minute(middle);
    }
    assert_eq!(desk.stages(), [(1, "Filled"), (2, "Cancelled"), (3, "Filled")]);
    assert_eq!((desk.filled(2), desk.filled(3)), (0, 2));
}

#[test]
fn a_bracket_whose_parent_ends_ends_with_it() {
    let mut desk = Desk::new();
    desk.place(1, withheld(limit("BUY", 2, 600.0)));
    desk.place(2, withheld(child(1, limit("SELL", 2, 645.0))));
    desk.place(3, child(1, stop("SELL", 2, 590.0)));
    desk.minute(640.0);
    desk.codes();
    desk.ask(Request::CancelOrder { order_id: 1 });
    desk.minute(640.0);
    assert_eq!(desk.stages(), [(1, "Cancelled"), (2, "Cancelled"), (3, "Cancelled")]);
    let mut codes = desk.codes();
    codes.sort_unstable();
    assert_eq!(codes, [(1, 202), (2, 202), (3, 202)]);
    desk.place(4, child(1, limit("SELL", 2, 645.0)));
    desk.place(5, child(99, limit("SELL", 2, 645.0)));
    desk.place(6, child(6, limit("SELL", 2, 645.0)));
    assert_eq!(desk.codes(), [(4, 201), (5, 135), (6, 135)]);
}

#[test]
fn an_order_that_is_withheld_waits_to_be_placed_again() {
    let mut desk = Desk::new();
    desk.place(1, withheld(limit("BUY", 1, 641.0)));
    desk.minute(640.0);
    desk.minute(640.0);
    assert_eq!(desk.told(), (vec![], vec![]));
    desk.ask(Request::OpenOrders);
    assert_eq!(desk.states(), [(1, "ApiPending".to_owned())], "who asks is told");
    desk.place(1, limit("BUY", 1, 641.0));
    desk.minute(640.0);
    desk.minute(640.0);
    assert_eq!(desk.stages(), [(1, "Filled")]);
    desk.place(2, withheld(limit("BUY", 1, 641.0)));
    desk.ask(Request::CancelOrder { order_id: 2 });
    assert_eq!(desk.stages(), [(1, "Filled"), (2, "Cancelled")]);
}

fn in_group(oca_type: i32, order: WireOrder) -> WireOrder {
    WireOrder { oca_group: "pair".to_owned(), oca_type, ..order }
}

#[test]
fn a_fill_in_a_group_that_cancels_ends_the_working_and_the_held() {
    let mut desk = Desk::new();
    desk.place(1, in_group(1, limit("BUY", 2, 600.0)));
    desk.place(2, in_group(1, stop("BUY", 2, 700.0)));
    desk.place(3, in_group(1, limit("BUY", 2, 641.0)));
    desk.minute(640.0);
    assert_eq!(desk.stages(), [(1, "Cancelled"), (2, "Cancelled"), (3, "Filled")]);
    desk.codes();
    desk.place(4, in_group(1, limit("BUY", 2, 641.0)));
    assert_eq!(desk.codes(), [(4, 201)], "the group has filled");
}

#[test]
fn a_fill_in_a_group_that_reduces_takes_its_share_of_the_others() {
    let mut desk = Desk::new();
    desk.place(1, in_group(2, limit("BUY", 8, 600.0)));
    desk.place(2, in_group(2, stop("BUY", 4, 700.0)));
    desk.place(3, in_group(2, limit("BUY", 4, 641.0)));
    desk.minute_of(640.0, 2);
    assert_eq!(desk.filled(3), 2, "{:?}", desk.stages());
    let quantities: Vec<i64> = desk.house.orders.all().map(|order| order.quantity).collect();
    assert_eq!(quantities, [4, 2, 4]);
    desk.minute_of(640.0, 2);
    assert_eq!(desk.stages(), [(1, "Cancelled"), (2, "Cancelled"), (3, "Filled")]);
}

#[test]
fn stops_are_sent_when_their_price_comes() {
    let mut desk = Desk::new();
    desk.place(1, stop("BUY", 1, 642.0));
    desk.place(2, WireOrder { limit: Some(642.5), ..order("BUY", 1, "STP LMT") });
    desk.place(3, WireOrder { limit: Some(642.5), aux: Some(642.0), ..order("BUY", 1, "STP LMT") });
    assert_eq!(desk.codes(), [(2, 321)], "a stop limit order without a stop");
    desk.minute(641.9);
    assert_eq!(desk.house.exchange.open_orders(), []);
    desk.minute(642.3);
    assert_eq!(desk.house.exchange.open_orders().len(), 2);
    desk.minute(642.3);
    assert_eq!(desk.stages(), [(1, "Filled"), (3, "Filled")]);
}

#[test]
fn a_trailing_stop_follows_and_a_limit_follows_it() {
    let mut desk = Desk::new();
    desk.place(1, WireOrder { aux: Some(2.0), ..order("SELL", 1, "TRAIL") });
    let trailed = WireOrder {
        aux: Some(2.0),
        limit_offset: Some(0.1),
        trail_stop: Some(630.0),
        ..order("SELL", 1, "TRAIL LIMIT")
    };
    desk.place(2, trailed);
    for middle in [641.0, 645.0, 644.0, 643.5] {
        desk.minute(middle);
        assert_eq!(desk.house.exchange.open_orders(), [], "{middle}");
    }
    desk.codes();
    desk.minute(643.0);
    let limits: Vec<Option<f64>> = desk.house.orders.all().map(|one| one.order.limit).collect();
    let stops: Vec<Option<f64>> = desk.house.orders.all().map(|one| one.order.trail_stop).collect();
    assert_eq!(stops, [Some(643.01), Some(643.01)], "two behind the highest ask");
    assert_eq!(limits, [None, Some(642.91)]);
    desk.minute(643.0);
    assert_eq!(desk.stages(), [(1, "Filled"), (2, "Filled")]);
}

#[test]
fn an_order_outlives_the_close_only_where_it_says_so() {
    let mut desk = Desk::new();
    desk.open_between("2026-03-02T14:30:00Z", "2026-03-02T21:00:00Z");
    let gtc = |order: WireOrder| WireOrder { time_in_force: "GTC".to_owned(), ..order };
    desk.place(1, limit("BUY", 1, 600.0));
    desk.place(2, gtc(limit("BUY", 3, 641.0)));
    desk.place(3, stop("BUY", 1, 700.0));
    desk.place(4, gtc(stop("BUY", 1, 650.0)));
    desk.minute_of(640.0, 2);
    assert_eq!(desk.filled(2), 2);
    let perm_id = desk.perm_id(2);
    desk.codes();
    desk.house.advance_to("2026-03-02T21:00:00Z".parse().unwrap()).unwrap();
    let (states, mut codes) = desk.told();
    codes.sort_unstable();
    assert_eq!(codes, [(1, 202), (3, 202)]);
    assert!(states.contains(&(2, "PreSubmitted".to_owned(), String::new())), "{states:?}");
    let stages = [(1, "Cancelled"), (2, "PreSubmitted"), (3, "Cancelled"), (4, "PreSubmitted")];
    assert_eq!(desk.stages(), stages);

    desk.open_between("2026-03-03T14:30:00Z", "2026-03-03T21:00:00Z");
    desk.house.advance_to("2026-03-03T14:30:00Z".parse().unwrap()).unwrap();
    assert!(desk.states().contains(&(2, "Submitted".to_owned())));
    assert_eq!(desk.house.exchange.open_orders().first().map(|one| one.request.quantity), Some(1));
    desk.minute(640.0);
    desk.minute(640.0);
    assert_eq!((desk.filled(2), desk.perm_id(2)), (3, perm_id));
    desk.minute(651.0);
    desk.minute(651.0);
    assert_eq!(desk.stages().last(), Some(&(4, "Filled")));
}

#[test]
fn a_good_till_date_ends_the_held_and_the_working() {
    let mut desk = Desk::new();
    let till = |order: WireOrder| WireOrder {
        time_in_force: "GTD".to_owned(),
        good_till: "20260302 10:03:00".to_owned(),
        ..order
    };
    desk.place(1, till(limit("BUY", 1, 600.0)));
    desk.place(2, till(stop("BUY", 1, 700.0)));
    desk.minute(640.0);
    desk.minute(640.0);
    assert_eq!(desk.stages(), [(1, "Submitted"), (2, "PreSubmitted")]);
    desk.minute(640.0);
    desk.minute(640.0);
    assert_eq!(desk.stages(), [(1, "Cancelled"), (2, "Cancelled")]);
    assert_eq!(desk.codes(), [(2, 202), (1, 202)]);
}

#[test]
fn an_order_outside_the_session_waits_for_the_open_and_is_warned_of() {
    let mut desk = Desk::new();
    desk.house.advance_to("2026-03-03T12:00:00Z".parse().unwrap()).unwrap();
    desk.open_between("2026-03-03T14:30:00Z", "2026-03-03T21:00:00Z");
    let seat = desk.seats[1].0;
    desk.place(1, limit("BUY", 1, 641.0));
    let heard = desk.heard(1);
    let warning = heard.iter().find_map(|event| {
        if let Event::Error { id: 1, code: 399, message, .. } = event {
            return Some(message.as_str());
        }
        None
    });
    let expected = "Order Message:\nBUY 1 SPY STK\nWarning: Your order will not be placed at the \
                    exchange until 2026-03-03 09:30:00 US/Eastern.";
    assert_eq!(warning, Some(expected));
    assert_eq!(desk.stages(), [(1, "PreSubmitted")]);
    desk.house.leave(seat);
    desk.house.advance_to("2026-03-03T14:30:00Z".parse().unwrap()).unwrap();
    assert_eq!(desk.stages(), [(1, "Submitted")], "its client need not be there");
    desk.house.advance_to("2026-03-03T21:00:00Z".parse().unwrap()).unwrap();
    assert_eq!(desk.stages(), [(1, "Cancelled")], "it was for that day");
}

#[test]
fn what_is_held_is_changed_and_cancelled_at_once() {
    let mut desk = Desk::new();
    desk.place(1, stop("BUY", 1, 700.0));
    desk.place(1, stop("BUY", 3, 650.0));
    desk.place(1, stop("SELL", 3, 650.0));
    desk.place(1, WireOrder { limit: Some(1.0), ..order("BUY", 3, "LMT") });
    desk.place(1, stop("BUY", 3, 650.005));
    assert_eq!(desk.codes(), [(1, 105), (1, 105), (1, 110)]);
    desk.minute(651.0);
    desk.minute(651.0);
    assert_eq!((desk.stages(), desk.filled(1)), (vec![(1, "Filled")], 3));
    desk.codes();
    desk.place(1, stop("BUY", 3, 660.0));
    desk.place(2, stop("BUY", 1, 700.0));
    desk.place(3, limit("BUY", 1, 600.0));
    desk.ask(Request::CancelOrder { order_id: 2 });
    desk.ask(Request::CancelOrder { order_id: 2 });
    desk.place(2, stop("BUY", 1, 700.0));
    assert_eq!(desk.codes(), [(1, 104), (2, 202), (2, 10_148), (2, 103)]);
    desk.place(4, stop("BUY", 1, 700.0));
    desk.ask(Request::GlobalCancel);
    desk.minute(651.0);
    assert_eq!(
        desk.stages(),
        [(1, "Filled"), (2, "Cancelled"), (3, "Cancelled"), (4, "Cancelled")]
    );
}

#[test]
fn what_is_wrong_with_an_order_has_its_own_code() {
    let mut desk = Desk::new();
    let with = |tif: &str| WireOrder { time_in_force: tif.to_owned(), ..limit("BUY", 1, 641.0) };
    let half = WireOrder { quantity: Decimal::new(5, 1), ..limit("BUY", 1, 641.0) };
    for (order_id, order, code) in [
        (0, limit("BUY", 1, 641.0), 10_149),
        (-5, limit("BUY", 1, 641.0), 10_149),
        (1, limit("BUY", 1, 641.005), 110),
        (2, with("SOON"), 111),
        (3, with("IOC"), 201),
        (4, with("OPG"), 201),
        (5, limit("HOLD", 1, 641.0), 321),
        (6, limit("BUY", 0, 641.0), 434),
        (7, half, 10_318),
        (8, order("BUY", 1, "MIDPRICE"), 387),
        (9, order("BUY", 1, "MOC"), 387),
        (10, WireOrder { conditions: 1, ..limit("BUY", 1, 641.0) }, 201),
        (11, WireOrder { good_after: "20260303".to_owned(), ..limit("BUY", 1, 641.0) }, 201),
        (12, in_group(9, limit("BUY", 1, 641.0)), 321),
        (13, stop("BUY", 1, 650.005), 110),
    ] {
        desk.place(order_id, order);
        assert_eq!(desk.told(), (vec![], vec![(order_id, code)]));
    }
    desk.ask(Request::CancelOrder { order_id: 0 });
    desk.ask(Request::CancelOrder { order_id: 77 });
    assert_eq!(desk.codes(), [(0, 10_149), (77, 10_147)]);
    desk.ask(Request::AutoOpenOrders);
    desk.ask_as(0, Request::AutoOpenOrders);
    assert_eq!((desk.codes(), desk.told_to(0).1), (vec![(-1, 327)], vec![]));
    assert!(desk.stages().is_empty());
}

#[test]
fn the_master_client_is_told_of_all_orders_and_nobody_else_is() {
    let mut desk = Desk::new();
    bracket(&mut desk);
    desk.minute(640.0);
    desk.minute(640.0);
    let all = desk.told();
    assert_eq!(desk.told_to(0), (vec![], vec![]));
    desk.place(4, limit("BUY", 1, 641.0));
    desk.minute(640.0);
    let executions = |events: Vec<Event>| {
        let is_one =
            |event: &&Event| matches!(event, Event::Execution { .. } | Event::Commission { .. });
        events.iter().filter(is_one).count()
    };
    let own = executions(desk.heard(1));
    let seen = desk.heard(2);
    let states = seen.iter().filter(|event| matches!(event, Event::OrderStatus(_))).count();
    assert!(states >= all.0.len(), "{states} of {}", all.0.len());
    assert!(executions(seen) >= own && own > 0);
}

#[test]
fn twenty_orders_a_side_include_those_that_are_held() {
    let mut desk = Desk::new();
    for order_id in 1..=20 {
        desk.place(order_id, stop("BUY", 1, 700.0));
    }
    desk.codes();
    desk.place(21, limit("BUY", 1, 600.0));
    desk.place(22, limit("SELL", 1, 700.0));
    assert_eq!(desk.codes(), [(21, 201)]);
}

/// A house that goes on where one in a folder stood, as after a kill.
fn again(keeper: &Keeper, script: &Shared) -> Desk {
    let kept = keeper.read().unwrap().unwrap();
    let source = Box::new(FixedMarket::new(Arc::clone(script), monday()));
    let calendar = Arc::new(Calendar::shipped().unwrap());
    let config = ExchangeConfig::shipped(1);
    let exchange = Exchange::resumed(source, config, calendar, kept.exchange.clone()).unwrap();
    let mut house = House::new(exchange, Rules::unpaced());
    house.keeper = Some(keeper.clone());
    house.take_over(kept);
    Desk::over(house, Arc::clone(script))
}

#[test]
fn a_kill_at_any_moment_loses_no_held_order_and_sends_none_twice() {
    let folder = tempfile::tempdir().unwrap();
    let keeper = Keeper::of(folder.path(), "scripted").unwrap();
    let mut desk = Desk::new();
    desk.house.keeper = Some(keeper.clone());
    bracket(&mut desk);
    desk.place(4, withheld(stop("BUY", 1, 700.0)));
    let perm_ids = [1, 2, 3, 4].map(|id| desk.perm_id(id));
    for middle in [640.0, 640.0, 638.0, 635.9, 635.9, 635.9] {
        let stages: Vec<(i32, String)> =
            desk.stages().into_iter().map(|(id, stage)| (id, stage.to_owned())).collect();
        desk = again(&keeper, &desk.script);
        let found: Vec<(i32, String)> =
            desk.stages().into_iter().map(|(id, stage)| (id, stage.to_owned())).collect();
        assert_eq!(found, stages);
        desk.minute(middle);
    }
    assert_eq!(desk.stages(), [(1, "Filled"), (2, "Cancelled"), (3, "Filled"), (4, "ApiPending")]);
    assert_eq!(perm_ids, [1, 2, 3, 4].map(|id| desk.perm_id(id)));
    assert_eq!(desk.house.exchange.positions().len(), 0, "two bought, two sold");
    desk.place(5, stop("BUY", 1, 700.0));
    assert!(!perm_ids.contains(&desk.perm_id(5)));
}
