//! Traps for whoever waits: questions that get other answers first, look-ups that are put off,
//! lines that never fall silent, a gateway that does not say that IB is back.

#![cfg(test)]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use deltadesk::broker::ib::Bounds;
use deltadesk::broker::{Broker as _, BrokerError, Feed as _};
use deltadesk::gateway::Rules;
use deltadesk::market::clock::Stopwatch;
use deltadesk::market::{OptionRight, Symbol, Usd};
use deltadesk::structures::{BrokerStatus, OrderRef, Purpose};
use ibapi::orders::{Action, order_builder};
use ibapi::prelude::Contract;

use crate::tap::{Act, Body, Seen, Tap, error, message};
use crate::traps_desk::{At, BOUND, Desk, bounds};

#[test]
fn codes_that_sound_like_a_refusal_before_a_margin_answer_are_none() {
    let mut desk = Desk::with("");
    let (proposed, _) = desk.proposed(At::ACent);
    desk.tap.lay(|seen| {
        if !seen.tells(message::OPEN_ORDER) {
            return Act::Pass;
        }
        let id = seen.int(1).unwrap();
        let preset = error(id, 10_349, "Order TIF was set to DAY based on order preset.");
        let held = error(id, 404, "Order held while securities are located.");
        let message = error(id, 399, "Order Message:\nyour order will be looked at by a person.");
        Act::Instead(vec![preset, held, message, seen.again()])
    });
    let what_if = desk.broker.margin_of(&proposed).unwrap();
    assert!(what_if.equity_with_loan_after > Usd::ZERO, "{what_if:?}");
    assert_eq!((desk.open(), desk.tap.asked(message::PLACE)), (Vec::new(), 1));
}

