//! Homes in which a day costs little: shipped files, with fewer symbols and fewer runs a day.

#![cfg(test)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use deltadesk::desk::files::shipped;
use toml::{Table, Value};

/// The binary under test, told nothing about back traces: what it says is said to an operator.
pub fn binary(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_deltadesk"));
    command.args(arguments).env_remove("RUST_BACKTRACE");
    command
}

/// Settings of a home as they differ from the shipped ones: section, key and value.
pub type Changes<'a> = &'a [(&'a str, &'a str, Value)];

/// Lays a home out in which SPY, VIX and one future are all there is, and the desk looks every 30
/// minutes. Rules, entries and limits are those that are shipped, but for `changes`.
pub fn lay_out(home: &Path, changes: Changes<'_>) {
    let set = shipped();
    let mut settings: Table = set["deltadesk.toml"].parse().unwrap();
    let fewer = [
        ("universe", "symbols", Value::from(vec!["SPY", "VIX"])),
        ("universe", "futures", Value::from(vec!["ES"])),
        ("universe", "dte_targets", Value::from(vec![45])),
    ];
    for (section, key, value) in fewer.iter().chain(changes) {
        let section = section.split('.').fold(&mut settings, |table, name| {
            table.get_mut(name).and_then(Value::as_table_mut).unwrap()
        });
        let shipped = section.insert((*key).to_owned(), value.clone());
        assert!(shipped.is_some(), "the shipped settings have no {key}");
    }
    let mut jobs: Table = set["jobs.toml"].parse().unwrap();
    let each = jobs.get_mut("jobs").and_then(Value::as_table_mut).unwrap();
    each.retain(|name, _| ["reference", "sweep", "marks", "close"].contains(&name));
    let sweep = each.get_mut("sweep").and_then(Value::as_table_mut).unwrap();
    sweep.insert("every".to_owned(), "30m".into());
    sweep.insert("from".to_owned(), "open+30m".into());
    std::fs::create_dir_all(home).unwrap();
    std::fs::write(home.join("deltadesk.toml"), settings.to_string()).unwrap();
    std::fs::write(home.join("jobs.toml"), jobs.to_string()).unwrap();
}

/// Runs a command in a home to its end.
pub fn desk(home: &Path, arguments: &[&str]) -> Output {
    let home = home.display().to_string();
    binary(&[arguments, &["--home", &home]].concat()).output().unwrap()
}

/// Both streams, for messages.
pub fn text(answer: &Output) -> String {
    let streams = [&answer.stdout, &answer.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    streams.concat()
}

/// The command fails, and says each of these.
pub fn refused(answer: &Output, said: &[&str]) {
    let all = text(answer);
    assert!(!answer.status.success(), "{all}");
    assert!(!all.contains("panicked"), "{all}");
    for part in said {
        assert!(all.contains(part), "`{part}` is not in:\n{all}");
    }
}

/// The answer of a query on a home's lake, as CSV without its header.
pub fn ask(home: &Path, sql: &str) -> String {
    let answer = desk(home, &["sql", sql, "--format", "csv"]);
    assert!(answer.status.success(), "{}", text(&answer));
    let csv = String::from_utf8(answer.stdout).unwrap();
    csv.split_once('\n').map(|(_, rows)| rows.to_owned()).unwrap_or_default()
}

/// Reference data of a run, where there are any. Without them the test says so and, in continuous
/// integration, fails.
#[expect(clippy::disallowed_methods, reason = "the folder of reference data is named by the run")]
pub fn shared_folder(inner: &str) -> Option<PathBuf> {
    let shared = std::env::var("DELTADESK_SHARED").unwrap_or_else(|_| "../shared".to_owned());
    let path = PathBuf::from(shared).join(inner);
    if path.is_dir() {
        return Some(path);
    }
    let why = format!("not run: there is no {}", path.display());
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{why}");
    println!("{why}");
    None
}
