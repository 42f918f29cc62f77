//! What the synthetic market is like beside what was recorded: the variance premium that it
//! assumes, recomputed, and the statistics of its daily returns beside those of SPY and the VIX.
//!
//! `DELTADESK_SHARED` (default `../shared`) holds the data; without it this prints `not run`.
//! Closes are raw: dividends, some 0.5 % a quarter, are in the returns.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::NaiveDate;
use deltadesk::exchange::{
    MarketSource, SHIPPED_VARIANCE_PREMIUM, Scenario, SyntheticConfig, SyntheticMarket,
};
use deltadesk::lake::{Rows, read_parquet};
use deltadesk::market::sessions::Calendar;

const SEEDS: std::ops::RangeInclusive<u64> = 1..=40;
const SESSIONS_PER_YEAR: f64 = 252.0;
/// Sessions whose variance the VIX of a day is held against.
const AHEAD: usize = 21;
const ETF_FILE: &str = "etf_daily_1998_2021-03.parquet";
const VIX_FILE: &str = "vix_daily_1990_2026-02-06.parquet";

/// Open and close of SPY and the close of the VIX, of one session.
#[derive(Debug, Clone, Copy)]
struct Day {
    open: f64,
    close: f64,
    vix: f64,
}

/// Logarithms over the night, over the whole day, and the change of the VIX in points.
#[derive(Debug, Clone, Copy)]
struct Move {
    night: f64,
    whole: f64,
    vix_change: f64,
}

/// Several stretches of days, none of which continues another.
struct Sample(Vec<Vec<Day>>);

impl Sample {
    fn moves(&self) -> Vec<Vec<Move>> {
        let moves = |days: &Vec<Day>| {
            let pairs = days.iter().zip(days.iter().skip(1));
            let one = |(before, day): (&Day, &Day)| Move {
                night: (day.open / before.close).ln(),
                whole: (day.close / before.close).ln(),
                vix_change: day.vix - before.vix,
            };
            pairs.map(one).collect()
        };
        self.0.iter().map(moves).collect()
    }

    /// Mean VIX squared over the mean variance of the sessions that follow.
    fn premium(&self) -> f64 {
        let (mut implied, mut followed) = (Vec::new(), Vec::new());
        for (days, moves) in self.0.iter().zip(self.moves()) {
            for (day, ahead) in days.iter().zip(moves.windows(AHEAD)) {
                let squares: Vec<f64> = ahead.iter().map(|one| one.whole * one.whole).collect();
                implied.push((day.vix / 100.0).powi(2));
                followed.push(mean(&squares) * SESSIONS_PER_YEAR);
            }
        }
        mean(&implied) / mean(&followed)
    }

    /// Name and value of each statistic.
    fn statistics(&self) -> Vec<(&'static str, f64)> {
        let stretches = self.moves();
        let all: Vec<Move> = stretches.iter().flatten().copied().collect();
        let whole: Vec<f64> = all.iter().map(|one| one.whole).collect();
        let power = |n: i32| mean(&whole.iter().map(|x| x.powi(n)).collect::<Vec<_>>());
        let nights: Vec<f64> = all.iter().map(|one| one.night * one.night).collect();
        let changes: Vec<f64> = all.iter().map(|one| one.vix_change).collect();
        let (earlier, later): (Vec<f64>, Vec<f64>) = stretches
            .iter()
            .flat_map(|moves| moves.iter().zip(moves.iter().skip(1)))
            .map(|(one, next)| (one.whole.abs(), next.whole.abs()))
            .unzip();
        vec![
            ("variance premium", self.premium()),
            ("volatility a year", (power(2) * SESSIONS_PER_YEAR).sqrt()),
            ("kurtosis", power(4) / power(2).powi(2)),
            ("skew", power(3) / power(2).powf(1.5)),
            ("autocorrelation of |r|", correlation(&earlier, &later)),
            ("correlation with change of VIX", correlation(&whole, &changes)),
            ("overnight share of variance", mean(&nights) / power(2)),
        ]
    }
}

