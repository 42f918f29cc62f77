//! Traps of the protocol for whoever trades over it, one test each: codes that sound like an end,
//! ids used twice, executions nobody tells, connections that break at the worst moment.

#![cfg(test)]

use std::time::Duration;

use deltadesk::broker::{Broker as _, BrokerError};
use deltadesk::gateway::{Access, Rules};
use deltadesk::market::clock::Stopwatch;
use deltadesk::structures::{BrokerStatus, OrderRef};
use ibapi::orders::{Action, order_builder};
use ibapi::prelude::Contract;

use crate::tap::{Act, Body, Seen, Way, error, message};
use crate::traps_desk::{At, Desk, bounds};

/// A fault that holds for as long as the test runs.
fn always(kind: &str) -> String {
    format!("[[fault]]\nkind = '{kind}'\nat_seconds = 0.0\nfor_seconds = 600.0\n")
}

fn code_of(answer: Result<i64, BrokerError>) -> i32 {
    match answer {
        Err(BrokerError::Rejected(reject)) => reject.code,
        other => panic!("not rejected: {other:?}"),
    }
}

#[test]
fn codes_that_sound_like_a_refusal_before_the_first_status_leave_the_order_alive() {
    let mut desk = Desk::with(&always("alarming_codes"));
    let order_ref = desk.sent(At::Natural);
    let (ended, executions) = desk.until_ended(&order_ref);
    assert_eq!((ended.status, ended.filled), (BrokerStatus::Filled, 1));
    assert_eq!((executions, desk.tap.asked(message::PLACE)), (2, 1), "a leg each, sent once");
    let alarming = [10_349, 404, 399];
    let told = desk.tap.seen().into_iter().filter(|seen| seen.tells(message::ERROR));
    let told: Vec<i64> = told.filter_map(|seen| seen.int(3)).collect();
    assert!(alarming.iter().all(|code| told.contains(code)), "{told:?}");
}

#[test]
fn a_used_order_id_is_not_sent_again_and_the_next_order_takes_one_that_the_broker_names() {
    let mut desk = Desk::with("");
    // Ids below 50 were used before, though the broker did not say so at the start.
    desk.tap.lay(|seen| {
        if seen.asks(message::ASK_IDS) {
            return Act::Instead(vec![Body::default().int(1, 50).frame(message::NEXT_VALID_ID)]);
        }
        if seen.asks(message::PLACE) && seen.int(1) < Some(50) {
            let id = seen.int(1).unwrap();
            return Act::Instead(vec![error(id, 103, "Duplicate order id")]);
        }
        Act::Pass
    });
    let (order_ref, answer) = desk.send(At::ACent);
    assert_eq!(code_of(answer), 103);
    assert_eq!(desk.tap.asked(message::PLACE), 1, "it is not sent again");
    assert!(!desk.open().contains(&order_ref));
    let next = desk.sent(At::ACent);
    assert_eq!(desk.open(), [next]);
    let ids = desk.tap.seen().into_iter().filter(|seen| seen.asks(message::PLACE));
    let ids: Vec<i64> = ids.filter_map(|seen| seen.int(1)).collect();
    assert_eq!(ids, [1, 50]);
}

#[test]
fn executions_that_nobody_tells_are_asked_for() {
    let mut desk = Desk::with(&always("executions_withheld"));
    let order_ref = desk.sent(At::Natural);
    let (ended, executions) = desk.until_ended(&order_ref);
    assert_eq!((ended.status, executions), (BrokerStatus::Filled, 2));
}

/// Sends an order, breaks the connection, and has the order cancelled by another hand while the
/// adapter hears nothing. The rule holds once it is let in again.
fn cancelled_unseen(
    desk: &mut Desk,
    rule: impl FnMut(&Seen) -> Act + Send + 'static,
) -> (OrderRef, usize) {
    let order_ref = desk.sent(At::ACent);
    desk.tap.shut();
    desk.tap.lay(|seen| if seen.way == Way::Up { Act::Cut } else { Act::Pass });
    let left = desk.tap.connections();
    desk.until_away();
    let other = desk.other_client(8);
    desk.block_on(other.global_cancel()).unwrap();
    desk.tap.lay(rule);
    desk.tap.open();
    desk.until_connected(left + 1);
    (order_ref, left)
}

