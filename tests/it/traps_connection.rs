//! Traps of the connection and of market data, one test each: ids that hang, hellos that never
//! come, sockets that are dead and say nothing, data that is denied, taken away, or no number.

#![cfg(test)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deltadesk::broker::ib::Bounds;
use deltadesk::broker::{Broker as _, Feed as _};
use deltadesk::gateway::Rules;
use deltadesk::market::clock::Stopwatch;
use deltadesk::market::{ConId, OptionRight, Symbol, VendorGreeks};

use crate::tap::{Act, Body, Seen, Tap, Way, error, message};
use crate::traps_desk::{BOUND, Desk, bounds};

/// A short bound on connecting.
fn impatient() -> Bounds {
    Bounds { connect: Duration::from_millis(400), ..bounds() }
}

#[test]
fn a_client_id_that_hangs_after_a_drop_is_asked_for_until_it_is_free() {
    let mut desk = Desk::with("");
    let mut first = true;
    desk.tap.lay(move |seen| {
        if seen.way == Way::Up && std::mem::take(&mut first) {
            Act::CutHere(Duration::from_millis(1_500))
        } else {
            Act::Pass
        }
    });
    desk.until_away();
    desk.until_connected(3);
    let is_refusal = |seen: &Seen| seen.tells(message::ERROR) && seen.int(3) == Some(326);
    assert!(desk.tap.seen().iter().any(is_refusal), "the id hung");
    assert!(desk.tap.connections() <= 5, "{} connections", desk.tap.connections());
    desk.until("the gap", |desk| (desk.gaps().len() == 1).then_some(()));
}

#[test]
fn a_gateway_that_takes_connections_and_never_answers_is_given_up_and_tried_again() {
    let script =
        "[[fault]]\nkind = 'accept_without_handshake'\nat_seconds = 0.0\nfor_seconds = 3.0";
    let mut desk = Desk::starting(script, (impatient(), Rules::unpaced()));
    desk.until("word of it", |desk| {
        desk.broker.standing().contains("takes the connection but does not answer").then_some(())
    });
    assert!(desk.broker.account().is_err(), "nothing is known, and that is said");
    desk.until_connected(2);
}

#[test]
fn a_welcome_without_order_ids_is_no_connection_and_is_given_up() {
    let script = "[[fault]]\nkind = 'handshake_without_ids'\nat_seconds = 0.0\nfor_seconds = 3.0";
    let mut desk = Desk::starting(script, (impatient(), Rules::unpaced()));
    desk.until("word of it", |desk| {
        desk.broker.standing().contains("takes the connection but does not answer").then_some(())
    });
    desk.until_connected(2);
}

#[test]
fn a_socket_that_is_half_open_is_found_by_its_heartbeat() {
    let mut desk = Desk::with("");
    desk.broker.wait_for_bars(BOUND);
    desk.tap.lay(|seen| if seen.connection == 1 { Act::Swallow } else { Act::Pass });
    let waited = Stopwatch::start();
    // Nobody asks for anything meanwhile.
    while desk.broker.standing() == "connected" {
        assert!(waited.elapsed() < Duration::from_secs(10), "it is not found");
        desk.wait(Duration::from_millis(50));
    }
    desk.until_connected(2);
    let gaps = desk.until("the gap", |desk| Some(desk.gaps()).filter(|gaps| !gaps.is_empty()));
    assert!(gaps[0].contains("a heartbeat: no answer within 2 s"), "{gaps:?}");
}

#[test]
fn a_heartbeat_that_is_refused_for_pace_is_an_answer() {
    let desk = Desk::with("");
    desk.tap.lay(|seen| {
        if seen.asks(message::ASK_TIME) {
            Act::Instead(vec![error(
                -1,
                100,
                "Max rate of messages per second has been \
                                                  exceeded:max=50 rec=51 (1)",
            )])
        } else {
            Act::Pass
        }
    });
    desk.wait(Duration::from_millis(3_500));
    assert!(desk.tap.asked(message::ASK_TIME) >= 2);
    assert_eq!((desk.tap.connections(), desk.broker.standing()), (1, "connected".to_owned()));
}

/// Some puts around the middle of the list.
fn puts(desk: &Desk, count: usize) -> Vec<ConId> {
    let mut listed = desk.broker.option_contracts(&Symbol::new("SPY"));
    listed.retain(|option| option.right == OptionRight::Put);
    let first = (listed.len() / 2).saturating_sub(count / 2);
    listed.iter().skip(first).take(count).map(|option| option.conid).collect()
}

