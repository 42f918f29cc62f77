//! The end of a server while entries work: asked for, with the broker away, and forced by an error.

#![cfg(test)]

use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use crate::homes::text;
use crate::served::{Served, lay_out_quick};
use crate::served_sound::{Kept, sound};

/// An entry stands at one price for so many seconds of the wall.
const SPEED: &str = "3";

/// A home in which an entry has been sent a moment ago and works at mid.
fn with_a_working_entry(script: &str) -> (TempDir, Served) {
    let home = tempfile::tempdir().unwrap();
    lay_out_quick(home.path());
    let jobs = deltadesk::desk::files::shipped()["jobs.toml"].replace("\"5m\"", "\"1m\"");
    std::fs::write(home.path().join("jobs.toml"), jobs).unwrap();
    let faults = home.path().join("faults.toml");
    std::fs::write(&faults, script).unwrap();
    let faults = faults.display().to_string();
    let from = "2026-03-02T14:59:00Z";
    let arguments = ["--speed", SPEED, "--from", from, "--faults", &faults];
    let mut served = Served::start(home.path(), &arguments);
    served.listen(Duration::from_mins(3), is_sent);
    assert!(is_sent(&served.said), "nothing was sent\n{}", served.said.join("\n"));
    (home, served)
}

fn is_sent(said: &[String]) -> bool {
    said.iter().any(|line| line.contains(" open SPY ") && line.contains(": sent,"))
}

/// Entries at the gateway, by whether they were cancelled.
fn entries(home: &Path) -> (usize, usize) {
    let orders = Kept::of(home).orders();
    let entries = orders.iter().filter(|(order_ref, _)| order_ref.contains(".open."));
    let cancelled = entries.clone().filter(|(_, stage)| stage == "Cancelled");
    (entries.clone().count(), cancelled.count())
}

#[test]
fn a_stop_leaves_no_entry_working_and_says_what_was_confirmed() {
    let (home, served) = with_a_working_entry("");
    let said = served.stop();
    let all = said.join("\n");
    let (sent, cancelled) = entries(home.path());
    assert!(sent > 0 && cancelled > 0, "{sent} sent, {cancelled} cancelled\n{all}");
    assert!(all.contains(&format!("entries: {cancelled} confirmed cancelled")), "{all}");
    sound(home.path(), &said);
}

#[test]
fn a_stop_while_the_broker_is_away_cancels_when_it_is_back() {
    let script = "[[fault]]\nkind = 'port_closed'\non = 'order_taken'\nafter_seconds = 2\n\
                  for_seconds = 7\n";
    let (home, mut served) = with_a_working_entry(script);
    served.listen(Duration::from_secs(3), |_| false);
    let said = served.stop();
    let all = said.join("\n");
    assert!(all.contains("cancel refused"), "it was away\n{all}");
    assert!(entries(home.path()).1 > 0 && all.contains("confirmed cancelled"), "{all}");
    sound(home.path(), &said);
}

#[test]
fn a_stop_that_the_broker_does_not_confirm_is_a_failure_and_the_next_start_cancels() {
    let script = "[[fault]]\nkind = 'port_closed'\non = 'order_taken'\nafter_seconds = 2\n\
                  for_seconds = 600\n";
    let (home, mut served) = with_a_working_entry(script);
    served.listen(Duration::from_secs(3), |_| false);
    let (status, said) = served.terminate();
    let all = said.join("\n");
    assert_eq!(status.code(), Some(1), "{all}");
    let open = Kept::of(home.path()).open_entries();
    assert!(!open.is_empty(), "{all}");
    let last = said.iter().find(|line| line.contains("not confirmed cancelled")).unwrap();
    assert!(open.iter().all(|order_ref| last.contains(order_ref)), "{open:?}\n{all}");
    assert!(!all.contains("everything is written"), "{all}");
    // Nor may a start that does not come as far as the broker end as if all were well.
    let faults = home.path().join("faults.toml").display().to_string();
    let away = "[[fault]]\nkind = 'port_closed'\nat_seconds = 0\nfor_seconds = 600\n";
    std::fs::write(&faults, away).unwrap();
    let mut served = Served::start(home.path(), &["--speed", SPEED, "--faults", &faults]);
    let waits = |said: &[String]| said.iter().any(|line| line.contains("waiting for the broker"));
    served.listen(Duration::from_mins(1), waits);
    let (status, said) = served.terminate();
    assert_eq!(status.code(), Some(1), "{}", said.join("\n"));
    let mut served = Served::start(home.path(), &["--speed", SPEED]);
    served.listen(Duration::from_mins(1), |said| said.iter().any(|line| line.contains("resumed")));
    let said = served.stop();
    assert!(said.join("\n").contains("still works and is cancelled"), "{}", said.join("\n"));
    sound(home.path(), &said);
}

#[test]
fn an_error_that_ends_the_server_leaves_no_entry_working_either() {
    let (home, served) = with_a_working_entry("");
    // The desk's time cannot be kept any more.
    let clock = home.path().join("clock");
    std::fs::remove_file(&clock).unwrap();
    std::fs::create_dir(&clock).unwrap();
    let (status, said) = served.ended();
    let all = said.join("\n");
    assert_eq!(status.code(), Some(1), "{all}");
    assert!(all.contains("the desk cannot go on and stops"), "{all}");
    assert!(entries(home.path()).1 > 0, "{all}");
    sound(home.path(), &said);
    // The lease is given back.
    std::fs::remove_dir(&clock).unwrap();
    let answer = crate::homes::desk(home.path(), &["check"]);
    assert!(!text(&answer).contains("NOT OK      lake"), "{}", text(&answer));
}
