//! A tap on the wire between the adapter and a gateway: it sees every frame of the protobuf
//! protocol, and the test says what becomes of one.

#![cfg(test)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Numbers of messages, as both sides write them less 200.
pub mod message {
    pub const TICK_PRICE: u32 = 1;
    pub const TICK_SIZE: u32 = 2;
    pub const ORDER_STATUS: u32 = 3;
    pub const ERROR: u32 = 4;
    pub const OPEN_ORDER: u32 = 5;
    pub const NEXT_VALID_ID: u32 = 9;
    pub const EXECUTION: u32 = 11;
    pub const TICK_MODEL: u32 = 21;
    pub const TIME: u32 = 49;
    pub const COMMISSION: u32 = 59;
    pub const COMPLETED_ORDER: u32 = 101;

    pub const ASK_TICKS: u32 = 1;
    pub const PLACE: u32 = 3;
    pub const ASK_OPEN_ORDERS: u32 = 16;
    pub const DROP_TICKS: u32 = 2;
    pub const ASK_CONTRACTS: u32 = 9;
    pub const ASK_HISTORY: u32 = 20;
    pub const ASK_EXECUTIONS: u32 = 7;
    pub const ASK_IDS: u32 = 8;
    pub const ASK_TIME: u32 = 49;
    pub const START: u32 = 71;
    pub const ASK_COMPLETED: u32 = 99;
}

/// Where a frame goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// To the gateway.
    Up,
    /// To the adapter.
    Down,
}

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Counts connections from 1.
    pub connection: usize,
    pub way: Way,
    pub id: u32,
    pub body: Vec<u8>,
}

impl Seen {
    /// Whether it is this message on its way up.
    pub fn asks(&self, id: u32) -> bool {
        self.way == Way::Up && self.id == id
    }

    /// Whether it is this message on its way down.
    pub fn tells(&self, id: u32) -> bool {
        self.way == Way::Down && self.id == id
    }

    /// The contract that it names, of those that name one in their second field.
    pub fn conid(&self) -> Option<i64> {
        int_of(part_of(&self.body, 2)?, 1)
    }

    /// The frame itself.
    pub fn again(&self) -> Vec<u8> {
        Body(self.body.clone()).frame(self.id)
    }

    /// Whether its body holds this text.
    pub fn holds(&self, text: &str) -> bool {
        self.body.windows(text.len()).any(|part| part == text.as_bytes())
    }

    /// A whole number of its body.
    pub fn int(&self, field: u64) -> Option<i64> {
        int_of(&self.body, field)
    }
}

/// What becomes of a frame.
pub enum Act {
    Pass,
    Swallow,
    /// Not passed on; the adapter gets these frames instead.
    Instead(Vec<Vec<u8>>),
    /// Passed on late.
    Late(Duration),
    /// Both sides are closed, and the frame is lost.
    Cut,
    /// Passed on, then both sides are closed.
    PassAndCut,
    /// The adapter's side is closed, and the gateway's hangs for a while.
    CutHere(Duration),
}

type Rule = Box<dyn FnMut(&Seen) -> Act + Send>;

struct State {
    seen: Vec<Seen>,
    rule: Rule,
    connections: usize,
    /// New connections are closed at once.
    shut: bool,
}

/// The tap, for as long as this is held.
pub struct Tap {
    pub address: String,
    state: Arc<Mutex<State>>,
    _serving: JoinSet<()>,
}

impl Tap {
    /// Everything passes, until a rule is laid.
    pub async fn before(gateway: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state =
            State { seen: Vec::new(), rule: Box::new(|_| Act::Pass), connections: 0, shut: false };
        let state = Arc::new(Mutex::new(state));
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, gateway.to_owned(), Arc::clone(&state)));
        Self { address, state, _serving: serving }
    }

    /// What becomes of frames from now on.
    pub fn lay(&self, rule: impl FnMut(&Seen) -> Act + Send + 'static) {
        self.state.lock().unwrap().rule = Box::new(rule);
    }

    /// From now on connections are closed at once.
    pub fn shut(&self) {
        self.state.lock().unwrap().shut = true;
    }

    /// From now on they are taken again.
    pub fn open(&self) {
        self.state.lock().unwrap().shut = false;
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.state.lock().unwrap().seen.clone()
    }

    pub fn connections(&self) -> usize {
        self.state.lock().unwrap().connections
    }

    /// How often this was asked.
    pub fn asked(&self, id: u32) -> usize {
        self.seen().iter().filter(|seen| seen.asks(id)).count()
    }
}

async fn serve(listener: TcpListener, gateway: String, state: Arc<Mutex<State>>) {
    let mut talks = JoinSet::new();
    while let Ok((adapter, _)) = listener.accept().await {
        let connection = {
            let mut state = state.lock().unwrap();
            if state.shut {
                continue;
            }
            state.connections += 1;
            state.connections
        };
        let Ok(gateway) = TcpStream::connect(&gateway).await else { continue };
        talks.spawn(talk(adapter, gateway, (connection, Arc::clone(&state))));
    }
}

/// How one direction ended.
enum Ended {
    Closed,
    Hangs(Duration),
}

