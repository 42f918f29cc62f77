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
    let (client, mut notices) = timeout(BOUND, connecting).await.unwrap().unwrap();
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
