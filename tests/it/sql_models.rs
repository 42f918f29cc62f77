//! Every model against the rows written beside it, on the plans that run in production; and what
//! broken SQL files are told.

#![cfg(test)]

use std::collections::BTreeSet;

use deltadesk::desk::files::shipped;
use deltadesk::desk::world::Plans;
use deltadesk::lake::{Rows, TableName};
use deltadesk::pipeline::model::Role;
use deltadesk::pipeline::model_test::run_tests;
use deltadesk::pipeline::{Catalogue, Files, LiveTables, Params};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::audits::{batches, run, with};

#[test]
fn every_model_gives_the_rows_written_beside_it() {
    let plans = plans();
    let runtime = runtime();
    let params = &plans.settings.params;
    let mut tables = LiveTables::new(&plans.catalogue, params, runtime.handle().clone()).unwrap();
    let (mut cases, mut failures) = (0, Vec::new());
    for (path, text) in &plans.catalogue.tests {
        match run_tests(&mut tables, params, path, text) {
            Ok(count) => cases += count,
            Err(failure) => failures.push(format!("{failure:#}")),
        }
    }
    assert!(failures.is_empty(), "{} files fail:\n{}", failures.len(), failures.join("\n"));
    println!("{cases} cases of {} models", plans.catalogue.tests.len());
}

#[test]
fn every_model_has_a_test_and_every_test_a_model() {
    let catalogue = plans().catalogue;
    let models: BTreeSet<&String> = catalogue.models.iter().map(|model| &model.path).collect();
    let tests: BTreeSet<&String> = catalogue.tests.keys().collect();
    let alone: Vec<_> = models.symmetric_difference(&tests).collect();
    assert!(alone.is_empty(), "one without the other: {alone:?}");
}

/// The tables that an opening in AAA reads, with all that it needs.
fn opening() -> [(TableName, Value); 4] {
    [
        ("bronze", "contracts", json!({ "security_kind": "OPT", "exercise_style": "american" })),
        (
            "gold",
            "signals",
            json!({ "spot_usd": 100.0, "iv30": 0.2, "forecast_vol": 0.18,
                "forecast_weight": 0.4, "beta_spy": 1.1 }),
        ),
        ("gold", "vol_surface", json!({ "expiry_date": "2026-04-24", "dte": 45, "rate": 0.036 })),
        (
            "bronze",
            "dividends",
            json!({ "amount_usd": "1", "ex_date": "2026-06-19", "valid_through": "2026-06-19" }),
        ),
    ]
    .map(|(schema, name, row)| {
        (TableName::new(schema, name), with(row, json!({ "symbol": "AAA" })))
    })
}

#[test]
fn an_entry_without_one_of_its_required_inputs_is_barred() {
    let plans = plans();
    let runtime = runtime();
    let params = &plans.settings.params;
    let mut tables = LiveTables::new(&plans.catalogue, params, runtime.handle().clone()).unwrap();
    let at = "2026-03-10T17:00:00Z".parse().unwrap();
    let mut bar = |left_out: &str| {
        for (table, row) in opening() {
            let missing: Value = left_out
                .split_once('.')
                .filter(|(name, _)| table.to_string().ends_with(&format!(".{name}")))
                .map_or_else(|| json!({}), |(_, column)| json!({ column: null }));
            let row = with(row, missing);
            let rows = batches(tables.schema(&table).unwrap(), &[&row]);
            tables.hold(&table, rows.into_iter().next().unwrap()).unwrap();
        }
        let run = deltadesk::pipeline::Run { as_of: at, ..run() };
        let found = Rows::new(tables.run_alone("sql/gold/openings.sql", &run).unwrap());
        let bars = found.iter().map(|row| row.maybe_text("bar").unwrap().map(str::to_owned));
        bars.collect::<Vec<_>>()
    };
    assert_eq!(bar("nothing"), [None]);
    for model in &plans.catalogue.models {
        let Role::Entry { name, .. } = &model.role else { continue };
        let requires = model.header.get("requires");
        let requires = requires.unwrap_or_else(|| panic!("{name} requires nothing"));
        for required in requires.split(", ") {
            let bars = bar(required);
            let barred = bars.iter().flatten().any(|bar| bar.starts_with("unevaluable"));
            assert!(barred, "{name} requires {required}; without it: {bars:?}");
        }
    }
}

const DOUBLED: &str = "\
-- about: Twice each number.
-- grain: one row a number
-- key: number
-- owner: test
-- kind: snapshot
-- live: run
select number, number * params.factors_two as doubled from bronze.numbers cross join params
";

const FAILING: &str = r#"
[[test]]
name = "sound"
as_of = "2026-03-10T15:00:00Z"
[[test.given]]
table = "bronze.numbers"
rows = [{ number = 2 }]
[test.expect]
rows = [{ doubled = 4.0 }]

[[test]]
name = "wrong number"
as_of = "2026-03-10T15:00:00Z"
[[test.given]]
table = "bronze.numbers"
rows = [{ number = 2 }]
[test.expect]
rows = [{ doubled = 5.0 }]

[[test]]
name = "too few rows"
as_of = "2026-03-10T15:00:00Z"
[test.expect]
rows = [{ doubled = 5.0 }]

[[test]]
name = "a column that is not there"
as_of = "2026-03-10T15:00:00Z"
[test.expect]
rows = [{ trebled = 5.0 }]

