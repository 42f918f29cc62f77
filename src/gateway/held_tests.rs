//! Orders that wait: what is told of them, when they are sent, what ends them.

use std::sync::Arc;

use rust_decimal::Decimal;

use crate::exchange::testing::Scripted;
use crate::structures::testing::stock;

use super::event::Event;
use super::keeping::Keeper;
use super::request::{Request, Subscription};
use super::scripted::{Desk, Told, again, child, in_group, limit, order, stop, withheld};
use super::words::WireOrder;

fn said(states: &[(i32, &str, &str)]) -> Vec<Told> {
    states.iter().map(|(id, one, why)| (*id, (*one).to_owned(), (*why).to_owned())).collect()
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
    expected.push((1, "PendingSubmit".to_owned(), String::new()));
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
fn orders_if_touched_are_sent_when_the_market_comes_to_them() {
    let mut desk = Desk::new();
    let touched = |kind: &str, order: WireOrder| WireOrder { order_type: kind.to_owned(), ..order };
    desk.place(1, touched("MIT", stop("BUY", 1, 636.0)));
    let limited = WireOrder { limit: Some(650.0), ..stop("SELL", 1, 645.0) };
    desk.place(2, touched("LIT", limited));
    desk.minute(640.0);
    assert_eq!(desk.stages(), [(1, "PreSubmitted"), (2, "PreSubmitted")]);
    desk.minute(635.0);
    desk.minute(635.0);
    assert_eq!(desk.stages(), [(1, "Filled"), (2, "PreSubmitted")]);
    desk.minute(646.0);
    desk.minute(646.0);
    assert_eq!(desk.stages(), [(1, "Filled"), (2, "Submitted")], "its limit is 650");
    desk.minute(651.0);
    assert_eq!(desk.stages(), [(1, "Filled"), (2, "Filled")]);
}

#[test]
fn what_is_immediate_fills_as_the_exchange_has_it_or_is_cancelled() {
    let mut desk = Desk::new();
    let immediate = |order: WireOrder| WireOrder { time_in_force: "IOC".to_owned(), ..order };
    desk.place(1, immediate(limit("BUY", 1, 645.0)));
    desk.place(2, immediate(limit("BUY", 1, 600.0)));
    for _ in 0..3 {
        desk.minute(640.0);
    }
    assert_eq!(desk.stages(), [(1, "Filled"), (2, "Cancelled")]);
    assert_eq!(desk.house.exchange.open_orders(), []);
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
        (3, with("FOK"), 201),
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
    let bind = || Request::AutoOpenOrders { binding: Subscription::Begin };
    desk.ask(bind());
    desk.ask_as(0, bind());
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

#[test]
fn what_an_earlier_version_kept_is_still_read() {
    let folder = tempfile::tempdir().unwrap();
    let keeper = Keeper::of(folder.path(), "scripted").unwrap();
    let mut desk = Desk::new();
    desk.house.keeper = Some(keeper.clone());
    desk.place(1, limit("BUY", 1, 600.0));
    let path = folder.path().join("gateway.json");
    let mut kept: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let remove = |value: &mut serde_json::Value, names: &[&str]| {
        for name in names {
            assert!(value.as_object_mut().unwrap().remove(*name).is_some(), "{name}");
        }
    };
    remove(&mut kept["orders"], &["given"]);
    remove(&mut kept["orders"]["all"][0], &["course"]);
    let words = ["oca_type", "trigger_method", "trail_stop", "trailing_percent", "limit_offset"];
    remove(&mut kept["orders"]["all"][0]["order"], &words);
    remove(&mut kept["orders"]["all"][0]["order"], &["good_till", "good_after"]);
    for order in kept["exchange"]["book"]["working"].as_object_mut().unwrap().values_mut() {
        remove(order, &["group"]);
    }
    std::fs::write(&path, kept.to_string()).unwrap();
    let mut desk = again(&keeper, &desk.script);
    assert_eq!(desk.stages(), [(1, "Submitted")]);
    desk.ask(Request::CancelOrder { order_id: 1 });
    desk.minute(640.0);
    assert_eq!(desk.stages(), [(1, "Cancelled")]);
}

#[test]
fn a_stop_that_was_touched_while_there_was_no_house_is_found_touched() {
    let folder = tempfile::tempdir().unwrap();
    let keeper = Keeper::of(folder.path(), "scripted").unwrap();
    let mut desk = Desk::new();
    desk.house.keeper = Some(keeper.clone());
    desk.minute(640.0);
    desk.place(1, stop("BUY", 1, 645.0));
    let left = desk.house.now();
    let script = Arc::clone(&desk.script);
    drop(desk);
    for (minutes, middle) in [(10, 646.0), (11, 646.0), (20, 640.0)] {
        let at = left + chrono::TimeDelta::minutes(minutes);
        let quote = Scripted { at, bid: middle - 0.01, ask: middle + 0.01, size: 100 };
        let conid = stock("SPY").conid();
        script.lock().unwrap().quotes.entry(conid).or_default().push(quote);
    }
    let mut desk = again(&keeper, &script);
    desk.house.pass_over(left + chrono::TimeDelta::minutes(30)).unwrap();
    assert_eq!(desk.stages(), [(1, "Filled")]);
    let told = desk.house.fills.iter().map(|fill| fill.execution.price).collect::<Vec<_>>();
    assert_eq!(told, [646.01], "at its own time's price");
}
