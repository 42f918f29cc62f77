//! What a durable append of 5,000 rows takes when the table has had 100, 1,000 and 10,000 commits,
//! beside the disk's own fsync and, where `DELTADESK_LAKE_PYTHON` names an interpreter with the
//! package `deltalake`, beside `write_deltalake` (which syncs nothing).
//!
//! `cargo bench --bench append`; figures and ratios are printed, nothing is asserted.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use deltadesk::lake::{Batch, Durability, Lake, LakeOptions, RowBuilder, TableSpec};
use deltadesk::market::clock::Stopwatch;
use tempfile::TempDir;

const HISTORIES: [i64; 3] = [100, 1_000, 10_000];
/// The predecessor's writer is slow enough at a thousand.
const PYTHON_HISTORY_MAX: i64 = 1_000;
const APPENDS: i64 = 50;
const ROWS: i64 = 5_000;

const TABLE: &str = "create table bronze.quotes (
    ingest_seq bigint not null,
    conid bigint not null,
    bid double,
    ask double,
    session_date date not null
)";

/// Milliseconds, sorted.
struct Taken(Vec<f64>);

impl Taken {
    fn of(mut each: Vec<f64>) -> Self {
        each.sort_by(f64::total_cmp);
        Self(each)
    }

    fn quantile(&self, share: f64) -> f64 {
        let last = self.0.len().saturating_sub(1);
        let place = (last as f64 * share).round() as usize;
        self.0.get(place).copied().unwrap_or(f64::NAN)
    }
}

fn batch(number: i64) -> anyhow::Result<Batch> {
    let open: deltadesk::market::Timestamp = "2026-03-02T14:30:00Z".parse()?;
    Ok(Batch {
        number,
        as_of: open + chrono::Duration::seconds(number),
        run_id: format!("bench-{number}"),
        source_versions: serde_json::json!({}),
    })
}

async fn append(lake: &Lake, spec: &TableSpec, number: i64, rows: i64) -> anyhow::Result<()> {
    let day = chrono::NaiveDate::from_ymd_opt(2026, 3, 2).context("a date")?;
    let mut builder = RowBuilder::new(spec);
    for row in 0..rows {
        let seq = number * ROWS + row;
        let price = seq as f64 * 0.01;
        let cells = [
            ("ingest_seq", seq.into()),
            ("conid", (seq % ROWS).into()),
            ("bid", price.into()),
            ("ask", (price + 0.05).into()),
            ("session_date", day.into()),
        ];
        builder.push(cells)?;
    }
    lake.append(spec, &batch(number)?, vec![builder.finish()?]).await?;
    Ok(())
}

/// Appends to a table that has had so many commits, with checkpoints as upkeep makes them.
async fn ours(folder: &Path, history: i64) -> anyhow::Result<Taken> {
    let spec = TableSpec::from_ddl(TABLE)?;
    let lake = Lake::open(folder, LakeOptions::local(Durability::Buffered)).await?;
    for number in 1..=history {
        append(&lake, &spec, number, 1).await?;
        if number % 100 == 0 {
            lake.checkpoint(spec.name()).await?;
        }
    }
    drop(lake);
    let lake = Lake::open(folder, LakeOptions::local(Durability::Fsync)).await?;
    append(&lake, &spec, history + 1, ROWS).await?;
    let mut each = Vec::new();
    for number in 0..APPENDS {
        let stopwatch = Stopwatch::start();
        append(&lake, &spec, history + 2 + number, ROWS).await?;
        each.push(stopwatch.elapsed_seconds() * 1e3);
    }
    Ok(Taken::of(each))
}

/// What the disk takes to keep a file of about the same size.
fn fsync(folder: &Path) -> anyhow::Result<Taken> {
    let bytes = vec![7_u8; 100_000];
    let mut each = Vec::new();
    for number in 0..APPENDS {
        let path = folder.join(format!("plain-{number}"));
        let stopwatch = Stopwatch::start();
        let mut file = File::create(path)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        each.push(stopwatch.elapsed_seconds() * 1e3);
    }
    Ok(Taken::of(each))
}

#[expect(clippy::disallowed_methods, reason = "the interpreter is named by the run")]
fn python(folder: &Path, history: i64) -> anyhow::Result<Option<Taken>> {
    let Ok(python) = std::env::var("DELTADESK_LAKE_PYTHON") else { return Ok(None) };
    let numbers = [history, APPENDS, ROWS].map(|number| number.to_string());
    let answer =
        Command::new(python).arg("benches/append.py").arg(folder).args(numbers).output()?;
    ensure!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
    Ok(Some(Taken::of(serde_json::from_slice(&answer.stdout)?)))
}

#[expect(clippy::print_stdout, reason = "a bench prints its figures")]
fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build()?;
    let place = TempDir::new()?;
    let plain = fsync(place.path())?;
    println!("append of {ROWS} rows, {APPENDS} times, milliseconds");
    println!("{:<34} {:>8} {:>8}", "", "p50", "p99");
    let line = |what: &str, taken: &Taken| {
        println!("{what:<34} {:>8.1} {:>8.1}", taken.quantile(0.5), taken.quantile(0.99));
    };
    line("fsync of 100 kB", &plain);
    let mut first = None;
    for history in HISTORIES {
        let taken =
            runtime.block_on(ours(&place.path().join(format!("ours-{history}")), history))?;
        line(&format!("deltadesk after {history} commits"), &taken);
        let ratio = taken.quantile(0.5) / *first.get_or_insert(taken.quantile(0.5));
        println!("{:<34} {ratio:>8.2}", "  ratio to 100 commits");
        if history > PYTHON_HISTORY_MAX {
            continue;
        }
        match python(&place.path().join(format!("python-{history}")), history)? {
            Some(taken) => line(&format!("write_deltalake after {history} commits"), &taken),
            None => println!("  not run: DELTADESK_LAKE_PYTHON names no interpreter"),
        }
    }
    Ok(())
}
