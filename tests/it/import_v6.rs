//! The recorded remains of the predecessor's lake, taken over by the command.
//!
//! The figures were derived from the raw parquet files and log entries with pyarrow and plain
//! Python, without a Delta library and before this import was written.

#![cfg(test)]

use std::fs::File;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::homes::{desk, shared_folder, text};

/// The sample as a folder, and a home for it.
fn unpacked() -> Option<TempDir> {
    let archive = shared_folder("data")?.join("v6-lake-sample.tar.zst");
    let folder = TempDir::new().unwrap();
    let stream = zstd::Decoder::new(File::open(archive).unwrap()).unwrap();
    tar::Archive::new(stream).unpack(folder.path()).unwrap();
    Some(folder)
}

fn import(folder: &Path, flags: &[&str]) -> Value {
    let lake = folder.join("v6-lake").display().to_string();
    let answer =
        desk(&folder.join("home"), &[&["lake", "import-v6", &lake, "--json"], flags].concat());
    assert!(answer.status.success(), "{}", text(&answer));
    serde_json::from_slice(&answer.stdout).unwrap()
}

/// Found, imported, duplicate, already there, in quarantine and left, of a table in a state.
fn figures(account: &Value, table: &str, state: &str) -> [u64; 6] {
    let tables = account["tables"].as_array().unwrap();
    let row = tables.iter().find(|row| row["table"] == table && row["files_are"] == state).unwrap();
    let of = |key: &str| row[key].as_u64().unwrap();
    let reasons = row["quarantined"].as_object().unwrap();
    let quarantined = reasons.values().map(|count| count.as_u64().unwrap()).sum();
    let parts = [of("imported"), of("duplicate"), of("already_there"), quarantined, of("left")];
    assert_eq!(parts.iter().sum::<u64>(), of("found"), "{row}");
    [of("found"), parts[0], parts[1], parts[2], parts[3], parts[4]]
}

fn count(folder: &Path, sql: &str) -> u64 {
    let answer = desk(&folder.join("home"), &["sql", "--format", "csv", sql]);
    assert!(answer.status.success(), "{}", text(&answer));
    let said = String::from_utf8(answer.stdout).unwrap();
    said.lines().nth(1).unwrap().parse().unwrap()
}

