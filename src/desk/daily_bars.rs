//! Daily bars beside a recording (`../../daily` from its folder, as the recorded data lie).
//!
//! Part of the ETFs' rows are dividend-adjusted: their prices lie off the cents that are traded.
//! They are put back to raw prices with the dividends that went ex within the file, newest first,
//! and each restored price must come out on a cent again; a row that does not stays as it is and is
//! marked, so that silver sets it aside with its reason. Nothing is left out. VIX rows are raw.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use chrono::NaiveDate;
use tokio::runtime::Handle;

use crate::exchange::{Certainty, DailyBar, DividendRow, PriceBasis};
use crate::lake::{Row, Rows, read_parquet};
use crate::market::{Price, Symbol};

const VIX_FILE: &str = "vix_daily_1990_2026-02-06.parquet";
const ETF_FILE: &str = "ib_market_bars_2025-01_2026-01.parquet";
/// Two years and more before the first recorded chain.
const VIX_FROM: NaiveDate = NaiveDate::from_ymd_opt(2024, 1, 1).expect("a date");
/// The ETFs' file holds a bar of its last morning but one as if it were the day.
const PARTIAL_DAY: NaiveDate = NaiveDate::from_ymd_opt(2026, 1, 29).expect("a date");
/// How far single precision takes a price from its cent, USD.
const CENT_TOLERANCE_USD: f64 = 2e-4;
/// How far dividends rounded to a hundredth of a cent take a restored price from its cent, USD.
const RESTORED_TOLERANCE_USD: f64 = 1e-3;

/// A row as written: open, high, low, close.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Written {
    session: NaiveDate,
    prices: [f64; 4],
    volume: Option<i64>,
    implied_vol: Option<f64>,
}

/// The bars before and during a recording, by session and symbol. Without such a folder there are
/// none, and what needs history is unevaluable.
pub fn daily_bars(
    folder: &Path,
    dividends: &[DividendRow],
    runtime: &Handle,
) -> anyhow::Result<Vec<DailyBar>> {
    let daily = folder.join("../../daily");
    let mut bars = Vec::new();
    let vix = daily.join(VIX_FILE);
    if vix.exists() {
        let frame = Rows::new(runtime.block_on(read_parquet(&vix))?);
        let rows = vix_rows(&frame).with_context(|| not_bars(&vix))?;
        let vix = Symbol::new("VIX");
        bars.extend(rows.iter().map(|row| bar(&vix, row, (row.prices, PriceBasis::Raw))));
    }
    let etfs = daily.join(ETF_FILE);
    if etfs.exists() {
        let frame = Rows::new(runtime.block_on(read_parquet(&etfs))?);
        for (symbol, rows) in etf_rows(&frame).with_context(|| not_bars(&etfs))? {
            let restored = restored(&rows, &paid_by(&symbol, dividends));
            bars.extend(rows.iter().zip(restored).map(|(row, prices)| bar(&symbol, row, prices)));
        }
    }
    let mut bars = bars.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    bars.sort_by(|a, b| (a.session, &a.symbol).cmp(&(b.session, &b.symbol)));
    Ok(bars)
}

fn not_bars(path: &Path) -> String {
    format!("{} has not the columns of daily bars", path.display())
}

fn prices(row: &Row<'_>) -> anyhow::Result<[f64; 4]> {
    Ok([row.double("open")?, row.double("high")?, row.double("low")?, row.double("close")?])
}

fn vix_rows(frame: &Rows) -> anyhow::Result<Vec<Written>> {
    let mut rows = Vec::new();
    for row in frame.iter() {
        let session = row.date("date")?;
        if session >= VIX_FROM {
            rows.push(Written { session, prices: prices(&row)?, volume: None, implied_vol: None });
        }
    }
    Ok(rows)
}

/// Each symbol's rows, the oldest first.
fn etf_rows(frame: &Rows) -> anyhow::Result<BTreeMap<Symbol, Vec<Written>>> {
    let mut symbols: BTreeMap<Symbol, Vec<Written>> = BTreeMap::new();
    for row in frame.iter() {
        let written = Written {
            session: row.instant("date")?.date_naive(),
            prices: prices(&row)?,
            volume: row.maybe_int("volume")?,
            implied_vol: row.maybe_double("iv")?.filter(|vol| *vol > 0.0),
        };
        symbols.entry(Symbol::new(row.text("symbol")?)).or_default().push(written);
    }
    for rows in symbols.values_mut() {
        rows.sort_by_key(|row| row.session);
    }
    Ok(symbols)
}

/// What a symbol has paid: ex-dates and USD a share. An estimate adjusts nothing.
fn paid_by(symbol: &Symbol, dividends: &[DividendRow]) -> Vec<(NaiveDate, f64)> {
    let mut paid: Vec<_> = dividends
        .iter()
        .filter(|row| row.symbol == *symbol && row.certainty == Certainty::Declared)
        .map(|row| (row.ex_date, row.amount.to_f64()))
        .collect();
    paid.sort_by_key(|(ex_date, _)| std::cmp::Reverse(*ex_date));
    paid
}

