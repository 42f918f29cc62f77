//! The command line as an operator meets it: the built binary against homes in temporary folders.

#![cfg(test)]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use deltadesk::lake::{
    Batch, Cell, Durability, Lake, LakeOptions, RowBuilder, TableName, TableSpec,
};
use deltadesk::market::Timestamp;
use tempfile::TempDir;

#[test]
fn what_init_lays_out_checks_ok() {
    let home = laid_out();
    let answer = desk(home.path(), &["check"]);
    let said = text(&answer);
    assert!(answer.status.success(), "{said}");
    assert!(!said.contains("NOT OK"), "{said}");
    for part in ["settings", "jobs", "pipelines", "sql", "reference", "calendar", "lake", "journal"]
    {
        assert!(said.lines().any(|line| line.starts_with(&format!("OK      {part}"))), "{said}");
    }
}

#[test]
fn a_home_that_is_not_there_says_how_to_make_one() {
    let folder = TempDir::new().unwrap();
    let answer = desk(&folder.path().join("none"), &["check"]);
    refused(&answer, &["is no folder", "deltadesk init"]);
}

#[test]
fn init_touches_nothing_that_is_there() {
    let home = laid_out();
    let answer = binary(&["init", &home.path().display().to_string()]);
    refused(&answer, &["is there already"]);
}

/// Text of a file of a fresh home, replaced once, and what `check` must say of it.
struct Broken {
    file: &'static str,
    from: &'static str,
    to: &'static str,
    said: &'static [&'static str],
}

const fn broken(
    file: &'static str,
    (from, to): (&'static str, &'static str),
    said: &'static [&'static str],
) -> Broken {
    Broken { file, from, to, said }
}

/// Each row is a home; all of its faults are told at once.
const HOMES: [&[Broken]; 3] = [
    &[
        broken("jobs.toml", ("every = \"5m\"", "evry = \"5m\""), &["evry"]),
        broken(
            "deltadesk.toml",
            ("orders_per_minute_max", "per_minute"),
            &["orders_per_minute_max"],
        ),
        broken("pipelines/decide.toml", ("trade.act", "trade.atc"), &["trade.atc", "there are"]),
        broken("pipelines/close.toml", ("trade.reconcile", "reconsile"), &["reconsile"]),
        broken(
            "reference/session_overrides.csv",
            ("closed", "shut"),
            &["shut", "closed, hours or"],
        ),
    ],
    &[
        broken("jobs.toml", ("pipeline = \"decide\"", "pipeline = \"d\""), &["pipelines/d.toml"]),
        broken(
            "deltadesk.toml",
            ("switched_off = []", "switched_off = [\"no_such_rule\"]"),
            &["no_such_rule", "take_profit"],
        ),
        broken("sql/rules/time_exit.sql", ("select", "selekt"), &["syntax"]),
        broken(
            "sql/rules/stop_loss.sql",
            ("gold.strategy_state", "gold.strategy_stat"),
            &["no table is called gold.strategy_stat"],
        ),
    ],
    &[
        broken("sql/rules/time_exit.sql", ("strategy_id", "strategy_idd"), &["strategy_idd"]),
        broken("sql/rules/delta_exit.sql", ("strategy_id", "strategy_jd"), &["strategy_jd"]),
    ],
];

