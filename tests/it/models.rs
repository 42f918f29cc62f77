//! `deltadesk models`: two days of a demo computed again, as they were and otherwise.

#![cfg(test)]

use std::path::Path;

use deltadesk::desk::files::shipped;
use tempfile::TempDir;

use super::demo::{SESSIONS, copy, undisturbed};
use super::homes::{ask, desk, refused, text};

const SIGNALS: &str = "sql/gold/signals.sql";

fn home() -> TempDir {
    let home = TempDir::new().unwrap();
    copy(&undisturbed().home, home.path());
    home
}

fn models(home: &Path, arguments: &[&str]) -> String {
    let answer = desk(home, &[&["models"], arguments].concat());
    assert!(answer.status.success(), "{}", text(&answer));
    String::from_utf8(answer.stdout).unwrap()
}

/// Gives the home the shipped models, one of them changed.
fn change(home: &Path, path: &str, (from, to): (&str, &str)) {
    for (name, text) in shipped().iter().filter(|(name, _)| name.starts_with("sql/")) {
        let file = home.join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        let changed = if name == path { text.replacen(from, to, 1) } else { text.clone() };
        assert!(name != path || changed != *text, "{path} has no `{from}`");
        std::fs::write(file, changed).unwrap();
    }
}

/// What an operator would notice of a table.
fn picture(home: &Path, table: &str) -> String {
    ask(home, &format!("select * from {table} order by as_of, symbol"))
}

#[test]
fn what_nothing_changed_comes_out_as_it_was() {
    let home = home();
    assert!(models(home.path(), &["plan"]).contains("every session is what the models of now"));
    let versions = "select table_schema, table_name from information_schema.tables order by 1, 2";
    let before = ask(home.path(), versions);
    let said = models(home.path(), &["rebuild"]);
    for session in SESSIONS {
        let line = said.lines().find(|line| line.starts_with(session)).unwrap();
        assert!(line.contains("tables as they were") && !line.contains("rewritten"), "{line}");
    }
    assert_eq!(ask(home.path(), versions), before);
    let runs = "select count(distinct session_date), min(rows_in) >= 0, count(inputs) = count(*)
                from ops.model_runs where mode = 'rebuilt' and status = 'built'";
    assert_eq!(ask(home.path(), runs).trim(), "2,true,true");
}

#[test]
fn a_changed_model_is_computed_again_with_its_readers() {
    let home = home();
    let before = picture(home.path(), "gold.signals");
    let judged = ask(home.path(), "select * from gold.decisions order by decision_id");
    change(home.path(), SIGNALS, ("forecast.beta_spy,", "forecast.beta_spy + 1 as beta_spy,"));

    let plan = models(home.path(), &["plan"]);
    let line = |path: &str| {
        let mut lines = plan.lines().filter(|line| line.starts_with(path));
        lines.next().unwrap_or_else(|| panic!("no {path} in:\n{plan}")).to_owned()
    };
    assert!(line(SIGNALS).contains("its text has changed"), "{plan}");
    assert!(line(SIGNALS).contains("2026-03-02  2026-03-03"), "{plan}");
    assert!(
        line("sql/gold/exposures.sql").contains(&format!("it is made from {SIGNALS}")),
        "{plan}"
    );
    assert!(!plan.contains("sql/gold/vol_surface.sql"), "{plan}");
    assert!(!plan.contains("decisions") && !plan.contains("sql/rules"), "{plan}");

    let said = models(home.path(), &["run", "--from", SESSIONS[1]]);
    assert!(!said.contains(SESSIONS[0]) && said.contains("gold.signals"), "{said}");
    let said = models(home.path(), &["run"]);
    assert!(said.starts_with(SESSIONS[0]) && !said.contains(SESSIONS[1]), "{said}");
    assert!(models(home.path(), &["plan"]).contains("every session is what the models of now"));
    let raised = "select count(*) from gold.signals where symbol = 'SPY' and beta_spy < 1.5";
    assert_eq!(ask(home.path(), raised).trim(), "0");
    assert_eq!(ask(home.path(), "select * from gold.decisions order by decision_id"), judged);
    let whole = desk(home.path(), &["lake", "verify"]);
    assert!(whole.status.success(), "{}", text(&whole));

    std::fs::remove_dir_all(home.path().join("sql")).unwrap();
    models(home.path(), &["run", "gold.signals"]);
    assert_eq!(picture(home.path(), "gold.signals"), before);
}

#[test]
fn a_model_gets_a_column() {
    let home = home();
    change(
        home.path(),
        SIGNALS,
        ("forecast.beta_spy,", "forecast.beta_spy,\n    forecast.iv30 * 100 as iv30_points,"),
    );
    models(home.path(), &["run", "--from", SESSIONS[1]]);
    let sql = "select session_date, count(iv30_points) > 0 from gold.signals group by 1 order by 1";
    assert_eq!(ask(home.path(), sql), "2026-03-02,false\n2026-03-03,true\n");
}

#[test]
fn a_column_that_changes_its_kind_is_found_before_anything_runs() {
    let home = home();
    let before = picture(home.path(), "gold.signals");
    let to = "cast(forecast.bar_date as varchar) as bar_date,";
    change(home.path(), SIGNALS, ("forecast.bar_date,", to));
    let said = ["column `bar_date` is stored as Date32 and offered as Utf8", SIGNALS];
    refused(&desk(home.path(), &["check"]), &said);
    refused(
        &desk(home.path(), &["models", "run"]),
        &[&said[..], &["no table was changed"]].concat(),
    );
    assert_eq!(picture(home.path(), "gold.signals"), before);
}

#[test]
fn a_model_that_fails_changes_nothing_and_is_tried_again() {
    let home = home();
    let before = picture(home.path(), "gold.signals");
    let faulty = ("forecast.beta_spy,", "cast(forecast.symbol as bigint) * 1.0 as beta_spy,");
    change(home.path(), SIGNALS, faulty);
    let answer = desk(home.path(), &["models", "run"]);
    refused(&answer, &[SIGNALS, "session 2026-03-02 stays as it was", "models retry"]);
    assert_eq!(picture(home.path(), "gold.signals"), before);
    let plan = models(home.path(), &["plan"]);
    assert!(plan.contains("it failed: "), "{plan}");
    assert!(plan.contains(&format!("it waits for {SIGNALS}, which failed")), "{plan}");

    std::fs::remove_dir_all(home.path().join("sql")).unwrap();
    let said = models(home.path(), &["retry"]);
    assert!(said.starts_with(SESSIONS[0]) && !said.contains("rewritten"), "{said}");
    assert!(models(home.path(), &["retry"]).contains("nothing failed"));
    assert!(models(home.path(), &["backfill"]).contains("nothing is missing"));
}

#[test]
fn what_was_judged_is_never_rewritten() {
    let home = home();
    let judged = |name| desk(home.path(), &["models", "rebuild", name]);
    let said = ["says what was judged at the time and is never computed again"];
    refused(&judged("gold.decisions"), &said);
    refused(&judged("gold.rule_verdicts"), &said);
    refused(&judged("gold.nothing"), &["no model is called gold.nothing", "gold.signals"]);
    let backwards = ["models", "plan", "--from", SESSIONS[1], "--to", SESSIONS[0]];
    refused(&desk(home.path(), &backwards), &["--from is after --to"]);
}
