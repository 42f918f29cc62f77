//! Both codecs: what clients really send, what nobody should, and what text has no words for.

use proptest::prelude::*;
use rust_decimal::Decimal;

use super::event::{Computation, Event};
use super::handshake::Protocol;
use super::request::{DecodeError, Request, Subscription};

const TEXT: Protocol = Protocol::Text(178);
const OLD_TEXT: Protocol = Protocol::Text(176);
const PROTO: Protocol = Protocol::Proto(226);

fn line(fields: &[&str]) -> Vec<u8> {
    fields.iter().flat_map(|field| [field.as_bytes(), &[0]].concat()).collect()
}

/// An order of two legs as ib_async 2.1.0 writes it, from `clientId` on; 177 dropped one field.
fn combo_order(profile: &[&str]) -> Vec<u8> {
    let contract = ["0", "SPY", "BAG", "", "0.0", "", "", "SMART", "", "USD", "", "", "", ""];
    let order = ["BUY", "1.0", "LMT", "-0.35", "", "", "", "", "", "0", "mine", "1", "0"];
    let plain = ["0", "0", "0", "0", "0", "0"];
    let legs = ["2", "11", "1", "SELL", "SMART", "0", "0", "", "-1"];
    let second = ["12", "2", "BUY", "SMART", "0", "0", "", "-1", "0", "1", "NonGuaranteed", "0"];
    let allocation = ["", "0.0", "", "", "", "", ""];
    let mut fields = vec!["3", "7"];
    fields.extend(contract);
    fields.extend(order);
    fields.extend(plain);
    fields.extend(legs);
    fields.extend(second);
    fields.extend(allocation);
    fields.extend(profile);
    fields.extend(text_tail());
    line(&fields)
}

/// From `modelCode` to `lmtPriceOffset`, a what-if.
fn text_tail() -> Vec<&'static str> {
    let mut tail = vec![""; 24];
    // continuousUpdate to scalePriceIncrement, scaleTable to hedgeType
    tail.extend([""; 11]);
    // optOutSmartRouting to notHeld, no hedging contract, no algorithm and no id of one
    tail.extend(["0", "", "", "0", "0", "", ""]);
    // whatIf, orderMiscOptions to randomizePrice, conditions
    tail.extend(["1", "", "0", "0", "0", "0"]);
    // adjustedOrderType, triggerPrice, lmtPriceOffset
    tail.extend(["", "", ""]);
    tail
}

#[test]
fn a_combo_order_is_read_at_each_text_version() {
    for (protocol, profile) in [(TEXT, &[][..]), (OLD_TEXT, &[""][..])] {
        let Request::PlaceOrder { order_id, contract, order } =
            protocol.decode(&combo_order(profile)).unwrap()
        else {
            panic!("no order");
        };
        assert_eq!((order_id, order.limit, order.aux), (7, Some(-0.35), None));
        assert_eq!(order.quantity, Decimal::ONE);
        assert_eq!(order.order_ref, "mine");
        assert!(order.transmit && order.what_if);
        let legs: Vec<(i32, i32, &str)> =
            contract.legs.iter().map(|leg| (leg.con_id, leg.ratio, &*leg.action)).collect();
        assert_eq!(legs, [(11, 1, "SELL"), (12, 2, "BUY")]);
    }
}

#[test]
fn what_makes_an_order_wait_is_read_from_its_place_in_text() {
    let text = String::from_utf8(combo_order(&[])).unwrap();
    let mut fields: Vec<&str> = text.trim_end_matches('\0').split('\0').collect();
    let last = text.matches('\0').count() - 1;
    fields.resize(last + 1, "");
    for (place, value) in [
        (20, "1.5"),
        (21, "GTD"),
        (22, "pair"),
        (28, "6"),
        (32, "4"),
        (33, "1"),
        (58, "20260303"),
        (59, "20260304"),
        (67, "2"),
        (89, "630.5"),
        (90, "2.5"),
        (last, "0.1"),
    ] {
        fields[place] = value;
    }
    let Request::PlaceOrder { order, .. } = TEXT.decode(&line(&fields)).unwrap() else {
        panic!("no order");
    };
    assert_eq!((order.aux, order.trail_stop), (Some(1.5), Some(630.5)));
    assert_eq!((order.trailing_percent, order.limit_offset), (Some(2.5), Some(0.1)));
    assert_eq!((order.oca_group.as_str(), order.oca_type), ("pair", 2));
    assert_eq!((order.parent_id, order.trigger_method, order.outside_rth), (6, 4, true));
    assert_eq!((order.good_after.as_str(), order.good_till.as_str()), ("20260303", "20260304"));
    assert_eq!(order.time_in_force, "GTD");
}