#[test]
fn an_order_that_the_broker_shows_nowhere_after_a_drop_is_looked_for_again_and_then_over() {
    let mut desk = Desk::with("");
    let (order_ref, _) = cancelled_unseen(&mut desk, |seen| {
        if seen.tells(message::COMPLETED_ORDER) { Act::Swallow } else { Act::Pass }
    });
    let looked = desk.tap.asked(message::ASK_OPEN_ORDERS);
    assert!(desk.open().contains(&order_ref), "in doubt it counts as working");
    let (ended, executions) = desk.until_ended(&order_ref);
    assert_eq!((ended.status, ended.filled, executions), (BrokerStatus::Rejected, 0, 0));
    assert!(ended.reason.contains("gone from the broker's orders"), "{}", ended.reason);
    assert!(desk.tap.asked(message::ASK_OPEN_ORDERS) > looked);
    assert_eq!(desk.open(), []);
}

#[test]
fn after_a_drop_all_is_asked_for_before_anything_is_sent_and_what_ended_meanwhile_is_told() {
    let mut desk = Desk::with("");
    let (order_ref, left) = cancelled_unseen(&mut desk, |_| Act::Pass);
    let (ended, executions) = desk.until_ended(&order_ref);
    assert_eq!((ended.status, executions), (BrokerStatus::Cancelled, 0));
    assert!(ended.reason.contains("while the desk could not hear of it"), "{}", ended.reason);
    assert_eq!(desk.open(), []);
    assert_eq!(desk.gaps().len(), 1);
    desk.sent(At::ACent);
    let asked: Vec<u32> = desk
        .tap
        .seen()
        .into_iter()
        .filter(|seen| seen.connection > left && seen.way == Way::Up)
        .map(|seen| seen.id)
        .collect();
    let first = |id: u32| asked.iter().position(|asked| *asked == id).unwrap();
    let place = first(message::PLACE);
    for id in [message::ASK_OPEN_ORDERS, message::ASK_EXECUTIONS, message::ASK_COMPLETED] {
        assert!(first(id) < place, "{id} before the order: {asked:?}");
    }
}

#[test]
fn an_order_that_was_written_before_the_socket_broke_is_found_and_never_sent_again() {
    let mut desk = Desk::with("");
    let mut first = true;
    desk.tap.lay(move |seen| {
        if seen.asks(message::PLACE) && std::mem::take(&mut first) {
            Act::PassAndCut
        } else {
            Act::Pass
        }
    });
    let (order_ref, answer) = desk.send(At::ACent);
    assert!(matches!(answer, Err(BrokerError::NoAnswer(_))), "{answer:?}");
    desk.until("order among the open ones", |desk| desk.open().contains(&order_ref).then_some(()));
    assert_eq!(desk.tap.asked(message::PLACE), 1);
    desk.broker.cancel(&order_ref).unwrap();
    let (ended, executions) = desk.until_ended(&order_ref);
    assert_eq!((ended.status, executions), (BrokerStatus::Cancelled, 0));
}

#[test]
fn an_order_that_was_lost_with_its_socket_is_nowhere_and_never_sent_again() {
    let mut desk = Desk::with("");
    let mut first = true;
    desk.tap.lay(move |seen| {
        if seen.asks(message::PLACE) && std::mem::take(&mut first) { Act::Cut } else { Act::Pass }
    });
    let (order_ref, answer) = desk.send(At::ACent);
    assert!(matches!(answer, Err(BrokerError::NoAnswer(_))), "{answer:?}");
    desk.until_connected(2);
    desk.wait(Duration::from_secs(1));
    desk.until_connected(2);
    assert_eq!(desk.open(), []);
    assert_eq!(desk.states_of(&order_ref), []);
    assert_eq!(desk.tap.asked(message::PLACE), 1);
    assert_eq!(desk.tap.asked(message::ASK_COMPLETED), 1, "ended orders were asked for too");
}

