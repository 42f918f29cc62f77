//! Orders at the exchange: how their fills are told, what may change of them, and their cancelling.

#![cfg(test)]

use chrono::TimeDelta;

use crate::exchange::testing::Scripted;
use crate::structures::testing::stock;

use super::event::Event;
use super::request::Request;
use super::scripted::{Desk, in_group, limit};
use super::words::WireOrder;

/// Quotes SPY after a while, without moving on.
fn quote(desk: &Desk, after: TimeDelta, (middle, size): (f64, i64)) {
    let at = desk.house.now() + after;
    let quote = Scripted { at, bid: middle - 0.01, ask: middle + 0.01, size };
    let conid = stock("SPY").conid();
    desk.script.lock().unwrap().quotes.entry(conid).or_default().push(quote);
}

fn move_on(desk: &mut Desk, by: TimeDelta) {
    let at = desk.house.now() + by;
    desk.house.advance_to(at).unwrap();
}

#[test]
fn two_fills_within_one_beat_are_told_one_after_the_other() {
    let mut desk = Desk::new();
    desk.place(1, limit("BUY", 4, 642.0));
    desk.heard(1);
    quote(&desk, TimeDelta::minutes(1), (640.0, 2));
    quote(&desk, TimeDelta::minutes(2), (641.0, 2));
    move_on(&mut desk, TimeDelta::minutes(2));
    let told: Vec<String> = desk
        .heard(1)
        .iter()
        .filter_map(|event| {
            if let Event::Execution { execution, .. } = event {
                return Some(format!("{} at {:.3}", execution.cumulative, execution.average_price));
            }
            let Event::OrderStatus(status) = event else { return None };
            Some(format!("{} {} at {:.3}", status.status, status.filled, status.average_price))
        })
        .collect();
    // The first takes at the ask, the second gives at the order's limit.
    let expected =
        ["2 at 640.010", "Submitted 2 at 640.010", "4 at 641.005", "Filled 4 at 641.005"];
    assert_eq!(told, expected);
}

#[test]
fn an_order_belongs_to_the_account_or_is_refused() {
    let mut desk = Desk::new();
    let of = |account: &str| WireOrder { account: account.to_owned(), ..limit("BUY", 1, 600.0) };
    desk.place(1, of("U9999999"));
    desk.place(2, WireOrder { what_if: true, ..of("All") });
    assert_eq!(desk.told(), (vec![], vec![(1, 321), (2, 321)]));
    let own = desk.house.account.clone();
    desk.place(1, of(&own));
    desk.place(1, of("U9999999"));
    assert_eq!(desk.codes(), [(1, 321)], "nor may it move to another");
    desk.place(2, of(""));
    assert_eq!(desk.codes(), []);
    assert_eq!(desk.stages(), [(1, "Submitted"), (2, "Submitted")]);
}

#[test]
fn a_cancel_is_pending_until_it_takes_effect_and_until_then_the_order_may_fill() {
    let mut desk = Desk::new();
    let latency = desk.house.exchange.config().latency;
    desk.place(1, limit("BUY", 5, 641.0));
    desk.minute_of(640.0, 2);
    assert_eq!(desk.filled(1), 2);
    desk.heard(1);
    desk.ask(Request::CancelOrder { order_id: 1 });
    let states = |desk: &mut Desk| -> Vec<(String, i64)> {
        let heard = desk.heard(1);
        let states = heard.iter().filter_map(|event| {
            let Event::OrderStatus(status) = event else { return None };
            Some((status.status.clone(), i64::try_from(status.filled).unwrap()))
        });
        states.collect()
    };
    let told = |status: &str, filled: i64| (status.to_owned(), filled);
    assert_eq!(states(&mut desk), [told("PendingCancel", 2)]);
    desk.ask(Request::OpenOrders);
    assert_eq!(states(&mut desk), [told("PendingCancel", 2)]);
    quote(&desk, latency / 2, (640.0, 1));
    move_on(&mut desk, latency / 2);
    assert_eq!(states(&mut desk), [told("PendingCancel", 3)]);
    move_on(&mut desk, latency);
    assert_eq!(states(&mut desk), [told("Cancelled", 3)]);
}

