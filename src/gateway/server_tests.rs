//! Connections that do not behave, over real sockets.

#![cfg(test)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::exchange::testing::Bench;
use crate::exchange::{
    Exchange, ExchangeConfig, SHIPPED_VARIANCE_PREMIUM, Scenario, SyntheticConfig, SyntheticMarket,
};
use crate::market::Symbol;
use crate::market::sessions::Calendar;
use crate::structures::testing::monday;

use super::frame::{REQUEST_LENGTH_MAX, framed};
use super::request::Request;
use super::server::{Ending, Gateway, Seated, Speed};
use super::traffic::{CLIENTS_MAX, Rules};

const BOUND: Duration = Duration::from_secs(30);

fn quiet() -> Gateway {
    let exchange = Bench::at(monday(), 1).exchange;
    Gateway::over(exchange, Speed(1.0), Rules::unpaced())
}

fn line(fields: &[&str]) -> Vec<u8> {
    let body: Vec<u8> = fields.iter().flat_map(|field| [field.as_bytes(), &[0]].concat()).collect();
    framed(&body)
}

fn start(client_id: i32) -> Vec<u8> {
    line(&["71", "2", &client_id.to_string(), ""])
}

/// A client that has been answered which version is spoken.
async fn greeted(mut stream: TcpStream, range: &str) -> TcpStream {
    stream.write_all(&[b"API\0", &framed(range.as_bytes())[..]].concat()).await.unwrap();
    let mut head = [0; 4];
    stream.read_exact(&mut head).await.unwrap();
    let mut body = vec![0; u32::from_be_bytes(head) as usize];
    stream.read_exact(&mut body).await.unwrap();
    stream
}

/// How a gateway ends one connection whose client does something.
async fn ending(
    gateway: &Gateway,
    range: &str,
    what: impl AsyncFnOnce(TcpStream),
) -> Result<(), Ending> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let client = async {
        let stream = TcpStream::connect(address).await.unwrap();
        what(greeted(stream, range).await).await;
    };
    let talk = async { gateway.talk(listener.accept().await.unwrap().0).await };
    let (ended, ()) = timeout(BOUND, async { tokio::join!(talk, client) }).await.unwrap();
    ended
}

/// Writes, and waits until the gateway has closed.
async fn write_until_closed(mut stream: TcpStream, bytes: &[u8]) {
    let _ = stream.write_all(bytes).await;
    let mut heard = Vec::new();
    let _ = stream.read_to_end(&mut heard).await;
}

/// Goes as a client goes that has heard everything.
async fn leave(mut stream: TcpStream) {
    stream.shutdown().await.unwrap();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).await.unwrap();
}

#[tokio::test]
async fn a_frame_longer_than_any_request_closes_the_connection_before_it_comes() {
    let too_long = (REQUEST_LENGTH_MAX as u32 + 1).to_be_bytes();
    for range in ["v157..178", "v213..226"] {
        let gateway = quiet();
        let said = ending(&gateway, range, async |stream| {
            write_until_closed(stream, &too_long).await;
        });
        let said = said.await.unwrap_err().to_string();
        assert!(said.contains("takes 1 to 262144"), "{said}");
    }
}

#[tokio::test]
async fn more_fields_than_any_request_has_close_the_connection() {
    let gateway = quiet();
    let zeros = framed(&vec![0; 200_000]);
    let said = ending(&gateway, "v157..178", async |stream| {
        write_until_closed(stream, &zeros).await;
    });
    let said = said.await.unwrap_err().to_string();
    assert!(said.contains("more than 4096 fields"), "{said}");

    // An order of a combo of sixty thousand empty legs.
    let legs = [0xa2, 1, 0].repeat(60_000);
    let contract = [&[0x12, 0xa0, 0xfe, 0x0a][..], &legs].concat();
    let order = framed(&[&203_u32.to_be_bytes()[..], &[0x08, 1], &contract].concat());
    let said = ending(&gateway, "v213..226", async |stream| {
        write_until_closed(stream, &order).await;
    });
    let said = said.await.unwrap_err().to_string();
    assert!(said.contains("message 3 has more than 4096 fields"), "{said}");
}

#[tokio::test]
async fn who_does_not_say_which_client_it_is_does_not_stay() {
    let mut gateway = quiet();
    gateway.start_within = Duration::from_millis(300);
    let silent = ending(&gateway, "v157..178", async |stream| {
        write_until_closed(stream, &line(&["49", "1"])).await;
    });
    assert!(matches!(silent.await, Err(Ending::NoClient(_))));
    assert!(gateway.house().seats.is_empty());
    let started = ending(&gateway, "v157..178", async |mut stream| {
        stream.write_all(&start(7)).await.unwrap();
        sleep(Duration::from_millis(600)).await;
        leave(stream).await;
    });
    assert!(started.await.is_ok(), "a client stays until it goes");
}