/// The rows' prices and what they are, in the order of the rows, which is that of their sessions.
///
/// An adjusted price is the raw one times 1 - dividend / close before it, for each dividend that
/// went ex since.
fn restored(rows: &[Written], paid: &[(NaiveDate, f64)]) -> Vec<([f64; 4], PriceBasis)> {
    let mut factor = 1.0;
    let mut later: Option<NaiveDate> = None;
    let mut all: Vec<_> = rows
        .iter()
        .rev()
        .map(|row| {
            let is_raw = row.prices.iter().all(|price| off_cent(*price) <= CENT_TOLERANCE_USD);
            let [.., close] = row.prices;
            let between = |ex_date: NaiveDate| {
                later.is_some_and(|later| row.session < ex_date && ex_date <= later)
            };
            for (_, amount) in paid.iter().filter(|(ex_date, _)| between(*ex_date)) {
                let raw_close = if is_raw { close } else { close / factor + amount };
                factor *= 1.0 - amount / raw_close;
            }
            later = Some(row.session);
            if row.session == PARTIAL_DAY {
                return (row.prices, PriceBasis::PartialDay);
            }
            if is_raw {
                return (row.prices, PriceBasis::Raw);
            }
            let raw = row.prices.map(|price| price / factor);
            if raw.iter().all(|price| off_cent(*price) <= RESTORED_TOLERANCE_USD) {
                (raw.map(to_cent), PriceBasis::Restored)
            } else {
                (row.prices, PriceBasis::DividendAdjusted)
            }
        })
        .collect();
    all.reverse();
    all
}

fn to_cent(price: f64) -> f64 {
    libm::round(price * 100.0) / 100.0
}

fn off_cent(price: f64) -> f64 {
    (price - to_cent(price)).abs()
}

fn bar(
    symbol: &Symbol,
    row: &Written,
    (prices, basis): ([f64; 4], PriceBasis),
) -> anyhow::Result<DailyBar> {
    let price = |value: f64| {
        let said = || format!("{value} of {symbol} on {} is no price", row.session);
        Price::from_f64(value).with_context(said)
    };
    let [open, high, low, close] = prices;
    Ok(DailyBar {
        symbol: symbol.clone(),
        session: row.session,
        open: price(open)?,
        high: price(high)?,
        low: price(low)?,
        close: price(close)?,
        volume: row.volume,
        implied_vol: row.implied_vol,
        basis,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn written(session: &str, prices: [f64; 4]) -> Written {
        Written { session: day(session), prices, volume: None, implied_vol: None }
    }

    type Paid = Vec<(NaiveDate, f64)>;

    /// Raw rows, and the same with the two dividends taken out of all but the last.
    fn adjusted() -> (Vec<[f64; 4]>, Vec<Written>, Paid) {
        let raw = vec![
            [100.11, 101.37, 99.83, 100.49],
            [100.52, 102.71, 100.13, 102.19],
            [101.01, 101.97, 100.61, 101.43],
            [101.57, 103.29, 101.17, 102.87],
        ];
        let first = 1.0 - 0.613 / raw[2][3];
        let second = first * (1.0 - 0.4417 / raw[0][3]);
        let factors = [second, first, first, 1.0];
        let sessions = ["2025-06-13", "2025-06-16", "2025-09-15", "2025-09-16"];
        let rows = raw
            .iter()
            .zip(factors)
            .zip(sessions)
            .map(|((prices, factor), session)| written(session, prices.map(|one| one * factor)))
            .collect();
        (raw, rows, vec![(day("2025-09-16"), 0.613), (day("2025-06-16"), 0.4417)])
    }

    #[test]
    fn adjusted_prices_come_back_to_the_cent_with_their_dividends() {
        let (raw, rows, paid) = adjusted();
        let found = restored(&rows, &paid);
        for ((prices, _), expected) in found.iter().zip(&raw) {
            assert!(prices.iter().zip(expected).all(|(one, other)| (one - other).abs() < 1e-9));
        }
        let bases: Vec<_> = found.iter().map(|(_, basis)| *basis).collect();
        let back = PriceBasis::Restored;
        assert_eq!(bases, [back, back, back, PriceBasis::Raw]);
    }

    #[test]
    fn without_a_dividend_or_with_a_wrong_one_they_stay_and_are_marked() {
        let (_, rows, mut paid) = adjusted();
        let alone = restored(&rows, &[]);
        assert_eq!(alone[1], (rows[1].prices, PriceBasis::DividendAdjusted));
        assert_eq!(alone[3].1, PriceBasis::Raw);
        paid[1].1 = 0.5;
        let wrong = restored(&rows, &paid);
        assert_eq!((wrong[0].1, wrong[1].1), (PriceBasis::DividendAdjusted, PriceBasis::Restored));
    }

    #[test]
    fn a_partial_day_is_marked() {
        let rows = [written("2026-01-29", [696.0, 697.05, 694.2, 695.46])];
        assert_eq!(restored(&rows, &[])[0].1, PriceBasis::PartialDay);
    }
}
