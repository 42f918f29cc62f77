//! Orders with the numbers that nobody means: none of them brings the house down, not when they
//! come, not when they are sent later.

#![cfg(test)]

use proptest::prelude::*;
use rust_decimal::Decimal;

use chrono::TimeDelta;

use crate::exchange::QUANTITY_MAX;
use crate::exchange::testing::Scripted;
use crate::market::{ConId, OptionContract};
use crate::structures::testing::{call, instrument, put};

use super::event::Event;
use super::request::Request;
use super::scripted::{Desk, limit, order, stop};
use super::words::{WireContract, WireLeg, WireOrder};

/// What happens next.
#[derive(Debug, Clone)]
enum Op {
    Place(i32, Box<(WireContract, WireOrder)>),
    /// A minute passes, to a price and a size.
    Minute(f64, i64),
    Hours(i64),
    CancelAll,
}

fn price() -> impl Strategy<Value = Option<f64>> {
    let edges = prop::sample::select(vec![
        0.0,
        1e-300,
        1e-9,
        0.01,
        0.013,
        639.0,
        640.02,
        1_000_000.0,
        1_000_000.01,
        1e9,
        999_999_999_999.0,
        1e12,
        1e18,
        7.9e28,
        1e29,
        1e300,
        f64::MAX,
        f64::INFINITY,
        f64::NAN,
    ]);
    let one = prop_oneof![4 => edges, 1 => any::<f64>(), 2 => Just(640.5)];
    let signed = (one, any::<bool>()).prop_map(|(one, minus)| if minus { -one } else { one });
    prop::option::weighted(0.8, signed)
}

fn quantity() -> impl Strategy<Value = Decimal> {
    prop_oneof![
        3 => (1_i64..300).prop_map(Decimal::from),
        2 => (1_i64..=QUANTITY_MAX).prop_map(Decimal::from),
        1 => any::<i64>().prop_map(Decimal::from),
        2 => prop::sample::select(vec![
            Decimal::ZERO,
            Decimal::NEGATIVE_ONE,
            Decimal::new(15, 1),
            Decimal::from(QUANTITY_MAX),
            Decimal::from(QUANTITY_MAX + 1),
            Decimal::from(i64::MAX),
            Decimal::MAX,
            Decimal::MIN,
        ]),
    ]
}

fn action() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["BUY", "SELL", "SELL", "BUY", "SSHORT"]).prop_map(str::to_owned)
}

fn legs() -> impl Strategy<Value = Vec<WireLeg>> {
    let conid = prop::sample::select(listed().map(|(conid, _)| conid).to_vec());
    let ratio = prop_oneof![
        4 => Just(1),
        2 => 1_i32..5,
        2 => prop::sample::select(vec![0, -1, 1_000, 1_001, i32::MAX, i32::MIN]),
    ];
    let leg = (conid, ratio, action()).prop_map(|(con_id, ratio, action)| WireLeg {
        con_id,
        ratio,
        action,
        exchange: "SMART".to_owned(),
    });
    prop::collection::vec(leg, 1..5)
}

fn contract() -> impl Strategy<Value = WireContract> {
    let single = prop::sample::select(listed().map(|(conid, _)| conid).to_vec());
    let single = single.prop_map(|con_id| WireContract { con_id, ..WireContract::default() });
    let spy = Just(WireContract {
        symbol: "SPY".to_owned(),
        security_type: "STK".to_owned(),
        ..WireContract::default()
    });
    let combo = legs().prop_map(|legs| WireContract {
        symbol: "SPY".to_owned(),
        security_type: "BAG".to_owned(),
        legs,
        ..WireContract::default()
    });
    prop_oneof![spy, single, combo]
}

fn placed() -> impl Strategy<Value = Op> {
    let kinds = vec!["LMT", "MKT", "STP", "STP LMT", "TRAIL", "TRAIL LIMIT", "REL"];
    let shape = (prop::sample::select(kinds), action(), quantity());
    let prices = (price(), price(), price(), price(), price());
    let lives = prop::sample::select(vec!["", "DAY", "GTC", "GTD"]);
    let how = (lives, 0_i32..4, prop::bool::weighted(0.8), prop::bool::weighted(0.1), -1_i32..10);
    (1_i32..12, contract(), shape, prices, how).prop_map(|(id, contract, shape, prices, how)| {
        let (order_type, action, quantity) = shape;
        let (life, oca_type, transmit, what_if, parent_id) = how;
        let order = WireOrder {
            order_id: id,
            action,
            quantity,
            order_type: order_type.to_owned(),
            limit: prices.0,
            aux: prices.1,
            trail_stop: prices.2,
            limit_offset: prices.3,
            trailing_percent: prices.4,
            time_in_force: life.to_owned(),
            good_till: "20260304 15:00:00 US/Eastern".to_owned(),
            oca_group: if oca_type == 0 { String::new() } else { "pair".to_owned() },
            oca_type,
            transmit,
            what_if,
            parent_id: if parent_id > 4 { 0 } else { parent_id },
            trigger_method: if parent_id > 7 { parent_id } else { 0 },
            ..WireOrder::default()
        };
        Op::Place(id, Box::new((contract, order)))
    })
}

