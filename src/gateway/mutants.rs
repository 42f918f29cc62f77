//! Both decoders, and the house behind them, on messages that were whole once: fields swapped,
//! lost, replaced, bytes flipped, cut and mixed. Nothing may break, and nothing may grow.

#![cfg(test)]

use proptest::prelude::*;

use super::handshake::Protocol;
use super::request::Request;
use super::scripted::Desk;

const TEXT: [Protocol; 3] = [Protocol::Text(176), Protocol::Text(177), Protocol::Text(178)];
const PROTO: [Protocol; 2] = [Protocol::Proto(213), Protocol::Proto(226)];

/// SPY as text clients write it; with a place for each field of a contract.
const SPY: &str = "756733 SPY STK _ 0.0 _ _ SMART ARCA USD SPY SPY";
const COMBO: &str = "0 SPY BAG _ 0.0 _ _ SMART _ USD _ _";
const OPTION: &str = "0 SPY OPT 20260417 640.0 C 100 SMART _ USD _ _";

/// Whole messages in text; `_` is an empty field.
fn messages() -> Vec<String> {
    let none = |count: usize| vec!["_"; count].join(" ");
    // From discretionaryAmt to lmtPriceOffset, the first without the profile of version 176.
    let tail = format!("{} {} 0 _ _ 0 0 _ _ 1 _ 0 0 0 0 _ _ _", none(24), none(11));
    let order = |contract: &str, kind: &str, legs: &str, profile: &str| {
        let head = format!("BUY 1.0 {kind} 639.5 1.5 GTC pair DU0000001 _ 0 mine 1 0");
        let allocation = format!("_ 0.0 _ _ _ _ _{profile}");
        format!("3 7 {contract} _ _ {head} 0 0 0 0 0 0{legs} {allocation} {tail}")
    };
    let legs = " 2 11 1 SELL SMART 0 0 _ -1 12 2 BUY SMART 0 0 _ -1 0 1 NonGuaranteed 0";
    let mut all: Vec<String> = ["", " _"]
        .into_iter()
        .flat_map(|profile| {
            let kinds = ["LMT", "STP", "TRAIL", "MKT"];
            let single = kinds.map(|kind| order(SPY, kind, "", profile));
            single.into_iter().chain([order(COMBO, "LMT", legs, profile)])
        })
        .collect();
    all.extend([
        format!("1 11 5 {SPY} 0 100,101,104,106,233 0 0 _"),
        format!("1 11 6 {OPTION} 0 _ 1 0 _"),
        format!("1 11 7 {COMBO} 2 11 1 SELL SMART 12 1 BUY SMART 0 _ 0 0 _"),
        "7 3 8 0 DU0000001 20260302-14:30:00 SPY OPT SMART BUY".to_owned(),
        format!("20 9 {SPY} 0 20260302-16:00:00 5_mins 1_D 1 TRADES 2 0 _"),
        format!("9 8 10 {SPY} 0 _ _ _"),
        "78 11 SPY _ STK 756733".to_owned(),
        format!("50 3 12 {SPY} 5 TRADES 0 _"),
        format!("54 3 13 {OPTION} 2.5 640.0 0 _"),
        format!("55 3 14 {OPTION} 0.2 640.0 0 _"),
        format!("87 15 {SPY} 0 1 TRADES 1"),
    ]);
    let short = "2 2 5|4 1 7|5 1|6 2 1 DU0000001|8 1 1|15 1 1|16 1|17 1|25 1 9|49 1|51 1 12|58 1|\
                 59 1 3|61 1|62 1 16 All NetLiquidation,TotalCashValue|63 1 16|64 1|71 2 7 _|\
                 74 1 17 DU0000001 _|75 1 17|76 1 18 DU0000001 _ 1|77 1 18|80|81 19 SP|82|85|91 26|\
                 92 20 DU0000001 _|93 20|94 21 DU0000001 _ 756733|95 21|99 1|104 22";
    all.extend(short.split('|').map(str::to_owned));
    all
}

