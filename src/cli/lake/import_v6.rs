//! `deltadesk lake import-v6`: the predecessor's lake, with an account of each row.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use serde_json::json;

use super::Output;
use super::upkeep::under_lease;
use crate::cli::sql::{aligned, say};
use crate::desk::home::Home;
use crate::desk::import_v6::{Account, FileState, Order, Tally, import};
use crate::market::{Clock as _, WallClock};

/// From where, and which of its files.
#[derive(Debug, Args)]
pub struct Typed {
    /// The folder of the V6 lake: its tables are folders in it.
    dir: PathBuf,
    /// Also the files that no log entry names: no reader saw their rows, but they may be history.
    #[arg(long)]
    orphans: bool,
    /// Also the files of earlier versions only.
    #[arg(long)]
    superseded: bool,
}

pub fn run(home: &Home, typed: &Typed, output: Output) -> anyhow::Result<()> {
    let mut states = BTreeSet::from([FileState::Live]);
    states.extend(typed.orphans.then_some(FileState::Orphan));
    states.extend(typed.superseded.then_some(FileState::Superseded));
    home.create()?;
    let order = Order { states, from: &typed.dir, at: WallClock.now() };
    let mut account = Account::default();
    under_lease(home, "lake import-v6", |lake, runtime| {
        account = import(lake, &order, runtime)?;
        Ok(())
    })?;
    match output {
        Output::Json => say(&format!("{}\n", as_json(&account)))?,
        Output::Columns => say(&as_text(&account))?,
    }
    match account.tallies.values().find(|tally| !tally.adds_up()) {
        None => Ok(()),
        Some(tally) => bail!("the account does not add up: {tally:?}"),
    }
}

fn as_text(account: &Account) -> String {
    let rows: Vec<Vec<String>> = account
        .tallies
        .iter()
        .map(|((table, state), tally)| {
            let figures = [
                tally.files,
                tally.found,
                tally.imported,
                tally.duplicates,
                tally.already_there,
                tally.quarantined.values().sum(),
                tally.left,
            ];
            let names = [table.clone(), state.to_string()].into_iter();
            names.chain(figures.map(|figure| figure.to_string())).collect()
        })
        .collect();
    let header = [
        "table",
        "files are",
        "files",
        "rows found",
        "imported",
        "duplicate",
        "already there",
        "quarantined",
        "left",
    ];
    let mut text = aligned(&header, &rows);
    for ((table, state), tally) in &account.tallies {
        for (reason, count) in &tally.quarantined {
            let _ = writeln!(text, "quarantined: {table}, {state}: {count} {reason}");
        }
    }
    for note in &account.notes {
        let _ = writeln!(text, "note: {note}");
    }
    for (state, flag) in [(FileState::Orphan, "--orphans"), (FileState::Superseded, "--superseded")]
    {
        let left = left(account, state);
        if left > 0 {
            let _ = writeln!(text, "{left} rows are in {state} files: {flag} imports them");
        }
    }
    text.push_str("the rows are in research.v6_*; `deltadesk sql` shows them\n");
    text
}

fn left(account: &Account, state: FileState) -> u64 {
    let of_state = account.tallies.iter().filter(|((_, found), _)| *found == state);
    of_state.map(|(_, tally)| tally.left).sum()
}

fn as_json(account: &Account) -> serde_json::Value {
    let one = |((table, state), tally): (&(String, FileState), &Tally)| {
        json!({
            "table": table,
            "files_are": state.to_string(),
            "files": tally.files,
            "found": tally.found,
            "imported": tally.imported,
            "duplicate": tally.duplicates,
            "already_there": tally.already_there,
            "quarantined": tally.quarantined,
            "left": tally.left,
        })
    };
    json!({
        "tables": account.tallies.iter().map(one).collect::<Vec<_>>(),
        "notes": account.notes,
    })
}
