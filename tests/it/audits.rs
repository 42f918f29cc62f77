//! The audits, across tables and beside models: each stays silent on good rows and finds the fault
//! that is planted.

#![cfg(test)]

use std::collections::BTreeSet;
use std::sync::Arc;

use deltadesk::desk::files::shipped;
use deltadesk::desk::world::Plans;
use deltadesk::lake::arrow::array::RecordBatch;
use deltadesk::lake::arrow::datatypes::SchemaRef;
use deltadesk::lake::arrow::json::ReaderBuilder;
use deltadesk::lake::{LiveTable, TableName, new_session, register};
use deltadesk::pipeline::run::register_run;
use deltadesk::pipeline::{LiveTables, Run};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::{audits_coverage as coverage, audits_money as money};

pub const DAY: &str = "2026-03-10";
pub const DAY_BEFORE: &str = "2026-03-09";

/// Rows of one table.
pub type Given = (&'static str, Vec<Value>);

/// Rows on which an audit runs and how many of its rows they bring.
pub struct Case {
    audit: &'static str,
    name: &'static str,
    pub given: Vec<Given>,
    offenders: usize,
}

pub fn case(audit: &'static str, name: &'static str, offenders: usize, given: Vec<Given>) -> Case {
    Case { audit, name, given, offenders }
}

#[test]
fn each_audit_is_silent_on_good_rows_and_finds_what_is_planted() {
    let runtime = Runtime::new().unwrap();
    let plans = plans();
    let tables =
        LiveTables::new(&plans.catalogue, &plans.settings.params, runtime.handle().clone())
            .unwrap();
    let cases: Vec<Case> = [
        money::cash(),
        money::cash_moved(),
        money::equity(),
        money::equity_of_the_broker(),
        money::dividends(),
        coverage::after_fills(),
        coverage::after_settlements(),
        coverage::in_snapshots(),
        rows(),
        positions(),
        decisions_and_orders(),
        beside_models(),
    ]
    .into_iter()
    .flatten()
    .collect();
    let mut wrong = Vec::new();
    for case in &cases {
        let audit = plans.catalogue.audits.iter().find(|audit| audit.name == case.audit);
        let sql = &audit.unwrap_or_else(|| panic!("there is no audit {}", case.audit)).sql;
        let found = runtime.block_on(offenders(&tables, sql, &case.given));
        if found != case.offenders {
            wrong.push(format!(
                "{}: {}: {found} rows instead of {}",
                case.audit, case.name, case.offenders
            ));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    // What is declared is made by one hand for all tables, which has tests of its own.
    let written = plans.catalogue.audits.iter().filter(|audit| audit.path.starts_with("sql/"));
    let shipped: BTreeSet<&str> = written.map(|audit| audit.name.as_str()).collect();
    for silent in [true, false] {
        let tried = cases.iter().filter(|case| (case.offenders == 0) == silent);
        let tried: BTreeSet<&str> = tried.map(|case| case.audit).collect();
        assert_eq!(tried, shipped, "audits tried with good rows: {silent}");
    }
}

fn rows() -> Vec<Case> {
    let row = |sequence: i64| json!({ "ingest_seq": sequence, "session_date": DAY });
    let rejected = |source: &str, sequence: i64| {
        json!({
            "source": source, "ingest_seq": sequence, "session_date": DAY,
        })
    };
    let read = |table| (table, vec![row(1), row(2)]);
    let kept = |table| (table, vec![row(1)]);
    let sources = [
        ("bronze.option_quotes", "silver.option_quotes"),
        ("bronze.underlying_quotes", "silver.underlying_quotes"),
        ("bronze.futures_quotes", "silver.futures_quotes"),
    ];
    let accounted = |name, offenders, given| case("rows_accounted", name, offenders, given);
    let mut cases = vec![accounted(
        "set aside once too often",
        1,
        vec![
            read("bronze.option_quotes"),
            ("silver.option_quotes", vec![row(1), row(2)]),
            ("silver.quarantine", vec![rejected("bronze.option_quotes", 2)]),
        ],
    )];
    let yesterday = |row: Value| with(row, json!({ "session_date": DAY_BEFORE }));
    cases.push(accounted(
        "one lost and another kept twice do not add up to nothing",
        2,
        vec![read("bronze.option_quotes"), ("silver.option_quotes", vec![row(1), row(1)])],
    ));
    cases.push(accounted(
        "an evening row of the session before is lost",
        1,
        vec![("bronze.futures_quotes", vec![yesterday(row(1))])],
    ));
    for (bronze, silver) in sources {
        let set_aside = ("silver.quarantine", vec![rejected(bronze, 2)]);
        cases.push(accounted("a row is lost", 1, vec![read(bronze), kept(silver)]));
        cases.push(accounted("all are there", 0, vec![read(bronze), kept(silver), set_aside]));
    }
    cases
}

fn positions() -> Vec<Case> {
    let position = |conid: i64, quantity: i64, sweep: &str, sequence: i64| {
        json!({ "conid": conid, "quantity": quantity, "sweep_id": sweep, "ingest_seq": sequence,
            "session_date": DAY })
    };
    let leg = |strategy: &str, conid: i64, quantity: i64, change: i64| {
        json!({ "strategy_id": strategy, "conid": conid, "quantity": quantity,
            "change_seq": change })
    };
    let snapshot = |sweep: &str, at: &str| {
        json!({ "sweep_id": sweep, "source": "positions", "symbol": "A", "as_of": at,
            "session_date": DAY })
    };
    let judged = |name, offenders, held: Vec<Value>, legs: Vec<Value>| {
        let sweeps =
            vec![snapshot("b", "2026-03-10T20:20:00Z"), snapshot("a", "2026-03-10T19:00:00Z")];
        let given =
            vec![("ops.sweeps", sweeps), ("silver.positions", held), ("ops.strategy_legs", legs)];
        case("legs_are_positions", name, offenders, given)
    };
    vec![
        judged(
            "the latest legs of two strategies are the latest snapshot",
            0,
            vec![position(1, -5, "a", 1), position(1, -3, "b", 2)],
            vec![leg("s", 1, -1, 1), leg("s", 1, -2, 2), leg("t", 1, -1, 3)],
        ),
        judged(
            "one contract differs and one is nobody's",
            2,
            vec![position(1, -3, "b", 2), position(2, 1, "b", 3)],
            vec![leg("s", 1, -2, 2)],
        ),
        judged(
            "the broker does not know a leg",
            1,
            vec![position(1, -1, "b", 2)],
            vec![leg("s", 1, -1, 1), leg("s", 2, 1, 2)],
        ),
        judged(
            "all closed: the last snapshot has no row",
            0,
            vec![position(1, -1, "a", 1)],
            vec![leg("s", 1, -1, 1), leg("s", 1, 0, 2)],
        ),
        judged("the broker holds nothing", 1, Vec::new(), vec![leg("s", 1, -2, 2)]),
        case(
            "legs_are_positions",
            "a session without a snapshot",
            0,
            vec![("ops.strategy_legs", vec![leg("s", 1, -2, 2)])],
        ),
    ]
}

fn decisions_and_orders() -> Vec<Case> {
    let decision = |id: &str, subject: &str| {
        json!({ "decision_id": id, "run_id": "r", "scope": "s", "subject_id": subject,
            "session_date": DAY })
    };
    let unique = |name, offenders, rows| {
        case("decisions_unique", name, offenders, vec![("gold.decisions", rows)])
    };
    let order = |reference: &str, state: &str, change: i64| {
        json!({ "order_ref": reference, "state": state, "reason": "", "change_seq": change,
            "session_date": DAY })
    };
    let check = |reference: &str, attempt: i64, result: &str| {
        json!({ "order_ref": reference, "attempt": attempt, "result": result,
            "session_date": DAY })
    };
    let verdicts = |name, offenders, orders: Vec<Value>, checks: Vec<Value>| {
        let given = vec![("ops.orders", orders), ("ops.risk_checks", checks)];
        case("orders_have_verdicts", name, offenders, given)
    };
    let denied = || vec![order("b", "proposed", 1), order("b", "denied", 2)];
    vec![
        unique("two subjects", 0, vec![decision("a", "x"), decision("b", "y")]),
        unique("two decisions on one subject", 1, vec![decision("a", "x"), decision("b", "x")]),
        unique("a decision made twice", 1, vec![decision("a", "x"), decision("a", "y")]),
        verdicts(
            "passed and filled, refused and denied",
            0,
            [vec![order("a", "filled", 3)], denied()].concat(),
            vec![check("a", 1, "pass"), check("b", 1, "fail"), check("b", 1, "pass")],
        ),
        verdicts(
            "sent although a check failed",
            1,
            vec![order("a", "working", 2)],
            vec![check("a", 1, "pass"), check("a", 1, "fail")],
        ),
        verdicts(
            "filled although a check could not be made, whatever later steps said",
            1,
            vec![order("a", "filled", 2)],
            vec![check("a", 1, "unevaluable"), check("a", 2, "pass")],
        ),
        verdicts(
            "a step of the ladder was refused and the order cancelled",
            0,
            vec![order("a", "cancelled", 2)],
            vec![check("a", 1, "pass"), check("a", 2, "fail")],
        ),
        verdicts("filled without a check", 1, vec![order("a", "filled", 1)], Vec::new()),
        verdicts(
            "denied although the last attempt passed",
            1,
            denied(),
            vec![check("b", 1, "fail"), check("b", 2, "pass")],
        ),
        verdicts(
            "denied for a reason of its own",
            0,
            vec![with(order("b", "denied", 1), json!({ "reason": "held" }))],
            vec![check("b", 1, "pass")],
        ),
    ]
}

/// The audits that judge a model's pending result.
fn beside_models() -> Vec<Case> {
    let verdict = |given: Value| {
        let row = json!({ "rule": "stop_loss", "scope": "strategy", "subject_id": "s",
            "verdict": "hold", "urgency": 2, "reason": "r", "run_id": "close" });
        with(row, given)
    };
    let fire = || json!({ "verdict": "fire", "action": "close", "fraction": 1.0 });
    let verdicts = |name, offenders, rows: Vec<Value>| {
        let state = |strategy: &str, run: &str| json!({ "strategy_id": strategy, "run_id": run });
        let states = vec![state("s", "close"), state("gone", "earlier")];
        let given = vec![("gold.strategy_state", states), ("gold.rule_verdicts", rows)];
        case("rule_verdicts", name, offenders, given)
    };
    let broken = |name, given: Value| verdicts(name, 1, vec![verdict(with(fire(), given))]);
    let states = |name, offenders, strategies: [&str; 2]| {
        let rows = strategies.map(|strategy| json!({ "strategy_id": strategy, "run_id": "close" }));
        case("strategy_state", name, offenders, vec![("gold.strategy_state", rows.to_vec())])
    };
    let decided = |name, offenders, given: Value| {
        let row = json!({ "decision_id": "d", "scope": "strategy", "subject_id": "s",
            "action": "close", "legs": [{ "conid": 1, "ratio": 1 }] });
        case("decisions", name, offenders, vec![("gold.decisions", vec![with(row, given)])])
    };
    let quoted = |name, offenders, vol: f64| {
        let row = json!({ "conid": 1, "ingest_seq": 1, "vol": vol, "delta": -0.2 });
        case("option_quotes", name, offenders, vec![("silver.option_quotes", vec![row])])
    };
    vec![
        verdicts("one verdict", 0, vec![verdict(json!({}))]),
        verdicts("it fires", 0, vec![verdict(fire())]),
        verdicts("two verdicts", 1, vec![verdict(json!({})), verdict(json!({}))]),
        verdicts("the rule passes a strategy over", 1, vec![verdict(json!({ "subject_id": "t" }))]),
        verdicts("the rule says nothing", 1, Vec::new()),
        broken("nothing is done", json!({ "action": null })),
        broken("no fraction", json!({ "fraction": null })),
        broken("nothing of it", json!({ "fraction": 0.0 })),
        broken("more than all", json!({ "fraction": 1.5 })),
        broken("beyond an emergency", json!({ "urgency": 4 })),
        broken("no urgency", json!({ "urgency": null })),
        broken("a hold that acts", json!({ "verdict": "hold" })),
        broken("a verdict of its own", json!({ "verdict": "perhaps" })),
        states("two strategies", 0, ["a", "b"]),
        states("one strategy twice", 1, ["a", "a"]),
        decided("a close with legs", 0, json!({})),
        decided("a close without legs", 1, json!({ "legs": null })),
        decided(
            "an open without its worst price",
            1,
            json!({ "scope": "symbol", "action": "open" }),
        ),
        quoted("a volatility", 0, 0.2),
        quoted("a volatility that no option has", 1, 6.0),
    ]
}

/// One option contract of a fill; what differs is given.
pub fn fill(sequence: i64, quantity: i64, given: Value) -> Value {
    let row = json!({ "exec_id": format!("e{sequence}"), "order_ref": "d.open.0",
        "group_id": "g1", "execution_kind": "trade", "conid": 1, "symbol": "SPY",
        "security_kind": "OPT", "quantity": quantity, "price": "3", "multiplier": 100,
        "commission_usd": "0.65", "cash_usd": "0", "executed_at": "2026-03-10T15:00:00Z",
        "ingest_seq": sequence, "session_date": DAY });
    with(row, given)
}

/// The row with other values in some columns.
pub fn with(mut row: Value, other: Value) -> Value {
    let Value::Object(other) = other else { panic!("columns are an object") };
    row.as_object_mut().unwrap().extend(other);
    row
}

/// Rows that the audit returns where the tables hold what is given and nothing else.
async fn offenders(tables: &LiveTables, sql: &str, given: &[Given]) -> usize {
    let session = new_session().unwrap();
    register_run(&session, &run()).unwrap();
    for spec in tables.stored().unwrap() {
        let name: &TableName = spec.name();
        let schema = tables.schema(name).unwrap();
        let table = LiveTable::new(Arc::clone(&schema));
        let rows = given.iter().filter(|(table, _)| *table == name.to_string());
        for row in rows.flat_map(|(_, rows)| rows).flat_map(|row| row.as_object().unwrap()) {
            assert!(schema.field_with_name(row.0).is_ok(), "{name} has no column {}", row.0);
        }
        let rows = given.iter().filter(|(table, _)| *table == name.to_string());
        let rows: Vec<&Value> = rows.flat_map(|(_, rows)| rows).collect();
        table.set(batches(schema, &rows));
        register(&session, name, Arc::new(table)).unwrap();
    }
    let found = session.sql(sql).await.unwrap().collect().await.unwrap();
    found.iter().map(RecordBatch::num_rows).sum()
}

/// Rows as the table holds them; a column that a row leaves out is NULL.
pub fn batches(schema: SchemaRef, rows: &[&Value]) -> Vec<RecordBatch> {
    let lines: Vec<String> = rows.iter().map(ToString::to_string).collect();
    let mut decoder = ReaderBuilder::new(schema).build_decoder().unwrap();
    decoder.decode(lines.join("\n").as_bytes()).unwrap();
    decoder.flush().unwrap().into_iter().collect()
}

pub fn run() -> Run {
    let day = DAY.parse().unwrap();
    Run {
        run_id: "close".to_owned(),
        as_of: format!("{DAY}T21:00:00Z").parse().unwrap(),
        session_date: day,
        previous_session_date: DAY_BEFORE.parse().unwrap(),
        session_open_at: format!("{DAY}T13:30:00Z").parse().unwrap(),
        session_close_at: format!("{DAY}T20:00:00Z").parse().unwrap(),
        previous_session_close_at: format!("{DAY_BEFORE}T20:00:00Z").parse().unwrap(),
        previous_futures_close_at: format!("{DAY_BEFORE}T21:00:00Z").parse().unwrap(),
        session_phase: "post".to_owned(),
    }
}

fn plans() -> Plans {
    Plans::read(&shipped())
        .unwrap_or_else(|faults| panic!("{}", deltadesk::desk::faults_error(faults)))
}
