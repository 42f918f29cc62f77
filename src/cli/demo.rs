//! `deltadesk demo`.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::NaiveDate;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use crate::desk::MarketChoice;
use crate::desk::demo::{DemoOrder, DemoOutcome, Watcher, run};
use crate::desk::digest::DayDigest;
use crate::desk::home::Home;
use crate::desk::summary::DaySummary;
use crate::exchange::Scenario;
use crate::market::Timestamp;
use crate::schedule::Occurrence;

/// What was typed.
#[derive(Debug, Args)]
pub struct Typed {
    /// Sessions to run.
    #[arg(long, default_value_t = 10)]
    days: usize,
    /// Seed of the synthetic market and of every draw.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// First session of a synthetic market.
    #[arg(long, default_value = "2026-03-02")]
    from: NaiveDate,
    /// synthetic, synthetic:fair or recorded:DIR.
    #[arg(long, default_value = "synthetic")]
    market: MarketChoice,
    /// An overlay on the synthetic market: ordinary, rally, slide, volatility-spike, slow-drift.
    #[arg(long, default_value = "ordinary")]
    scenario: Scenario,
}

impl Typed {
    pub fn run(self, home: Option<PathBuf>) -> anyhow::Result<()> {
        let default = Path::new("desk-demo").join(self.market.home_name(self.seed));
        let home = Home::choose(home, &default);
        let order = DemoOrder {
            market: self.market,
            seed: self.seed,
            from: self.from,
            days: self.days,
            scenario: self.scenario,
        };
        let most = match order.market {
            MarketChoice::Recorded(_) => "at most ",
            MarketChoice::Synthetic | MarketChoice::Fair => "",
        };
        println!(
            "deltadesk demo: {most}{} days of {}, seed {}",
            order.days, order.market, order.seed
        );
        println!("home: {}", home.root().display());
        println!();
        println!("{}", heading());
        let mut screen = Screen::new();
        let outcome = run(&order, &home, &mut screen)?;
        screen.bar.finish_and_clear();
        print_outcome(&outcome, &home);
        Ok(())
    }
}

/// Progress on a terminal, one line a day everywhere.
struct Screen {
    bar: ProgressBar,
    /// What was said, when first, and how often.
    notes: Vec<(String, String, usize)>,
}

impl Screen {
    fn new() -> Self {
        let bar = if std::io::stderr().is_terminal() {
            ProgressBar::new_spinner()
        } else {
            ProgressBar::hidden()
        };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(120));
        Self { bar, notes: Vec::new() }
    }
}

impl Watcher for Screen {
    fn job(&mut self, session: NaiveDate, occurrence: &Occurrence) {
        let local = occurrence.scheduled_at.with_timezone(&chrono_tz::America::New_York);
        self.bar.set_message(format!("{session} {} {}", local.format("%H:%M"), occurrence.job));
    }

    fn line(&mut self, at: Timestamp, text: &str) {
        let local = at.with_timezone(&chrono_tz::America::New_York);
        match self.notes.iter_mut().find(|(_, said, _)| said == text) {
            Some((_, _, times)) => *times += 1,
            None => self.notes.push((local.format("%H:%M").to_string(), text.to_owned(), 1)),
        }
    }

    fn day(&mut self, day: &DaySummary, digest: &DayDigest) {
        self.bar.suspend(|| {
            println!("{}", day_line(day, digest));
            for (time, text, times) in self.notes.drain(..) {
                let again = if times > 1 {
                    format!(" (and {} times more)", times - 1)
                } else {
                    String::new()
                };
                println!("    {time}  {text}{again}");
            }
            for (verdict, reason, times) in &day.entries {
                let reason = if reason.is_empty() { "admitted" } else { reason };
                println!("    entries, {verdict}: {reason}, {times} times");
            }
        });
    }
}

fn heading() -> String {
    format!(
        "{:<11}{:>14}{:>12}{:>8}{:>8}{:>7}{:>9}  digest",
        "session", "equity USD", "change USD", "opened", "closed", "open", "refused"
    )
}

fn money(amount: Option<f64>) -> String {
    amount.map_or_else(|| "unknown".to_owned(), |amount| format!("{amount:.2}"))
}

fn day_line(day: &DaySummary, digest: &DayDigest) -> String {
    let closed: i64 = day.closed.iter().map(|(_, count)| count).sum();
    let short: String = digest.digest.chars().take(12).collect();
    format!(
        "{:<11}{:>14}{:>12}{:>8}{:>8}{:>7}{:>9}  {short}",
        day.session_date.to_string(),
        money(day.equity_usd),
        money(day.change_usd),
        day.opened,
        closed,
        day.open,
        day.refused
    )
}

fn print_outcome(outcome: &DemoOutcome, home: &Home) {
    println!();
    let opened: i64 = outcome.days.iter().map(|day| day.opened).sum();
    let mut by_rule: BTreeMap<&str, i64> = BTreeMap::new();
    for (rule, count) in outcome.days.iter().flat_map(|day| &day.closed) {
        *by_rule.entry(rule).or_default() += count;
    }
    let closed: Vec<String> =
        by_rule.into_iter().map(|(rule, count)| format!("{count} by {rule}")).collect();
    let alerts: i64 = outcome.days.iter().map(|day| day.alerts).sum();
    println!("strategies opened   {opened}");
    println!(
        "strategies closed   {}",
        if closed.is_empty() { "none".to_owned() } else { closed.join(", ") }
    );
    println!("alerts              {alerts}");
    for account in &outcome.accounts {
        println!("{account}");
    }
    if let Some(day) = outcome.days.last() {
        let report = home.reports().join(format!("{}.html", day.session_date));
        println!("report              {}", report.display());
    }
    println!("lake                {}", home.lake().display());
    println!("digest              {}", outcome.total_digest);
    println!("wall time           {:.1} s", outcome.wall_seconds);
    println!("peak memory         {}", peak_memory());
}

/// The process's largest resident memory, where the system tells.
fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kilobytes = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.trim().strip_suffix(" kB"))
        .and_then(|number| number.trim().parse::<f64>().ok());
    kilobytes.map_or_else(|| "unknown".to_owned(), |kb| format!("{:.0} MB", kb / 1024.0))
}