fn op() -> impl Strategy<Value = Op> {
    let middle = prop::sample::select(vec![0.02, 1.0, 639.0, 640.5, 650.0, 99_999.0]);
    prop_oneof![
        6 => placed(),
        3 => (middle, 0_i64..1_000_000).prop_map(|(middle, size)| Op::Minute(middle, size)),
        1 => (1_i64..7).prop_map(Op::Hours),
        1 => Just(Op::CancelAll),
    ]
}

/// Options that can be traded, with their quotes.
fn listed() -> [(i32, (f64, f64)); 3] {
    [(101, (3.0, 3.1)), (102, (4.0, 4.2)), (103, (2.0, 2.1))]
}

fn desk() -> Desk {
    let desk = Desk::new();
    {
        let mut script = desk.script.lock().unwrap();
        let options = [put(600.0, 20), put(610.0, 20), call(650.0, 20)];
        for (option, (conid, _)) in options.into_iter().zip(listed()) {
            let conid = ConId(i64::from(conid));
            script.contracts.insert(conid, instrument(&OptionContract { conid, ..option }));
        }
    }
    desk
}

fn quote(desk: &Desk) {
    let at = desk.house.now();
    let mut script = desk.script.lock().unwrap();
    for (conid, (bid, ask)) in listed() {
        let conid = ConId(i64::from(conid));
        let quote = Scripted { at, bid, ask, size: 500 };
        script.quotes.entry(conid).or_default().push(quote);
    }
}

fn happen(desk: &mut Desk, op: Op) {
    match op {
        Op::Place(order_id, of) => {
            let (contract, order) = *of;
            let (contract, order) = (Box::new(contract), Box::new(order));
            desk.ask(Request::PlaceOrder { order_id, contract, order });
        }
        Op::Minute(middle, size) => desk.minute_of(middle, size),
        Op::Hours(hours) => {
            let at = desk.house.now() + TimeDelta::hours(hours);
            desk.house.advance_to(at).unwrap();
        }
        Op::CancelAll => desk.ask(Request::GlobalCancel),
    }
    desk.heard(1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_order_brings_the_house_down(ops in prop::collection::vec(op(), 1..30)) {
        let mut desk = desk();
        desk.open_between("2026-03-02T14:30:00Z", "2026-03-04T21:00:00Z");
        for op in ops {
            quote(&desk);
            happen(&mut desk, op);
            prop_assert!(desk.house.orders.all().all(|one| one.quantity <= QUANTITY_MAX));
        }
    }
}

/// What is said of an order of SPY that is refused.
fn refusal(desk: &mut Desk, order_id: i32, order: WireOrder) -> (i32, String) {
    desk.place(order_id, order);
    let mut said = desk.heard(1).into_iter().filter_map(|event| {
        let Event::Error { code, message, .. } = event else { return None };
        Some((code, message))
    });
    said.next().unwrap()
}

#[test]
fn a_number_beyond_its_bound_is_refused_and_the_bound_is_named() {
    let mut desk = desk();
    let mut refused = |order: WireOrder, bound: &str| {
        let (code, said) = refusal(&mut desk, 1, order);
        assert_eq!(code, 321, "{said}");
        assert!(said.contains(bound), "{said}");
    };
    refused(order("BUY", 1_000_001, "MKT"), "1000000");
    refused(limit("BUY", i64::MAX, 0.01), "1000000");
    refused(limit("SELL", 1, 1_000_000.01), "1000000");
    refused(limit("BUY", 1, -1e11), "1000000");
    refused(stop("BUY", 1, 5e11), "1000000");
    let trailing = WireOrder { trail_stop: Some(5e11), aux: Some(1.0), ..order("BUY", 1, "TRAIL") };
    refused(trailing, "1000000");
    let [(one, _), (other, _), _] = listed();
    let leg = |con_id, ratio| WireLeg {
        con_id,
        ratio,
        action: "BUY".to_owned(),
        exchange: "SMART".to_owned(),
    };
    let contract = WireContract {
        symbol: "SPY".to_owned(),
        security_type: "BAG".to_owned(),
        legs: vec![leg(one, 1_001), leg(other, 1)],
        ..WireContract::default()
    };
    let (contract, order) = (Box::new(contract), Box::new(limit("BUY", 1, 1.0)));
    desk.ask(Request::PlaceOrder { order_id: 2, contract, order });
    let told = desk.heard(1);
    let [Event::Error { code: 321, message, .. }] = told.as_slice() else { panic!("{told:?}") };
    assert!(message.contains("1000"), "{message}");
    assert_eq!(desk.stages(), [], "nothing was taken");
}

#[test]
fn what_an_older_state_holds_beyond_the_bounds_is_refused_when_it_is_sent() {
    let mut desk = desk();
    desk.place(1, stop("BUY", 1, 650.0));
    desk.heard(1);
    let place = desk.house.orders.place_of(1, 1).unwrap();
    let kept = desk.house.orders.at_mut(place).unwrap();
    (kept.quantity, kept.order.quantity) = (i64::MAX, i64::MAX.into());
    desk.minute(651.0);
    assert_eq!(desk.codes(), [(1, 201)]);
    assert_eq!(desk.stages(), [(1, "Inactive")]);
}
