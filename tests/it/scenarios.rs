//! Each exit rule closes a real position, in a named scenario of the synthetic market, on the path
//! that every day takes: quotes, models, rules, gate, order, fills, reconciliation, audits.
//!
//! Rules and limits are those that are shipped. Entries are made easier: any expected value will
//! do, and where a case says so, condors are switched off or nearer expiries are taken. Seeds are
//! those of short paths that lead where a rule acts; they show that a rule acts, not how often.

#![cfg(test)]

use tempfile::TempDir;
use toml::Value;

use crate::homes::{Changes, ask, desk, lay_out, text};

/// A market in which a rule has something to do, and the entries that lead there.
struct Case<'a> {
    rule: &'a str,
    scenario: &'a str,
    seed: &'a str,
    from: &'a str,
    days: &'a str,
    entries: Changes<'a>,
}

#[test]
fn delta_exit_closes_in_a_rally() {
    shown(&Case {
        rule: "delta_exit",
        scenario: "rally",
        seed: "1",
        from: "2026-03-02",
        days: "6",
        entries: &condors(),
    });
}

type Change = (&'static str, &'static str, Value);

/// Any expected value will do.
const ANY_CONDOR: Change = ("entries.iron_condor", "edge_cost_ratio_min", Value::Float(-10.0));

fn condors() -> [Change; 2] {
    [ANY_CONDOR, ("desk", "switched_off", Value::from(vec!["put_credit_spread"]))]
}

fn shown(case: &Case<'_>) {
    let home = TempDir::new().unwrap();
    lay_out(home.path(), case.entries);
    let demo = ["demo", "--scenario", case.scenario, "--seed", case.seed];
    let answer =
        desk(home.path(), &[&demo, ["--from", case.from, "--days", case.days].as_slice()].concat());
    let said = text(&answer);
    assert!(answer.status.success(), "{said}");
    let sql = "select close_rule, realised_usd from (select *, row_number() over \
               (partition by strategy_id order by change_seq desc) as place from ops.strategies) \
               where place = 1 and state = 'closed' order by strategy_id";
    let closed = ask(home.path(), sql);
    println!("{} days of {}, seed {}: {}", case.days, case.scenario, case.seed, closed.trim());
    let by_rule = closed.lines().filter(|line| line.split(',').next() == Some(case.rule)).count();
    assert!(by_rule > 0, "no strategy was closed by {}:\n{closed}{said}", case.rule);
    let fired = format!(
        "select count(*) from gold.rule_verdicts where rule = '{}' and verdict = 'fire'",
        case.rule
    );
    assert_ne!(ask(home.path(), &fired).trim(), "0", "{} never fired", case.rule);
}