#[test]
fn each_row_of_the_recorded_lake_is_accounted_for() {
    let Some(folder) = unpacked() else { return };
    // What its readers saw, first: orphans and earlier versions are offered, and left.
    let seen = import(folder.path(), &[]);
    assert_eq!(figures(&seen, "option_snapshots", "live"), [2_834, 2_827, 0, 0, 7, 0]);
    assert_eq!(figures(&seen, "option_snapshots", "orphan"), [64_850, 0, 0, 0, 0, 64_850]);
    // Of 66,265 rows 1,857 have neither bid nor ask, one has a bid without an ask, and 26 have no
    // bid beside an ask, which is a quote.
    assert_eq!(figures(&seen, "option_snapshots_old", "live"), [66_265, 64_407, 0, 0, 1_858, 0]);
    assert_eq!(figures(&seen, "market_bars", "live"), [759, 759, 0, 0, 0, 0]);
    assert_eq!(figures(&seen, "position_updates", "live"), [12, 12, 0, 0, 0, 0]);
    assert_eq!(figures(&seen, "strategy_executions", "live"), [5, 5, 0, 0, 0, 0]);

    let all = import(folder.path(), &["--orphans", "--superseded"]);
    let of = |table: &str, state: &str| figures(&all, table, state);
    assert_eq!(of("option_snapshots", "live"), [2_834, 0, 0, 2_827 + 7, 0, 0]);
    // Each orphan is also a row of the older table, and each superseded row of that a live one.
    assert_eq!(of("option_snapshots", "orphan"), [64_850, 0, 64_850, 0, 0, 0]);
    assert_eq!(of("option_snapshots_old", "superseded"), [66_265, 0, 66_265, 0, 0, 0]);
    assert_eq!(of("historical_data", "live"), [90, 0, 0, 90, 0, 0]);
    // Two days of three symbols were overwritten and stand in no live file.
    assert_eq!(of("historical_data", "superseded"), [720, 6, 714, 0, 0, 0]);
    assert_eq!(of("position_updates", "superseded"), [1_716, 1_716, 0, 0, 0, 0]);
    assert_eq!(of("strategy_executions", "orphan"), [3, 3, 0, 0, 0, 0]);
    assert_eq!(of("strategy_executions", "superseded"), [5, 5, 0, 0, 0, 0]);
    assert_eq!(of("alerts", "live"), [1, 0, 0, 1, 0, 0]);

    let quotes = "from research.v6_option_quotes";
    assert_eq!(count(folder.path(), &format!("select count(*) {quotes}")), 67_234);
    let coded = format!("select count(*) {quotes} where option_right not in ('C', 'P')");
    assert_eq!(count(folder.path(), &coded), 0);
    let sentinels = format!("select count(*) {quotes} where bid < 0 or ask <= 0 or vendor_vol = 0");
    assert_eq!(count(folder.path(), &sentinels), 0);
    // 12:18 of New York in January is 17:18 UTC.
    let first = format!(
        "select count(*) from (select min(written_at) as first {quotes}) where first >= \
         '2026-01-28T17:18:00Z' and first < '2026-01-28T17:19:00Z'"
    );
    assert_eq!(count(folder.path(), &first), 1);
    // Thirteen condors in two ways of writing; no row of the predecessor was ever filled.
    assert_eq!(count(folder.path(), "select count(*) from research.v6_legs"), 52);
    let priced = "select count(*) from research.v6_positions where market_price is not null";
    assert_eq!(count(folder.path(), priced), 0);
    let early = "select count(*) from research.v6_executions where closed_at < '2001-01-01'";
    assert_eq!(count(folder.path(), early), 0);

    // Once more: nothing is added.
    let again = import(folder.path(), &["--orphans", "--superseded"]);
    let added = again["tables"].as_array().unwrap().iter().map(|row| row["imported"].as_u64());
    assert_eq!(added.map(Option::unwrap).sum::<u64>(), 0, "{again}");
    assert_eq!(count(folder.path(), &format!("select count(*) {quotes}")), 67_234);
    let verified = desk(&folder.path().join("home"), &["lake", "verify"]);
    assert!(text(&verified).contains("the lake is sound"), "{}", text(&verified));
}

#[test]
fn duplicates_by_the_million_are_counted_and_stored_once() {
    let Some(data) = shared_folder("data/options/ib_chain_snapshots_dirty") else { return };
    let folder = TempDir::new().unwrap();
    // A folder without a log is taken as it is; n_copies says how often a row stood in it.
    let table = folder.path().join("v6-lake/option_snapshots_backup");
    std::fs::create_dir_all(&table).unwrap();
    for entry in std::fs::read_dir(data).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, table.join(path.file_name().unwrap())).unwrap();
    }
    let account = import(folder.path(), &[]);
    let found = figures(&account, "option_snapshots_backup", "live");
    assert_eq!(found, [4_831_128, 30_176, 4_800_718, 0, 234, 0]);
    assert_eq!(
        account["notes"],
        json!(["option_snapshots_backup: columns not imported: ts_local_et"])
    );
}

#[test]
fn a_lake_that_cannot_be_taken_over_says_why() {
    let folder = TempDir::new().unwrap();
    let home = folder.path().join("home");
    let refused = |said: &str| {
        let lake = folder.path().join("v6-lake").display().to_string();
        let answer = desk(&home, &["lake", "import-v6", &lake]);
        assert!(!answer.status.success() && text(&answer).contains(said), "{}", text(&answer));
    };
    refused("cannot be read; name the folder of the V6 lake");
    let log = folder.path().join("v6-lake/alerts/_delta_log");
    std::fs::create_dir_all(&log).unwrap();
    refused("holds a parquet file");
    let entry = |version: u64| log.join(format!("{version:020}.json"));
    std::fs::write(entry(0), "{\"add\":{\"path\":\"a.parquet\"}}\n").unwrap();
    std::fs::write(entry(2), "").unwrap();
    refused("goes from entry 1 to 2");
    std::fs::rename(entry(2), entry(1)).unwrap();
    std::fs::write(entry(1), "{\"add\":{\"pa").unwrap();
    refused("is cut off");
    std::fs::write(entry(1), "").unwrap();
    std::fs::write(folder.path().join("v6-lake/alerts/a.parquet"), "no parquet").unwrap();
    refused("cannot be read as parquet");
}