/// The fields of a message; `5_mins` has a space in it.
pub(super) fn fields(message: &str) -> Vec<String> {
    let field = |field: &str| if field == "_" { String::new() } else { field.replace('_', " ") };
    message.split(' ').map(field).collect()
}

pub(super) fn line(fields: &[String]) -> Vec<u8> {
    fields.iter().flat_map(|field| [field.as_bytes(), &[0]].concat()).collect()
}

/// Protobuf by its numbers, written here once more.
#[derive(Default, Clone)]
struct Body(Vec<u8>);

impl Body {
    fn varint(mut self, mut value: u64) -> Self {
        while value > 0x7f {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
        self
    }

    fn int(self, field: u64, value: u64) -> Self {
        self.varint(field << 3).varint(value)
    }

    fn double(self, field: u64, value: f64) -> Self {
        let mut body = self.varint((field << 3) | 1);
        body.0.extend(value.to_le_bytes());
        body
    }

    fn bytes(self, field: u64, bytes: &[u8]) -> Self {
        let mut body = self.varint((field << 3) | 2).varint(bytes.len() as u64);
        body.0.extend_from_slice(bytes);
        body
    }

    fn text(self, field: u64, text: &str) -> Self {
        self.bytes(field, text.as_bytes())
    }

    fn frame(self, id: u32) -> Vec<u8> {
        [&(id + 200).to_be_bytes()[..], &self.0].concat()
    }
}

fn body() -> Body {
    Body::default()
}

fn spy() -> Vec<u8> {
    body().int(1, 756_733).text(2, "SPY").text(3, "STK").text(8, "SMART").text(10, "USD").0
}

fn option() -> Vec<u8> {
    let option = body().text(2, "SPY").text(3, "OPT").text(4, "20260417").double(5, 640.0);
    option.text(6, "C").double(7, 100.0).text(8, "SMART").text(10, "USD").0
}

fn combo() -> Vec<u8> {
    let leg = |conid, ratio, action| {
        body().int(1, conid).int(2, ratio).text(3, action).text(4, "SMART").0
    };
    let combo = body().text(2, "SPY").text(3, "BAG").text(8, "SMART").text(10, "USD");
    combo.bytes(20, &leg(11, 1, "SELL")).bytes(20, &leg(12, 2, "BUY")).0
}

fn order(kind: &str) -> Vec<u8> {
    let order = body().text(5, "BUY").text(6, "1").text(8, kind).double(9, 639.5).double(10, 1.5);
    let order = order.text(11, "GTC").text(12, "DU0000001").text(27, "pair").text(28, "mine");
    let param = body().text(1, "NonGuaranteed").text(2, "0").0;
    order.int(30, 1).int(31, 2).double(23, 630.0).bytes(64, &param).int(66, 1).double(99, 0.1).0
}

/// Whole messages in protobuf.
fn frames() -> Vec<Vec<u8>> {
    let of = |req_id: u64, contract: Vec<u8>| body().int(1, req_id).bytes(2, &contract);
    let mut all: Vec<Vec<u8>> = ["LMT", "STP", "TRAIL", "TRAIL LIMIT", "MKT"]
        .map(|kind| of(7, spy()).bytes(3, &order(kind)).frame(3))
        .into();
    let filter = body().int(1, 1).text(2, "DU0000001").text(4, "SPY").int(8, 2);
    let filter = filter.int(9, 20_260_302);
    let history = of(9, spy()).text(3, "20260302-16:00:00").text(4, "5 mins").text(5, "1 D");
    all.extend([
        of(8, combo()).bytes(3, &order("LMT")).frame(3),
        of(5, spy()).text(3, "100,101,233").frame(1),
        of(6, option()).int(4, 1).frame(1),
        of(7, combo()).frame(1),
        body().int(1, 8).bytes(2, &filter.0).frame(7),
        history.int(6, 1).text(7, "TRADES").int(8, 2).frame(20),
        of(10, spy()).frame(9),
        body().int(1, 11).text(2, "SPY").text(4, "STK").int(5, 756_733).frame(78),
        of(12, spy()).int(3, 5).text(4, "TRADES").frame(50),
        of(13, option()).double(3, 2.5).double(4, 640.0).frame(54),
        of(14, option()).double(3, 0.2).double(4, 640.0).frame(55),
        of(15, spy()).text(4, "TRADES").int(5, 1).frame(87),
        body().int(1, 16).text(2, "All").text(3, "NetLiquidation").frame(62),
        body().int(1, 1).text(2, "DU0000001").frame(6),
        body().int(1, 19).text(2, "SP").frame(81),
        body().int(1, 21).text(2, "DU0000001").int(4, 756_733).frame(94),
    ]);
    for id in [74, 76, 92] {
        all.push(body().int(1, u64::from(id)).text(2, "DU0000001").frame(id));
    }
    for id in [2, 4, 15, 25, 51, 59, 63, 71, 75, 77, 91, 93, 95, 104, 106] {
        all.push(body().int(1, 1).frame(id));
    }
    all.extend([5, 8, 16, 17, 49, 58, 61, 64, 80, 82, 85, 99, 105].map(|id| body().frame(id)));
    all
}

/// One change of a message in text.
#[derive(Debug, Clone)]
enum Change {
    Swap(prop::sample::Index, prop::sample::Index),
    Drop(prop::sample::Index),
    Replace(prop::sample::Index, String),
    Insert(prop::sample::Index, String),
    Cut(prop::sample::Index),
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<prop::sample::Index>;
    let junk = || {
        let edges = "|0|-1|1|2|3|1000000000|2147483647|-2147483648|99999999999999999999|1e308|\
                     -1e308|\
                     1e-308|NaN|inf|-inf|1.7976931348623157E308|BAG|OPT|SELL|TRAIL LIMIT|PEG BENCH|\
                     é|\u{fffd}|true|20260302|-0.0|0.1.2|+5| 7";
        let edges: Vec<String> = edges.split('|').map(str::to_owned).collect();
        prop_oneof![4 => prop::sample::select(edges), 1 => "[ -~]{0,12}"]
    };
    prop_oneof![
        1 => (at(), at()).prop_map(|(one, other)| Change::Swap(one, other)),
        1 => at().prop_map(Change::Drop),
        4 => (at(), junk()).prop_map(|(at, junk)| Change::Replace(at, junk)),
        1 => (at(), junk()).prop_map(|(at, junk)| Change::Insert(at, junk)),
        1 => at().prop_map(Change::Cut),
    ]
}

fn changed(message: &str, changes: Vec<Change>) -> Vec<u8> {
    let mut fields = fields(message);
    for change in changes {
        let many = fields.len();
        if many == 0 {
            break;
        }
        match change {
            Change::Swap(one, other) => fields.swap(one.index(many), other.index(many)),
            Change::Drop(at) => drop(fields.remove(at.index(many))),
            Change::Replace(at, junk) => fields[at.index(many)] = junk,
            Change::Insert(at, junk) => fields.insert(at.index(many), junk),
            Change::Cut(at) => fields.truncate(at.index(many)),
        }
    }
    line(&fields)
}

/// One change of a message in protobuf.
#[derive(Debug, Clone)]
enum Damage {
    Flip(prop::sample::Index, u8),
    Set(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Drop(prop::sample::Index, usize),
    /// A piece of another message, put in.
    Splice(prop::sample::Index, prop::sample::Index, (prop::sample::Index, usize)),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        2 => (at(), 0_u8..8).prop_map(|(at, bit)| Damage::Flip(at, 1 << bit)),
        2 => (at(), any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        1 => at().prop_map(Damage::Cut),
        1 => (at(), 1_usize..9).prop_map(|(at, many)| Damage::Drop(at, many)),
        2 => (at(), at(), (at(), 1_usize..40))
            .prop_map(|(at, of, from)| Damage::Splice(at, of, from)),
    ]
}

/// Behind the message's number, which stays.
fn damaged(frame: &[u8], all: &[Vec<u8>], damages: Vec<Damage>) -> Vec<u8> {
    let (head, body) = frame.split_at(4);
    let mut body = body.to_vec();
    for damage in damages {
        let many = body.len();
        if many == 0 && !matches!(damage, Damage::Splice(..)) {
            continue;
        }
        match damage {
            Damage::Splice(at, of, (from, length)) => {
                let other = of.get(all);
                let from = from.index(other.len());
                let piece = other[from..other.len().min(from + length)].to_vec();
                let at = at.index(many + 1);
                body.splice(at..at, piece);
            }
            Damage::Flip(at, bit) => body[at.index(many)] ^= bit,
            Damage::Set(at, byte) => body[at.index(many)] = byte,
            Damage::Cut(at) => body.truncate(at.index(many)),
            Damage::Drop(at, length) => {
                let from = at.index(many);
                body.drain(from..many.min(from + length));
            }
        }
    }
    [head, &body].concat()
}

/// Decodes, and says whether what came of it is of a size with what went in.
fn is_bounded(protocol: Protocol, frame: &[u8]) -> bool {
    format!("{:?}", protocol.decode(frame)).len() <= 64 * frame.len() + 4_000
}

/// What the house makes of a request.
fn ask(desk: &mut Desk, request: Request) -> usize {
    let seat = desk.seats[1].0;
    // What it closes the connection for is an answer too.
    let _ = desk.house.handle(seat, request);
    desk.heard(1).len()
}

#[test]
fn the_messages_are_whole_before_they_are_changed() {
    let is_read = |protocol: Protocol, frame: &[u8]| {
        let read = protocol.decode(frame);
        !matches!(read, Err(_) | Ok(Request::Unanswered { .. }))
    };
    for message in messages() {
        let frame = line(&fields(&message));
        assert!(TEXT.iter().any(|protocol| is_read(*protocol, &frame)), "{message}");
    }
    for frame in frames() {
        assert!(PROTO.iter().all(|protocol| is_read(*protocol, &frame)), "{frame:?}");
    }
}

#[test]
fn from_version_177_on_an_order_names_no_profile() {
    let all = messages();
    let bare = all.iter().find(|message| message.starts_with("3 7")).unwrap();
    let frame = line(&fields(bare));
    let [oldest, middle, newest] = TEXT.map(|protocol| protocol.decode(&frame));
    assert_eq!(middle, newest);
    assert!(oldest != middle);
    let Ok(Request::PlaceOrder { order, .. }) = middle else { panic!("no order") };
    assert!(order.what_if && order.transmit && order.conditions == 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn no_change_of_fields_brings_the_decoder_down(
        message in prop::sample::select(messages()),
        changes in prop::collection::vec(change(), 1..6),
    ) {
        let frame = changed(&message, changes);
        for protocol in TEXT {
            prop_assert!(is_bounded(protocol, &frame));
        }
    }

    #[test]
    fn no_damage_of_bytes_brings_the_decoder_down(
        frame in prop::sample::select(frames()),
        damages in prop::collection::vec(damage(), 1..6),
    ) {
        let frame = damaged(&frame, &frames(), damages);
        for protocol in PROTO {
            prop_assert!(is_bounded(protocol, &frame));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_changed_message_brings_the_house_down(
        texts in prop::collection::vec(
            (prop::sample::select(messages()), prop::collection::vec(change(), 0..3)), 1..20),
        bodies in prop::collection::vec(
            (prop::sample::select(frames()), prop::collection::vec(damage(), 0..3)), 1..20),
    ) {
        let mut desk = Desk::new();
        let all = frames();
        let texts = texts.into_iter().map(|(text, changes)| (TEXT[2], changed(&text, changes)));
        let bodies = bodies.into_iter();
        let bodies = bodies.map(|(frame, damages)| (PROTO[1], damaged(&frame, &all, damages)));
        for (protocol, frame) in texts.chain(bodies) {
            if let Ok(request) = protocol.decode(&frame) {
                prop_assert!(ask(&mut desk, request) < 10_000);
            }
        }
        desk.minute(651.0);
        desk.minute(600.0);
    }
}
