//! How the project is written, judged by reading it: sizes, bans, names, lists that equal folders.

#![cfg(test)]

use std::collections::BTreeSet;

use crate::tree::{everything, files};

/// A Rust file above this has a seam somewhere.
const FILE_LINES_MAX: usize = 500;
const LINE_CHARS_MAX: usize = 100;

/// Unfinished or switched-off work, as it would stand in the text. Spelled in two halves, so that
/// this list is not an offender itself.
const UNFINISHED: [(&str, &str); 8] = [
    ("TO", "DO"),
    ("FIX", "ME"),
    ("XX", "X"),
    ("to", "do!"),
    ("d", "bg!"),
    ("unimpl", "emented!"),
    ("#[ig", "nore"),
    ("#[al", "low("),
];

/// Names that say nothing about what a file holds.
const EMPTY_NAMES: [&str; 12] = [
    "mod", "util", "utils", "helper", "helpers", "manager", "common", "misc", "types", "prelude",
    "base", "stuff",
];

const WALL_CLOCKS: [&str; 4] = ["Utc::now(", "Local::now(", "SystemTime::now(", "Instant::now("];

/// What would let a statement know more than its input and its `run`.
const UNREPEATABLE_SQL: [&str; 9] = [
    "now()",
    "current_date",
    "current_time",
    "current_timestamp",
    "today()",
    "localtimestamp",
    "random()",
    "rand()",
    "uuid()",
];

#[test]
fn files_are_short() {
    let long = everything().into_iter().filter(|file| file.is("rs"));
    let long = long.map(|file| (file.text.lines().count(), file.path));
    expect_none(long.filter(|(lines, _)| *lines > FILE_LINES_MAX).map(|(lines, path)| {
        format!("{path}: {lines} lines, at most {FILE_LINES_MAX}: where is the seam?")
    }));
}

#[test]
fn lines_are_short_and_end_where_they_end() {
    expect_none(offending_lines(&["rs", "sql"], |path, line| {
        let chars = line.chars().count();
        let long = chars > LINE_CHARS_MAX && !is_header(path, line);
        let untidy = line.ends_with(' ') || line.contains('\t');
        long.then(|| format!("{chars} characters, at most {LINE_CHARS_MAX}"))
            .or_else(|| untidy.then(|| "a tab or a trailing space".to_owned()))
    }));
}

#[test]
fn nothing_is_left_unfinished_or_switched_off() {
    expect_none(offending_lines(&["rs", "sql", "toml", "j2", "html", "csv"], |_, line| {
        let word = UNFINISHED.iter().map(|(head, tail)| format!("{head}{tail}"));
        let mut found = word.filter(|word| has_word(line, word));
        found.next().map(|word| format!("`{word}`"))
    }));
}

#[test]
fn only_the_clock_reads_the_clock() {
    expect_none(offending_lines(&["rs"], |path, line| {
        let judged = path.starts_with("src/") && path != "src/market/clock.rs";
        let read = WALL_CLOCKS.iter().find(|call| line.contains(*call));
        read.filter(|_| judged).map(|call| format!("`{call}`: time is handed in"))
    }));
}

#[test]
fn a_statement_knows_time_only_from_its_run() {
    expect_none(offending_lines(&["sql"], |_, line| {
        let code = line.split("--").next().unwrap_or(line).to_lowercase();
        let found = UNREPEATABLE_SQL.iter().find(|word| has_word(&code, word));
        found.map(|word| format!("`{word}`: the one source of time is run.as_of"))
    }));
}

#[test]
fn no_path_of_one_machine_is_written_down() {
    let roots = ["wo", "tm", "ro"].iter().zip(["rk", "p", "ot"]);
    let roots: Vec<String> = roots.map(|(head, tail)| format!("/{head}{tail}")).collect();
    let written = everything().into_iter().filter(|file| !file.is("lock"));
    expect_none(written.flat_map(|file| {
        let root_of = |line: &str| roots.iter().find(|root| starts_a_path(line, root)).cloned();
        let lines = file.lines().filter_map(|(at, line)| Some((at, root_of(line)?)));
        lines.map(|(at, root)| format!("{}:{at}: `{root}`", file.path)).collect::<Vec<_>>()
    }));
}

#[test]
fn names_say_what_a_file_holds() {
    let rust = everything().into_iter().filter(|file| file.is("rs"));
    expect_none(rust.filter_map(|file| {
        let stem = file.name().trim_end_matches(".rs");
        EMPTY_NAMES.contains(&stem).then(|| format!("{}: a name that says nothing", file.path))
    }));
}