async fn talk(
    adapter: TcpStream,
    gateway: TcpStream,
    (connection, state): (usize, Arc<Mutex<State>>),
) {
    adapter.set_nodelay(true).unwrap();
    gateway.set_nodelay(true).unwrap();
    let (from_adapter, to_adapter) = adapter.into_split();
    let (from_gateway, to_gateway) = gateway.into_split();
    let to_adapter = Arc::new(tokio::sync::Mutex::new(to_adapter));
    let judge = |way: Way| {
        let state = Arc::clone(&state);
        move |id: u32, body: Vec<u8>| {
            let seen = Seen { connection, way, id, body };
            let mut state = state.lock().unwrap();
            let act = (state.rule)(&seen);
            state.seen.push(seen);
            act
        }
    };
    let to_gateway = Arc::new(tokio::sync::Mutex::new(to_gateway));
    let up =
        relay(from_adapter, (Arc::clone(&to_gateway), Arc::clone(&to_adapter)), judge(Way::Up));
    let down =
        relay(from_gateway, (Arc::clone(&to_adapter), Arc::clone(&to_adapter)), judge(Way::Down));
    let ended = tokio::select! {
        ended = up => ended,
        ended = down => ended,
    };
    if let Ended::Hangs(span) = ended {
        let _ = to_adapter.lock().await.shutdown().await;
        sleep(span).await;
    }
}

type Writer = Arc<tokio::sync::Mutex<OwnedWriteHalf>>;

/// One direction: `API` and a zero, where there is one, and the hello or its answer pass unseen.
async fn relay(
    mut from: OwnedReadHalf,
    (to, to_adapter): (Writer, Writer),
    mut judge: impl FnMut(u32, Vec<u8>) -> Act,
) -> Ended {
    let mut hello = true;
    while let Some(frame) = read_frame(&mut from).await {
        let act = if std::mem::take(&mut hello) {
            Act::Pass
        } else {
            let (id, body) = frame[4..].split_first_chunk::<4>().unwrap();
            judge(u32::from_be_bytes(*id).saturating_sub(200), body.to_vec())
        };
        let write = async |to: &Writer, bytes: &[u8]| to.lock().await.write_all(bytes).await;
        let written = match &act {
            Act::Pass | Act::PassAndCut => write(&to, &frame).await,
            Act::Late(span) => {
                sleep(*span).await;
                write(&to, &frame).await
            }
            Act::Instead(frames) => write(&to_adapter, &frames.concat()).await,
            Act::Swallow | Act::Cut | Act::CutHere(_) => Ok(()),
        };
        match act {
            Act::Cut | Act::PassAndCut => return Ended::Closed,
            Act::CutHere(span) => return Ended::Hangs(span),
            Act::Pass | Act::Swallow | Act::Instead(_) | Act::Late(_) => {}
        }
        if written.is_err() {
            return Ended::Closed;
        }
    }
    Ended::Closed
}

/// The next frame with its length in front; the first of a client has its greeting before it.
async fn read_frame(from: &mut OwnedReadHalf) -> Option<Vec<u8>> {
    let mut frame = vec![0; 4];
    from.read_exact(&mut frame).await.ok()?;
    if frame == *b"API\0" {
        frame.extend([0; 4]);
        from.read_exact(&mut frame[4..]).await.ok()?;
    }
    let head: [u8; 4] = frame[frame.len() - 4..].try_into().ok()?;
    let start = frame.len();
    frame.resize(start + u32::from_be_bytes(head) as usize, 0);
    from.read_exact(&mut frame[start..]).await.ok()?;
    Some(frame)
}

/// A message in the making.
#[derive(Debug, Clone, Default)]
pub struct Body(Vec<u8>);

impl Body {
    #[must_use]
    pub fn int(mut self, field: u64, value: i64) -> Self {
        push_varint(&mut self.0, field << 3);
        push_varint(&mut self.0, value as u64);
        self
    }

    #[must_use]
    pub fn double(mut self, field: u64, value: f64) -> Self {
        push_varint(&mut self.0, field << 3 | 1);
        self.0.extend(value.to_le_bytes());
        self
    }

    #[must_use]
    pub fn text(mut self, field: u64, value: &str) -> Self {
        push_varint(&mut self.0, field << 3 | 2);
        push_varint(&mut self.0, value.len() as u64);
        self.0.extend(value.as_bytes());
        self
    }

    /// The whole frame of a message.
    pub fn frame(self, id: u32) -> Vec<u8> {
        let body = [&(id + 200).to_be_bytes()[..], &self.0].concat();
        [&(body.len() as u32).to_be_bytes()[..], &body].concat()
    }
}

/// An error or a notice; the id is the request's or the order's, or -1.
pub fn error(id: i64, code: i64, said: &str) -> Vec<u8> {
    Body::default().int(1, id).int(2, 0).int(3, code).text(4, said).frame(message::ERROR)
}

fn push_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push((value as u8) | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// The value of a field of a protobuf body.
enum Value<'a> {
    Int(u64),
    Part(&'a [u8]),
}

fn value_of(mut bytes: &[u8], field: u64) -> Option<Value<'_>> {
    while !bytes.is_empty() {
        let tag = take_varint(&mut bytes)?;
        let value = match tag & 7 {
            0 => Value::Int(take_varint(&mut bytes)?),
            1 => Value::Part(bytes.split_off(..8)?),
            2 => {
                let length = take_varint(&mut bytes)? as usize;
                Value::Part(bytes.split_off(..length)?)
            }
            5 => Value::Part(bytes.split_off(..4)?),
            _ => return None,
        };
        if tag >> 3 == field {
            return Some(value);
        }
    }
    None
}

fn int_of(bytes: &[u8], field: u64) -> Option<i64> {
    match value_of(bytes, field)? {
        Value::Int(value) => Some(value as i64),
        Value::Part(_) => None,
    }
}

fn part_of(bytes: &[u8], field: u64) -> Option<&[u8]> {
    match value_of(bytes, field)? {
        Value::Part(part) => Some(part),
        Value::Int(_) => None,
    }
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
