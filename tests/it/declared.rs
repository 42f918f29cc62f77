//! Tests of tables that are declared, on a demo's day: what they find is recorded, told, sent away,
//! or stops the day.

#![cfg(test)]

use std::path::Path;

use deltadesk::desk::files::shipped;
use tempfile::TempDir;

use super::homes::{ask, desk, lay_out, refused, text};

/// A home whose quotes of underlyings are tested as these lines say.
fn home_with(test: &str) -> TempDir {
    home_testing("silver.underlying_quotes", test)
}

fn home_testing(table: &str, test: &str) -> TempDir {
    let home = TempDir::new().unwrap();
    lay_out(home.path(), &[]);
    for (name, text) in shipped().iter().filter(|(name, _)| name.starts_with("pipelines/")) {
        let file = home.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }
    let tests = home.path().join(format!("pipelines/tests/{table}.toml"));
    std::fs::write(tests, format!("about = \"a\"\n\n[[test]]\n{test}\n")).unwrap();
    home
}

fn demo(home: &Path) -> std::process::Output {
    desk(home, &["demo", "--days", "1"])
}

/// Verdict, and whether rows offended, of a test over the day.
fn verdicts(home: &Path, test: &str) -> String {
    let sql = format!(
        "select distinct verdict, offending_rows > 0, detail <> '' from ops.data_tests \
         where audit = 'silver.underlying_quotes.{test}' order by verdict"
    );
    ask(home, &sql)
}

#[test]
fn a_test_that_warns_is_recorded_and_told() {
    let home = home_with("column = \"symbol\"\naccepted = [\"SPY\"]\notherwise = \"warn\"");
    let answer = demo(home.path());
    assert!(answer.status.success(), "{}", text(&answer));
    assert_eq!(verdicts(home.path(), "accepted.symbol"), "warned,true,true\n");
    let kept = "select count(*) > 0 from silver.underlying_quotes where symbol = 'VIX'";
    assert_eq!(ask(home.path(), kept).trim(), "true");
    let told = "select count(*) > 0 from ops.job_runs
                where detail like '%test silver.underlying_quotes.accepted.symbol: % rows offend%'";
    assert_eq!(ask(home.path(), told).trim(), "true");
    let passed = "select count(*) > 0 from ops.data_tests
                  where audit = 'gold.vol_surface.unique.symbol_expiry_date'
                  and verdict = 'passed'";
    assert_eq!(ask(home.path(), passed).trim(), "true");
    let whole = desk(home.path(), &["lake", "verify"]);
    assert!(whole.status.success(), "{}", text(&whole));
}

#[test]
fn a_row_that_offends_goes_to_quarantine() {
    let home = home_with("column = \"symbol\"\naccepted = [\"SPY\"]\notherwise = \"quarantine\"");
    let answer = demo(home.path());
    assert!(answer.status.success(), "{}", text(&answer));
    assert_eq!(verdicts(home.path(), "accepted.symbol"), "quarantined,true,true\n");
    let sql = "select count(*) from silver.underlying_quotes where symbol = 'VIX'";
    assert_eq!(ask(home.path(), sql).trim(), "0");
    let sent = "select (select count(*) from silver.quarantine
                        where reason = 'silver.underlying_quotes.accepted.symbol')
                     = (select count(*) from bronze.underlying_quotes where symbol = 'VIX')";
    assert_eq!(ask(home.path(), sent).trim(), "true");
}

#[test]
fn a_test_that_blocks_stops_the_day_and_keeps_nothing() {
    let home = home_with("column = \"symbol\"\naccepted = [\"SPY\"]\notherwise = \"block\"");
    let said = ["silver.underlying_quotes.accepted.symbol", "the result is not kept", "symbol=VIX"];
    refused(&demo(home.path()), &said);
}

#[test]
fn a_session_is_held_against_the_calendar_and_the_session_before() {
    // Of these two days only the second has fills, at noon.
    let home = home_testing(
        "silver.fills",
        "column = \"executed_at\"\nfresh_minutes = 20\notherwise = \"warn\"\n\n\
         [[test]]\nrows_ratio_min = 0.5\notherwise = \"warn\"",
    );
    let bars = "about = \"a\"\n[[test]]\nrows_ratio_min = 5.0\notherwise = \"warn\"\n";
    std::fs::write(home.path().join("pipelines/tests/silver.bars.toml"), bars).unwrap();
    let answer = desk(home.path(), &["demo", "--days", "2"]);
    assert!(answer.status.success(), "{}", text(&answer));
    let sql = "select audit, string_agg(verdict, ' ' order by session_date) from ops.data_tests
               where audit like '%.fresh.%' or audit like '%.rows_ratio' group by 1 order by 1";
    let expected = "silver.bars.rows_ratio,warned warned\n\
                    silver.fills.fresh.executed_at,warned warned\n\
                    silver.fills.rows_ratio,passed passed\n\
                    silver.option_quotes.fresh.received_at,passed passed\n\
                    silver.option_quotes.rows_ratio,passed passed\n\
                    silver.underlying_quotes.fresh.received_at,passed passed\n";
    assert_eq!(ask(home.path(), sql), expected);
}

#[test]
fn a_table_or_column_that_is_not_there_is_found_before_anything_runs() {
    let home = home_with("not_null = [\"bidd\"]\notherwise = \"warn\"");
    let file = "pipelines/tests/silver.underlying_quotes.toml:4";
    refused(&desk(home.path(), &["check"]), &[file, "bidd"]);
    let home =
        home_with("column = \"conid\"\nwithin = \"bronze.contract.conid\"\notherwise = \"warn\"");
    refused(&desk(home.path(), &["check"]), &["no table is called bronze.contract"]);
    let home = home_with("unique = [\"conid\"]\notherwise = \"quarantine\"");
    refused(&desk(home.path(), &["check"]), &["toml:3: no single row is at fault"]);
}
