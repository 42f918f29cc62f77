//! Faults over a real socket, frame by frame: what comes, how often, in which order, in which
//! pieces, and what does not come.

#![cfg(test)]

use std::time::Duration;

use chrono::TimeDelta;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::exchange::testing::{Bench, Scripted};
use crate::structures::testing::{monday, stock};

use super::frame::{FRAME_LENGTH_MAX, Frames, framed};
use super::mutants::{fields, line};
use super::script::Script;
use super::server::{Gateway, Speed};
use super::traffic::Rules;

const BOUND: Duration = Duration::from_secs(30);
const SPY: &str = "0 SPY STK _ 0.0 _ _ SMART _ USD _ _";

/// A gateway under one fault, over a market whose price changes every six seconds, a tenth of one
/// of the wall.
struct Running {
    address: String,
    _serving: JoinSet<()>,
}

async fn faulty(kind: &str, when: &str) -> Running {
    let bench = Bench::at(monday(), 1);
    {
        let mut script = bench.script.lock().unwrap();
        let quotes = script.quotes.entry(stock("SPY").conid()).or_default();
        quotes.extend((1..600_i32).map(|step| {
            let at = monday() + TimeDelta::seconds(i64::from(step) * 6);
            let bid = 639.0 + f64::from(step % 50) / 100.0;
            Scripted { at, bid, ask: bid + 0.02, size: 100 }
        }));
    }
    let script = Script::parse(&format!("[[fault]]\nkind = '{kind}'\n{when}\n")).unwrap();
    let gateway = Gateway::over(bench.exchange, Speed(60.0), Rules::unpaced());
    let gateway = gateway.with_faults(script);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut serving = JoinSet::new();
    serving.spawn(async move { gateway.serve(listener).await.unwrap() });
    Running { address, _serving: serving }
}

const ALWAYS: &str = "at_seconds = 0\nfor_seconds = 600";
/// For two seconds from the moment on at which a second client comes.
const WITH_THE_SECOND: &str = "on = 'connection'\nnth = 2\nfor_seconds = 2";

/// A client of text, which reads frames.
struct Talk {
    stream: TcpStream,
    frames: Frames,
    /// How many bytes came at a time.
    pieces: Vec<usize>,
}

/// The fields of one frame.
#[derive(Debug, Clone, PartialEq)]
struct Frame(Vec<String>);

impl std::ops::Index<usize> for Frame {
    type Output = str;
    fn index(&self, place: usize) -> &str {
        &self.0[place]
    }
}

impl Talk {
    async fn begin(running: &Running, client_id: i32) -> Self {
        let mut stream = TcpStream::connect(&running.address).await.unwrap();
        let hello = [b"API\0", &framed(b"v157..178")[..]].concat();
        stream.write_all(&hello).await.unwrap();
        let frames = Frames::up_to(FRAME_LENGTH_MAX);
        let mut talk = Self { stream, frames, pieces: Vec::new() };
        assert_eq!(&talk.next().await[0], "178");
        talk.say(&format!("71 2 {client_id} _")).await;
        talk.until(|frame| is(frame, "9")).await;
        talk
    }

    async fn say(&mut self, message: &str) {
        self.stream.write_all(&framed(&line(&fields(message)))).await.unwrap();
    }

    async fn next(&mut self) -> Frame {
        let next = async {
            loop {
                if let Some(body) = self.frames.take().unwrap() {
                    let text = String::from_utf8(body).unwrap();
                    let text = text.strip_suffix('\0').unwrap();
                    return Frame(text.split('\0').map(str::to_owned).collect());
                }
                let mut buffer = [0; 4_096];
                let count = self.stream.read(&mut buffer).await.unwrap();
                assert!(count > 0, "closed");
                self.pieces.push(count);
                self.frames.push(&buffer[..count]);
            }
        };
        timeout(BOUND, next).await.expect("a frame in time")
    }

    /// All frames up to one that is wanted, with it.
    async fn until(&mut self, wanted: impl Fn(&Frame) -> bool) -> Vec<Frame> {
        let mut heard = Vec::new();
        let listening = async {
            while !heard.last().is_some_and(&wanted) {
                heard.push(self.next().await);
            }
        };
        timeout(BOUND, listening).await.expect("it is told in time");
        heard
    }

    async fn until_error(&mut self, code: &str) -> Vec<Frame> {
        self.until(|frame| error(frame).is_some_and(|(_, told)| told == code)).await
    }

    async fn quote(&mut self, req_id: i32) {
        self.say(&format!("1 11 {req_id} {SPY} 0 _ 0 0 _")).await;
    }

    /// Buys some SPY at once, for the day.
    async fn buy(&mut self, order_id: i32) {
        let (none, tail) = (vec!["_"; 35].join(" "), "0 _ _ 0 0 _ _ 0 _ 0 0 0 0 _ _ _");
        let order = "_ _ BUY 2 LMT 660.0 _ DAY _ _ _ 0 mine 1 0 0 0 0 0 0 0 _ 0.0 _ _ _ _ _";
        self.say(&format!("3 {order_id} {SPY} {order} {none} {tail}")).await;
    }
}

fn is(frame: &Frame, id: &str) -> bool {
    &frame[0] == id
}

fn is_tick(frame: &Frame) -> bool {
    is(frame, "1") || is(frame, "2")
}

/// The id and the code of an error.
fn error(frame: &Frame) -> Option<(&str, &str)> {
    is(frame, "4").then(|| (&frame[2], &frame[3]))
}

fn is_filled(frame: &Frame) -> bool {
    is(frame, "3") && &frame[2] == "Filled"
}

