//! `deltadesk jobs`: what runs when, and how it went.
//!
//! What will run comes from the home's jobs.toml and its calendar; how it went comes from the lake.
//! Nothing is started here.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{anyhow, bail};
use clap::{Args, Subcommand};
use serde_json::json;

use super::sql::{OpenLake, aligned, as_json, instant, instant_text, say};
use crate::desk::home::Home;
use crate::desk::{faults_error, files, reference};
use crate::lake::{Row, Rows};
use crate::market::sessions::Venue;
use crate::market::{Clock as _, Timestamp, WallClock};
use crate::pipeline::Files;
use crate::schedule::{Job, JobName, Jobs, Planner, When};

/// What was typed.
#[derive(Debug, Args)]
pub struct Typed {
    #[command(subcommand)]
    what: Option<What>,
    /// One JSON array (`logs`: one object) instead of columns.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Every job: when it runs, its calendar and its pipeline (the default).
    List,
    /// The next occurrences.
    Next {
        #[arg(long, default_value_t = 20)]
        count: usize,
        /// Counted from here instead of now.
        #[arg(long, value_name = "TS", value_parser = instant)]
        from: Option<Timestamp>,
    },
    /// Runs in the lake, the newest first.
    History {
        /// Only runs of this job.
        #[arg(long, value_name = "NAME")]
        job: Option<String>,
        #[arg(long, default_value_t = 20)]
        count: usize,
    },
    /// What one run did: its models, audits, sweeps and alerts.
    Logs {
        /// As `jobs history` shows it; without it, the newest run.
        run_id: Option<String>,
    },
}

