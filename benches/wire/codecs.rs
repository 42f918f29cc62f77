//! What each codec of the gateway encodes and decodes a second.

use anyhow::Context as _;
use deltadesk::gateway::{
    Event, OrderView, Protocol, WireContract, WireExecution, WireOrder, WireOrderState,
};
use deltadesk::market::clock::Stopwatch;

use crate::tell;
use crate::tick_to_order::{ASK_EXECUTIONS, ASK_TICKS, PLACE, Requests};

/// Seconds that each codec is driven for.
const SECONDS: f64 = 0.5;

/// How often a second something can be done.
fn a_second(mut done: impl FnMut()) -> f64 {
    let driven = Stopwatch::start();
    let mut times = 0.0;
    while driven.elapsed_seconds() < SECONDS {
        for _ in 0..100 {
            done();
        }
        times += 100.0;
    }
    times / driven.elapsed_seconds()
}

pub fn encode() {
    for (name, event) in [("tick", tick()), ("openOrder", open_order()), ("execution", execution())]
    {
        let rate = |protocol: Protocol| {
            a_second(|| {
                std::hint::black_box(protocol.encode(std::hint::black_box(&event)));
            })
        };
        tell_rates(
            &format!("encode {name}"),
            rate(Protocol::Proto(226)),
            rate(Protocol::Text(178)),
        );
    }
}

fn tell_rates(what: &str, proto: f64, text: f64) {
    let ratio = text / proto;
    tell(&format!("{what:<22} protobuf {proto:>9.0} /s  text {text:>9.0} /s  ratio {ratio:.2}"));
}

fn contract() -> WireContract {
    WireContract {
        con_id: 756_733,
        symbol: "SPY".to_owned(),
        security_type: "OPT".to_owned(),
        last_trade: "20260417".to_owned(),
        strike: Some(640.0),
        right: "P".to_owned(),
        multiplier: "100".to_owned(),
        exchange: "SMART".to_owned(),
        currency: "USD".to_owned(),
        local_symbol: "SPY   260417P00640000".to_owned(),
        trading_class: "SPY".to_owned(),
        ..WireContract::default()
    }
}

fn tick() -> Event {
    Event::TickPrice { req_id: 1_500_000_001, field: 1, price: 12.34, size: 25.into() }
}

fn open_order() -> Event {
    let order = WireOrder {
        order_id: 17,
        client_id: 1,
        perm_id: 1_234_567,
        action: "BUY".to_owned(),
        quantity: 1.into(),
        order_type: "LMT".to_owned(),
        limit: Some(-1.25),
        time_in_force: "DAY".to_owned(),
        account: "DU0000001".to_owned(),
        order_ref: "0123456789abcdef.open.0".to_owned(),
        transmit: true,
        ..WireOrder::default()
    };
    let state = WireOrderState { status: "Submitted".to_owned(), ..WireOrderState::default() };
    Event::OpenOrder(Box::new(OrderView { contract: contract(), order, state, filled: 0.into() }))
}

fn execution() -> Event {
    let execution = WireExecution {
        order_id: 17,
        exec_id: "0000e0d5.65c4b1a2.01.01".to_owned(),
        time: "20260302 09:45:10 US/Eastern".to_owned(),
        account: "DU0000001".to_owned(),
        exchange: "SMART".to_owned(),
        side: "BOT".to_owned(),
        shares: 1.into(),
        price: 12.34,
        perm_id: 1_234_567,
        client_id: 1,
        cumulative: 1.into(),
        average_price: 12.34,
        order_ref: "0123456789abcdef.open.0".to_owned(),
        liquidation: false,
    };
    let (contract, execution) = (Box::new(contract()), Box::new(execution));
    Event::Execution { req_id: -1, contract, execution }
}

/// Requests as clients wrote them: protobuf ones as they came over the socket, text by its layout.
pub fn decode(frames: &Requests) -> anyhow::Result<()> {
    for (name, id, text) in [
        ("market data", ASK_TICKS, text_ticks()),
        ("order", PLACE, text_order()),
        ("executions", ASK_EXECUTIONS, text_executions()),
    ] {
        let proto = frames.get(&id).with_context(|| format!("no {name} was asked for"))?;
        let rate = |protocol: Protocol, body: &[u8]| -> anyhow::Result<f64> {
            protocol.decode(body).with_context(|| format!("{name} cannot be read"))?;
            Ok(a_second(|| {
                let _ = std::hint::black_box(protocol.decode(std::hint::black_box(body)));
            }))
        };
        let proto = rate(Protocol::Proto(226), proto)?;
        let text = rate(Protocol::Text(178), &text)?;
        tell_rates(&format!("decode {name}"), proto, text);
    }
    Ok(())
}

fn line(fields: &[&str]) -> Vec<u8> {
    fields.iter().flat_map(|field| [field.as_bytes(), &[0]].concat()).collect()
}

const TEXT_CONTRACT: [&str; 12] =
    ["756733", "SPY", "OPT", "20260417", "640.0", "P", "100", "SMART", "", "USD", "", "SPY"];

fn text_ticks() -> Vec<u8> {
    line(&[&["1", "11", "7"], &TEXT_CONTRACT[..], &["0", "101", "0", "0", ""]].concat())
}

fn text_executions() -> Vec<u8> {
    line(&["7", "3", "9", "0", "", "", "", "", "", ""])
}

/// One contract at a limit, as ib_async 2.1.0 writes it.
fn text_order() -> Vec<u8> {
    let order = ["BUY", "1.0", "LMT", "1.25", "", "DAY", "", "", "", "0", "mine", "1", "0"];
    let mut fields = vec!["3", "7"];
    fields.extend(TEXT_CONTRACT);
    fields.extend(["", ""]);
    fields.extend(order);
    fields.extend(["0"; 6]);
    fields.extend(["", "0.0", "", "", "", "", ""]);
    fields.extend([""; 35]);
    fields.extend(["0", "", "", "0", "0", "", "", "0", "", "0", "0", "0", "0"]);
    fields.extend([""; 3]);
    line(&fields)
}
