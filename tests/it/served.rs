//! The server over the socket: the built binary with its embedded gateway, as an operator runs it.
//!
//! Time runs as fast as this machine lets it, so nothing here says when something happens; what is
//! asserted holds whenever the server is stopped.

#![cfg(test)]

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use deltadesk::desk::files::shipped;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};
use toml::Value;

use crate::homes::{ask, binary, lay_out};
use crate::served_sound::sound;

/// One symbol and some eighty contracts, all of which fit in the lines of an account. Entries need
/// no edge and go to natural, and every exit is due at once, so that an hour sees whole lives.
pub fn lay_out_quick(home: &Path) {
    let changes = [
        ("universe", "symbols", Value::from(vec!["SPY"])),
        ("universe", "dte_targets", Value::from(vec![30, 45])),
        ("universe", "strike_spacing_ratio", Value::from(0.006)),
        ("universe", "put_below_spot_ratio", Value::from(0.13)),
        ("universe", "call_above_spot_ratio", Value::from(0.08)),
        ("entries.iron_condor", "budget_ratio", Value::from(1.0)),
        ("entries.put_credit_spread", "budget_ratio", Value::from(1.0)),
        ("entries.iron_condor", "edge_cost_ratio_min", Value::from(-1_000.0)),
        ("entries.put_credit_spread", "edge_cost_ratio_min", Value::from(-1_000.0)),
        ("rules.time_exit", "days_min", Value::from(60)),
        ("work", "refused_entry_rest_minutes", Value::from(5)),
    ];
    lay_out(home, &changes);
    std::fs::write(home.join("jobs.toml"), &shipped()["jobs.toml"]).unwrap();
}

/// A server that runs, and what it has printed.
pub struct Served {
    child: Child,
    lines: std::sync::mpsc::Receiver<String>,
    pub said: Vec<String>,
}

impl Served {
    pub fn start(home: &Path, arguments: &[&str]) -> Self {
        let path = home.display().to_string();
        let mut child = binary(&[&["serve", "--home", &path], arguments].concat())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self { child, lines, said: Vec::new() }
    }

    /// Listens until enough has been said, or for so long.
    pub fn listen(&mut self, within: Duration, enough: impl Fn(&[String]) -> bool) {
        let until = deltadesk::market::clock::Stopwatch::start();
        while !enough(&self.said) {
            let left = within.saturating_sub(until.elapsed());
            match self.lines.recv_timeout(left) {
                Ok(line) => self.said.push(line),
                Err(_) => return,
            }
        }
    }

    /// SIGTERM: it must end by itself, with status 0.
    pub fn stop(self) -> Vec<String> {
        let (status, said) = self.terminate();
        assert!(status.success(), "{status}\n{}", said.join("\n"));
        said
    }

    /// SIGTERM: how it ended.
    pub fn terminate(self) -> (ExitStatus, Vec<String>) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.ended()
    }

    /// How it ended by itself.
    pub fn ended(mut self) -> (ExitStatus, Vec<String>) {
        let status = self.child.wait().unwrap();
        self.said.extend(self.lines.iter());
        (status, self.said)
    }

    /// SIGKILL, in the middle of whatever it does.
    pub fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.said.extend(self.lines.iter());
        self.said
    }
}

pub fn count(home: &Path, sql: &str) -> i64 {
    ask(home, sql).trim().parse().unwrap()
}

pub fn ended(said: &[String], purpose: &str) -> usize {
    let part = format!(".{purpose}.");
    said.iter().filter(|line| line.contains(&part) && line.contains(": filled")).count()
}

/// A window of a session, served to its end: strategies are opened and closed, whenever they like.
fn window(from: &str, is_over: impl Fn(&[String]) -> bool) -> Vec<String> {
    let home = tempfile::tempdir().unwrap();
    lay_out_quick(home.path());
    let mut served = Served::start(home.path(), &["--speed", "60", "--from", from]);
    // Two hours are two minutes.
    served.listen(Duration::from_mins(6), &is_over);
    let said = served.stop();
    let all = said.join("\n");
    assert!(is_over(&said), "the window has not passed\n{all}");
    sound(home.path(), &said);
    let chains = count(home.path(), "select count(*) from bronze.option_quotes");
    assert!(chains >= 80, "{chains} quotes\n{all}");
    let opened = ask(home.path(), "select distinct strategy_id from ops.strategies");
    assert!(!opened.is_empty(), "nothing was opened\n{all}");
    let closed =
        ask(home.path(), "select distinct close_rule from ops.strategies where state = 'closed'");
    assert_eq!(closed.trim(), "time_exit", "{all}");
    let failed = said.iter().filter(|line| line.contains(": failed"));
    assert_eq!(failed.count(), 0, "{all}");
    said
}

