//! Cases of the audit of uncovered shorts: after fills, after settlements, in snapshots.

#![cfg(test)]

use serde_json::{Value, json};

use crate::audits::{Case, DAY, case, fill, with};

/// Fills of strategies s (orders d) and t (orders x) in two April puts (1 and 2), a May put (3) and
/// an April call (4).
fn covered(name: &'static str, offenders: usize, fills: Vec<Value>) -> Case {
    let contract = |conid: i64, right: &str, expiry: &str| {
        json!({ "conid": conid, "symbol": "SPY", "security_kind": "OPT", "ingest_seq": conid,
            "option_right": right, "expiry_date": expiry })
    };
    let contracts = vec![
        contract(1, "P", "2026-04-17"),
        contract(2, "P", "2026-04-17"),
        contract(3, "P", "2026-05-15"),
        contract(4, "C", "2026-04-17"),
    ];
    let order = |order: &str, strategy: &str| {
        json!({
            "order_ref": order, "strategy_id": strategy, "change_seq": 1,
        })
    };
    let orders = vec![
        order("d.open.0", "s"),
        order("d.close.0", "s"),
        order("x.open.0", "t"),
        order("x.close.0", "t"),
    ];
    let given =
        vec![("bronze.contracts", contracts), ("ops.orders", orders), ("silver.fills", fills)];
    case("covered_shorts", name, offenders, given)
}

fn leg(at: i64, quantity: i64, conid: i64) -> Value {
    fill(at, quantity, json!({ "conid": conid }))
}

fn spread() -> Vec<Value> {
    vec![leg(1, -1, 1), leg(2, 1, 2)]
}

pub fn after_fills() -> Vec<Case> {
    let later = json!({ "group_id": "g2", "executed_at": "2026-03-10T15:00:01Z" });
    let shares = |quantity: i64| {
        let stock = json!({ "conid": 9, "security_kind": "STK", "multiplier": 1 });
        fill(1, quantity, stock)
    };
    vec![
        covered("a spread filled in one group", 0, spread()),
        covered(
            "uncovered for a second, in the strategy and over the account",
            2,
            vec![leg(1, -1, 1), with(leg(2, 1, 2), later.clone())],
        ),
        covered("a calendar whose long expires later", 0, vec![leg(1, -1, 1), leg(2, 1, 3)]),
        covered("a calendar whose long expires first", 2, vec![leg(1, 1, 1), leg(2, -1, 3)]),
        covered("two shorts on one long", 2, vec![leg(1, -2, 1), leg(2, 1, 2)]),
        covered("a put does not cover a call", 2, vec![leg(1, -1, 4), leg(2, 1, 2)]),
        covered(
            "covered by another strategy only",
            1,
            vec![leg(1, -1, 1), with(leg(2, 1, 2), json!({ "order_ref": "x.open.0" }))],
        ),
        covered("a call on 100 shares", 0, vec![shares(100), with(leg(2, -1, 4), later.clone())]),
        covered("a call on 50 shares", 2, vec![shares(50), with(leg(2, -1, 4), later)]),
        covered("a contract that nobody describes", 2, vec![leg(1, 1, 8)]),
        covered(
            "an execution of an unknown kind of security",
            2,
            vec![with(leg(1, 1, 8), json!({ "security_kind": "unknown" }))],
        ),
    ]
}

pub fn after_settlements() -> Vec<Case> {
    let evening = |given: Value| {
        let at = json!({ "executed_at": "2026-03-10T20:00:00Z", "order_ref": null });
        with(at, given)
    };
    let expired = |at: i64, quantity: i64, conid: i64, group: &str| {
        let given = json!({ "conid": conid, "execution_kind": "expiry", "group_id": group });
        fill(at, quantity, evening(given))
    };
    // Puts: the shorts go, the stock comes.
    let assigned = |contracts: i64| {
        let option = json!({ "conid": 1, "execution_kind": "assignment", "group_id": "e" });
        let stock = json!({ "conid": 9, "execution_kind": "delivery", "group_id": "e",
            "security_kind": "STK" });
        vec![fill(7, contracts, evening(option)), fill(8, 100 * contracts, evening(stock))]
    };
    let sold_later = |contracts: i64| {
        let given = json!({ "conid": 2, "order_ref": "d.close.0", "group_id": "g5",
            "executed_at": "2026-03-11T15:00:00Z" });
        fill(9, -contracts, given)
    };
    let other = || json!({ "order_ref": "x.open.0", "group_id": "g9" });
    let expiry = vec![expired(3, -1, 2, "a"), expired(4, 1, 1, "b")];
    vec![
        covered("both legs expire at one instant", 0, [spread(), expiry].concat()),
        covered(
            "the long is sold after the short was assigned early",
            0,
            [spread(), assigned(1), vec![sold_later(1)]].concat(),
        ),
        covered(
            "one of two shorts was assigned, both longs are sold",
            2,
            [vec![leg(1, -2, 1), leg(2, 2, 2)], assigned(1), vec![sold_later(2)]].concat(),
        ),
        covered(
            "assigned to the first of two strategies, the second sells its long",
            1,
            [
                spread(),
                vec![with(leg(3, -1, 1), other()), with(leg(4, 1, 2), other())],
                assigned(1),
                vec![with(sold_later(1), json!({ "order_ref": "x.close.0" }))],
            ]
            .concat(),
        ),
    ]
}

pub fn in_snapshots() -> Vec<Case> {
    let held = |conid: i64, right: &str, quantity: i64| {
        json!({ "conid": conid, "symbol": "SPY", "security_kind": "OPT", "option_right": right,
            "expiry_date": "2026-04-17", "quantity": quantity, "sweep_id": "p", "account_id": "A",
            "session_date": DAY, "received_at": "2026-03-10T15:00:00Z" })
    };
    let snapshot = |name, offenders, positions: Vec<Value>| {
        case("covered_shorts", name, offenders, vec![("silver.positions", positions)])
    };
    vec![
        snapshot("a spread in a snapshot", 0, vec![held(1, "P", -1), held(2, "P", 1)]),
        snapshot("a short alone in a snapshot", 1, vec![held(1, "P", -1), held(2, "C", 1)]),
        snapshot(
            "a snapshot with an option that nobody describes",
            1,
            vec![with(held(1, "P", 1), json!({ "option_right": null }))],
        ),
    ]
}
