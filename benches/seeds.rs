//! How many of seeds 1 to 10 open a strategy within ten and forty days, and how many close one, by
//! rule. No parameter is chosen by it; `DELTADESK_SEED_DAYS` (default 10,40) shortens it.

use std::collections::BTreeMap;

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

const SEEDS: std::ops::RangeInclusive<u64> = 1..=10;

#[expect(clippy::disallowed_methods, reason = "the length is told by the environment")]
fn lengths() -> Vec<usize> {
    let text = std::env::var("DELTADESK_SEED_DAYS").unwrap_or_else(|_| "10,40".to_owned());
    text.split(',').filter_map(|part| part.trim().parse().ok()).collect()
}

#[expect(clippy::print_stdout, reason = "a bench prints its figures")]
fn main() -> anyhow::Result<()> {
    for days in lengths() {
        let (mut opened, mut closed): (usize, BTreeMap<String, usize>) = (0, BTreeMap::new());
        for seed in SEEDS {
            let home = tempfile::tempdir()?;
            let order = DemoOrder {
                market: MarketChoice::Synthetic,
                seed,
                from: NaiveDate::from_ymd_opt(2026, 3, 2).unwrap_or_default(),
                days,
                scenario: Scenario::Ordinary,
            };
            let outcome = run(&order, &Home::at(home.path()), &mut Silent)?;
            let count: i64 = outcome.days.iter().map(|day| day.opened).sum();
            opened += usize::from(count > 0);
            let rules: std::collections::BTreeSet<String> = outcome
                .days
                .iter()
                .flat_map(|day| day.closed.iter().map(|(rule, _)| rule.clone()))
                .collect();
            for rule in rules {
                *closed.entry(rule).or_default() += 1;
            }
            println!("{days} days, seed {seed}: {count} strategies opened");
        }
        println!("{days} days: {opened} of 10 seeds open a strategy");
        for (rule, seeds) in &closed {
            println!("{days} days: {seeds} of 10 seeds close one by {rule}");
        }
    }
    Ok(())
}