/// Open orders, their states, executions and commissions.
fn is_news(frame: &Frame) -> bool {
    ["5", "3", "11", "59"].contains(&&frame[0])
}

#[tokio::test(flavor = "multi_thread")]
async fn another_session_ends_running_lines_and_lets_no_new_one_begin() {
    let running = faulty("competing_session", WITH_THE_SECOND).await;
    let mut talk = Talk::begin(&running, 1).await;
    talk.quote(1).await;
    talk.quote(2).await;
    talk.until(|frame| is_tick(frame) && &frame[2] == "2").await;
    let _other = Talk::begin(&running, 2).await;
    let told = talk.until(|frame| error(frame) == Some(("2", "10197"))).await;
    assert!(told.iter().any(|frame| error(frame) == Some(("1", "10197"))));
    talk.quote(3).await;
    let told = talk.until_error("10197").await;
    assert_eq!(error(told.last().unwrap()), Some(("3", "10197")));
    assert!(!told.iter().any(is_tick), "the lines that ran have ended");
    let mut req_id = 4;
    loop {
        talk.quote(req_id).await;
        let id = req_id.to_string();
        let about = |frame: &Frame| is_tick(frame) || error(frame).is_some();
        let told = talk.until(|frame| about(frame) && frame[2] == *id).await;
        if told.last().is_some_and(is_tick) {
            break;
        }
        req_id += 1;
    }
    talk.until(|frame| is_tick(frame) && frame[2] == *req_id.to_string()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_may_be_refused_one_by_one() {
    let running = faulty("orders_refused", ALWAYS).await;
    let mut talk = Talk::begin(&running, 1).await;
    for order_id in 1..4 {
        talk.buy(order_id).await;
    }
    talk.say("5 1").await;
    let told = talk.until(|frame| is(frame, "53")).await;
    let refused: Vec<_> = told.iter().filter_map(error).filter(|(id, _)| *id != "-1").collect();
    assert_eq!(refused, [("1", "201"), ("2", "201"), ("3", "201")]);
    assert!(!told.iter().any(is_news), "and none is open: {told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_farm_sends_no_ticks_and_then_sends_them_again() {
    for (kind, broken, whole) in [
        ("farm_down", "2103", "2104"),
        ("farms_down", "2157", "2158"),
        ("connectivity_lost", "1100", "1102"),
    ] {
        let running = faulty(kind, WITH_THE_SECOND).await;
        let mut talk = Talk::begin(&running, 1).await;
        talk.quote(1).await;
        talk.until(is_tick).await;
        let _other = Talk::begin(&running, 2).await;
        talk.until_error(broken).await;
        let told = talk.until_error(whole).await;
        assert!(!told.iter().any(is_tick), "{kind}: {told:?}");
        talk.until(is_tick).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fragments_are_pieces_of_three_bytes() {
    let mut sizes = Vec::new();
    for kind in ["fragments", "stale_data"] {
        let running = faulty(kind, ALWAYS).await;
        let mut talk = Talk::begin(&running, 1).await;
        talk.pieces.clear();
        talk.say(&format!("9 8 5 {SPY} 0 _ _ _")).await;
        talk.until(|frame| is(frame, "52")).await;
        // What comes while the reader is busy comes together.
        sizes.push(talk.pieces.iter().sum::<usize>() / talk.pieces.len());
    }
    assert!(sizes[0] <= 30 && sizes[1] > 60, "{sizes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn news_may_be_told_twice() {
    let running = faulty("news_twice", ALWAYS).await;
    let mut talk = Talk::begin(&running, 1).await;
    talk.buy(1).await;
    let mut told = talk.until(is_filled).await;
    told.extend(talk.until(is_filled).await);
    told.retain(is_news);
    assert!(told.len() >= 8 && told.len().is_multiple_of(2), "{told:?}");
    assert!(told.chunks(2).all(|pair| pair[0] == pair[1]), "{told:?}");
    let executions = told.iter().filter(|frame| is(frame, "11")).count();
    assert_eq!(executions, 2, "one, twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn news_may_be_told_backwards() {
    let running = faulty("news_backwards", ALWAYS).await;
    let mut talk = Talk::begin(&running, 1).await;
    talk.buy(1).await;
    let mut told = talk.until(is_filled).await;
    assert!(!told.iter().any(|frame| is(frame, "11") || is(frame, "59")));
    told = talk.until(|frame| is(frame, "11")).await;
    let ids: Vec<&str> =
        told.iter().filter(|frame| is_news(frame)).map(|frame| &frame[0]).collect();
    assert_eq!(ids, ["5", "59", "11"], "the order, what it cost, what was done");
}

#[tokio::test(flavor = "multi_thread")]
async fn executions_may_be_told_only_to_those_who_ask() {
    let running = faulty("executions_withheld", ALWAYS).await;
    let mut talk = Talk::begin(&running, 1).await;
    talk.buy(1).await;
    let is_done = |frame: &Frame| is(frame, "11") || is(frame, "59");
    let mut told = talk.until(is_filled).await;
    talk.say("49 1").await;
    told.extend(talk.until(|frame| is(frame, "49")).await);
    assert!(!told.iter().any(is_done), "{told:?}");
    talk.say("7 3 8 0 _ _ _ _ _ _").await;
    let told = talk.until(|frame| is(frame, "55")).await;
    let ids: Vec<&str> =
        told.iter().filter(|frame| is_done(frame)).map(|frame| &frame[0]).collect();
    assert_eq!(ids, ["11", "59"]);
}