fn watch(desk: &mut Desk, conids: &[ConId]) {
    desk.broker.watch(&Symbol::new("SPY"), conids);
}

#[test]
fn quotes_come_back_soon_after_a_competing_session_has_taken_every_stream() {
    let mut desk = Desk::with("");
    let conids = puts(&desk, 30);
    watch(&mut desk, &conids);
    let all_since = |desk: &Desk, since| {
        let quotes = conids.iter().map(|conid| desk.broker.option_quote(*conid));
        let fresh = quotes.flatten().filter(|received| received.at > since).count();
        (fresh == conids.len()).then_some(())
    };
    let begun = desk.now();
    desk.until("quotes", |desk| all_since(desk, begun));
    let taken = Arc::new(AtomicBool::new(true));
    let is_taken = Arc::clone(&taken);
    let said = "No market data during competing live session";
    desk.tap.lay(move |seen| {
        let of_line = seen.asks(message::ASK_TICKS) || seen.tells(message::TICK_PRICE);
        match (is_taken.load(Ordering::SeqCst) && of_line, seen.int(1)) {
            (true, Some(request)) => Act::Instead(vec![error(request, 10_197, said)]),
            _ => Act::Pass,
        }
    });
    desk.wait(Duration::from_secs(3));
    let asked = desk.tap.asked(message::ASK_TICKS);
    taken.store(false, Ordering::SeqCst);
    let (over, back) = (desk.now(), Stopwatch::start());
    desk.until("quotes again", |desk| all_since(desk, over));
    assert!(back.elapsed() < Duration::from_secs(15), "after {:?}", back.elapsed());
    assert_eq!(desk.tap.connections(), 1, "the socket was left alone");
    assert!(asked < 31 * 4, "{asked} requests in three seconds");
    // One time without quotes, told once it is over.
    desk.until("the gap", |desk| (!desk.gaps().is_empty()).then_some(()));
    let gaps = desk.gaps();
    assert!(gaps.len() == 1 && gaps[0].contains(said), "{gaps:?}");
}

#[test]
fn a_time_without_data_farms_is_a_gap_of_the_quotes_on_a_connection_that_stays() {
    let script = "[[fault]]\nkind = 'farm_flap'\nat_seconds = 6.0\nfor_seconds = 3.0\n";
    let mut desk = Desk::with(script);
    let gaps = desk.until("the gaps", |desk| Some(desk.gaps()).filter(|gaps| gaps.len() == 3));
    assert!(gaps.iter().all(|gap| gap.contains("farm connection is broken:")), "{gaps:?}");
    assert_eq!((desk.tap.connections(), desk.broker.standing()), (1, "connected".to_owned()));
}

#[test]
fn data_that_is_denied_is_asked_for_once_and_the_rest_goes_on() {
    let mut desk = Desk::with("");
    let conids = puts(&desk, 4);
    // The second code is one after which the crate lets the stream go on.
    let denied = BTreeMap::from([(conids[1].0, 354), (conids[2].0, 10_089)]);
    let code_of = denied.clone();
    desk.tap.lay(move |seen| {
        let code = seen.conid().and_then(|conid| code_of.get(&conid));
        match code.filter(|_| seen.asks(message::ASK_TICKS)) {
            Some(code) => {
                let said = "Requested market data is not subscribed.";
                Act::Instead(vec![error(seen.int(1).unwrap(), *code, said)])
            }
            None => Act::Pass,
        }
    });
    watch(&mut desk, &conids);
    let is_denied = |conid: &ConId| denied.contains_key(&conid.0);
    let rest: Vec<ConId> = conids.iter().copied().filter(|conid| !is_denied(conid)).collect();
    desk.until("quotes of the rest", |desk| {
        rest.iter().all(|conid| desk.broker.option_quote(*conid).is_some()).then_some(())
    });
    desk.wait(Duration::from_secs(2));
    let asked = desk.tap.seen().into_iter().filter(|seen| seen.asks(message::ASK_TICKS));
    let asked: Vec<i64> = asked.filter_map(|seen| seen.conid()).collect();
    for conid in denied.keys() {
        let times = asked.iter().filter(|asked| *asked == conid).count();
        assert_eq!(times, 1, "{conid} was asked for {times} times");
    }
    assert_eq!(desk.tap.connections(), 1);
}

