//! The server over the socket under faults that begin with what happens: whatever the broker does
//! by itself, at the end both sides hold the same, or the desk says loudly that they do not.

#![cfg(test)]

use std::time::Duration;

use crate::homes::ask;
use crate::served::{Served, count, ended, lay_out_quick};
use crate::served_sound::sound;

/// A served home under a script, until something is enough and for a quiet while after.
fn under(script: &str, enough: impl Fn(&[String]) -> bool) -> (tempfile::TempDir, Vec<String>) {
    let home = tempfile::tempdir().unwrap();
    lay_out_quick(home.path());
    let faults = home.path().join("faults.toml");
    std::fs::write(&faults, script).unwrap();
    let faults = faults.display().to_string();
    let from = "2026-03-02T14:25:00Z";
    let mut served =
        Served::start(home.path(), &["--speed", "60", "--from", from, "--faults", &faults]);
    served.listen(Duration::from_mins(3), enough);
    served.listen(Duration::from_secs(15), |_| false);
    let said = served.stop();
    (home, said)
}

fn alerts(home: &tempfile::TempDir, subject: &str) -> i64 {
    let sql = format!("select count(*) from ops.alerts where subject = '{subject}'");
    count(home.path(), &sql)
}

#[test]
fn a_broken_trade_is_taken_back_and_told() {
    let script = "[[fault]]\nkind = 'bust'\non = 'fill'\nafter_seconds = 2\n";
    let (home, said) = under(script, |said| ended(said, "open") > 0);
    sound(home.path(), &said);
    let all = said.join("\n");
    assert!(alerts(&home, "the broker has broken or corrected a trade") > 0, "{all}");
    let voided = "select count(*) from silver.fills where execution_kind = 'correction'
        and exec_id like '%.void'";
    assert!(count(home.path(), voided) > 0, "{all}");
    let quantities = ask(
        home.path(),
        "select sum(quantity) from silver.fills
         where exec_id in (select exec_id from silver.fills where exec_id like '%.02')",
    );
    assert_eq!(quantities.trim(), "0", "{all}");
}

#[test]
fn a_leg_that_is_closed_by_force_leaves_its_strategy_and_is_told() {
    let script =
        "[[fault]]\nkind = 'liquidation'\non = 'fill'\nafter_seconds = 1\nfor_seconds = 60\n";
    let (home, said) = under(script, |said| ended(said, "open") > 0);
    sound(home.path(), &said);
    let all = said.join("\n");
    assert!(alerts(&home, "the broker has closed a position by force") > 0, "{all}");
}

#[test]
fn what_somebody_trades_by_hand_is_told_and_blocks_until_it_is_traded_back() {
    let by_hand = |at: u32, action: &str| {
        format!(
            "[[fault]]\nkind = 'manual_order'\nat_seconds = {at}\n[fault.order]\n\
             contract = 'SPY'\naction = '{action}'\nquantity = 10\n"
        )
    };
    let script = format!("{}{}", by_hand(8, "BUY"), by_hand(20, "SELL"));
    let subject = "execution that belongs to no strategy";
    let (home, said) =
        under(&script, |said| said.iter().filter(|line| line.contains(subject)).count() > 1);
    sound(home.path(), &said);
    let all = said.join("\n");
    assert_eq!(alerts(&home, subject), 2, "{all}");
    let between = "select count(*) from ops.reconciliation where difference = 'extra'
        and symbol = 'SPY'";
    assert!(count(home.path(), between) > 0, "{all}");
}

#[test]
fn combos_that_fill_in_parts_with_legs_told_apart_are_counted_whole() {
    let script = "[[fault]]\nkind = 'partial_combo_fill'\nat_seconds = 0\nfor_seconds = 600\n\
                  [[fault]]\nkind = 'legs_apart'\nat_seconds = 0\nfor_seconds = 600\n";
    let (home, said) = under(script, |said| ended(said, "close") > 0);
    sound(home.path(), &said);
    let all = said.join("\n");
    assert!(count(home.path(), "select count(*) from silver.fills") >= 4, "{all}");
    let in_parts = "select count(*) from bronze.order_events
        where status = 'working' and filled_quantity > 0";
    assert!(count(home.path(), in_parts) > 0, "{all}");
    assert!(!all.contains("broker and desk differ"), "legs told apart are no difference\n{all}");
}

#[test]
fn an_order_of_which_nothing_is_told_but_its_execution_is_found_out() {
    let script = "[[fault]]\nkind = 'order_news_lost'\non = 'order_taken'\nfor_seconds = 12\n";
    let (home, said) = under(script, |said| ended(said, "open") > 0);
    sound(home.path(), &said);
    assert!(ended(&said, "open") > 0, "{}", said.join("\n"));
}

#[test]
fn an_order_whose_execution_comes_first_is_counted_once() {
    let script = "[[fault]]\nkind = 'execution_before_open_order'\non = 'order_taken'\n\
                  for_seconds = 20\n";
    let (home, said) = under(script, |said| ended(said, "open") > 0);
    sound(home.path(), &said);
    assert!(ended(&said, "open") > 0, "{}", said.join("\n"));
}

#[test]
fn a_night_while_an_order_works_and_the_id_is_held_loses_nothing() {
    let script = "[[fault]]\nkind = 'nightly_restart'\non = 'order_taken'\nfor_seconds = 8\n\
                  [[fault]]\nkind = 'client_id_held'\non = 'order_taken'\nfor_seconds = 10\n\
                  [[fault]]\nkind = 'farm_flap'\non = 'connection'\nnth = 2\nfor_seconds = 5\n\
                  [[fault]]\nkind = 'slow_frames'\non = 'connection'\nnth = 2\nfor_seconds = 3\n";
    let (home, said) = under(script, |said| ended(said, "open") > 0);
    sound(home.path(), &said);
    assert!(alerts(&home, "the broker was away") > 0, "{}", said.join("\n"));
}