#[test]
fn first_words_of_real_clients_are_understood() {
    let start = |client_id| Ok(Request::StartApi { client_id });
    assert_eq!(PROTO.decode(&[0, 0, 1, 0x0f, 0x08, 0x64]), start(100));
    assert_eq!(TEXT.decode(&line(&["71", "2", "7", ""])), start(7));
    let begin = Request::AccountUpdates {
        subscription: Subscription::Begin,
        account: "DU0000001".to_owned(),
    };
    assert_eq!(TEXT.decode(&line(&["6", "2", "1", "DU0000001"])), Ok(begin));
    assert_eq!(TEXT.decode(&line(&["12", "1", "1"])), Ok(Request::Unanswered { message_id: 12 }));
}

#[test]
fn a_fault_names_the_message_and_the_field() {
    let fault = TEXT.decode(&line(&["9", "8", "abc"])).unwrap_err();
    assert_eq!(fault.to_string(), "message 9, field 2 (id): `abc` is no whole number");
    let fault = TEXT.decode(&line(&["9", "8", "1", "265598"])).unwrap_err();
    assert_eq!(fault, DecodeError::Ends { message_id: 9, field: 4, name: "symbol" });
    assert_eq!(PROTO.decode(&[0, 0, 1]), Err(DecodeError::TooShort { length: 3 }));
    let fault = PROTO.decode(&[0, 0, 0, 71, 0]).unwrap_err().to_string();
    assert!(fault.contains("every message is protobuf"), "{fault}");
}

#[test]
fn a_count_beyond_the_fields_costs_nothing() {
    let mut fields = vec!["1", "11", "5", "0", "SPY", "BAG", "", "", "", "", "SMART", "", "USD"];
    fields.extend(["", "", "2000000000"]);
    let fault = TEXT.decode(&line(&fields)).unwrap_err();
    assert!(matches!(fault, DecodeError::Field { name: "number of combo legs", .. }), "{fault}");
}

#[test]
fn what_is_not_known_is_minus_one_or_two_in_text_and_absent_in_protobuf() {
    let event = Event::TickOptionComputation {
        req_id: 3,
        field: 13,
        values: Computation { delta: Some(-0.2), ..Computation::default() },
    };
    let fields = ["21", "3", "13", "1", "-1", "-0.2", "-1", "-1", "-2", "-2", "-2", "-1"];
    let frame = TEXT.encode(&event).unwrap();
    assert_eq!(frame.get(4..), Some(&line(&fields)[..]));
    let frame = PROTO.encode(&event).unwrap();
    // Length and id, request, field, attribute, and the one double with its tag.
    assert_eq!(frame.len(), 4 + 4 + 2 + 2 + 2 + 9);
    assert_eq!(TEXT.encode(&Event::CurrentTimeMillis { millis: 1 }), None);
}

proptest! {
    #[test]
    fn no_bytes_bring_a_decoder_down(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for protocol in [PROTO, TEXT, OLD_TEXT] {
            let _ = protocol.decode(&bytes);
        }
    }

    #[test]
    fn no_body_of_a_real_message_brings_a_decoder_down(
        id in 1_u32..110,
        body in prop::collection::vec(any::<u8>(), 0..200),
        fields in prop::collection::vec("(|BAG|-?[0-9]{1,10}|[a-z]{1,4})", 0..130),
    ) {
        let proto = [&(id + 200).to_be_bytes()[..], &body].concat();
        let _ = PROTO.decode(&proto);
        let id = id.to_string();
        let fields: Vec<&str> =
            std::iter::once(&*id).chain(fields.iter().map(String::as_str)).collect();
        for protocol in [TEXT, OLD_TEXT] {
            let _ = protocol.decode(&line(&fields));
        }
    }
}