/// Whether something was said at or after an instant of New York.
fn has_come_to(said: &[String], local: &str) -> bool {
    said.iter().any(|line| line.starts_with("2026-") && line.get(..local.len()) >= Some(local))
}

#[test]
fn two_hours_around_the_open_strategies_live_and_die_by_rules_over_the_socket() {
    let said = window("2026-03-02T13:55:00Z", |said| has_come_to(said, "2026-03-02 10:55:00"));
    let before = |line: &&String| {
        line.get(..19) < Some("2026-03-02 09:30:00") && line.ends_with("reference: done")
    };
    assert!(said.iter().any(|line| before(&line)), "{}", said.join("\n"));
}

#[test]
fn two_hours_around_the_close_strategies_live_and_die_by_rules_and_the_day_is_closed() {
    let is_closed = |said: &[String]| said.iter().any(|line| line.contains(" close: "));
    let said = window("2026-03-02T19:25:00Z", is_closed);
    let all = said.join("\n");
    assert!(has_come_to(&said, "2026-03-02 16:20:00"), "{all}");
    assert!(said.iter().any(|line| line.ends_with(" close: done")), "{all}");
}

/// References of decisions whose entries were filled, which are the ids of their strategies.
fn opened(said: &[String]) -> Vec<String> {
    let filled = said.iter().filter(|line| line.contains(".open.") && line.contains(": filled"));
    let id = |line: &String| {
        let (_, order_ref) = line.split_once(" order ")?;
        Some(order_ref.split_once('.')?.0.to_owned())
    };
    filled.filter_map(id).collect()
}

#[test]
fn killed_with_orders_in_flight_a_server_goes_on_and_counts_nothing_twice() {
    let home = tempfile::tempdir().unwrap();
    lay_out_quick(home.path());
    let arguments = ["--speed", "60", "--from", "2026-03-02T14:25:00Z"];
    let mut told = Vec::new();
    for kill in 0..2 {
        let mut served = Served::start(home.path(), &arguments);
        // The first kill hits an order at work, the second a strategy that was opened just now.
        served.listen(Duration::from_mins(3), |said| match kill {
            0 => said.iter().any(|line| line.contains(": sent,")),
            _ => ended(said, "open") > 0,
        });
        told.extend(served.kill());
    }
    let earlier = opened(&told);
    assert!(!earlier.is_empty(), "nothing was opened\n{}", told.join("\n"));
    let mut served = Served::start(home.path(), &arguments);
    served.listen(Duration::from_mins(3), |said| ended(said, "close") >= earlier.len());
    let said = served.stop();
    sound(home.path(), &said);
    told.extend(said);
    let all = told.join("\n");
    let executed = "select count(*) - count(distinct exec_id) from silver.fills";
    assert_eq!(count(home.path(), executed), 0, "{all}");
    // What an earlier process opened lives by the rules of the later one.
    let closed = ask(
        home.path(),
        "select distinct strategy_id from ops.strategies
         where state = 'closed' and close_rule = 'time_exit'",
    );
    for strategy_id in &earlier {
        assert!(closed.lines().any(|line| line == strategy_id), "{strategy_id} is open\n{all}");
    }
}

/// Every order is met by news that is told wrongly, all the time.
fn under_news_faults(kinds: &[&str]) {
    let home = tempfile::tempdir().unwrap();
    lay_out_quick(home.path());
    let mut script = String::new();
    for kind in kinds {
        writeln!(script, "[[fault]]\nkind = '{kind}'\nat_seconds = 0\nfor_seconds = 100000")
            .unwrap();
    }
    let faults = home.path().join("faults.toml");
    std::fs::write(&faults, script).unwrap();
    let faults = faults.display().to_string();
    let from = "2026-03-02T14:25:00Z";
    let arguments = ["--speed", "60", "--from", from, "--faults", &faults];
    let mut served = Served::start(home.path(), &arguments);
    served.listen(Duration::from_mins(4), |said| ended(said, "close") > 0);
    let said = served.stop();
    sound(home.path(), &said);
    let all = said.join("\n");
    assert!(ended(&said, "open") > 0 && ended(&said, "close") > 0, "{all}");
    let died = said.iter().filter(|line| line.contains(": rejected") || line.contains(": unknown"));
    assert_eq!(died.count(), 0, "{all}");
}

