//! The account as it is told: positions and their end, what was realised, figures, executions and
//! completed orders by day.

#![cfg(test)]

use rust_decimal::Decimal;

use crate::structures::testing::stock;

use super::data_event::DataEvent;
use super::data_request::DataRequest;
use super::event::{Event, Figure};
use super::keeping::Keeper;
use super::request::{Origin, Request, Subscription};
use super::scripted::{Desk, again, limit, order};
use super::words::WireExecutionFilter;

const TUESDAY: &str = "2026-03-03T15:00:00Z";

/// Trades at the market, and lets it fill around a price.
fn trade(desk: &mut Desk, order_id: i32, action: &str, (quantity, middle): (i64, f64)) {
    desk.minute(middle);
    desk.place(order_id, order(action, quantity, "MKT"));
    desk.minute(middle);
    assert_eq!(desk.filled(order_id), quantity, "{:?}", desk.stages());
}

/// Quantities told: as positions, in the portfolio, and under a number.
fn quantities(events: &[Event]) -> [Vec<Decimal>; 3] {
    let mut told = [vec![], vec![], vec![]];
    for event in events {
        if let Event::Position(position) = event {
            told[0].push(position.quantity);
        } else if let Event::PortfolioValue(value) = event {
            told[1].push(value.position.quantity);
        } else if let Event::Data(DataEvent::PositionMulti { position, .. }) = event {
            told[2].push(position.quantity);
        }
    }
    told
}

#[test]
fn the_end_of_a_position_is_told_once() {
    let mut desk = Desk::new();
    let account = desk.house.account.clone();
    desk.ask(Request::Positions);
    let subscription = Subscription::Begin;
    desk.ask(Request::AccountUpdates { subscription, account: account.clone() });
    desk.ask(Request::Data(DataRequest::PositionsMulti { req_id: 7, account }));
    assert_eq!(quantities(&desk.heard(1)), [vec![], vec![], vec![]]);
    let each = |quantity: i64| [0; 3].map(|_| vec![Decimal::from(quantity)]);
    trade(&mut desk, 1, "BUY", (2, 640.0));
    assert_eq!(quantities(&desk.heard(1)), each(2));
    trade(&mut desk, 2, "SELL", (2, 650.0));
    assert_eq!(quantities(&desk.heard(1)), each(0));
    desk.ask(Request::Positions);
    desk.house.stream(1_000.0);
    assert_eq!(quantities(&desk.heard(1)), [vec![], vec![], vec![]], "once");
    trade(&mut desk, 3, "BUY", (1, 640.0));
    assert_eq!(quantities(&desk.heard(1)), each(1), "and held again");
}

/// What is said to be realised, in all and in SPY, whose number here is none that a client can
/// ask for.
fn realised(desk: &mut Desk) -> (f64, f64) {
    let account = desk.house.account.clone();
    desk.heard(1);
    desk.ask(Request::Pnl { req_id: 1, account });
    let told = desk.heard(1);
    desk.ask(Request::CancelPnl { req_id: 1 });
    let [Event::Pnl { realised: all, .. }] = told[..] else { panic!("{told:?}") };
    (all, desk.house.realised_today(Some(stock("SPY").conid())))
}

fn figure(desk: &Desk, tag: &str) -> f64 {
    let figures = desk.house.figures();
    let found = figures.iter().find(|figure| figure.tag == tag);
    found.unwrap_or_else(|| panic!("no {tag}")).value.parse().unwrap()
}

#[test]
fn a_round_trip_realises_what_it_has_brought_and_the_next_day_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let keeper = Keeper::of(folder.path(), "scripted").unwrap();
    let mut desk = Desk::new();
    desk.house.keeper = Some(keeper.clone());
    let account = desk.house.account.clone();
    desk.ask(Request::AccountUpdates { subscription: Subscription::Begin, account });
    let begun = figure(&desk, "NetLiquidation");
    let commissions = |events: &[Event]| -> Vec<Option<f64>> {
        let told = events.iter().filter_map(|event| {
            let Event::Commission { realised, .. } = event else { return None };
            Some(*realised)
        });
        told.collect()
    };
    trade(&mut desk, 1, "BUY", (2, 640.0));
    assert_eq!(commissions(&desk.heard(1)), [None], "it opens");
    assert_eq!(realised(&mut desk), (0.0, 0.0));
    trade(&mut desk, 2, "SELL", (2, 650.0));
    let brought = figure(&desk, "NetLiquidation") - begun;
    assert!(brought > 10.0, "{brought}");
    let is_it = |told: f64| (told - brought).abs() < 0.01;
    let heard = desk.heard(1);
    assert!(matches!(commissions(&heard)[..], [Some(told)] if is_it(told)), "{heard:?}");
    let told = heard.iter().find_map(|event| {
        let Event::PortfolioValue(value) = event else { return None };
        Some((value.position.quantity, value.realised))
    });
    assert!(told.is_some_and(|(held, told)| held.is_zero() && is_it(told)), "{told:?}");
    let mut restarted = again(&keeper, &desk.script);
    for desk in [&mut desk, &mut restarted] {
        let (all, one) = realised(desk);
        assert!(is_it(all) && is_it(one), "{all} {one} {brought}");
        assert!(is_it(figure(desk, "RealizedPnL")));
    }
    desk.house.advance_to(TUESDAY.parse().unwrap()).unwrap();
    assert_eq!(realised(&mut desk), (0.0, 0.0), "the next day");
    // Sold short at 650, of which a half is bought back at 640.
    trade(&mut desk, 3, "SELL", (2, 650.0));
    trade(&mut desk, 4, "BUY", (1, 640.0));
    let (all, one) = realised(&mut desk);
    assert!((8.0..9.98).contains(&all) && (all - one).abs() < 1e-9, "{all} {one}");
}

