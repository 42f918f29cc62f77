//! `deltadesk lake lineage`: which table is made from which, read from the statements themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::bail;
use clap::Args;
use serde_json::json;

use super::Output;
use crate::cli::sql::say;
use crate::desk::home::Home;
use crate::desk::{faults_error, files};
use crate::lake::{TableName, new_session, tables_read};
use crate::pipeline::Catalogue;

/// Which table, and how it is drawn.
#[derive(Debug, Args)]
pub struct Typed {
    /// What it is made from and what is made from it; without one, every model.
    table: Option<TableName>,
    /// The drawing for Graphviz: `deltadesk lake lineage --dot | dot -Tsvg > lineage.svg`.
    #[arg(long)]
    dot: bool,
}

/// Tables that each table is made from.
type Inputs = BTreeMap<TableName, BTreeSet<TableName>>;

pub fn run(home: &Home, typed: &Typed, output: Output) -> anyhow::Result<()> {
    let inputs = inputs(home)?;
    let shown = match &typed.table {
        Some(table) => around(&inputs, table)?,
        None => inputs.clone(),
    };
    let text = match (output, typed.dot, &typed.table) {
        (Output::Json, _, _) => as_json(&shown),
        (Output::Columns, true, _) => as_dot(&shown),
        (Output::Columns, false, Some(table)) => as_trees(&shown, table),
        (Output::Columns, false, None) => as_list(&shown),
    };
    say(&text)
}

fn inputs(home: &Home) -> anyhow::Result<Inputs> {
    let (files, _) = files::of_home(home.root())?;
    let catalogue = Catalogue::read(&files).map_err(faults_error)?;
    let session = new_session()?;
    let mut inputs = Inputs::new();
    for model in &catalogue.models {
        let mut read = tables_read(&session, &model.sql)
            .map_err(|error| anyhow::anyhow!("{}: {error}", model.path))?;
        read.remove(&model.table);
        inputs.entry(model.table.clone()).or_default().extend(read);
    }
    Ok(inputs)
}

/// The part of the whole that a table stands in: what it is made from, all the way down, and what
/// is made from it, all the way up.
fn around(inputs: &Inputs, table: &TableName) -> anyhow::Result<Inputs> {
    let known = inputs.contains_key(table) || inputs.values().any(|read| read.contains(table));
    if !known {
        bail!("no model makes or reads {table}; `deltadesk lake lineage` shows them all");
    }
    let down = reached(table, |at| inputs.get(at).cloned().unwrap_or_default());
    let up = reached(table, |at| users(inputs, at));
    let mut shown = Inputs::new();
    for (made, read) in inputs {
        let below = down.contains(made);
        let kept: BTreeSet<TableName> =
            read.iter().filter(|read| below || up.contains(*read)).cloned().collect();
        if (below || up.contains(made)) && !kept.is_empty() {
            shown.insert(made.clone(), kept);
        }
    }
    Ok(shown)
}

fn users(inputs: &Inputs, table: &TableName) -> BTreeSet<TableName> {
    let uses = inputs.iter().filter(|(_, read)| read.contains(table));
    uses.map(|(made, _)| made.clone()).collect()
}

/// A table and everything that can be reached from it.
fn reached(
    from: &TableName,
    next: impl Fn(&TableName) -> BTreeSet<TableName>,
) -> BTreeSet<TableName> {
    let mut seen = BTreeSet::from([from.clone()]);
    let mut left = vec![from.clone()];
    while let Some(at) = left.pop() {
        left.extend(next(&at).into_iter().filter(|table| seen.insert(table.clone())));
    }
    seen
}

fn as_json(shown: &Inputs) -> String {
    let all: Vec<_> = shown
        .iter()
        .map(|(made, read)| {
            let read: Vec<String> = read.iter().map(ToString::to_string).collect();
            json!({ "table": made.to_string(), "made_from": read })
        })
        .collect();
    format!("{}\n", serde_json::Value::Array(all))
}

fn as_list(shown: &Inputs) -> String {
    shown.iter().fold(String::new(), |mut text, (made, read)| {
        let read: Vec<String> = read.iter().map(ToString::to_string).collect();
        let _ = writeln!(text, "{made} <- {}", read.join(", "));
        text
    })
}

fn as_dot(shown: &Inputs) -> String {
    let mut text = "digraph lineage {\n  rankdir = LR;\n  node [shape = box];\n".to_owned();
    for (made, read) in shown {
        for from in read {
            let _ = writeln!(text, "  \"{from}\" -> \"{made}\";");
        }
    }
    text + "}\n"
}

fn as_trees(shown: &Inputs, table: &TableName) -> String {
    let mut text = format!("{table} is made from\n");
    let mut seen = BTreeSet::new();
    let below = |at: &TableName| shown.get(at).cloned().unwrap_or_default();
    branch(&mut text, (table, ""), &below, &mut seen);
    text.push_str("and goes into\n");
    seen.clear();
    branch(&mut text, (table, ""), &|at| users(shown, at), &mut seen);
    text
}

/// The branches below a table; what was drawn before is named and not drawn again.
fn branch(
    text: &mut String,
    (at, indent): (&TableName, &str),
    next: &dyn Fn(&TableName) -> BTreeSet<TableName>,
    seen: &mut BTreeSet<TableName>,
) {
    let below = next(at);
    let last = below.last().cloned();
    for table in below {
        let (stem, rest) =
            if Some(&table) == last.as_ref() { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        let again = !seen.insert(table.clone()) && !next(&table).is_empty();
        let mark = if again { " (see above)" } else { "" };
        let _ = writeln!(text, "{indent}{stem}{table}{mark}");
        if !again {
            branch(text, (&table, &format!("{indent}{rest}")), next, seen);
        }
    }
}
