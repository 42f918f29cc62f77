//! Seconds for the recorded days: read, decided, gated, written and audited, beside the promise of
//! 5 s for a day of 20,000 quotes.
//!
//! `DELTADESK_SHARED` (default `../shared`) holds the data; without it this prints `not run`.

use std::path::PathBuf;

use chrono::NaiveDate;
use deltadesk::desk::MarketChoice;
use deltadesk::desk::demo::{DemoOrder, Watcher, run};
use deltadesk::desk::digest::DayDigest;
use deltadesk::desk::home::Home;
use deltadesk::desk::summary::DaySummary;
use deltadesk::exchange::Scenario;
use deltadesk::market::Timestamp;
use deltadesk::schedule::Occurrence;

struct Silent;

impl Watcher for Silent {
    fn job(&mut self, _session: NaiveDate, _occurrence: &Occurrence) {}
    fn line(&mut self, _at: Timestamp, _text: &str) {}
    fn day(&mut self, _day: &DaySummary, _digest: &DayDigest) {}
}

#[expect(clippy::disallowed_methods, reason = "where the data lie is told by the environment")]
fn shared() -> PathBuf {
    std::env::var_os("DELTADESK_SHARED").map_or_else(|| PathBuf::from("../shared"), PathBuf::from)
}

#[expect(clippy::print_stdout, reason = "a bench prints its figures")]
fn main() -> anyhow::Result<()> {
    let folder = shared().join("data/options/ib_chain_snapshots");
    if !folder.is_dir() {
        println!("not run: there is no {}", folder.display());
        return Ok(());
    }
    let home = tempfile::tempdir()?;
    let order = DemoOrder {
        market: MarketChoice::Recorded(folder),
        seed: 1,
        from: NaiveDate::from_ymd_opt(2026, 1, 28).unwrap_or_default(),
        days: 4,
        scenario: Scenario::Ordinary,
    };
    let outcome = run(&order, &Home::at(home.path()), &mut Silent)?;
    let days = outcome.days.len().max(1) as f64;
    println!("recorded days            {days}");
    println!("seconds in all           {:.2}", outcome.wall_seconds);
    println!("seconds a day            {:.2}", outcome.wall_seconds / days);
    println!("promise a day            5.00");
    println!("ratio                    {:.2}", outcome.wall_seconds / days / 5.0);
    Ok(())
}
