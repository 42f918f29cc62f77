//! The gateway's faults, as an unmodified client of the crate ibapi meets them.

#![cfg(test)]

use std::time::Duration;

use deltadesk::gateway::Rules;
use futures::StreamExt as _;
use ibapi::prelude::*;
use tokio::time::{sleep, timeout};

use crate::gateway::{BOUND, Running, connect, gateway_with};

/// A gateway with one fault, sixty times as fast as the market.
async fn faulty(kind: &str, at_seconds: f64, for_seconds: f64) -> Running {
    let script = format!(
        "[[fault]]\nkind = '{kind}'\nat_seconds = {at_seconds:?}\nfor_seconds = {for_seconds:?}\n"
    );
    gateway_with(60.0, Rules::unpaced(), &script).await
}

/// Codes of the notices that come within a time.
async fn codes(address: &str, within: Duration) -> Vec<i32> {
    let connecting = Client::builder().address(address).client_id(9).connect_with_notice_stream();
    codes_of(timeout(BOUND, connecting).await.unwrap().unwrap(), within).await
}

async fn codes_of((client, mut notices): (Client, NoticeStream), within: Duration) -> Vec<i32> {
    let mut codes = Vec::new();
    let _ = timeout(within, async {
        while let Some(notice) = notices.next().await {
            codes.push(notice.code);
        }
    })
    .await;
    assert!(client.is_connected(), "no notice closes the socket");
    codes.retain(|code| ![2106, 2158].contains(code));
    codes
}

