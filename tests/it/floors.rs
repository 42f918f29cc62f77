//! A module uses only what stands on lower floors, and names a foreign crate only where it belongs.

#![cfg(test)]

use crate::tree::{File, files};

/// The floors of ARCHITECTURE.md from the ground up. Modules of one floor do not use each other.
const FLOORS: [&[&str]; 9] = [
    &["market", "pricing"],
    &["structures"],
    &["risk", "orders", "statistics", "exchange"],
    &["broker", "gateway", "lake", "journal"],
    &["pipeline"],
    &["ingest", "trade", "schedule", "report", "alert"],
    &["desk"],
    &["web"],
    &["cli"],
];

/// Foreign crates that one module alone may name; the rest of the desk does not know them.
const KNOWN_BY: [(&str, &str); 9] = [
    ("deltalake", "lake"),
    ("object_store", "lake"),
    ("rusqlite", "journal"),
    ("polars", "statistics"),
    ("ibapi", "broker"),
    ("prost", "gateway"),
    ("tokio_cron_scheduler", "schedule"),
    ("axum", "web"),
    ("clap", "cli"),
];

#[test]
fn no_module_uses_its_own_floor_or_a_higher_one() {
    let refused: Vec<String> = files("src").iter().flat_map(refusals).collect();
    assert!(refused.is_empty(), "\n{}", refused.join("\n"));
}

#[test]
fn an_upward_use_is_refused_however_it_is_written() {
    let refused = |path: &str, text: &str| {
        !refusals(&File { path: path.into(), text: text.into() }).is_empty()
    };
    for text in [
        "use crate::trade::Intent;",
        "    crate::desk::open(home)?;",
        "use crate::{market::Usd, trade::Intent};",
        "use super::super::trade::Intent;",
        "mod tests {\n    use super::super::super::trade;\n}",
        "use crate::orders::Ladder;",
        "use crate::nowhere::Thing;",
        "let rows: Vec<polars::prelude::Series> = Vec::new();",
    ] {
        assert!(refused("src/risk/gate.rs", text), "accepted: {text}");
    }
    for text in [
        "use crate::market::Usd;\nuse crate::risk::Check;\nuse super::limits::Limit;",
        "/// See [`crate::trade::act`].\nfn act() {} // not crate::trade",
        "mod tests {\n    use super::super::limits;\n}",
        "use not_polars::Series;",
    ] {
        assert!(!refused("src/risk/gate.rs", text), "refused: {text}");
    }
    assert!(refused("src/statue.rs", ""), "a module without a floor was accepted");
}

/// What one file uses against the rules, each with the file's name.
fn refusals(file: &File) -> Vec<String> {
    let inner = file.path.trim_start_matches("src/").trim_end_matches(".rs");
    let own = inner.split('/').next().unwrap_or(inner);
    if own == "lib" || own == "main" {
        return Vec::new();
    }
    let floor_of = |module: &str| FLOORS.iter().position(|floor| floor.contains(&module));
    let Some(floor) = floor_of(own) else {
        return vec![format!("{}: `{own}` stands on no floor of the table", file.path)];
    };
    let code: Vec<&str> = file.text.lines().filter_map(|line| line.split("//").next()).collect();
    let code = code.join("\n");
    let upward = starts(&code, "crate::").filter_map(|rest| {
        let used = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or(rest);
        let below = floor_of(used).is_some_and(|theirs| theirs < floor);
        // A group `crate::{..}` has no name here and is refused: one import a module.
        (!below && used != own).then(|| format!("may not use `crate::{used}`"))
    });
    // So many `super` reach the root; there the name of a module says which floor is meant.
    let (modules, tests) = code.split_at(code.find("mod tests {").unwrap_or(code.len()));
    let root = "super::".repeat(inner.split('/').count());
    let root_of_tests = format!("super::{root}");
    let climbs = starts(modules, &root).chain(starts(tests, &root_of_tests));
    let climbs = climbs.map(|_| "must name modules from `crate::`".to_owned());
    let foreign = KNOWN_BY
        .iter()
        .filter(|(_, knower)| *knower != own)
        .filter(|(name, _)| starts(&code, &format!("{name}::")).next().is_some())
        .map(|(name, knower)| format!("may not know `{name}`; `{knower}` does"));
    let found = upward.chain(climbs).chain(foreign);
    found.map(|what| format!("{}: `{own}` {what}", file.path)).collect()
}

/// What follows each path of the code that begins with the given words.
fn starts<'a>(code: &'a str, words: &'a str) -> impl Iterator<Item = &'a str> {
    code.match_indices(words).filter_map(|(at, _)| {
        let (before, rest) = (&code[..at], &code[at + words.len()..]);
        let continues = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
        (!before.ends_with(continues)).then_some(rest)
    })
}
