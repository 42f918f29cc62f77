//! `broker = "ib"`: the same server against a gateway that is another process, on the wall's time,
//! as it would be against TWS.

#![cfg(test)]

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

fn deltadesk() -> Command {
    Command::new(env!("CARGO_BIN_EXE_deltadesk"))
}

/// A gateway of its own process; killed with this.
struct Tws {
    child: Child,
    address: String,
}

impl Drop for Tws {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn tws(home: &Path, more: &[&str]) -> Tws {
    let mut child = deltadesk()
        .args(["gateway", "--port", "0", "--home"])
        .arg(home)
        .args(more)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    let address = loop {
        line.clear();
        assert_ne!(said.read_line(&mut line).unwrap(), 0, "a gateway says where it listens");
        if let Some(rest) = line.strip_prefix("connect to ") {
            break rest.split(',').next().unwrap().to_owned();
        }
    };
    // What it says from here on nobody reads, and it serves all the same.
    Tws { child, address }
}

/// A home that trades the gateway's paper account at an address, sending nothing.
fn home_at(address: &str, change: impl Fn(String) -> String) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let laid_out = deltadesk().arg("init").arg(home.path()).output().unwrap();
    assert!(laid_out.status.success(), "{}", text(&laid_out));
    let settings = home.path().join("deltadesk.toml");
    let shipped = std::fs::read_to_string(&settings).unwrap();
    let written = shipped
        .replace("broker = \"paper\"", "broker = \"ib\"")
        .replace("orders = \"send\"", "orders = \"observe\"")
        .replace("address = \"127.0.0.1:4002\"", &format!("address = \"{address}\""))
        .replace("account_id = \"\"", "account_id = \"DU0000001\"")
        .replace("[\"SPY\", \"QQQ\", \"IWM\", \"VIX\"]", "[\"SPY\"]")
        .replace("[\"ES\", \"MES\", \"NQ\", \"MNQ\", \"RTY\", \"M2K\"]", "[\"ES\"]");
    std::fs::write(&settings, change(written)).unwrap();
    let rates = home.path().join("reference/rates.csv");
    let header = std::fs::read_to_string(&rates).unwrap();
    let row = "2035-01-01,0.0375,,\"a rate of this test\",2035-01-01\n";
    std::fs::write(&rates, header + row).unwrap();
    home
}

fn text(output: &Output) -> String {
    let both = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8(both).unwrap()
}

/// Serves until it says something, then asks it to stop; with what it said, and whether it ended
/// well. One that ends by itself is not asked.
fn served(home: &Path, until: &str, more: &[&str]) -> (bool, String) {
    let mut child = deltadesk()
        .args(["serve", "--home"])
        .arg(home)
        .args(more)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut said = String::new();
    while out.read_line(&mut said).unwrap() > 0 {
        if said.lines().last().is_some_and(|line| line.contains(until)) {
            let pid = child.id().to_string();
            assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
            break;
        }
    }
    out.read_to_string(&mut said).unwrap();
    let ended = child.wait_with_output().unwrap();
    (ended.status.success(), said + &text(&ended))
}

/// What it says when it does not begin.
fn refusal(home: &Path, more: &[&str]) -> String {
    let (ended_well, said) = served(home, "broker ready", more);
    assert!(!ended_well, "{said}");
    said
}

fn check(home: &Path) -> String {
    text(&deltadesk().args(["check", "--home"]).arg(home).output().unwrap())
}

