//! What the book waits for, and for how long: commissions, sizes of contracts, orders of another
//! client's id, and what is forgotten in the end.

use std::time::Duration;

use ibapi::orders::Order;
use ibapi::prelude::SecurityType;

use super::tests::{
    ORDER, PERM, commission, execution, executions, now, order_ref, sent, states, status,
};
use super::*;
use crate::market::sessions::Calendar;
use crate::market::{Instrument, Symbol};
use crate::structures::ExecutionKind;

const NEVER: Duration = Duration::from_mins(1);

#[test]
fn a_fill_whose_commission_does_not_come_is_told_after_a_bound_and_the_commission_once_it_comes() {
    let mut book = sent();
    book.hear_status(&status(OrderStatusKind::Filled, 3.0), now());
    book.hear_execution(&execution(11, 1, 3.0), now());
    book.hear_execution(&execution(12, 1, 6.0), now());
    book.hear_commission(&commission(12, 1), now());
    book.release_unpaid(NEVER, now());
    assert_eq!(executions(&book.take_events()).len(), 1, "it waits as long as it may");
    book.release_unpaid(Duration::ZERO, now());
    let events = book.take_events();
    let [unpaid] = executions(&events)[..] else { panic!("one execution: {events:?}") };
    assert_eq!((unpaid.quantity, unpaid.commission), (-3, Usd::ZERO));
    let (unpaid_id, unpaid_cash) = (unpaid.exec_id.clone(), unpaid.cash);
    assert_eq!(states(&events), [(BrokerStatus::Filled, 3)], "its state follows");
    assert!(!book.is_owed());
    for _ in 0..2 {
        book.hear_commission(&commission(11, 1), now());
    }
    let events = book.take_events();
    let [paid] = executions(&events)[..] else { panic!("once more, with it: {events:?}") };
    assert_eq!((&paid.exec_id, paid.quantity, paid.kind), (&unpaid_id, -3, ExecutionKind::Trade));
    assert_eq!((paid.commission, paid.cash), (usd(0.65), unpaid_cash - usd(0.65)));
    let late = paid.late_commission();
    assert_eq!((late.quantity, late.commission, late.cash), (0, usd(0.65), usd(-0.65)));
    assert_eq!(version_of(&late.exec_id), None, "no version of the execution");
}

fn usd(amount: f64) -> Usd {
    Usd::from_f64(amount).unwrap()
}

/// The put of contract 11, as the broker describes it.
fn described() -> Instrument {
    let mut contract = crate::broker::ib::contracts::options(&Symbol::new("SPY"), "20260417");
    contract.contract_id = 11;
    contract.multiplier = "100".to_owned();
    contract.strike = 600.0;
    contract.right = Some(ibapi::contracts::OptionRight::Put);
    let details = ibapi::contracts::ContractDetails {
        contract,
        min_tick: 0.01,
        ..ibapi::contracts::ContractDetails::default()
    };
    let calendar = Calendar::shipped().unwrap();
    crate::broker::ib::contracts::instrument(&details, &calendar).unwrap()
}

#[test]
fn an_execution_that_does_not_say_its_contracts_size_takes_it_from_the_listing_or_is_held_back() {
    let mut book = sent();
    let mut silent = execution(11, 1, 3.0);
    silent.contract.multiplier = String::new();
    book.hear_execution(&silent, now());
    book.hear_commission(&commission(11, 1), now());
    assert!(book.take_events().is_empty() && book.is_owed(), "held back, and asked for again");
    assert_eq!(book.undescribed().collect::<Vec<_>>(), [ConId(11)]);
    book.learn(&described());
    assert_eq!(book.undescribed().count(), 0);
    book.hear_execution(&silent, now());
    let events = book.take_events();
    assert_eq!(executions(&events)[0].cash, usd(3.0 * 1.25 * 100.0 - 0.65));
    assert!(!book.is_owed());
    let mut shares = execution(20, 1, 3.0);
    shares.contract.multiplier = String::new();
    shares.contract.security_type = SecurityType::Stock;
    book.hear_execution(&shares, now());
    book.hear_commission(&commission(20, 1), now());
    assert_eq!(executions(&book.take_events())[0].multiplier, 1, "shares are by the piece");
}

fn shown(client_id: i32, order_id: i32, perm_id: i64) -> OrderData {
    let order_ref = order_ref().to_string();
    let order = Order { client_id, perm_id, order_ref, total_quantity: 3.0, ..Order::default() };
    OrderData { order_id, order, ..OrderData::default() }
}

#[test]
fn an_order_of_ours_under_another_client_id_has_a_number_that_none_of_ours_has() {
    let mut book = Book::of_client(7);
    assert_eq!(book.hear_open(&shown(7, ORDER, PERM)), Some(ORDER));
    let mut book = Book::of_client(7);
    let other = book.hear_open(&shown(8, ORDER, PERM)).unwrap();
    assert!(is_elsewhere(other) && !is_elsewhere(ORDER));
    assert_eq!(book.order_id(&order_ref()), Some(other));
    assert_eq!(book.open_orders().len(), 1);
    let mut working = status(OrderStatusKind::Submitted, 0.0);
    working.client_id = 8;
    book.hear_status(&working, now());
    assert_eq!(states(&book.take_events()), [(BrokerStatus::Working, 0)]);
    assert_eq!(book.doubtful(), [other].into(), "nobody tells what becomes of it: it is asked for");
}

#[test]
fn the_late_answer_to_a_question_is_no_order() {
    let mut book = Book::of_client(7);
    book.asking(ORDER);
    assert_eq!(book.hear_open(&shown(7, ORDER, 0)), None);
    let mut flagged = shown(7, ORDER + 1, 0);
    flagged.order.what_if = true;
    assert_eq!(book.hear_open(&flagged), None);
    assert!(book.alive().is_empty());
}

#[test]
fn what_ended_long_ago_is_forgotten_and_what_works_is_not() {
    let mut book = sent();
    book.hear_status(&status(OrderStatusKind::Submitted, 0.0), now());
    book.hear_execution(&execution(11, 1, 3.0), now());
    book.hear_commission(&commission(11, 1), now());
    let later = now() + TimeDelta::days(REMEMBERED_DAYS + 1);
    book.prune(later);
    assert_eq!(book.alive(), [ORDER].into(), "it works");
    book.hear_execution(&execution(12, 1, 6.0), later);
    book.hear_commission(&commission(12, 1), later);
    book.hear_status(&status(OrderStatusKind::Filled, 3.0), later);
    book.take_events();
    let heard = book.executions();
    book.prune(later + TimeDelta::days(1));
    assert!(book.request(&order_ref()).is_some(), "a few days it is remembered");
    book.hear_execution(&execution(12, 1, 6.0), later);
    assert_eq!(book.executions(), heard, "so that nothing counts twice");
    book.prune(later + TimeDelta::days(REMEMBERED_DAYS + 1));
    assert_eq!((book.orders.len(), book.refs.len(), book.shares.len()), (0, 0, 0));
    assert_eq!((book.seen.len(), book.versions.len(), book.executions()), (0, 0, heard));
}
