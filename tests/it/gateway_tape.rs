//! Frames recorded in front of a gateway, and played to a client of the crate ibapi.

#![cfg(test)]

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use deltadesk::gateway::{Proxy, Recorder, Recording, Report, Rules, Speed, play};
use futures::StreamExt as _;
use ibapi::orders::order_builder;
use ibapi::prelude::*;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::gateway::{BOUND, connect, gateway_with};
use crate::homes::binary;

/// What a client sees of a world: its account, a contract, an order.
#[derive(Debug, PartialEq)]
struct Seen {
    accounts: Vec<String>,
    time: i64,
    contract: i32,
    cash: String,
    status: String,
    perm_id: i64,
}

/// The same questions in the same order, however long the answers take.
async fn look(address: &str, limit: f64) -> Seen {
    let client = connect(address, 7).await.unwrap();
    let accounts = client.managed_accounts().await.unwrap();
    let time = client.server_time().await.unwrap().unix_timestamp();
    let spy = client.contract_details(&Contract::stock("SPY").build()).await.unwrap();
    let spy = spy[0].contract.clone();
    let group = AccountGroup("All".to_owned());
    let summary = client.account_summary(&group, &["TotalCashValue"]).await.unwrap();
    let mut summary = summary.filter_data();
    let cash = match timeout(BOUND, summary.next()).await.unwrap().unwrap().unwrap() {
        AccountSummaryResult::Summary(row) => row.value,
        AccountSummaryResult::End => panic!("no cash"),
    };
    let mut updates = client.order_update_stream().await.unwrap().filter_data();
    let order = order_builder::limit_order(Action::Buy, 1.0, limit);
    client.submit_order(client.next_order_id(), &spy, &order).await.unwrap();
    let (status, perm_id) = loop {
        let update = timeout(BOUND, updates.next()).await.unwrap().unwrap().unwrap();
        if let OrderUpdate::OrderStatus(status) = update {
            break (format!("{:?}", status.status), status.perm_id);
        }
    };
    client.disconnect().await;
    Seen { accounts, time, contract: spy.contract_id, cash, status, perm_id }
}

/// Records a look at a gateway; what was seen.
async fn recorded(path: &Path) -> Seen {
    let running = gateway_with(20.0, Rules::unpaced(), "").await;
    let recorder = Recorder::to(path, "2026-03-02T14:30:00Z", &running.address).unwrap();
    let proxy = Proxy { recorder, of: running.address.clone() };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut serving = JoinSet::new();
    serving.spawn(async move { proxy.serve(listener).await });
    let seen = look(&address, 1.0).await;
    // The proxy hears of the end a moment after the client has gone.
    let ended = async {
        while !std::fs::read_to_string(path).unwrap().contains("\"closed\"") {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    timeout(BOUND, ended).await.unwrap();
    seen
}

/// Plays a recording to a look; what was seen, and what the play has shown.
async fn played(recording: Recording, limit: f64) -> (Seen, Report) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let playing = play(listener, recording, Speed(20.0));
    let both = futures::future::join(look(&address, limit), playing);
    timeout(BOUND, both).await.expect("played in time")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_shows_a_fresh_client_the_same_world() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tape.jsonl");
    let seen = recorded(&path).await;
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains("\"protocol\":\"protobuf 226\"") && text.contains("\"hello\""));
    let recording = Recording::parse(&text).unwrap();
    let (again, report) = played(recording.clone(), 1.0).await;
    assert_eq!(again, seen);
    assert_eq!((report.connections, report.differences.as_slice()), (1, &[][..]), "{report}");
    assert!(report.same >= 7 && report.sent >= 10, "{report}");

    let (other, report) = played(recording, 2.0).await;
    assert_eq!(other, seen, "what is played is what was recorded");
    assert_eq!(report.differences, ["connection 1: message 3 came with other fields 3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_another_version_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tape.jsonl");
    recorded(&path).await;
    let text = std::fs::read_to_string(&path).unwrap();
    // `226` and a zero, in hexadecimal digits.
    let older = text.replacen("\"bytes\":\"32323600", "\"bytes\":\"31373800", 1);
    let recording = Recording::parse(&older).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let playing = play(listener, recording, Speed(20.0));
    let once = Client::builder().address(address).client_id(7).max_reconnect_attempts(0);
    let (client, report) =
        timeout(BOUND, futures::future::join(once.connect(), playing)).await.unwrap();
    assert!(client.is_err());
    let said = report.to_string();
    assert!(
        said.contains("understands server versions 213 to 226, the recording is of 178"),
        "{said}"
    );
}

/// A gateway of its own process, and what it says.
fn spawned(arguments: &[&str]) -> (Child, BufReader<ChildStdout>, String) {
    let all = [&["gateway", "--port", "0"], arguments].concat();
    let mut child = binary(&all).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("connect to ") {
        line.clear();
        if said.read_line(&mut line).unwrap() == 0 {
            end(&mut child);
            panic!("a gateway says where it listens");
        }
    }
    let rest = line.strip_prefix("connect to ").unwrap();
    let address = rest.split(',').next().unwrap().to_owned();
    (child, said, address)
}

fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_records_a_gateway_and_another_plays_it() {
    let folder = tempfile::tempdir().unwrap();
    let (alone, front) = (folder.path().join("alone.jsonl"), folder.path().join("front.jsonl"));
    let (alone, front) = (alone.display().to_string(), front.display().to_string());
    let (mut gateway, _said, address) = spawned(&["--record", &alone]);
    let (mut proxy, _said_too, before) = spawned(&["--record", &front, "--of", &address]);
    let seen = look(&before, 1.0).await;
    end(&mut proxy);
    end(&mut gateway);
    for tape in [&alone, &front] {
        let (mut player, mut said, address) = spawned(&["--play", tape, "--speed", "20"]);
        assert_eq!(look(&address, 1.0).await, seen, "{tape}");
        let mut rest = String::new();
        said.read_to_string(&mut rest).unwrap();
        assert!(player.wait().unwrap().success());
        assert!(
            rest.contains("1 connections played") && rest.contains(", 0 differences"),
            "{rest}"
        );
    }
}

#[test]
fn what_cannot_be_recorded_or_played_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("settings.toml");
    std::fs::write(&file, "broker = \"ib\"\n").unwrap();
    let file = file.display().to_string();
    let refused = |arguments: &[&str]| {
        let mut command: Command = binary(&[&["gateway", "--port", "0"], arguments].concat());
        let output = command.output().unwrap();
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(refused(&["--play", &file]).contains("it is no recording of this gateway"));
    assert!(refused(&["--record", &file]).contains("settings.toml cannot be written"));
    assert!(refused(&["--of", "127.0.0.1:7497"]).contains("--record"));
    assert!(refused(&["--play", &file, "--record", &file]).contains("cannot be used with"));
}
