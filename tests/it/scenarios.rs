//! Each exit rule closes a real position, in a named scenario of the synthetic market, on the path
//! that every day takes: quotes, models, rules, gate, order, fills, reconciliation, audits.
//!
//! Rules and limits are those that are shipped. Entries are made easier: any expected value will
//! do, one of the two structures is switched off, and where a case says so, nearer expiries are
//! taken. Seeds are those of short paths that lead where a rule acts; they show that a rule acts,
//! not how often.

#![cfg(test)]

use tempfile::TempDir;
use toml::Value;

use crate::homes::{Changes, ask, desk, lay_out, text};

/// A market in which rules have something to do, and the entries that lead there.
struct Case<'a> {
    rules: &'a [&'a str],
    scenario: &'a str,
    seed: &'a str,
    days: &'a str,
    entries: Changes<'a>,
}

#[test]
fn a_rally_of_put_spreads_ends_in_take_profit_and_trailing_stop() {
    shown(&Case {
        rules: &["take_profit", "trailing_stop"],
        scenario: "rally",
        seed: "1",
        days: "7",
        entries: &put_spreads(),
    });
}

#[test]
fn a_rally_of_condors_ends_in_delta_exit() {
    shown(&Case {
        rules: &["delta_exit"],
        scenario: "rally",
        seed: "1",
        days: "6",
        entries: &condors(),
    });
}

#[test]
fn a_slide_of_put_spreads_ends_in_delta_exit() {
    shown(&Case {
        rules: &["delta_exit"],
        scenario: "slide",
        seed: "2",
        days: "6",
        entries: &put_spreads(),
    });
}

#[test]
fn a_volatility_spike_ends_in_stop_loss() {
    shown(&Case {
        rules: &["stop_loss"],
        scenario: "volatility-spike",
        seed: "2",
        days: "5",
        entries: &condors(),
    });
}

/// Condors of 25 days, so that the days run out within a week.
#[test]
fn a_slow_drift_ends_in_time_exit() {
    let nearer = [
        ("openings", "days_min", Value::Integer(22)),
        ("openings", "days_target", Value::Integer(25)),
        ("universe", "dte_targets", Value::from(vec![25])),
    ];
    shown(&Case {
        rules: &["time_exit"],
        scenario: "slow-drift",
        seed: "1",
        days: "6",
        entries: &[&condors(), nearer.as_slice()].concat(),
    });
}

type Change = (&'static str, &'static str, Value);

/// Condors alone, whatever their expected value.
fn condors() -> [Change; 2] {
    [
        ("entries.iron_condor", "edge_cost_ratio_min", Value::Float(-10.0)),
        ("desk", "switched_off", Value::from(vec!["put_credit_spread"])),
    ]
}

/// Put credit spreads alone, whatever their expected value.
fn put_spreads() -> [Change; 2] {
    [
        ("entries.put_credit_spread", "edge_cost_ratio_min", Value::Float(-10.0)),
        ("desk", "switched_off", Value::from(vec!["iron_condor"])),
    ]
}

fn shown(case: &Case<'_>) {
    let home = TempDir::new().unwrap();
    lay_out(home.path(), case.entries);
    let demo = ["demo", "--scenario", case.scenario, "--seed", case.seed, "--days", case.days];
    let answer = desk(home.path(), &demo);
    let said = text(&answer);
    assert!(answer.status.success(), "{said}");
    let sql = "select close_rule, realised_usd from (select *, row_number() over \
               (partition by strategy_id order by change_seq desc) as place from ops.strategies) \
               where place = 1 and state = 'closed' order by strategy_id";
    let closed = ask(home.path(), sql);
    println!("{} days of {}, seed {}: {}", case.days, case.scenario, case.seed, closed.trim());
    for rule in case.rules {
        let by_rule = closed.lines().filter(|line| line.split(',').next() == Some(rule)).count();
        assert!(by_rule > 0, "no strategy was closed by {rule}:\n{closed}{said}");
    }
}