#[tokio::test]
async fn as_many_clients_as_ib_takes_are_taken() {
    let gateway = quiet();
    let mut inboxes = Vec::new();
    for client_id in 0..CLIENTS_MAX as i32 {
        let (seat, inbox) = gateway.house().seat();
        inboxes.push(inbox);
        gateway.house().handle(seat, Request::StartApi { client_id }).unwrap();
    }
    let one_more = async || {
        ending(&gateway, "v157..178", async |stream| {
            write_until_closed(stream, &start(99)).await;
        })
        .await
    };
    let said = one_more().await.unwrap_err().to_string();
    assert!(said.contains("32 clients are connected"), "{said}");
    let first = *gateway.house().seats.keys().next().unwrap();
    gateway.house().leave(first);
    let taken = ending(&gateway, "v157..178", async |mut stream| {
        stream.write_all(&start(99)).await.unwrap();
        leave(stream).await;
    });
    assert!(taken.await.is_ok());
}

#[test]
fn a_connection_that_breaks_down_gives_its_client_id_back() {
    let gateway = quiet();
    let (seat, _inbox) = gateway.house().seat();
    gateway.house().handle(seat, Request::StartApi { client_id: 7 }).unwrap();
    let broken = catch_unwind(AssertUnwindSafe(|| {
        let _seated = Seated { gateway: &gateway, seat };
        gateway.house().held = Some(Vec::new());
        let _house = gateway.house();
        panic!("on purpose");
    }));
    assert!(broken.is_err());
    let (seat, mut inbox) = gateway.house().seat();
    gateway.house().handle(seat, Request::StartApi { client_id: 7 }).unwrap();
    assert!(inbox.try_recv().is_ok(), "it is welcomed");
}

/// A market with options, at the open, a minute a second.
fn lively() -> Gateway {
    let calendar = Arc::new(Calendar::shipped().unwrap());
    let config = SyntheticConfig {
        seed: 1,
        first_session: "2026-03-02".parse().unwrap(),
        variance_premium: SHIPPED_VARIANCE_PREMIUM,
        scenario: Scenario::Ordinary,
    };
    let source = Box::new(SyntheticMarket::new(config, Arc::clone(&calendar)).unwrap());
    let mut exchange = Exchange::new(source, ExchangeConfig::shipped(1), calendar).unwrap();
    exchange.advance_to("2026-03-02T14:30:00Z".parse().unwrap()).unwrap();
    Gateway::over(exchange, Speed(60.0), Rules::unpaced())
}

/// How many messages wait for the one client.
fn waiting(gateway: &Gateway) -> usize {
    let house = gateway.house();
    house.seats.values().map(|seat| seat.outbox.max_capacity() - seat.outbox.capacity()).sum()
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let tries = async {
        while !holds() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(BOUND, tries).await.expect(what);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_stops_reading_and_says_nothing_is_given_up() {
    let gateway = lively();
    gateway.house().outbox = 2_000;
    let options = gateway.read(|market| market.option_contracts(&Symbol::new("SPY")));
    let spy = gateway.read(|market| market.underlyings());
    let spy = spy.iter().find(|one| one.symbol().as_str() == "SPY").unwrap().conid().0.to_string();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut serving = JoinSet::new();
    let served = gateway.clone();
    serving.spawn(async move { served.serve(listener).await.unwrap() });

    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut stream = greeted(socket.connect(address).await.unwrap(), "v157..178").await;
    stream.write_all(&start(7)).await.unwrap();
    for (place, option) in options.iter().take(90).enumerate() {
        let (req_id, conid) = (place.to_string(), option.conid.0.to_string());
        let contract = ["", "OPT", "", "", "", "", "", "", "", "", ""];
        let asked = [&["1", "11", &req_id, &conid][..], &contract, &["0", "", "0", "0", ""]];
        stream.write_all(&line(&asked.concat())).await.unwrap();
    }
    // Until the socket takes no more of the answers. A slow gateway reads many questions at once,
    // and may give it up in the middle of them.
    let chain = line(&["78", "9000", "SPY", "", "STK", &spy]);
    let mut stuck = 0;
    let mut ended = false;
    for _ in 0..500 {
        stuck = if waiting(&gateway) > 600 { stuck + 1 } else { 0 };
        ended = stream.write_all(&chain.repeat(50)).await.is_err();
        if stuck == 3 || ended {
            break;
        }
        sleep(Duration::from_millis(50)).await;
    }
    assert!(stuck == 3 || ended, "its answers wait");
    until("it is given up", || gateway.house().seats.is_empty()).await;
    let mut heard = vec![0; 1 << 20];
    let closed = async { while stream.read(&mut heard).await.is_ok_and(|count| count > 0) {} };
    timeout(BOUND, closed).await.expect("its socket is closed");

    let again = TcpStream::connect(address).await.unwrap();
    let mut again = greeted(again, "v157..178").await;
    again.write_all(&start(7)).await.unwrap();
    until("its id is free", || {
        gateway.house().seats.values().any(|seat| seat.client_id == Some(7))
    })
    .await;
    assert!(gateway.house().seats.values().all(|seat| seat.lines.is_empty()), "and its lines");
}