#[test]
fn a_server_trades_the_account_of_another_process_and_no_other() {
    let base = tempfile::tempdir().unwrap();
    let tws = tws(base.path(), &["--from", "now"]);
    let home = home_at(&tws.address, |text| text);
    let checked = check(home.path());
    assert!(checked.contains("OK      broker"), "{checked}");
    assert!(checked.contains("paper account DU0000001, clocks within"), "{checked}");
    for round in 0..2 {
        let (ended_well, said) = served(home.path(), "broker ready", &[]);
        assert!(ended_well, "round {round}: {said}");
        assert!(said.contains("paper account DU0000001"), "{said}");
        assert!(said.contains("broker ready"), "{said}");
        assert!(said.contains("stopped: everything is written"), "{said}");
    }
    let simulated = refusal(home.path(), &["--seed", "2"]);
    assert!(simulated.contains("--seed is of the embedded market"), "{simulated}");
    let by_hand = deltadesk().args(["run", "reference", "--home"]).arg(home.path()).output();
    assert!(text(&by_hand.unwrap()).contains("trades at IB"));
    let settings = home.path().join("deltadesk.toml");
    let other = std::fs::read_to_string(&settings).unwrap().replace("DU0000001", "DU0000002");
    std::fs::write(&settings, other).unwrap();
    let said = refusal(home.path(), &[]);
    assert!(said.contains("belongs to account DU0000001 at IB"), "{said}");
    assert!(check(home.path()).contains("it has account DU0000001"));
}

#[test]
fn a_broker_that_cannot_be_traded_with_is_told_with_what_to_do() {
    let base = tempfile::tempdir().unwrap();
    let read_only = tws(base.path(), &["--from", "now", "--read-only"]);
    let home = home_at(&read_only.address, |text| text);
    let checked = check(home.path());
    assert!(checked.contains("untick \"Read-Only API\""), "{checked}");
    let another_day = tws(base.path(), &[]);
    let home = home_at(&another_day.address, |text| text);
    let checked = check(home.path());
    assert!(checked.contains("s from this machine's; set the clocks by NTP"), "{checked}");
    drop(another_day);
    let checked = check(home.path());
    assert!(checked.contains("Enable ActiveX and Socket Clients"), "{checked}");
    std::fs::remove_dir_all(home.path().join("sql")).unwrap();
    let said = refusal(home.path(), &[]);
    assert!(said.contains("every file lies in the home") && said.contains("has no sql"), "{said}");
}

#[test]
fn a_clock_that_is_wrong_is_not_traded_by() {
    let base = tempfile::tempdir().unwrap();
    let faults = base.path().join("skew.toml");
    let skew =
        "[[fault]]\nkind = 'clock_skew'\nat_seconds = 0\nfor_seconds = 600\nby_seconds = 30\n";
    std::fs::write(&faults, skew).unwrap();
    let tws = tws(base.path(), &["--from", "now", "--faults", &faults.display().to_string()]);
    let home = home_at(&tws.address, |text| text);
    let checked = check(home.path());
    assert!(checked.contains("s from this machine's; set the clocks by NTP"), "{checked}");
}

#[test]
fn orders_to_a_live_account_need_two_permissions() {
    let with = |change: fn(String) -> String| {
        home_at("127.0.0.1:1", |text| {
            change(
                text.replace("orders = \"observe\"", "orders = \"send\"")
                    .replace("account_id = \"DU0000001\"\n", "account_id = \"U7000001\"\n")
                    .replace("account_kind = \"paper\"", "account_kind = \"live\""),
            )
        })
    };
    let live = |change| refusal(with(change).path(), &[]);
    assert!(live(|text| text).contains("live_trading = false"));
    let allowed = |text: String| text.replace("live_trading = false", "live_trading = true");
    assert!(live(allowed).contains("allowed_accounts does not name the live account U7000001"));
    let paper = |text: String| text.replace("account_kind = \"live\"", "account_kind = \"paper\"");
    assert!(live(paper).contains("U7000001 is a live account"));
    let named = |text: String| {
        text.replace("live_trading = false", "live_trading = true")
            .replace("allowed_accounts = []", "allowed_accounts = [\"U7000001\"]")
    };
    let (ended_well, said) = served(with(named).path(), "waiting for the broker", &[]);
    assert!(ended_well && said.contains("no connection to 127.0.0.1:1"), "{said}");
    assert!(said.contains("stopped before the broker was there"), "{said}");
}
