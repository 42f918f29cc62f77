//! `deltadesk lake status`.

use serde_json::json;

use super::Output;
use crate::cli::sql::{aligned, instant_text, runtime, say};
use crate::desk::home::Home;
use crate::desk::lake_place::open_to_read;
use crate::lake::TableHealth;

pub fn run(home: &Home, output: Output) -> anyhow::Result<()> {
    let tables = runtime()?.block_on(async {
        let lake = open_to_read(home).await?;
        let mut tables = Vec::new();
        for table in lake.tables() {
            tables.push(lake.health(&table).await?);
        }
        anyhow::Ok(tables)
    })?;
    match output {
        Output::Json => {
            let all: Vec<_> = tables.iter().map(as_json).collect();
            say(&format!("{}\n", serde_json::Value::Array(all)))
        }
        Output::Columns => {
            let rows: Vec<_> = tables.iter().map(line).collect();
            let header = [
                "table",
                "version",
                "rows",
                "files",
                "joinable",
                "MB",
                "days",
                "newest batch",
                "next step",
            ];
            say(&format!("{}{}\n", aligned(&header, &rows), sum(&tables)))
        }
    }
}

fn as_json(table: &TableHealth) -> serde_json::Value {
    json!({
        "table": table.table.to_string(),
        "version": table.version,
        "rows": table.rows,
        "files": table.files,
        "joinable_files": table.joinable,
        "bytes": table.bytes,
        "partitions": table.partitions,
        "last_as_of": table.last_as_of.map(|at| at.to_rfc3339()),
        "commits_since_checkpoint": table.since_checkpoint,
        "next_step": next_step(table),
    })
}

fn line(table: &TableHealth) -> Vec<String> {
    vec![
        table.table.to_string(),
        table.version.to_string(),
        table.rows.to_string(),
        table.files.to_string(),
        table.joinable.to_string(),
        megabytes(table.bytes),
        table.partitions.to_string(),
        table.last_as_of.map_or_else(|| "-".to_owned(), instant_text),
        next_step(table).unwrap_or_else(|| "-".to_owned()),
    ]
}

/// Small files cost each reader; below this many a table is left alone.
const WORTH_JOINING: u64 = 50;

fn next_step(table: &TableHealth) -> Option<String> {
    (table.joinable >= WORTH_JOINING).then(|| format!("deltadesk lake compact {}", table.table))
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / 1e6)
}

fn sum(tables: &[TableHealth]) -> String {
    let of = |figure: fn(&TableHealth) -> u64| tables.iter().map(figure).sum::<u64>();
    format!(
        "{} tables, {} rows, {} files, {} MB",
        tables.len(),
        of(|table| table.rows),
        of(|table| table.files),
        megabytes(of(|table| table.bytes))
    )
}