#[test]
fn a_margin_question_is_refused_by_a_refusal_and_bounded_in_silence_with_what_was_said() {
    let mut desk = Desk::with("");
    let (proposed, _) = desk.proposed(At::ACent);
    desk.tap.lay(|seen| {
        if !seen.tells(message::OPEN_ORDER) {
            return Act::Pass;
        }
        Act::Instead(vec![error(seen.int(1).unwrap(), 201, "Order rejected - reason:no margin")])
    });
    match desk.broker.margin_of(&proposed) {
        Err(BrokerError::Rejected(reject)) => assert_eq!(reject.code, 201),
        other => panic!("{other:?}"),
    }
    desk.tap.lay(|seen| {
        if !seen.tells(message::OPEN_ORDER) {
            return Act::Pass;
        }
        Act::Instead(vec![error(seen.int(1).unwrap(), 10_349, "Order TIF was set to DAY")])
    });
    let waited = Stopwatch::start();
    match desk.broker.margin_of(&proposed) {
        Err(BrokerError::NoAnswer(why)) => assert!(why.contains("10349"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert!(waited.elapsed() < bounds().answer * 2, "{:?}", waited.elapsed());
    desk.tap.lay(|_| Act::Pass);
    assert_eq!(desk.broker.standing(), "connected");
    let order_ref = desk.sent(At::ACent);
    assert_eq!(desk.open(), [order_ref], "questions have left no order behind");
}

#[test]
fn an_order_of_ours_under_another_client_id_is_seen_and_a_strangers_is_left_alone() {
    let mut desk = Desk::with("");
    let other = desk.other_client(8);
    let spy = Contract::stock("SPY").build();
    let order_ref = OrderRef::new("0123456789abcdef", Purpose::Open, 0).unwrap();
    let mut ours = order_builder::limit_order(Action::Buy, 1.0, 1.0);
    ours.order_ref = order_ref.to_string();
    let strange = order_builder::limit_order(Action::Buy, 1.0, 1.0);
    let (first, second) = (other.next_order_id(), other.next_order_id());
    desk.block_on(other.submit_order(first, &spy, &ours)).unwrap();
    desk.block_on(other.submit_order(second, &spy, &strange)).unwrap();
    desk.wait(Duration::from_millis(500));
    desk.tap.lay(|seen| if seen.connection == 1 { Act::Cut } else { Act::Pass });
    desk.until_connected(2);
    desk.until("our order", |desk| (desk.open() == [order_ref.clone()]).then_some(()));
    match desk.broker.cancel(&order_ref) {
        Err(BrokerError::Rejected(reject)) => {
            assert!(reject.reason.contains("another client id"), "{}", reject.reason);
        }
        answer => panic!("{answer:?}"),
    }
    drop(desk.block_on(other.cancel_order(first, "")).unwrap());
    let (ended, executions) = desk.until_ended(&order_ref);
    assert_eq!((ended.status, executions), (BrokerStatus::Rejected, 0));
    assert_eq!(desk.open(), []);
}

/// The expiry of which every option is asked for.
fn expiry_asked(seen: &Seen) -> Option<String> {
    if !seen.asks(message::ASK_CONTRACTS) || !seen.holds("OPT") {
        return None;
    }
    let mut dates = seen.body.windows(8).filter(|part| part.iter().all(u8::is_ascii_digit));
    dates.next().map(|date| String::from_utf8(date.to_vec()).unwrap())
}

#[test]
fn a_look_up_that_is_put_off_is_asked_again_and_what_was_answered_before_a_drop_is_not() {
    let answered: Arc<Mutex<Vec<String>>> = Arc::default();
    let passed = Arc::clone(&answered);
    let lay = move |tap: &Tap| {
        let passed = Arc::clone(&passed);
        let mut asked = 0;
        tap.lay(move |seen| {
            let Some(expiry) = expiry_asked(seen) else { return Act::Pass };
            asked += 1;
            match asked {
                1 => Act::Instead(vec![error(
                    seen.int(1).unwrap(),
                    322,
                    "Error processing request.-'bS' : cause - too busy",
                )]),
                3 => Act::Cut,
                _ => {
                    passed.lock().unwrap().push(expiry);
                    Act::Pass
                }
            }
        });
    };
    let desk = Desk::tapped("", (bounds(), Rules::unpaced()), lay);
    desk.broker.wait_until_ready(BOUND).unwrap();
    let answered = answered.lock().unwrap().clone();
    let once: BTreeSet<String> = answered.iter().cloned().collect();
    assert_eq!(once.len(), answered.len(), "asked again though answered: {answered:?}");
    assert!(once.len() > 1, "{once:?}");
    let listed = desk.broker.option_contracts(&Symbol::new("SPY"));
    let listed = listed.iter().map(|option| option.expiry_date.format("%Y%m%d").to_string());
    assert_eq!(listed.collect::<BTreeSet<_>>(), once);
    assert_eq!(desk.tap.connections(), 2);
}

#[test]
fn a_line_that_is_not_wanted_any_more_is_left_though_it_never_falls_silent() {
    let mut desk = Desk::with("");
    let symbol = Symbol::new("SPY");
    let mut listed = desk.broker.option_contracts(&symbol);
    listed.retain(|option| option.right == OptionRight::Put);
    let loud = listed[listed.len() / 2].conid;
    let request = Arc::new(Mutex::new(None));
    let its = Arc::clone(&request);
    // Whatever is told of any other line is told of this one too, as a volume.
    desk.tap.lay(move |seen| {
        if seen.asks(message::ASK_TICKS) && seen.conid() == Some(loud.0) {
            *its.lock().unwrap() = seen.int(1);
        }
        match *its.lock().unwrap() {
            Some(request) if seen.tells(message::TICK_SIZE) => {
                let volume = Body::default().int(1, request).int(2, 8).text(3, "5");
                Act::Instead(vec![seen.again(), volume.frame(message::TICK_SIZE)])
            }
            _ => Act::Pass,
        }
    });
    desk.broker.watch(&symbol, &[loud]);
    desk.until("its quote", |desk| desk.broker.option_quote(loud));
    desk.broker.watch(&symbol, &[]);
    let asked = *request.lock().unwrap();
    desk.until("its end", |desk| {
        let drops = |seen: &Seen| seen.asks(message::DROP_TICKS) && seen.int(1) == asked;
        desk.tap.seen().iter().any(drops).then_some(())
    });
}

#[test]
fn a_gateway_that_answers_and_never_says_that_ib_is_back_is_connected_to_anew() {
    let patience = Bounds { away: Duration::from_secs(2), ..bounds() };
    let mut desk = Desk::starting("", (patience, Rules::unpaced()));
    desk.broker.wait_until_ready(BOUND).unwrap();
    let mut first = true;
    desk.tap.lay(move |seen| {
        if seen.tells(message::TIME) && std::mem::take(&mut first) {
            let said = "Connectivity between IBKR and Trader Workstation has been lost.";
            return Act::Instead(vec![seen.again(), error(-1, 1_100, said)]);
        }
        Act::Pass
    });
    desk.until_away();
    desk.until_connected(2);
    let gaps = desk.until("the gap", |desk| Some(desk.gaps()).filter(|gaps| !gaps.is_empty()));
    assert_eq!((gaps.len(), desk.tap.connections()), (1, 2), "{gaps:?}");
}