#[test]
fn codes_that_sound_like_a_refusal_and_executions_that_do_not_come_end_no_order() {
    under_news_faults(&["alarming_codes", "executions_withheld"]);
}

#[test]
fn news_told_twice_and_backwards_is_counted_once_and_in_order() {
    under_news_faults(&["news_twice", "news_backwards"]);
}

/// A script of one to four faults within half a minute, and how fast the market runs, drawn from a
/// seed.
fn drawn(seed: u64) -> (String, u32) {
    const KINDS: [&str; 26] = [
        "drop",
        "port_closed",
        "nightly_restart",
        "client_id_held",
        "slow_frames",
        "farm_flap",
        "order_news_lost",
        "execution_before_open_order",
        "legs_apart",
        "partial_combo_fill",
        "bust",
        "liquidation",
        "half_open",
        "accept_without_handshake",
        "handshake_without_ids",
        "fragments",
        "stale_data",
        "farm_down",
        "connectivity_lost",
        "connectivity_and_data_lost",
        "competing_session",
        "news_twice",
        "news_backwards",
        "executions_withheld",
        "alarming_codes",
        "orders_refused",
    ];
    let mut draws = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let mut draw = |below: u32| draws.next_u32() % below;
    let count = 1 + draw(4);
    let mut script = String::new();
    for _ in 0..count {
        let kind = KINDS[draw(KINDS.len() as u32) as usize];
        let (at, lasts) = (4 + draw(26), draw(12));
        writeln!(script, "[[fault]]\nkind = '{kind}'\nat_seconds = {at}\nfor_seconds = {lasts}")
            .unwrap();
    }
    let speed = 1 + draw(20);
    // Drawn last, so that each seed keeps what it drew before these were known.
    if draw(2) == 0 {
        let kind = ["clock_skew", "pacing_disconnect", "farms_down"][draw(3) as usize];
        let (at, lasts) = (4 + draw(26), 1 + draw(12));
        writeln!(script, "[[fault]]\nkind = '{kind}'\nat_seconds = {at}\nfor_seconds = {lasts}")
            .unwrap();
        if kind == "clock_skew" {
            writeln!(script, "by_seconds = {}", i64::from(draw(7_201)) - 3_600).unwrap();
        }
    }
    (script, speed)
}

/// Half a minute under a drawn script, some quiet, a stop: whatever was lost on the way, nothing
/// may be wrong at the end.
fn survive(seed: u64) {
    let home = tempfile::tempdir().unwrap();
    lay_out_quick(home.path());
    let jobs = shipped()["jobs.toml"].replace("every = \"5m\"", "every = \"1m\"");
    std::fs::write(home.path().join("jobs.toml"), jobs).unwrap();
    let (script, speed) = drawn(seed);
    let faults = home.path().join("faults.toml");
    std::fs::write(&faults, &script).unwrap();
    let faults = faults.display().to_string();
    // At the lowest speeds the sweep that sends comes amid the faults as well.
    let before = chrono::Duration::seconds((15 * i64::from(speed)).min(60));
    let from = chrono::DateTime::from_timestamp(1_772_462_700, 0).unwrap() - before;
    let (from, speed) = (from.to_rfc3339(), speed.to_string());
    let arguments = ["--speed", &speed, "--from", &from, "--faults", &faults];
    let mut served = Served::start(home.path(), &arguments);
    served.listen(Duration::from_mins(1), |_| false);
    let said = served.stop();
    println!("seed {seed}, speed {speed}\n{script}");
    sound(home.path(), &said);
    let closing = ["'drop'", "'port_closed'", "'nightly_restart'"];
    if closing.iter().any(|kind| script.contains(kind)) {
        let gaps = "select count(*) from ops.alerts where subject = 'the broker was away'";
        assert!(count(home.path(), gaps) > 0, "seed {seed}: {}", said.join("\n"));
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how many, and which, is told by the run")]
fn no_mixture_of_faults_leaves_a_difference_behind() {
    let seeds = std::env::var("DELTADESK_SOAK").map_or(2, |text| text.parse().unwrap());
    let first = std::env::var("DELTADESK_SEED").map_or(1, |text| text.parse().unwrap());
    for pair in (first..first + seeds).collect::<Vec<u64>>().chunks(3) {
        std::thread::scope(|scope| {
            for seed in pair {
                scope.spawn(|| survive(*seed));
            }
        });
    }
}