#[test]
fn each_broken_file_is_named_with_its_line() {
    for faults in HOMES {
        let home = laid_out();
        let mut places = Vec::new();
        for Broken { file, from, to, .. } in faults {
            let path = home.path().join(file);
            let sound = std::fs::read_to_string(&path).unwrap();
            let at = code_place(&sound, from).unwrap_or_else(|| panic!("{file} has no {from}"));
            let line = sound[..at].matches('\n').count() + 1;
            let broken = format!("{}{to}{}", &sound[..at], &sound[at + from.len()..]);
            std::fs::write(&path, broken).unwrap();
            places.push(match *file {
                // A missing key is told at its section, a name in a list without its line.
                "deltadesk.toml" => "deltadesk.toml:".to_owned(),
                file => format!("{file}:{line}:"),
            });
        }
        let answer = desk(home.path(), &["check"]);
        let said: Vec<&str> = faults.iter().flat_map(|fault| fault.said).copied().collect();
        refused(&answer, &said);
        refused(&answer, &places.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

#[test]
fn jobs_with_a_fault_are_not_listed() {
    let home = laid_out();
    let path = home.path().join("jobs.toml");
    let sound = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, sound.replacen("overlap = \"skip\"", "overlap = \"leap\"", 1)).unwrap();
    refused(&desk(home.path(), &["jobs"]), &["jobs.toml:", "leap"]);
}

#[test]
fn a_lake_that_is_a_file_says_so() {
    let home = laid_out();
    std::fs::write(home.path().join("lake"), "x").unwrap();
    refused(&desk(home.path(), &["check"]), &["is a file, and a lake is a folder", "move it away"]);
}

#[test]
fn a_cut_off_data_file_is_named() {
    let home = with_orders();
    assert!(desk(home.path(), &["check"]).status.success());
    let data = parquet_under(&home.path().join("lake")).expect("the batch is a parquet file");
    let whole = std::fs::read(&data).unwrap();
    std::fs::write(&data, &whole[..whole.len() / 2]).unwrap();
    let name = data.file_name().unwrap().to_string_lossy().into_owned();
    let answer = desk(home.path(), &["check"]);
    refused(&answer, &["ops.orders", &name, "bytes instead of", "Restore"]);
}

#[test]
fn a_damaged_journal_is_named() {
    let home = laid_out();
    std::fs::write(home.path().join("state.db"), "this is no database, however long it is")
        .unwrap();
    refused(&desk(home.path(), &["check"]), &["state.db", "restore it from a backup"]);
}

#[test]
fn the_calendar_has_the_overrides_of_the_home() {
    let home = laid_out();
    let path = home.path().join("reference/session_overrides.csv");
    let overrides = std::fs::read_to_string(&path).unwrap();
    let closed = "XNYS,2026-03-02,,,closed,an announcement of this test,\n";
    std::fs::write(&path, overrides + closed).unwrap();
    let days = ["--from", "2026-03-02", "--to", "2026-03-03", "--format", "csv"];
    let answer = desk(home.path(), &[["calendar", "XNYS"].as_slice(), &days].concat());
    let said = text(&answer);
    assert!(answer.status.success() && said.contains("2026-03-03"), "{said}");
    assert!(!said.contains("2026-03-02"), "{said}");
}

#[test]
fn the_calendar_is_csv_on_demand() {
    let days = ["--from", "2026-11-25", "--to", "2026-11-30", "--format", "csv"];
    let answer = binary(&[["calendar", "XNYS"].as_slice(), &days].concat());
    assert!(answer.status.success(), "{}", text(&answer));
    let csv = String::from_utf8(answer.stdout).unwrap();
    let mut lines = csv.lines();
    assert!(
        lines.next().is_some_and(|header| header.starts_with("session,market_open,market_close"))
    );
    let half_day = lines.nth(1).unwrap();
    assert!(half_day.starts_with("2026-11-27,") && half_day.contains("18:00"), "{csv}");
    refused(&binary(&["calendar", "MOON"]), &["XNYS, OPT, CBOE or CME"]);
}

#[test]
fn a_query_without_a_lake_says_what_to_do() {
    let home = laid_out();
    refused(&desk(home.path(), &["sql", "select 1"]), &["there is no lake", "deltadesk demo"]);
    std::fs::create_dir(home.path().join("lake")).unwrap();
    let answer = desk(home.path(), &["sql", "select * from gold.signals"]);
    refused(&answer, &["gold.signals", "no tables yet", "deltadesk demo"]);
}

#[test]
fn a_query_answers_in_the_format_asked_for() {
    let home = with_orders();
    let sql = "select order_ref, limit_price, perm_id from ops.orders order by 1";
    let csv = desk(home.path(), &["sql", sql, "--format", "csv"]);
    let expected = "order_ref,limit_price,perm_id\naaaaaaaaaaaaaaaa.open.0,-1.200000,\n";
    assert_eq!(String::from_utf8(csv.stdout).unwrap(), expected);
    let json = desk(home.path(), &["sql", sql, "--format", "json"]);
    let rows: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(rows[0]["order_ref"], "aaaaaaaaaaaaaaaa.open.0");
    assert!(rows[0]["perm_id"].is_null());
    let none = desk(home.path(), &["sql", &format!("{sql} limit 0"), "--format", "json"]);
    assert_eq!(String::from_utf8(none.stdout).unwrap().trim(), "[]");
    let file = home.path().join("orders.parquet");
    let out = file.display().to_string();
    let parquet = desk(home.path(), &["sql", sql, "--format", "parquet", "--out", &out]);
    assert!(parquet.status.success(), "{}", text(&parquet));
    assert!(std::fs::read(&file).unwrap().starts_with(b"PAR1"));
    refused(&desk(home.path(), &["sql", sql, "--format", "parquet"]), &["--out"]);
}

#[test]
fn a_query_in_a_pipe_may_be_several() {
    let home = with_orders();
    let mut child = Command::new(env!("CARGO_BIN_EXE_deltadesk"))
        .args(["sql", "--format", "csv", "--home"])
        .arg(home.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let statements = b"select 1 as one; -- and\nselect count(*) as orders from ops.orders;\n";
    child.stdin.take().unwrap().write_all(statements).unwrap();
    let answer = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(answer.stdout).unwrap(), "one\n1\norders\n1\n");
}

#[test]
fn a_faulty_query_says_what_there_is_instead() {
    let home = with_orders();
    let cases: [(&str, &[&str]); 6] = [
        ("select *\nfrom ops.order", &["ops.order", "line 2", "did you mean ops.orders?"]),
        ("select * from orders", &["orders", "line 1", "did you mean ops.orders?"]),
        ("select order_reff from ops.orders", &["order_reff", "line 1", "order_ref, "]),
        ("selec 1", &["syntax", "line 1"]),
        ("delete from ops.orders", &["only queries are allowed"]),
        ("create table x as select 1", &["only queries are allowed"]),
    ];
    for (sql, said) in cases {
        refused(&desk(home.path(), &["sql", sql]), said);
    }
}

#[test]
fn the_lake_is_shown_as_it_was_known() {
    let home = with_orders();
    let count = "select count(*) as orders from ops.orders";
    for (as_of, expected) in [("2026-03-02T14:00:00Z", "0"), ("2026-03-02", "1")] {
        let answer = desk(home.path(), &["sql", count, "--format", "csv", "--as-of", as_of]);
        assert_eq!(String::from_utf8(answer.stdout).unwrap(), format!("orders\n{expected}\n"));
    }
    refused(&desk(home.path(), &["sql", count, "--as-of", "noon"]), &["is no instant"]);
}

#[test]
fn jobs_say_what_comes() {
    let home = laid_out();
    let list = desk(home.path(), &["jobs", "--json"]);
    let jobs: serde_json::Value = serde_json::from_slice(&list.stdout).unwrap();
    let named = |name: &str| jobs.as_array().unwrap().iter().any(|job| job["job"] == name);
    assert!(named("sweep") && named("close") && named("reconcile"));
    let from = ["jobs", "next", "--count", "3", "--from", "2026-03-02T14:29:59Z", "--json"];
    let next = desk(home.path(), &from);
    let next: serde_json::Value = serde_json::from_slice(&next.stdout).unwrap();
    assert_eq!(next.as_array().unwrap().len(), 3);
    assert_eq!(next[0]["run_id"], "sweep-20260302T143000Z");
    refused(&desk(home.path(), &["jobs", "history"]), &["deltadesk demo"]);
}

#[test]
fn an_order_is_explained_and_an_unknown_identity_is_not() {
    let home = with_orders();
    for id in ["aaaaaaaaaaaaaaaa.open.0", "aaaaaaaa", "aaaaaaaaaaaaaaaa.op"] {
        let answer = desk(home.path(), &["explain", id]);
        let said = text(&answer);
        assert!(answer.status.success(), "{said}");
        for part in ["order aaaaaaaaaaaaaaaa.open.0", "too close to the bell", "-1.2"] {
            assert!(said.contains(part), "{id}: {said}");
        }
    }
    refused(&desk(home.path(), &["explain", "bbbbbbbb"]), &["bbbbbbbb", "deltadesk sql"]);
    refused(&desk(home.path(), &["explain", "aa"]), &["at least 6 characters"]);
    refused(&desk(home.path(), &["explain", "x' or 1=1"]), &["is no identity"]);
}

/// A home as `init` lays it out.
fn laid_out() -> TempDir {
    let home = TempDir::new().unwrap();
    let answer = binary(&["init", &home.path().display().to_string()]);
    assert!(answer.status.success(), "{}", text(&answer));
    home
}

/// A home whose lake holds one order.
fn with_orders() -> TempDir {
    let home = laid_out();
    let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    runtime.block_on(async {
        let folder = home.path().join("lake");
        let options = LakeOptions::local(Durability::Buffered);
        let lake = Lake::open(&folder, options).await.unwrap();
        let at: Timestamp = "2026-03-02T14:30:00Z".parse().unwrap();
        let spec = TableSpec::from_ddl(include_str!("../../sql/ops/orders.sql")).unwrap();
        assert_eq!(spec.name(), &TableName::new("ops", "orders"));
        lake.create(&spec).await.unwrap();
        let batch = Batch {
            number: 1,
            as_of: at,
            run_id: "sweep-20260302T143000Z".to_owned(),
            source_versions: serde_json::json!({}),
        };
        let mut rows = RowBuilder::new(&spec);
        rows.push_row(order(at)).unwrap();
        lake.append(&spec, &batch, vec![rows.finish().unwrap()]).await.unwrap();
    });
    home
}

fn order(at: Timestamp) -> Vec<(String, Cell)> {
    let limit: deltadesk::market::Price = deltadesk::market::Price::from_micros(-1_200_000);
    let cells: Vec<(&str, Cell)> = vec![
        ("order_ref", "aaaaaaaaaaaaaaaa.open.0".into()),
        ("change_seq", 1_i64.into()),
        ("decision_id", "aaaaaaaaaaaaaaaa".into()),
        ("strategy_id", "aaaaaaaaaaaaaaaa".into()),
        ("purpose", "open".into()),
        ("state", "denied".into()),
        ("legs", "101:1 102:-1".into()),
        ("quantity", 1_i64.into()),
        ("filled_quantity", 0_i64.into()),
        ("limit_price", limit.into()),
        ("reason", "too close to the bell".into()),
        ("created_at", at.into()),
        ("changed_at", at.into()),
        ("as_of", at.into()),
        ("run_id", "sweep-20260302T143000Z".into()),
        ("session_date", at.date_naive().into()),
    ];
    cells.into_iter().map(|(name, cell)| (name.to_owned(), cell)).collect()
}

fn binary(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_deltadesk")).args(arguments).output().unwrap()
}

fn desk(home: &Path, arguments: &[&str]) -> Output {
    let home = home.display().to_string();
    binary(&[arguments, &["--home", &home]].concat())
}

/// Both streams, for messages.
fn text(answer: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&answer.stdout),
        String::from_utf8_lossy(&answer.stderr)
    )
}

fn refused(answer: &Output, said: &[&str]) {
    let all = text(answer);
    assert!(!answer.status.success(), "{all}");
    assert!(!all.contains("panicked"), "{all}");
    for part in said {
        assert!(all.contains(part), "`{part}` is not in:\n{all}");
    }
}

/// Where a text first stands outside a comment.
fn code_place(text: &str, what: &str) -> Option<usize> {
    let found = text.match_indices(what).map(|(at, _)| at);
    found.into_iter().find(|at| {
        let line = text[..*at].rsplit('\n').next().unwrap_or_default();
        !line.contains("--") && !line.contains('#')
    })
}

fn parquet_under(folder: &Path) -> Option<PathBuf> {
    std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).find_map(|path| {
        if path.is_dir() && path.file_name()? != "_delta_log" {
            return parquet_under(&path);
        }
        (path.extension()? == "parquet").then_some(path)
    })
}
