//! A folder of recorded chains, and the daily data beside it, as a recorded market.
//!
//! The columns are those of the recorded IB snapshots: ts_utc, symbol, expiry, strike, right, bid,
//! ask, last, volume, open_interest, iv, delta, gamma, theta, vega; n_copies where a row stands for
//! several.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use chrono::NaiveDate;
use tokio::runtime::Handle;

use crate::exchange::{DailyBar, RecordedRow};
use crate::lake::{Rows, read_parquet};
use crate::market::{Price, Symbol, VendorGreeks};

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

/// Daily bars beside the recording (`../../daily` from its folder, as the recorded data lie),
/// before
/// `start` and during it. Without such a folder there are none, and what needs history is
/// unevaluable.
///
/// VIX is complete. The ETFs' rows between 2025-04-22 and 2025-12-18 are dividend-adjusted closes
/// and that of 2026-01-29 is a partial day: prices of another kind are left out, not mixed in.
pub fn daily_bars(folder: &Path, runtime: &Handle) -> anyhow::Result<Vec<DailyBar>> {
    let daily = folder.join("../../daily");
    let mut bars = Vec::new();
    for (name, kind) in [
        ("vix_daily_1990_2026-02-06.parquet", DailyKind::Vix),
        ("ib_market_bars_2025-01_2026-01.parquet", DailyKind::Etf),
    ] {
        let path = daily.join(name);
        if path.exists() {
            let frame = Rows::new(runtime.block_on(read_parquet(&path))?);
            take_bars(&frame, kind, &mut bars)
                .with_context(|| format!("{} has not the columns of daily bars", path.display()))?;
        }
    }
    bars.sort_by(|a, b| (a.session, &a.symbol).cmp(&(b.session, &b.symbol)));
    Ok(bars)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DailyKind {
    Vix,
    Etf,
}

fn take_bars(frame: &Rows, kind: DailyKind, bars: &mut Vec<DailyBar>) -> anyhow::Result<()> {
    let day = |text: &str| text.parse::<NaiveDate>();
    let (adjusted_from, adjusted_to) = (day("2025-04-22")?, day("2025-12-18")?);
    let (partial, history_from) = (day("2026-01-29")?, day("2024-01-01")?);
    for row in frame.iter() {
        let (symbol, session) = match kind {
            DailyKind::Vix => ("VIX".to_owned(), row.date("date")?),
            DailyKind::Etf => (row.text("symbol")?.to_owned(), row.instant("date")?.date_naive()),
        };
        let etf = kind == DailyKind::Etf;
        let unusable =
            etf && ((adjusted_from..=adjusted_to).contains(&session) || session == partial);
        if unusable || session < history_from {
            continue;
        }
        let price = |column: &str| -> anyhow::Result<Price> {
            let value = row.double(column)?;
            Price::from_f64(value).with_context(|| format!("{column} of {session} is no price"))
        };
        bars.push(DailyBar {
            symbol: Symbol::new(&symbol),
            session,
            open: price("open")?,
            high: price("high")?,
            low: price("low")?,
            close: price("close")?,
            volume: if etf { row.maybe_int("volume")? } else { None },
            implied_vol: if etf { row.maybe_double("iv")?.filter(|vol| *vol > 0.0) } else { None },
        });
    }
    Ok(())
}
