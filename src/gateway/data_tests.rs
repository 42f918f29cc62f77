//! Both codecs on the messages of data and the account.

use proptest::prelude::*;
use prost::Message as _;

use super::data_event::{DataEvent, FiveSeconds, SymbolSample};
use super::data_request::{BarsRequest, Calculation, DataRequest, HeadRequest};
use super::event::{Event, HistoricalBar};
use super::handshake::Protocol;
use super::request::{DecodeError, Request};
use super::words::WireContract;

const TEXT: Protocol = Protocol::Text(178);
const OLD_TEXT: Protocol = Protocol::Text(176);
const PROTO: Protocol = Protocol::Proto(226);

fn line(fields: &[&str]) -> Vec<u8> {
    fields.iter().flat_map(|field| [field.as_bytes(), &[0]].concat()).collect()
}

/// SPY as ib_async 2.1.0 writes it.
const SPY: [&str; 12] =
    ["756733", "SPY", "STK", "", "0.0", "", "", "SMART", "ARCA", "USD", "SPY", "SPY"];

fn spy() -> WireContract {
    let text = str::to_owned;
    WireContract {
        con_id: 756_733,
        symbol: text("SPY"),
        security_type: text("STK"),
        exchange: text("SMART"),
        primary_exchange: text("ARCA"),
        currency: text("USD"),
        local_symbol: text("SPY"),
        trading_class: text("SPY"),
        ..WireContract::default()
    }
}

fn asked(head: &[&str], tail: &[&str]) -> Result<Request, DecodeError> {
    TEXT.decode(&line(&[head, &SPY, tail].concat()))
}

#[test]
fn requests_of_ib_async_are_understood() {
    let data = |request| Ok(Request::Data(request));
    let wanted = BarsRequest { contract: spy(), bar_size: 5, what_to_show: "TRADES".to_owned() };
    assert_eq!(
        asked(&["50", "3", "7"], &["5", "TRADES", "0", ""]),
        data(DataRequest::RealTimeBars { req_id: 7, wanted: Box::new(wanted) })
    );
    let wanted = Calculation { contract: spy(), given: Some(2.5), underlying: Some(600.0) };
    let wanted = Box::new(wanted);
    assert_eq!(
        asked(&["54", "3", "8"], &["2.5", "600.0", "0", ""]),
        data(DataRequest::ImpliedVolatility { req_id: 8, wanted: wanted.clone() })
    );
    assert_eq!(
        asked(&["55", "3", "8"], &["2.5", "600.0", "0", ""]),
        data(DataRequest::OptionPrice { req_id: 8, wanted })
    );
    let wanted = HeadRequest { contract: spy(), what_to_show: "TRADES".to_owned(), format_date: 1 };
    assert_eq!(
        asked(&["87", "9"], &["0", "1", "TRADES", "1"]),
        data(DataRequest::HeadTimestamp { req_id: 9, wanted: Box::new(wanted) })
    );
    let pattern = "SP".to_owned();
    assert_eq!(
        TEXT.decode(&line(&["81", "10", "SP"])),
        data(DataRequest::MatchingSymbols { req_id: 10, pattern })
    );
    let account = "DU0000001".to_owned();
    assert_eq!(
        TEXT.decode(&line(&["74", "1", "11", "DU0000001", ""])),
        data(DataRequest::PositionsMulti { req_id: 11, account })
    );
    assert_eq!(TEXT.decode(&line(&["91", "26"])), data(DataRequest::MarketRule { rule_id: 26 }));
}

#[test]
fn what_is_not_simulated_keeps_its_number_in_both_protocols() {
    for (fields, message_id) in [
        (&["10", "5", "3", "0", "SPY"][..], 10),
        (&["97", "3", "0", "SPY"][..], 97),
        (&["22", "3", "50"][..], 22),
        (&["83", "3", "a6"][..], 83),
    ] {
        let expected = Ok(Request::Data(DataRequest::NotSimulated { req_id: 3, message_id }));
        assert_eq!(TEXT.decode(&line(fields)), expected);
        // A protobuf field 1 of 3.
        let proto = [&(message_id + 200).to_be_bytes()[..], &[0x08, 3]].concat();
        assert_eq!(PROTO.decode(&proto), expected);
    }
    let nothing = Ok(Request::Data(DataRequest::Nothing));
    assert_eq!(TEXT.decode(&line(&["14", "1", "5"])), nothing);
    assert_eq!(PROTO.decode(&214_u32.to_be_bytes()), nothing);
}