fn mean(numbers: &[f64]) -> f64 {
    numbers.iter().sum::<f64>() / numbers.len() as f64
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let (mean_a, mean_b) = (mean(a), mean(b));
    let product = |x: &[f64], mx: f64, y: &[f64], my: f64| -> f64 {
        x.iter().zip(y).map(|(x, y)| (x - mx) * (y - my)).sum()
    };
    let size = product(a, mean_a, a, mean_a) * product(b, mean_b, b, mean_b);
    product(a, mean_a, b, mean_b) / size.sqrt()
}

/// The recorded days from a year to another, both included.
fn recorded(daily: &Path, (from, to): (i32, i32)) -> anyhow::Result<Sample> {
    use chrono::Datelike as _;
    let runtime = tokio::runtime::Runtime::new()?;
    let read =
        |name: &str| anyhow::Ok(Rows::new(runtime.block_on(read_parquet(&daily.join(name)))?));
    let mut vix: BTreeMap<NaiveDate, f64> = BTreeMap::new();
    for row in read(VIX_FILE)?.iter() {
        vix.insert(row.date("date")?, row.double("close")?);
    }
    let mut days: BTreeMap<NaiveDate, Day> = BTreeMap::new();
    for row in read(ETF_FILE)?.iter() {
        let date = row.date("date")?;
        let wanted = row.text("symbol")? == "SPY" && (from..=to).contains(&date.year());
        if let (true, Some(vix)) = (wanted, vix.get(&date)) {
            let (open, close) = (row.double("open")?, row.double("close")?);
            days.insert(date, Day { open, close, vix: *vix });
        }
    }
    anyhow::ensure!(!days.is_empty(), "{ETF_FILE} has no row of SPY from {from} to {to}");
    Ok(Sample(vec![days.into_values().collect()]))
}

/// The histories of some seeds, a year each.
fn synthetic() -> anyhow::Result<Sample> {
    let calendar = Arc::new(Calendar::shipped()?);
    let mut years = Vec::new();
    for seed in SEEDS {
        let config = SyntheticConfig {
            seed,
            first_session: NaiveDate::from_ymd_opt(2026, 3, 2).unwrap_or_default(),
            variance_premium: SHIPPED_VARIANCE_PREMIUM,
            scenario: Scenario::Ordinary,
        };
        let history = SyntheticMarket::new(config, Arc::clone(&calendar))?.history();
        let of = |symbol: &str| {
            history.iter().filter(|bar| bar.symbol.as_str() == symbol).collect::<Vec<_>>()
        };
        let days = of("SPY").into_iter().zip(of("VIX")).map(|(spy, vix)| Day {
            open: spy.open.to_f64(),
            close: spy.close.to_f64(),
            vix: vix.close.to_f64(),
        });
        years.push(days.collect());
    }
    Ok(Sample(years))
}

#[expect(clippy::disallowed_methods, reason = "where the data lie is told by the environment")]
fn shared() -> PathBuf {
    std::env::var_os("DELTADESK_SHARED").map_or_else(|| PathBuf::from("../shared"), PathBuf::from)
}

#[expect(clippy::print_stdout, reason = "a bench prints its figures")]
fn main() -> anyhow::Result<()> {
    let daily = shared().join("data/daily");
    if let Some(missing) =
        [ETF_FILE, VIX_FILE].map(|name| daily.join(name)).iter().find(|path| !path.exists())
    {
        println!("not run: there is no {}", missing.display());
        return Ok(());
    }
    let development = recorded(&daily, (2005, 2015))?.statistics();
    let later = recorded(&daily, (2016, 2021))?.statistics();
    let ours = synthetic()?.statistics();
    println!("{:<32}{:>10}{:>12}{:>12}", "SPY, daily", "synthetic", "2005-2015", "2016-2021");
    for (((name, ours), (_, first)), (_, second)) in ours.iter().zip(&development).zip(&later) {
        println!("{name:<32}{ours:>10.3}{first:>12.3}{second:>12.3}");
    }
    println!("assumed variance premium {SHIPPED_VARIANCE_PREMIUM}, as measured 2005-2015");
    Ok(())
}