/// Waits until no tick comes for so long.
async fn silence(
    ticks: &mut (impl futures::Stream<Item = Result<TickTypes, Error>> + Unpin),
    span: Duration,
) {
    let silent = async { while timeout(span, ticks.next()).await.is_ok() {} };
    timeout(BOUND, silent).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_client_comes_back_by_itself() {
    let running = faulty("drop", 2.0, 0.8).await;
    let client = connect(&running.address, 1).await.unwrap();
    timeout(BOUND, async {
        while client.is_connected() {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
    assert!(connect(&running.address, 2).await.is_err(), "closed while it restarts");
    timeout(BOUND, client.wait_connected()).await.unwrap().unwrap();
    assert!(client.server_time().await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_open_connection_is_silent_and_then_answers() {
    let running = faulty("half_open", 1.5, 2.0).await;
    let client = connect(&running.address, 1).await.unwrap();
    let silent =
        async { while timeout(Duration::from_millis(500), client.server_time()).await.is_ok() {} };
    timeout(BOUND, silent).await.expect("silent once");
    assert!(client.is_connected(), "and nothing says so");
    assert!(timeout(BOUND, client.server_time()).await.unwrap().is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_never_answered_hangs_until_it_is_given_up() {
    let running = faulty("accept_without_handshake", 0.0, 3.0).await;
    let first = Client::connect(&running.address, 1);
    assert!(timeout(Duration::from_millis(400), first).await.is_err());
    sleep(Duration::from_secs(3)).await;
    assert!(connect(&running.address, 1).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_welcome_without_ids_is_no_connection() {
    let running = faulty("handshake_without_ids", 0.0, 600.0).await;
    sleep(Duration::from_millis(200)).await;
    let connecting = Client::connect(&running.address, 1);
    let outcome = timeout(Duration::from_secs(1), connecting).await;
    assert!(!matches!(outcome, Ok(Ok(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn pieces_of_three_bytes_make_whole_messages() {
    let running = faulty("fragments", 0.0, 600.0).await;
    let client = connect(&running.address, 1).await.unwrap();
    let details = client.contract_details(&Contract::stock("SPY").build()).await.unwrap();
    assert_eq!(details[0].contract.symbol.to_string(), "SPY");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_socket_may_bring_stale_data() {
    let running = faulty("stale_data", 1.5, 2.0).await;
    let client = connect(&running.address, 1).await.unwrap();
    let spy = Contract::stock("SPY").build();
    let mut ticks = client.market_data(&spy).subscribe().await.unwrap().filter_data();
    silence(&mut ticks, Duration::from_millis(500)).await;
    assert!(client.server_time().await.is_ok(), "the socket lives");
    assert!(timeout(BOUND, ticks.next()).await.unwrap().unwrap().is_ok(), "and ticks return");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_farm_flap_and_lost_connectivity_are_told_and_close_nothing() {
    let within = Duration::from_millis(3_500);
    for (kind, told) in [
        ("farm_down", [2104, 2103, 2104]),
        ("connectivity_lost", [2104, 1100, 1102]),
        ("connectivity_and_data_lost", [2104, 1100, 1101]),
    ] {
        let running = faulty(kind, 2.0, 0.4).await;
        assert_eq!(codes(&running.address, within).await, told, "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_lost_data_the_streams_are_gone() {
    let running = faulty("connectivity_and_data_lost", 1.5, 0.1).await;
    let client = connect(&running.address, 1).await.unwrap();
    let spy = Contract::stock("SPY").build();
    let mut ticks = client.market_data(&spy).subscribe().await.unwrap().filter_data();
    silence(&mut ticks, Duration::from_secs(2)).await;
    let mut again = client.market_data(&spy).subscribe().await.unwrap().filter_data();
    assert!(timeout(BOUND, again.next()).await.unwrap().unwrap().is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn farms_that_flap_break_three_times_and_close_nothing() {
    let running = faulty("farm_flap", 2.0, 1.5).await;
    let told = codes(&running.address, Duration::from_millis(4_500)).await;
    let flap = [2103, 2105, 2157, 2104];
    assert_eq!(told, [&[2104][..], &flap, &flap, &flap].concat());
}

/// Tries until it comes out as wanted.
async fn until<T, F: Future<Output = Option<T>>>(attempt: impl Fn() -> F) -> T {
    let tries = async {
        loop {
            if let Some(found) = attempt().await {
                return found;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(BOUND, tries).await.expect("it comes out in time")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_night_is_a_closed_port_then_silence_then_a_gateway_without_ib() {
    let running = faulty("nightly_restart", 1.0, 10.0).await;
    let address = running.address.clone();
    let refused = || async {
        let error = tokio::net::TcpStream::connect(&address).await.err()?;
        Some(error.kind()).filter(|kind| *kind == std::io::ErrorKind::ConnectionRefused)
    };
    until(refused).await;
    let taken = || async { tokio::net::TcpStream::connect(&address).await.ok() };
    let taken = until(taken).await;
    let mut nothing = [0; 1];
    let silence = timeout(Duration::from_millis(300), tokio::net::TcpStream::readable(&taken));
    assert!(silence.await.is_err() || taken.try_read(&mut nothing).is_err(), "not ready yet");
    let welcomed = || async {
        let builder = Client::builder().address(&address).client_id(9).max_reconnect_attempts(0);
        let connecting = builder.connect_with_notice_stream();
        timeout(Duration::from_millis(400), connecting).await.ok()?.ok()
    };
    let told = codes_of(until(welcomed).await, Duration::from_secs(4)).await;
    assert_eq!(told, [2103, 2105, 2157, 1100, 2104, 1102], "early, and then all is well");
}

#[tokio::test(flavor = "multi_thread")]
async fn until_somebody_logs_in_again_the_port_is_closed() {
    let running = faulty("weekly_reauthentication", 0.0, 2.0).await;
    let address = running.address.clone();
    until(|| async { tokio::net::TcpStream::connect(&address).await.err() }).await;
    let client = until(|| async { connect(&address, 1).await.ok() }).await;
    assert!(client.server_time().await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_id_is_held_for_a_while_after_its_connection() {
    let script = "[[fault]]\nkind = 'drop'\nat_seconds = 1.5\nfor_seconds = 0\n\
                  [[fault]]\nkind = 'client_id_held'\nat_seconds = 1.5\nfor_seconds = 2.5\n";
    let running = gateway_with(60.0, Rules::unpaced(), script).await;
    let once = Client::builder().address(&running.address).client_id(1).max_reconnect_attempts(0);
    let client = timeout(BOUND, once.connect()).await.unwrap().unwrap();
    until(|| async { Some(()).filter(|()| !client.is_connected()) }).await;
    let held = connect(&running.address, 1).await;
    assert!(matches!(held, Err(Error::ClientIdInUse { .. })));
    assert!(connect(&running.address, 2).await.is_ok(), "another id is free");
    until(|| async { connect(&running.address, 1).await.ok() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_frames_come_late_and_whole() {
    let running = faulty("slow_frames", 0.0, 600.0).await;
    let client = connect(&running.address, 1).await.unwrap();
    let waited = deltadesk::market::clock::Stopwatch::start();
    for _ in 0..4 {
        assert!(client.server_time().await.is_ok());
    }
    assert!(waited.elapsed() >= Duration::from_millis(200), "{:?}", waited.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_message_too_many_may_close_the_connection() {
    let script = "[[fault]]\nkind = 'pacing_disconnect'\nat_seconds = 0\nfor_seconds = 600\n";
    let running = gateway_with(1.0, Rules::of_ib(), script).await;
    sleep(Duration::from_millis(200)).await;
    let once = Client::builder().address(&running.address).client_id(1).max_reconnect_attempts(0);
    let client = timeout(BOUND, once.connect()).await.unwrap().unwrap();
    for _ in 0..60 {
        let _ = client.global_cancel().await;
    }
    until(|| async { Some(()).filter(|()| !client.is_connected()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_may_be_told_wrong() {
    let script = "[[fault]]\nkind = 'clock_skew'\nat_seconds = 0\nfor_seconds = 600\n\
                  by_seconds = -7200\n";
    let running = gateway_with(1.0, Rules::unpaced(), script).await;
    let right = gateway_with(1.0, Rules::unpaced(), "").await;
    sleep(Duration::from_millis(200)).await;
    let mut shown = Vec::new();
    for address in [&running.address, &right.address] {
        let client = connect(address, 1).await.unwrap();
        shown.push(client.server_time().await.unwrap().unix_timestamp());
    }
    let skew = shown[0] - shown[1];
    assert!((-7_260..=-7_140).contains(&skew), "{skew} s");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_may_wait_for_the_second_connection() {
    let script = "[[fault]]\nkind = 'drop'\non = 'connection'\nnth = 2\nfor_seconds = 0\n";
    let running = gateway_with(60.0, Rules::unpaced(), script).await;
    let builder = || Client::builder().address(&running.address).max_reconnect_attempts(0);
    let first = timeout(BOUND, builder().client_id(1).connect()).await.unwrap().unwrap();
    assert!(first.server_time().await.is_ok());
    let second = timeout(BOUND, builder().client_id(2).connect()).await.unwrap();
    assert!(second.is_err(), "closed before it was welcomed");
    until(|| async { Some(()).filter(|()| !first.is_connected()) }).await;
    assert!(connect(&running.address, 3).await.is_ok());
}