#[test]
fn the_figures_of_the_account_fit_together() {
    let mut desk = Desk::new();
    let begun = figure(&desk, "NetLiquidation");
    trade(&mut desk, 1, "BUY", (100, 640.0));
    let told = |tag: &str| figure(&desk, tag);
    let near = |one: f64, other: f64| assert!((one - other).abs() < 0.02, "{one} {other}");
    near(told("GrossPositionValue"), 64_000.0);
    near(told("EquityWithLoanValue"), told("NetLiquidation"));
    near(told("AvailableFunds"), told("EquityWithLoanValue") - told("InitMarginReq"));
    near(told("Cushion"), told("ExcessLiquidity") / told("NetLiquidation"));
    near(told("FullInitMarginReq"), told("InitMarginReq"));
    near(told("FullMaintMarginReq"), told("MaintMarginReq"));
    near(told("SettledCash"), told("TotalCashValue"));
    near(told("UnrealizedPnL"), told("NetLiquidation") - begun);
    near(told("AccruedCash") + told("RealizedPnL"), 0.0);
    let cushion = desk.house.figures().into_iter().find(|figure| figure.tag == "Cushion");
    let is_ratio = |figure: Figure| figure.currency.is_empty();
    assert!(cushion.is_some_and(is_ratio));
}

fn executions(desk: &mut Desk, filter: WireExecutionFilter) -> usize {
    desk.heard(1);
    desk.ask(Request::Executions { req_id: 4, filter: Box::new(filter) });
    let is_one = |event: &&Event| matches!(event, Event::Execution { .. });
    desk.heard(1).iter().filter(is_one).count()
}

#[test]
fn executions_are_those_of_the_day_unless_more_are_asked_for() {
    let mut desk = Desk::new();
    trade(&mut desk, 1, "BUY", (2, 640.0));
    let any = WireExecutionFilter::default;
    assert_eq!(executions(&mut desk, any()), 1);
    desk.house.advance_to(TUESDAY.parse().unwrap()).unwrap();
    trade(&mut desk, 2, "BUY", (1, 640.0));
    let since = |time: &str| WireExecutionFilter { time: time.to_owned(), ..any() };
    assert_eq!(executions(&mut desk, any()), 1);
    assert_eq!(executions(&mut desk, since("20260302-00:00:00")), 1, "a time adds no days");
    assert_eq!(executions(&mut desk, WireExecutionFilter { last_days: 2, ..any() }), 2);
    let late = WireExecutionFilter { last_days: 2, ..since("20260303-00:00:00") };
    assert_eq!(executions(&mut desk, late), 1);
    let monday = WireExecutionFilter { dates: vec![20_260_302], ..any() };
    assert_eq!(executions(&mut desk, monday.clone()), 1);
    desk.house.advance_to("2026-03-09T15:00:00Z".parse().unwrap()).unwrap();
    assert_eq!(executions(&mut desk, WireExecutionFilter { last_days: 30, ..any() }), 1);
    assert_eq!(executions(&mut desk, monday), 0, "a week is kept");
}

#[test]
fn completed_orders_say_what_filled_and_what_is_left_of_them() {
    let mut desk = Desk::new();
    trade(&mut desk, 1, "BUY", (2, 640.0));
    desk.place(2, limit("BUY", 5, 641.0));
    desk.minute_of(640.0, 3);
    assert_eq!(desk.filled(2), 3);
    desk.ask(Request::CancelOrder { order_id: 2 });
    desk.place(3, limit("BUY", 4, 600.0));
    desk.ask(Request::CancelOrder { order_id: 3 });
    desk.minute_of(640.0, 0);
    let completed = |desk: &mut Desk| -> Vec<(i32, [String; 2])> {
        desk.heard(1);
        desk.ask(Request::CompletedOrders { from: Origin::Anybody });
        let heard = desk.heard(1);
        let ended = heard.iter().filter_map(|event| {
            let Event::CompletedOrder(view) = event else { return None };
            let frame = super::handshake::Protocol::Text(178).encode(event).unwrap();
            let text = String::from_utf8_lossy(&frame[4..]).into_owned();
            let fields: Vec<&str> = text.trim_end_matches('\0').split('\0').collect();
            let from_end = text.matches('\0').count() - 14;
            Some((view.order.order_id, [13, from_end].map(|at| fields[at].to_owned())))
        });
        ended.collect()
    };
    let told = |left: &str, filled: &str| [left.to_owned(), filled.to_owned()];
    let expected = [(1, told("0", "2")), (2, told("2", "3")), (3, told("4", "0"))];
    assert_eq!(completed(&mut desk), expected);
    desk.house.advance_to(TUESDAY.parse().unwrap()).unwrap();
    assert_eq!(completed(&mut desk), [], "they were yesterday's");
}