[[test]]
name = "a parameter that is not there"
as_of = "2026-03-10T15:00:00Z"
params = { factors_three = 3 }
[test.expect]
rows = []

[[test]]
name = "an instant that is none"
as_of = "noon"
[test.expect]
rows = []
"#;

#[test]
fn a_failing_test_fails_and_names_each_case() {
    let catalogue = Catalogue::read(&numbers(&[("sql/gold/doubled.sql", DOUBLED)])).unwrap();
    let runtime = runtime();
    let params = Params([("factors_two".to_owned(), 2.0)].into());
    let mut tables = LiveTables::new(&catalogue, &params, runtime.handle().clone()).unwrap();
    let failure = run_tests(&mut tables, &params, "sql/gold/doubled.sql", FAILING).unwrap_err();
    let said = format!("{failure:#}");
    for part in [
        "`wrong number`: row 0 is {\"doubled\":4.0} instead of {\"doubled\":5.0}",
        "`too few rows`: 0 rows instead of 1",
        "`a column that is not there`: expected rows: column `trebled`",
        "`a parameter that is not there`: `factors_three` is no parameter",
        "`an instant that is none`: as_of `noon`",
    ] {
        assert!(said.contains(part), "`{part}` is not in:\n{said}");
    }
    assert!(!said.contains("`sound`"), "{said}");
    let unread = run_tests(&mut tables, &params, "sql/gold/doubled.sql", "[[tests]]");
    assert!(format!("{:#}", unread.unwrap_err()).contains("sql/gold/doubled.sql"));
}

#[test]
fn models_that_wait_for_each_other_are_named() {
    let one = DOUBLED.replace("bronze.numbers", "gold.second");
    let two = DOUBLED.replace("bronze.numbers", "gold.first");
    let files = numbers(&[
        ("sql/gold/first.sql", &one),
        ("sql/gold/second.sql", &two),
        ("sql/gold/sound.sql", DOUBLED),
    ]);
    let said = planning_fault(&files);
    for part in ["sql/gold/first.sql", "sql/gold/second.sql", "wait for each other"] {
        assert!(said.contains(part), "{said}");
    }
    assert!(!said.contains("sound"), "{said}");
}

#[test]
fn a_statement_that_cannot_be_planned_is_named() {
    for (from, to, part) in [
        ("select number,", "select nummer,", "nummer"),
        ("bronze.numbers", "bronze.nombers", "nombers"),
        ("select number,", "selekt number,", "selekt"),
        ("params.factors_two", "params.factors_three", "factors_three"),
    ] {
        let text = DOUBLED.replacen(from, to, 1);
        let said = planning_fault(&numbers(&[("sql/gold/doubled.sql", &text)]));
        assert!(said.contains("sql/gold/doubled.sql"), "{said}");
        assert!(said.to_lowercase().contains(part), "`{part}` is not in:\n{said}");
    }
}

#[test]
fn a_broken_header_is_named_with_its_line() {
    for (from, to, place, part) in [
        ("-- owner: test\n", "", "sql/gold/doubled.sql:1:", "`owner` is missing"),
        ("-- kind: snapshot", "-- kind: often", "sql/gold/doubled.sql:", "`kind: often`"),
        ("-- live: run", "-- live: always", "sql/gold/doubled.sql:", "`live: always`"),
        ("-- about: Twice", "-- Twice", "sql/gold/doubled.sql:1:", "no header line"),
        ("-- key: number\n", "-- key: a\n-- key: b\n", "sql/gold/doubled.sql:4:", "twice"),
    ] {
        let text = DOUBLED.replacen(from, to, 1);
        let faults = Catalogue::read(&numbers(&[("sql/gold/doubled.sql", &text)])).unwrap_err();
        let said = faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        assert!(said.contains(place) && said.contains(part), "{to}: {said}");
    }
}

#[test]
fn parts_of_a_union_have_the_same_columns() {
    let rule = |column: &str| {
        let header = DOUBLED.replace("-- live: run", "-- live: run\n-- priority: 1");
        let keyed = "select 'strategy' as scope, number as subject_id,";
        header.replace("select number,", keyed).replace("doubled", column)
    };
    let said = planning_fault(&numbers(&[
        ("sql/rules/first.sql", &rule("measured")),
        ("sql/rules/second.sql", &rule("measure")),
    ]));
    assert!(said.contains("sql/rules/second.sql") && said.contains("columns differ"), "{said}");
}

/// One bronze table, and models over it.
fn numbers(models: &[(&str, &str)]) -> Files {
    let contract = "\
-- about: Numbers.
-- key: number
-- live: batch
create table bronze.numbers (number bigint not null);
";
    let models = models.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
    models.chain([("sql/bronze/numbers.sql".to_owned(), contract.to_owned())]).collect()
}

fn planning_fault(files: &Files) -> String {
    let catalogue = Catalogue::read(files).unwrap();
    let params = Params([("factors_two".to_owned(), 2.0)].into());
    let runtime = runtime();
    match LiveTables::new(&catalogue, &params, runtime.handle().clone()) {
        Ok(_) => panic!("the models were planned"),
        Err(error) => format!("{error:#}"),
    }
}

fn plans() -> Plans {
    Plans::read(&shipped())
        .unwrap_or_else(|faults| panic!("{}", deltadesk::desk::faults_error(faults)))
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap()
}