#[test]
fn a_what_if_says_what_stands_and_what_would() {
    let mut desk = Desk::new();
    desk.place(1, WireOrder { what_if: true, ..limit("BUY", 100, 640.0) });
    let heard = desk.heard(1);
    let [event @ Event::OpenOrder(view)] = heard.as_slice() else { panic!("{heard:?}") };
    let margin = view.state.margin.unwrap();
    let account = desk.house.exchange.account().unwrap();
    let equity = account.net_liquidation.to_f64();
    let before = (margin.initial_before, margin.maintenance_before, margin.equity_before);
    assert_eq!(before, (0.0, 0.0, equity));
    assert!(margin.initial_after > margin.maintenance_after && margin.maintenance_after > 0.0);
    // It would pay the ask's half a spread at most, and the commission.
    assert!((equity - 10.0..equity).contains(&margin.equity_after), "{margin:?}");
    assert!(margin.commission > 0.0);
    let frame = super::handshake::Protocol::Text(178).encode(event).unwrap();
    let text = String::from_utf8_lossy(&frame[4..]).into_owned();
    let fields: Vec<&str> = text.split('\0').collect();
    let expected: Vec<String> = [
        margin.initial_before,
        margin.maintenance_before,
        margin.equity_before,
        margin.initial_after - margin.initial_before,
        margin.maintenance_after - margin.maintenance_before,
        margin.equity_after - margin.equity_before,
        margin.initial_after,
        margin.maintenance_after,
        margin.equity_after,
        margin.commission,
        margin.commission,
        margin.commission,
    ]
    .iter()
    .map(f64::to_string)
    .chain(["USD".to_owned()])
    .collect();
    let places = fields.windows(expected.len()).filter(|fields| *fields == expected);
    assert_eq!(places.count(), 1, "{fields:?}");
}

#[test]
fn a_working_orders_size_grows_and_shrinks_down_to_what_has_filled() {
    let mut desk = Desk::new();
    let quantity = |desk: &Desk| desk.house.orders.all().next().unwrap().quantity;
    let wanted = |desk: &Desk| desk.house.exchange.open_orders()[0].request.quantity;
    desk.place(1, limit("BUY", 2, 600.0));
    for size in [5, 1, 4] {
        desk.minute(640.0);
        desk.place(1, limit("BUY", size, 600.0));
        desk.minute(640.0);
        assert_eq!((quantity(&desk), wanted(&desk)), (size, size));
    }
    // Back to what it was before the first of two changes has taken effect.
    desk.place(1, limit("BUY", 9, 600.0));
    desk.place(1, limit("BUY", 4, 600.0));
    desk.minute(640.0);
    assert_eq!((quantity(&desk), wanted(&desk)), (4, 4));
    assert_eq!(desk.codes(), []);
    desk.place(1, limit("BUY", 100_000, 600.0));
    assert_eq!(desk.codes(), [(1, 201)], "the account cannot carry it");
    desk.place(1, limit("BUY", 4, 641.0));
    desk.minute_of(640.0, 2);
    assert_eq!(desk.filled(1), 2);
    desk.place(1, limit("BUY", 2, 641.0));
    assert_eq!(desk.codes(), [(1, 105)], "so much has filled");
    desk.place(1, limit("BUY", 3, 641.0));
    desk.minute_of(640.0, 9);
    desk.minute_of(640.0, 9);
    assert_eq!((desk.stages(), desk.filled(1)), (vec![(1, "Filled")], 3));
}

#[test]
fn what_fills_before_a_smaller_size_takes_effect_stays_filled() {
    let mut desk = Desk::new();
    let latency = desk.house.exchange.config().latency;
    desk.place(1, limit("BUY", 5, 641.0));
    desk.minute_of(640.0, 2);
    desk.place(1, limit("BUY", 3, 641.0));
    quote(&desk, latency / 2, (640.0, 2));
    move_on(&mut desk, latency / 2);
    assert_eq!(desk.filled(1), 4);
    desk.minute_of(640.0, 9);
    assert_eq!((desk.stages(), desk.filled(1)), (vec![(1, "Filled")], 4));
    assert_eq!(desk.house.exchange.positions()[0].quantity, 4);
}

#[test]
fn the_name_of_a_group_that_has_filled_is_free_the_day_after() {
    let mut desk = Desk::new();
    desk.place(1, in_group(1, limit("BUY", 1, 600.0)));
    desk.place(2, in_group(1, limit("BUY", 1, 641.0)));
    desk.minute(640.0);
    desk.codes();
    desk.place(3, in_group(1, limit("BUY", 1, 641.0)));
    assert_eq!(desk.codes(), [(3, 201)], "not on the same day");
    desk.house.advance_to("2026-03-03T15:00:00Z".parse().unwrap()).unwrap();
    desk.minute(640.0);
    desk.place(4, in_group(1, limit("BUY", 1, 600.0)));
    desk.place(5, in_group(1, limit("BUY", 1, 641.0)));
    desk.minute(640.0);
    let stages = [(1, "Cancelled"), (2, "Filled"), (4, "Cancelled"), (5, "Filled")];
    assert_eq!(desk.stages(), stages);
    desk.codes();
    desk.place(6, in_group(1, limit("BUY", 1, 641.0)));
    assert_eq!(desk.codes(), [(6, 201)], "this group has filled too");
}
