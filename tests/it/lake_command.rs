//! `deltadesk lake` as an operator meets it, on a small lake that is hurt on purpose.

#![cfg(test)]

use std::path::{Path, PathBuf};
use std::process::Output;

use deltadesk::lake::{
    Batch, Cell, Durability, Lake, LakeOptions, Lease, LeaseHolder, RowBuilder, TableName,
    TableSpec,
};
use deltadesk::market::Timestamp;
use tempfile::TempDir;

use super::homes::{desk, text};

const TABLE: &str = "ops.table_health";

fn at(minute: i64) -> Timestamp {
    let open: Timestamp = "2026-03-02T14:30:00Z".parse().unwrap();
    open + chrono::Duration::minutes(minute)
}

/// The row that batch `number` brings.
fn row(number: i64) -> Vec<(String, Cell)> {
    let cells: Vec<(&str, Cell)> = vec![
        ("table_name", format!("made.up_{number}").into()),
        ("wall_version", number.into()),
        ("wall_files", 1_i64.into()),
        ("wall_bytes", 1_i64.into()),
        ("row_count", 1_i64.into()),
        ("as_of", at(number).into()),
        ("run_id", format!("by-hand-{number}").into()),
        ("session_date", at(number).date_naive().into()),
    ];
    cells.into_iter().map(|(name, cell)| (name.to_owned(), cell)).collect()
}

/// A home with one table, of a commit each of these rows.
fn home_of(rows: &[i64]) -> TempDir {
    let home = TempDir::new().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    let spec = TableSpec::from_ddl(include_str!("../../sql/ops/table_health.sql")).unwrap();
    runtime.block_on(async {
        let options = LakeOptions::local(Durability::Buffered);
        let lake = Lake::open(&home.path().join("lake"), options).await.unwrap();
        for (place, number) in rows.iter().enumerate() {
            let batch = Batch {
                number: place as i64 + 1,
                as_of: at(place as i64 + 1),
                run_id: "by-hand".to_owned(),
                source_versions: serde_json::json!({}),
            };
            let mut builder = RowBuilder::new(&spec);
            builder.push_row(row(*number)).unwrap();
            lake.append(&spec, &batch, vec![builder.finish().unwrap()]).await.unwrap();
        }
    });
    assert_eq!(spec.name(), &TABLE.parse::<TableName>().unwrap());
    home
}

fn lake(home: &Path, arguments: &[&str]) -> Output {
    desk(home, &[&["lake"], arguments].concat())
}

fn done(home: &Path, arguments: &[&str]) -> String {
    let answer = lake(home, arguments);
    assert!(answer.status.success(), "{}", text(&answer));
    String::from_utf8(answer.stdout).unwrap()
}

fn refused(home: &Path, arguments: &[&str], said: &[&str]) {
    let answer = lake(home, arguments);
    let all = text(&answer);
    assert!(!answer.status.success() && !all.contains("panicked"), "{all}");
    for part in said {
        assert!(all.contains(part), "`{part}` is not in:\n{all}");
    }
}

fn data_files(home: &Path) -> Vec<PathBuf> {
    let folder = home.join("lake/ops/table_health/session_date=2026-03-02");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|kind| kind == "parquet")).collect()
}

fn status(home: &Path) -> serde_json::Value {
    let told: Vec<serde_json::Value> =
        serde_json::from_str(&done(home, &["status", "--json"])).unwrap();
    assert_eq!(told.len(), 1);
    told.into_iter().next().unwrap()
}

#[test]
fn a_table_is_told_joined_set_back_and_swept() {
    let home = home_of(&[1, 2, 3, 4]);
    let told = status(home.path());
    let figures = ["version", "rows", "files", "joinable_files"].map(|key| told[key].as_i64());
    assert_eq!(figures, [4, 4, 4, 4].map(Some));
    assert_eq!(told["last_as_of"], "2026-03-02T14:34:00+00:00");
    assert!(done(home.path(), &["status"]).contains("1 tables, 4 rows, 4 files"));
    assert!(done(home.path(), &["verify"]).contains("the lake is sound"));

    assert!(done(home.path(), &["compact"]).contains("4 files joined, 1 are left"));
    assert_eq!(status(home.path())["rows"], 4);
    let back = done(home.path(), &["restore", TABLE, "--as-of", "2026-03-02T14:32:00Z"]);
    assert!(back.contains("shows version 2 again, 2 rows instead of 4"), "{back}");
    let undo = back.lines().find_map(|line| line.strip_prefix("to undo: deltadesk lake "));
    let again = done(home.path(), &undo.unwrap().split(' ').collect::<Vec<_>>());
    assert!(again.contains("4 rows instead of 2"), "{again}");

    // Thirty days of versions are kept, so that nothing of today goes.
    assert!(done(home.path(), &["vacuum", "--dry-run"]).contains("0 files would be deleted"));
    assert!(done(home.path(), &["vacuum"]).contains("versions of the last 30 days are whole"));
    assert_eq!(data_files(home.path()).len(), 5);
    assert!(done(home.path(), &["verify"]).contains("the lake is sound"));
}