#[test]
fn a_history_in_text_says_how_its_dates_are_wanted() {
    let head = ["20", "5"];
    let tail = ["0", "", "5 mins", "1 D", "1", "TRADES", "2", "1", ""];
    let Ok(Request::History { req_id: 5, wanted }) = asked(&head, &tail) else { panic!() };
    assert!(wanted.use_rth && wanted.keep_up_to_date);
    assert_eq!((wanted.format_date, &*wanted.bar_size), (2, "5 mins"));
    assert_eq!(wanted.contract, spy());
}

fn text_of(event: DataEvent) -> Vec<String> {
    let frame = TEXT.encode(&Event::Data(event)).unwrap();
    let body = String::from_utf8(frame[4..].to_vec()).unwrap();
    body.trim_end_matches('\0').split('\0').map(str::to_owned).collect()
}

#[test]
fn answers_have_the_fields_that_text_clients_read() {
    let bar = HistoricalBar {
        date: "20260302 09:30:00 US/Eastern".to_owned(),
        open: 1.0,
        high: 4.0,
        low: 0.5,
        close: 2.0,
        volume: Some(9),
    };
    let update = DataEvent::HistoryUpdate { req_id: 5, bar };
    // Trades, date, open, close, high, low, average, volume.
    assert_eq!(
        text_of(update),
        ["90", "5", "-1", "20260302 09:30:00 US/Eastern", "1", "2", "4", "0.5", "-1", "9"]
    );
    let bar = FiveSeconds { at: 60, open: 1.0, high: 4.0, low: 0.5, close: 2.0, volume: None };
    assert_eq!(
        text_of(DataEvent::RealTimeBar { req_id: 5, bar }),
        ["50", "3", "5", "60", "1", "4", "0.5", "2", "-1", "-1", "-1"]
    );
    let found = vec![SymbolSample { contract: spy(), derivatives: vec!["OPT".to_owned()] }];
    assert_eq!(
        text_of(DataEvent::SymbolSamples { req_id: 5, found }),
        ["79", "5", "1", "756733", "SPY", "STK", "ARCA", "USD", "1", "OPT"]
    );
    let rule = DataEvent::MarketRule { rule_id: 110, steps: vec![(0.0, 0.01), (3.0, 0.05)] };
    assert_eq!(text_of(rule), ["93", "110", "2", "0", "0.01", "3", "0.05"]);
}

/// The first fields of a bar, by the protocol's own numbers.
#[derive(Clone, PartialEq, prost::Message)]
struct BarRead {
    #[prost(int32, optional, tag = "1")]
    req_id: Option<i32>,
    #[prost(int64, optional, tag = "2")]
    time: Option<i64>,
    #[prost(double, optional, tag = "4")]
    high: Option<f64>,
    #[prost(string, optional, tag = "7")]
    volume: Option<String>,
}

#[test]
fn a_bar_in_protobuf_stands_under_its_numbers() {
    let bar = FiveSeconds { at: 60, open: 1.0, high: 4.0, low: 0.5, close: 2.0, volume: Some(3) };
    let frame = PROTO.encode(&Event::Data(DataEvent::RealTimeBar { req_id: 5, bar })).unwrap();
    assert_eq!(frame[4..8], 250_u32.to_be_bytes());
    let read = BarRead::decode(&frame[8..]).unwrap();
    let volume = Some("3".to_owned());
    assert_eq!(read, BarRead { req_id: Some(5), time: Some(60), high: Some(4.0), volume });
}

proptest! {
    #[test]
    fn no_contract_however_broken_brings_these_decoders_down(
        id in prop::sample::select(vec![10_u32, 20, 50, 54, 55, 74, 81, 87, 91, 96, 97, 104]),
        body in prop::collection::vec(any::<u8>(), 0..400),
        fields in prop::collection::vec("(|BAG|STK|-?[0-9]{1,12}|[0-9.eE+-]{1,8}|NaN)", 0..40),
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