#[test]
fn an_order_that_filled_unseen_is_told_with_its_executions_once() {
    let mut desk = Desk::with("");
    let mut placed = false;
    desk.tap.lay(move |seen| {
        placed |= seen.asks(message::PLACE);
        // Nothing of it reaches the adapter, until the socket breaks.
        let of_order = [message::ORDER_STATUS, message::OPEN_ORDER, message::EXECUTION];
        let hidden = of_order.contains(&seen.id) || seen.id == message::COMMISSION;
        if placed && seen.connection == 1 && seen.way == Way::Down && hidden {
            Act::Swallow
        } else {
            Act::Pass
        }
    });
    let (order_ref, answer) = desk.send(At::Natural);
    assert!(matches!(answer, Err(BrokerError::NoAnswer(_))), "{answer:?}");
    desk.wait(Duration::from_secs(1));
    desk.tap.lay(|seen| if seen.connection == 1 { Act::Cut } else { Act::Pass });
    let (ended, executions) = desk.until_ended(&order_ref);
    assert_eq!((ended.status, ended.filled, executions), (BrokerStatus::Filled, 1, 2));
    assert_eq!(desk.tap.asked(message::PLACE), 1);
    assert_eq!(desk.open(), []);
}

#[test]
fn a_command_during_a_reconnection_is_answered_at_once_and_not_done_later() {
    let mut desk = Desk::with("");
    let approved = desk.approved(At::ACent);
    // The next connection is taken and hangs in its hello, as a gateway that restarts does.
    desk.tap.lay(|seen| match (seen.connection, seen.id, seen.way) {
        (1, _, _) => Act::Cut,
        (2, message::START, Way::Up) => Act::Late(Duration::from_millis(1_500)),
        _ => Act::Pass,
    });
    desk.until_away();
    desk.until("second hello", |desk| (desk.tap.connections() == 2).then_some(()));
    let waited = Stopwatch::start();
    let answer = desk.broker.place(approved);
    assert!(waited.elapsed() < Duration::from_millis(500), "{:?}", waited.elapsed());
    assert_eq!(code_of(answer), 504);
    desk.until_connected(2);
    desk.wait(Duration::from_millis(500));
    assert_eq!(desk.tap.asked(message::PLACE), 0, "given up is given up");
    let order_ref = desk.sent(At::ACent);
    assert_eq!((desk.open(), desk.tap.asked(message::PLACE)), (vec![order_ref], 1));
}

#[test]
fn a_read_only_api_is_told_with_what_to_do_and_asked_less_and_less_often() {
    let rules = Rules { access: Access::ReadOnly, ..Rules::unpaced() };
    let desk = Desk::starting("", (bounds(), rules));
    desk.wait(Duration::from_secs(3));
    let said = desk.broker.standing();
    assert!(said.contains("untick it in Configure > Settings > API > Settings"), "{said}");
    // After 0.5, 1 and 1 seconds of rest, of which a fifth may be less.
    let tries = desk.tap.connections();
    assert!((2..=5).contains(&tries), "{tries} connections");
}

#[test]
fn an_order_that_a_read_only_api_refuses_was_never_taken_and_is_not_tried_again() {
    let mut desk = Desk::with("");
    desk.tap.lay(|seen| {
        if !seen.asks(message::PLACE) {
            return Act::Pass;
        }
        let said = "Error validating request: cause - The API interface is currently in Read-Only \
                    mode.";
        Act::Instead(vec![error(seen.int(1).unwrap(), 321, said)])
    });
    let (order_ref, answer) = desk.send(At::ACent);
    let Err(BrokerError::Rejected(reject)) = answer else { panic!("{answer:?}") };
    assert_eq!(reject.code, 321);
    assert!(reject.reason.contains("untick it"), "{}", reject.reason);
    desk.wait(Duration::from_secs(1));
    assert_eq!(desk.states_of(&order_ref), []);
    assert_eq!(desk.tap.asked(message::PLACE), 1);
}

#[test]
fn a_stranger_of_the_same_login_does_not_disturb_our_orders() {
    let mut desk = Desk::with("");
    let order_ref = desk.sent(At::ACent);
    let other = desk.other_client(8);
    let spy = Contract::stock("SPY").build();
    let order = order_builder::limit_order(Action::Buy, 1.0, 1.0);
    desk.block_on(other.submit_order(other.next_order_id(), &spy, &order)).unwrap();
    desk.wait(Duration::from_millis(500));
    desk.until_connected(1);
    assert_eq!(desk.open(), [order_ref]);
}