#[test]
fn each_rust_file_begins_with_what_it_is() {
    let rust = everything().into_iter().filter(|file| file.is("rs"));
    expect_none(rust.filter_map(|file| {
        let told = file.text.starts_with("//! ") || file.name() == "tests.rs";
        (!told).then(|| format!("{}: no `//!` that says what it is", file.path))
    }));
}

/// Tables that the files of a folder make together; an audit beside them judges each part.
const UNIONS: [&str; 2] = ["sql/gold/rule_verdicts.sql", "sql/gold/entry_candidates.sql"];

#[test]
fn each_model_has_its_test() {
    let sql = files("sql");
    let paths: BTreeSet<&str> = sql.iter().map(|file| file.path.as_str()).collect();
    let beside = |path: &str| {
        path.strip_suffix(".test.toml")
            .or_else(|| path.strip_suffix(".audit.sql"))
            .map(str::to_owned)
    };
    let judged = ["sql/silver/", "sql/gold/", "sql/rules/", "sql/entries/"];
    let judged = paths.iter().filter(|path| judged.iter().any(|folder| path.starts_with(folder)));
    let models = judged.filter(|path| beside(path).is_none());
    expect_none(models.filter_map(|path| {
        let test = path.replace(".sql", ".test.toml");
        (!paths.contains(test.as_str())).then(|| format!("{test}: missing"))
    }));
    expect_none(paths.iter().filter_map(|path| beside(path)).filter_map(|model| {
        let model = format!("{model}.sql");
        let orphan = !paths.contains(model.as_str()) && !UNIONS.contains(&model.as_str());
        orphan.then(|| format!("{model}: has a test or an audit, but is not there"))
    }));
}

#[test]
fn jobs_name_the_pipelines_that_there_are() {
    let pipelines = files("pipelines").into_iter();
    let pipelines = pipelines.filter(|file| !file.path.starts_with("pipelines/tests/"));
    let there: BTreeSet<String> =
        pipelines.map(|file| file.name().trim_end_matches(".toml").to_owned()).collect();
    let jobs = everything().into_iter().find(|file| file.path == "jobs.toml").expect("jobs.toml");
    let jobs: toml::Table = jobs.text.parse().expect("jobs.toml is TOML");
    let jobs = jobs.get("jobs").and_then(toml::Value::as_table).expect("jobs.toml has [jobs.*]");
    let named = jobs.values().filter_map(|job| job.get("pipeline")?.as_str());
    assert_eq!(there, named.map(str::to_owned).collect(), "pipelines/ against jobs.toml");
}

#[test]
fn the_bans_find_what_they_ban() {
    assert!(has_word("let now = now();", "now()") && !has_word("unknow()", "now()"));
    assert!(has_word("// XY: later", "XY") && !has_word("PROXY", "XY"));
    assert!(starts_a_path("open(\"/a/b\")", "/a") && !starts_a_path("x/a/b and /ab", "/a"));
}

/// Lines of our files of these kinds for which `judge` has a complaint.
fn offending_lines(
    kinds: &[&str],
    judge: impl Fn(&str, &str) -> Option<String>,
) -> impl Iterator<Item = String> {
    let judged = everything().into_iter().filter(|file| kinds.iter().any(|kind| file.is(kind)));
    judged.flat_map(move |file| {
        let found = file.lines().filter_map(|(at, line)| Some((at, judge(&file.path, line)?)));
        found.map(|(at, what)| format!("{}:{at}: {what}", file.path)).collect::<Vec<_>>()
    })
}

fn expect_none(found: impl Iterator<Item = String>) {
    let found: Vec<String> = found.collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

/// A line of a SQL header, `-- key: value`: the header is one line a key, however long the value.
fn is_header(path: &str, line: &str) -> bool {
    let key = line.strip_prefix("-- ").and_then(|rest| rest.split_once(": "));
    let one_word = |key: &str| key.chars().all(|c| c.is_ascii_lowercase());
    path.starts_with("sql/") && key.is_some_and(|(key, _)| one_word(key))
}

/// Whether the word stands in the line by itself: no letter, digit or underscore before it, nor
/// after it where the word ends in one.
fn has_word(line: &str, word: &str) -> bool {
    let joins = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let ends = !word.ends_with(joins) || !line[at + word.len()..].starts_with(joins);
        ends && !line[..at].ends_with(joins)
    })
}

/// Whether an absolute path that begins with this folder stands in the line.
fn starts_a_path(line: &str, root: &str) -> bool {
    let joins = |c: char| c.is_alphanumeric() || "_-.}/~".contains(c);
    line.match_indices(root).any(|(at, _)| {
        let after = &line[at + root.len()..];
        !line[..at].ends_with(joins)
            && !after.starts_with(|c: char| c.is_alphanumeric() || "_-".contains(c))
    })
}