#[test]
fn what_cannot_be_done_says_why() {
    let home = home_of(&[1, 2]);
    refused(home.path(), &["restore", TABLE], &["--version", "--as-of"]);
    refused(home.path(), &["restore", TABLE, "--version", "2"], &["name an earlier one"]);
    refused(home.path(), &["compact", "gold.none"], &["has no table gold.none", "lake status"]);
    refused(home.path(), &["lineage", "gold.none"], &["no model makes or reads gold.none"]);
    let holder = LeaseHolder { host: "desk".to_owned(), process: "the server".to_owned() };
    let held =
        Lease::take(&home.path().join("lake"), holder, at(0) + chrono::Duration::days(3_650))
            .unwrap();
    refused(home.path(), &["compact"], &["held by the server on desk"]);
    // Looking needs no lease.
    done(home.path(), &["status"]);
    held.release(at(0)).unwrap();
    done(home.path(), &["compact"]);
}

#[test]
fn each_hurt_is_found_by_name() {
    let hurt = |said: &[&str], how: fn(&Path)| {
        let home = home_of(&[1, 2, 3]);
        how(home.path());
        refused(
            home.path(),
            &["verify"],
            &[&["FAULT ops.table_health", "not sound"], said].concat(),
        );
    };
    hurt(&["it is not there"], |home| std::fs::remove_file(&data_files(home)[0]).unwrap());
    hurt(&["bytes instead of"], |home| std::fs::write(&data_files(home)[0], "short").unwrap());
    hurt(&["the log goes from", "00000000000000000001.json to"], |home| {
        std::fs::remove_file(entry(home, 2)).unwrap();
    });
    hurt(&["cannot be read", "sets it aside"], |home| {
        std::fs::write(entry(home, 3), "{\"commitInfo\":{\"oper").unwrap();
    });
    hurt(&["rows, and the log states 7"], |home| {
        let text = std::fs::read_to_string(entry(home, 3)).unwrap();
        let other = text.replace("\\\"numRecords\\\":1", "\\\"numRecords\\\":7");
        assert_ne!(other, text);
        std::fs::write(entry(home, 3), other).unwrap();
    });
    let twice = home_of(&[1, 2, 1]);
    refused(twice.path(), &["verify"], &["1 keys (table_name, run_id) stand more than once"]);
}

fn entry(home: &Path, version: u64) -> PathBuf {
    home.join(format!("lake/ops/table_health/_delta_log/{version:020}.json"))
}

#[test]
fn a_commit_that_was_cut_off_is_set_aside_by_the_next_writer() {
    let home = home_of(&[1, 2, 3]);
    std::fs::write(entry(home.path(), 3), "").unwrap();
    refused(home.path(), &["verify"], &["00000000000000000003.json"]);
    let said = done(home.path(), &["compact"]);
    assert!(said.contains("commit 3 was cut off before it was acknowledged"), "{said}");
    assert_eq!(status(home.path())["rows"], 2);
    let sound = done(home.path(), &["verify"]);
    // The rows of that commit are a file that no commit names.
    assert!(
        sound.contains("the lake is sound") && sound.contains("note ops.table_health: 1 files")
    );
}

#[test]
fn lineage_is_read_from_the_statements() {
    let home = home_of(&[1]);
    let all = done(home.path(), &["lineage"]);
    assert!(all.contains("silver.quarantine <- silver.bar_rows, "), "{all}");
    let around = done(home.path(), &["lineage", "silver.parity"]);
    let (below, above) = around.split_once("and goes into\n").unwrap();
    assert!(below.contains("├─ bronze.dividends\n") && below.contains("─ silver.option_rows\n"));
    assert!(
        above.contains("─ silver.option_vols\n") && above.contains("gold.decisions"),
        "{above}"
    );
    assert!(!below.contains("gold.") && !above.contains("bronze."));
    let dot = done(home.path(), &["lineage", "silver.parity", "--dot"]);
    assert!(
        dot.starts_with("digraph lineage {")
            && dot.contains("\"bronze.rates\" -> \"silver.parity\"")
    );
}
