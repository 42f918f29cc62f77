//! `deltadesk models`: what of silver and gold the models of now would make otherwise, and making
//! it.
//!
//! `plan` only reads and may run beside a server; the rest takes the lake's lease first.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::ensure;
use chrono::NaiveDate;
use clap::{Args, Subcommand};
use serde_json::json;

use super::lake::under_lease;
use super::sql::{aligned, runtime, say};
use crate::desk::home::Home;
use crate::desk::lake_place::open_to_read;
use crate::desk::rebuild::{Change, Models, Scope, SessionDone, SessionPlan, Wanted};
use crate::market::{Clock as _, WallClock};

/// What was typed.
#[derive(Debug, Args)]
pub struct Typed {
    #[command(subcommand)]
    what: What,
    /// JSON instead of columns.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum What {
    /// What `run` would compute again, and why. Nothing is changed.
    Plan(Part),
    /// Compute again what the models of now would make otherwise.
    Run(Part),
    /// Compute again what failed the last time, and what waited for it.
    Retry(Part),
    /// Compute what is missing or failed between two sessions.
    Backfill(Part),
    /// Compute again, whether it has changed or not.
    Rebuild(Part),
}

/// Of which model, between which sessions; everything where neither is said.
#[derive(Debug, Args)]
struct Part {
    /// A table (gold.signals) or a file (sql/gold/signals.sql); what reads it goes with it.
    model: Option<String>,
    /// The first session.
    #[arg(long, value_name = "D")]
    from: Option<NaiveDate>,
    /// The last session.
    #[arg(long, value_name = "D")]
    to: Option<NaiveDate>,
}

#[derive(Debug, Clone, Copy)]
enum Output {
    Columns,
    Json,
}

impl Typed {
    pub fn run(self, home: Option<PathBuf>) -> anyhow::Result<()> {
        let home = Home::choose(home, Path::new("desk"));
        let output = if self.json { Output::Json } else { Output::Columns };
        let (word, wanted, part) = match self.what {
            What::Plan(part) => return plan(&home, &part.scope()?, output),
            What::Run(part) => ("run", Wanted::Stale, part),
            What::Retry(part) => ("retry", Wanted::Unfinished, part),
            What::Backfill(part) => ("backfill", Wanted::Gaps, part),
            What::Rebuild(part) => ("rebuild", Wanted::All, part),
        };
        let scope = part.scope()?;
        under_lease(&home, &format!("models {word}"), |lake, runtime| {
            let models = Models::open(&home, lake, runtime)?;
            let sessions = models.plan(wanted, &scope)?;
            if sessions.is_empty() {
                return say(&none(word, &models.without_cuts()?));
            }
            models.rebuild(&sessions, WallClock.now(), |done| match output {
                Output::Columns => say(&as_line(done)),
                Output::Json => say(&format!("{}\n", as_json(done))),
            })
        })
    }
}

impl Part {
    fn scope(self) -> anyhow::Result<Scope> {
        let backwards = self.from.zip(self.to).filter(|(from, to)| from > to);
        ensure!(backwards.is_none(), "--from is after --to; name the earlier session first");
        Ok(Scope { model: self.model, from: self.from, to: self.to })
    }
}

fn plan(home: &Home, scope: &Scope, output: Output) -> anyhow::Result<()> {
    let runtime = runtime()?;
    let lake = runtime.block_on(open_to_read(home))?;
    let models = Models::open(home, &lake, runtime.handle())?;
    let sessions = models.plan(Wanted::Stale, scope)?;
    let without_cuts = models.without_cuts()?;
    match output {
        Output::Json => say(&format!("{}\n", plan_as_json(&sessions, &without_cuts))),
        Output::Columns if sessions.is_empty() => say(&none("run", &without_cuts)),
        Output::Columns => say(&plan_as_text(&sessions, &without_cuts)),
    }
}

fn none(word: &str, without_cuts: &[NaiveDate]) -> String {
    let what = match word {
        "retry" => "nothing failed",
        "backfill" => "nothing is missing",
        "rebuild" => "there is no session to compute again",
        _ => "every session is what the models of now make of it",
    };
    format!("{what}\n{}", untold(without_cuts))
}

/// Sessions about which nothing can be said.
fn untold(without_cuts: &[NaiveDate]) -> String {
    match (without_cuts.first(), without_cuts.last()) {
        (Some(first), Some(last)) => format!(
            "note: {} sessions from {first} to {last} are of a desk that did not yet keep which \
             rows each build saw; they stay as they are\n",
            without_cuts.len()
        ),
        _ => String::new(),
    }
}

/// A line for each model and reason, with its sessions.
fn plan_as_text(sessions: &[SessionPlan], without_cuts: &[NaiveDate]) -> String {
    let mut by_model: BTreeMap<(String, String), BTreeSet<NaiveDate>> = BTreeMap::new();
    for plan in sessions {
        for (path, why) in &plan.models {
            let dates = by_model.entry((path.clone(), why.to_string())).or_default();
            dates.insert(plan.session);
        }
    }
    let rows: Vec<Vec<String>> = by_model
        .into_iter()
        .map(|((path, why), dates)| {
            let date =
                |date: Option<&NaiveDate>| date.map_or_else(String::new, ToString::to_string);
            let (first, last) = (date(dates.first()), date(dates.last()));
            vec![path, dates.len().to_string(), first, last, why]
        })
        .collect();
    let table = aligned(&["model", "sessions", "from", "to", "because"], &rows);
    let count = sessions.len();
    format!(
        "{table}{count} sessions are to be computed again: deltadesk models run\n{}",
        untold(without_cuts)
    )
}

fn plan_as_json(sessions: &[SessionPlan], without_cuts: &[NaiveDate]) -> serde_json::Value {
    let sessions: Vec<_> = sessions
        .iter()
        .map(|plan| {
            let models = plan.models.iter().map(|(path, why)| (path, why.to_string()));
            json!({"session": plan.session, "models": models.collect::<BTreeMap<_, _>>()})
        })
        .collect();
    json!({"sessions": sessions, "without_cuts": without_cuts})
}

fn as_line(done: &SessionDone) -> String {
    let changed: Vec<String> = done
        .tables
        .iter()
        .filter(|table| table.change == Change::Rewritten)
        .map(|table| format!("{} {} -> {} rows", table.table, table.rows_before, table.rows_after))
        .collect();
    let same = done.tables.len() - changed.len();
    let mut text = format!("{}: {} builds; {same} tables as they were", done.session, done.builds);
    if !changed.is_empty() {
        let _ = write!(text, ", rewritten: {}", changed.join(", "));
    }
    text.push('\n');
    text
}

fn as_json(done: &SessionDone) -> serde_json::Value {
    let tables: Vec<_> = done
        .tables
        .iter()
        .map(|table| {
            json!({
                "table": table.table.to_string(),
                "rows_before": table.rows_before,
                "rows_after": table.rows_after,
                "rewritten": table.change == Change::Rewritten,
            })
        })
        .collect();
    json!({"session": done.session, "builds": done.builds, "tables": tables})
}