impl Typed {
    pub fn run(self, home: Option<PathBuf>) -> anyhow::Result<()> {
        let home = Home::choose(home, Path::new("desk"));
        let output = if self.json { Output::Json } else { Output::Columns };
        match self.what.unwrap_or(What::List) {
            What::List => list(&home, output),
            What::Next { count, from } => next(&home, output, (count, from)),
            What::History { job, count } => history(&home, output, (job.as_deref(), count)),
            What::Logs { run_id } => logs(&home, output, run_id.as_deref()),
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Output {
    Columns,
    Json,
}

/// The home's jobs, or everything that is wrong with them.
pub fn jobs_of(files: &Files) -> anyhow::Result<Jobs> {
    let text = files.get("jobs.toml").ok_or_else(|| {
        anyhow!("jobs.toml is missing; `deltadesk init DIR` lays out a whole set")
    })?;
    Jobs::parse("jobs.toml", text).map_err(|faults| anyhow!("jobs.toml cannot be used:\n{faults}"))
}

fn list(home: &Home, output: Output) -> anyhow::Result<()> {
    let (files, _) = files::of_home(home.root())?;
    let jobs = jobs_of(&files)?;
    match output {
        Output::Json => {
            let all: Vec<_> = jobs
                .iter()
                .map(|job| {
                    json!({
                        "job": job.name.as_str(),
                        "when": when_text(job),
                        "calendar": calendar_text(job),
                        "pipeline": job.pipeline,
                        "priority": job.priority,
                        "timeout_seconds": job.timeout.num_seconds(),
                    })
                })
                .collect();
            say(&format!("{}\n", serde_json::Value::Array(all)))
        }
        Output::Columns => {
            let mut sorted: Vec<&Job> = jobs.iter().collect();
            sorted.sort_by_key(|job| job.priority);
            let row = |job: &Job| {
                let calendar = calendar_text(job).unwrap_or("-").to_owned();
                vec![job.name.to_string(), when_text(job), calendar, job.pipeline.clone()]
            };
            let rows: Vec<_> = sorted.into_iter().map(row).collect();
            say(&aligned(&["job", "when", "calendar", "pipeline"], &rows))
        }
    }
}

/// The job's own times, and the jobs that it follows.
fn when_text(job: &Job) -> String {
    let after: Vec<&str> = job.trigger_after.iter().map(JobName::as_str).collect();
    if after.is_empty() {
        return job.when.to_string();
    }
    let after = format!("after {}", after.join(", "));
    match &job.when {
        When::OnDemand => after,
        When::Cron(_) | When::At { .. } | When::Every { .. } => format!("{}; {after}", job.when),
    }
}

fn calendar_text(job: &Job) -> Option<&'static str> {
    match &job.when {
        When::Cron(times) => times.calendar.map(Venue::name),
        When::At { calendar, .. } | When::Every { calendar, .. } => Some(calendar.name()),
        When::OnDemand => None,
    }
}

fn next(
    home: &Home,
    output: Output,
    (count, from): (usize, Option<Timestamp>),
) -> anyhow::Result<()> {
    let (files, _) = files::of_home(home.root())?;
    let calendar = reference::calendar(&files).map_err(faults_error)?;
    let planner = Planner::new(jobs_of(&files)?, Arc::new(calendar));
    let from = from.unwrap_or_else(|| WallClock.now());
    let occurrences = planner.next(from, count)?;
    match output {
        Output::Json => {
            let all: Vec<_> = occurrences
                .iter()
                .map(|next| {
                    json!({
                        "job": next.job.as_str(),
                        "scheduled_at": next.scheduled_at.to_rfc3339(),
                        "run_id": next.run_id().to_string(),
                    })
                })
                .collect();
            say(&format!("{}\n", serde_json::Value::Array(all)))
        }
        Output::Columns => {
            let rows: Vec<_> = occurrences
                .iter()
                .map(|next| {
                    let at = next.scheduled_at;
                    vec![weekday(at), instant_text(at), next.job.to_string()]
                })
                .collect();
            let page = aligned(&["day", "at", "job"], &rows);
            say(&format!("{page}counted from {}\n", instant_text(from)))
        }
    }
}

fn weekday(at: Timestamp) -> String {
    at.with_timezone(&chrono_tz::America::New_York).format("%a").to_string()
}

fn history(home: &Home, output: Output, (job, count): (Option<&str>, usize)) -> anyhow::Result<()> {
    let lake = OpenLake::open(home, None)?;
    let filter = match job {
        Some(name) => format!("where job = '{}'", plain(name)?),
        None => String::new(),
    };
    let rows = runs(&lake, &format!("{filter} order by scheduled_at desc, run_id limit {count}"))?;
    let rows = rows.filter(|rows| !rows.is_empty());
    match (output, rows) {
        (Output::Json, None) => say("[]\n"),
        (Output::Json, Some(rows)) => say(&format!("{}\n", json!(as_json(rows.batch())?))),
        (Output::Columns, None) => say(&format!("{NO_RUNS}\n")),
        (Output::Columns, Some(rows)) => {
            let rows: Vec<_> = rows.iter().map(history_line).collect::<anyhow::Result<_>>()?;
            say(&aligned(&["scheduled", "status", "seconds", "run", "detail"], &rows))
        }
    }
}

const NO_RUNS: &str = "no such run is in the lake; `deltadesk jobs next` says what comes";

fn runs(lake: &OpenLake, rest: &str) -> anyhow::Result<Option<Rows>> {
    if !lake.has("ops.job_runs") {
        return Ok(None);
    }
    let columns = "run_id, job, pipeline, scheduled_at, status, detail, wall_duration_ms, as_of";
    lake.rows(&format!("select {columns} from ops.job_runs {rest}")).map(Some)
}

fn history_line(row: Row<'_>) -> anyhow::Result<Vec<String>> {
    Ok(vec![
        instant_text(row.instant("scheduled_at")?),
        row.text("status")?.to_owned(),
        row.maybe_int("wall_duration_ms")?
            .map_or_else(|| "-".to_owned(), |millis| format!("{:.1}", millis as f64 / 1000.0)),
        row.text("run_id")?.to_owned(),
        row.text("detail")?.lines().next().unwrap_or_default().to_owned(),
    ])
}

/// Tables that hold what a run did, with the columns that are shown.
const LOGS: [(&str, &str, &str); 4] = [
    ("models", "ops.model_runs", "model, rows_out, rows_quarantined"),
    ("audits", "ops.data_tests", "audit, offending_rows, detail"),
    ("sweeps", "ops.sweeps", "source, symbol, asked, received, two_sided, completeness_ratio"),
    ("alerts", "ops.alerts", "severity, subject, message"),
];

fn logs(home: &Home, output: Output, run_id: Option<&str>) -> anyhow::Result<()> {
    let lake = OpenLake::open(home, None)?;
    let run_id = match run_id {
        Some(run_id) => plain(run_id)?.to_owned(),
        None => newest_run(&lake)?,
    };
    let run = runs(&lake, &format!("where run_id = '{run_id}' limit 1"))?;
    let run = run.filter(|rows| !rows.is_empty());
    let mut parts = Vec::new();
    for (title, table, columns) in LOGS.into_iter().filter(|(_, table, _)| lake.has(table)) {
        let sql = format!("select {columns} from {table} where run_id = '{run_id}' order by 1, 2");
        parts.push((title, lake.rows(&sql)?));
    }
    if run.is_none() && parts.iter().all(|(_, rows)| rows.is_empty()) {
        bail!("the lake has nothing of run {run_id}; `deltadesk jobs history` lists the runs");
    }
    match output {
        Output::Json => {
            let mut all = serde_json::Map::new();
            all.insert("run_id".to_owned(), json!(run_id));
            let run = run.map(|rows| as_json(rows.batch())).transpose()?.unwrap_or_default();
            all.insert("run".to_owned(), json!(run.first()));
            for (title, rows) in &parts {
                all.insert((*title).to_owned(), json!(as_json(rows.batch())?));
            }
            say(&format!("{}\n", serde_json::Value::Object(all)))
        }
        Output::Columns => say(&logs_page(&run_id, run.as_ref(), &parts)?),
    }
}

fn logs_page(run_id: &str, run: Option<&Rows>, parts: &[(&str, Rows)]) -> anyhow::Result<String> {
    let mut page = format!("run {run_id}\n");
    if let Some(run) = run.and_then(Rows::first) {
        let _ = writeln!(
            page,
            "  {}, job {}, pipeline {}, scheduled {}",
            run.text("status")?,
            run.text("job")?,
            run.text("pipeline")?,
            instant_text(run.instant("scheduled_at")?)
        );
        page.push_str(&indented(run.text("detail")?));
    }
    for (title, rows) in parts.iter().filter(|(_, rows)| !rows.is_empty()) {
        let _ = write!(page, "\n{title}\n{}", indented(&rows_text(rows)?));
    }
    Ok(page)
}

/// The run of the newest rows that runs leave behind.
fn newest_run(lake: &OpenLake) -> anyhow::Result<String> {
    for table in ["ops.job_runs", "ops.model_runs"].into_iter().filter(|table| lake.has(table)) {
        let sql = format!("select run_id from {table} order by as_of desc, run_id desc limit 1");
        if let Some(row) = lake.rows(&sql)?.first() {
            return Ok(row.text("run_id")?.to_owned());
        }
    }
    bail!("no run is in the lake yet; `deltadesk jobs next` says what comes")
}

/// Rows as columns of text, NULL as `-`.
fn rows_text(rows: &Rows) -> anyhow::Result<String> {
    use crate::lake::arrow::util::display::{ArrayFormatter, FormatOptions};
    let options = FormatOptions::default().with_null("-");
    let columns: Vec<ArrayFormatter<'_>> = rows
        .batch()
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column, &options))
        .collect::<Result<_, _>>()?;
    let lines: Vec<Vec<String>> = (0..rows.len())
        .map(|at| columns.iter().map(|column| column.value(at).to_string()).collect())
        .collect();
    let schema = rows.batch().schema();
    let header: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    Ok(aligned(&header, &lines))
}

/// The text, two blanks in front of each line.
fn indented(text: &str) -> String {
    let mut indented = String::new();
    for line in text.lines() {
        let _ = writeln!(indented, "  {line}");
    }
    indented
}

/// A name or an identity as it may stand in a query.
pub fn plain(text: &str) -> anyhow::Result<&str> {
    let sound = |letter: char| letter.is_ascii_alphanumeric() || "._-:".contains(letter);
    if text.is_empty() || !text.chars().all(sound) {
        bail!("`{text}` is no identity; write letters, digits, dots and dashes only");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_jobs_have_next_runs_on_the_shipped_calendar() {
        let files = files::shipped();
        let planner =
            Planner::new(jobs_of(&files).unwrap(), Arc::new(reference::calendar(&files).unwrap()));
        let monday = instant("2026-03-02T14:30:00Z").unwrap() - chrono::TimeDelta::seconds(1);
        let next = planner.next(monday, 1).unwrap();
        assert_eq!(next.first().map(|next| next.job.as_str()), Some("sweep"));
    }

    #[test]
    fn an_identity_cannot_leave_its_quotes() {
        assert!(plain("sweep-20260302T143000Z").is_ok());
        assert!(plain("x' or '1'='1").is_err() && plain("").is_err());
    }
}