#[test]
fn lines_beyond_the_number_that_the_account_has_are_not_asked_for_without_end() {
    let rules = Rules { lines: 8, ..Rules::unpaced() };
    let mut desk = Desk::starting("", (bounds(), rules));
    desk.broker.wait_until_ready(BOUND).unwrap();
    let conids = puts(&desk, 12);
    watch(&mut desk, &conids);
    let quoted = |desk: &Desk| {
        conids.iter().filter(|conid| desk.broker.option_quote(**conid).is_some()).count()
    };
    desk.until("seven quotes", |desk| (quoted(desk) >= 7).then_some(()));
    let before = desk.tap.asked(message::ASK_TICKS);
    desk.wait(Duration::from_secs(3));
    let asked = desk.tap.asked(message::ASK_TICKS) - before;
    assert!(asked <= 10 * 4, "{asked} requests in three seconds");
    assert_eq!(desk.tap.connections(), 1);
}

#[test]
fn history_that_is_refused_for_pace_is_told_and_neither_ends_the_session_nor_is_asked_at_once() {
    let lay =
        |tap: &Tap| {
            tap.lay(|seen| if seen.asks(message::ASK_HISTORY) { Act::Instead(vec![error(
                seen.int(1).unwrap(),
                162,
                "Historical Market Data Service error message:Historical data request pacing \
                 violation",
            )]) } else { Act::Pass });
        };
    let desk = Desk::tapped("", (bounds(), Rules::unpaced()), lay);
    desk.broker.wait_until_ready(BOUND).unwrap();
    let missing = desk.broker.wait_for_bars(BOUND);
    assert!(missing.iter().any(|line| line.contains("162")), "{missing:?}");
    desk.wait(Duration::from_secs(1));
    assert_eq!((desk.tap.asked(message::ASK_HISTORY), desk.tap.connections()), (1, 1));
}

#[test]
fn history_that_takes_its_time_holds_up_nothing_else() {
    let lay = |tap: &Tap| {
        tap.lay(|seen| if seen.asks(message::ASK_HISTORY) { Act::Swallow } else { Act::Pass });
    };
    let mut desk = Desk::tapped("", (bounds(), Rules::unpaced()), lay);
    desk.broker.wait_until_ready(BOUND).unwrap();
    desk.until("a request for bars", |desk| {
        (desk.tap.asked(message::ASK_HISTORY) > 0).then_some(())
    });
    desk.wait(bounds().answer * 2);
    assert_eq!((desk.tap.connections(), desk.broker.standing()), (1, "connected".to_owned()));
}

#[test]
fn ticks_that_say_none_or_are_no_numbers_are_no_values() {
    let mut desk = Desk::with("");
    let conids = puts(&desk, 3);
    let strange = conids[0];
    desk.tap.lay(move |seen| {
        if !(seen.asks(message::ASK_TICKS) && seen.conid() == Some(strange.0)) {
            return Act::Pass;
        }
        let request = seen.int(1).unwrap();
        let price = |kind: i64, price: f64, size: &str| {
            let body = Body::default().int(1, request).int(2, kind).double(3, price);
            body.text(4, size).frame(message::TICK_PRICE)
        };
        let model = |values: [f64; 8]| {
            let body = Body::default().int(1, request).int(2, 13).int(3, 0);
            let body = (4..).zip(values).fold(body, |body, (n, value)| body.double(n, value));
            body.frame(message::TICK_MODEL)
        };
        let (none, nan) = (-1.0, f64::NAN);
        Act::Instead(vec![
            price(1, 1.25, "10"),
            price(2, 1.5, "10"),
            price(4, 1.3, "1"),
            model([0.2, -0.3, 1.3, none, 0.01, 0.5, -0.02, 640.0]),
            price(1, none, "0"),
            price(2, nan, "0"),
            price(4, f64::INFINITY, "0"),
            model([none, -2.0, none, none, -2.0, nan, f64::MAX, none]),
        ])
    });
    watch(&mut desk, &conids);
    let quote = desk.until("the strange quote", |desk| {
        desk.broker.option_quote(strange).filter(|received| received.quote.vendor.delta.is_none())
    });
    let quote = quote.quote;
    assert_eq!((quote.bid, quote.ask, quote.last), (None, None, None));
    assert_eq!(quote.vendor, VendorGreeks::default());
}
