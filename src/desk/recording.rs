//! A folder of recorded chains as rows of a recorded market.
//!
//! The columns are those of the recorded IB snapshots: ts_utc, symbol, expiry, strike, right, bid,
//! ask, last, volume, open_interest, iv, delta, gamma, theta, vega; n_copies where a row stands for
//! several.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use tokio::runtime::Handle;

use crate::exchange::RecordedRow;
use crate::lake::{Rows, read_parquet};
use crate::market::{Symbol, VendorGreeks};

/// A row that stands for more copies than this counts as so many.
const COPIES_MAX: i64 = 4;

/// Every row of every parquet file of the folder, copies written out, in order of file and row.
pub fn read_folder(folder: &Path, runtime: &Handle) -> anyhow::Result<Vec<RecordedRow>> {
    let files = parquet_files(folder)?;
    let mut rows = Vec::new();
    for file in &files {
        let frame = Rows::new(runtime.block_on(read_parquet(file))?);
        take_rows(&frame, &mut rows)
            .with_context(|| format!("{} has not the columns of a chain", file.display()))?;
    }
    Ok(rows)
}

fn parquet_files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| {
        format!("{} cannot be read; name a folder of parquet files", folder.display())
    })?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| format!("{} cannot be listed", folder.display()))?.path();
        if path.extension().is_some_and(|extension| extension == "parquet") {
            files.push(path);
        }
    }
    if files.is_empty() {
        bail!("{} holds no parquet file; name a folder with recorded chains", folder.display());
    }
    files.sort();
    Ok(files)
}

fn take_rows(frame: &Rows, rows: &mut Vec<RecordedRow>) -> anyhow::Result<()> {
    let copied = frame.first().is_some_and(|row| row.maybe_int("n_copies").is_ok());
    for row in frame.iter() {
        let copies = if copied { row.int("n_copies")?.clamp(1, COPIES_MAX) } else { 1 };
        let recorded = RecordedRow {
            received_at: row.instant("ts_utc")?,
            symbol: Symbol::new(row.text("symbol")?),
            expiry: row.text("expiry")?.to_owned(),
            strike: row.double("strike")?,
            right: row.text("right")?.to_owned(),
            bid: row.maybe_double("bid")?,
            ask: row.maybe_double("ask")?,
            last: row.maybe_double("last")?,
            volume: row.maybe_int("volume")?,
            open_interest: row.maybe_int("open_interest")?,
            vendor: VendorGreeks {
                vol: row.maybe_double("iv")?,
                delta: row.maybe_double("delta")?,
                gamma: row.maybe_double("gamma")?,
                theta: row.maybe_double("theta")?,
                vega: row.maybe_double("vega")?,
            },
            copies: 1,
        };
        for _ in 0..copies {
            rows.push(recorded.clone());
        }
    }
    Ok(())
}
