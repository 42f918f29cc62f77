//! `deltadesk calendar VENUE`, with the home's overrides.

use std::path::{Path, PathBuf};

use anyhow::bail;
use chrono::NaiveDate;
use clap::{Args, ValueEnum};

use crate::desk::home::Home;
use crate::desk::{faults_error, files, reference};
use crate::market::sessions::{Venue, sessions_csv};

/// How rows are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Csv,
}

/// What was typed.
#[derive(Debug, Args)]
pub struct Typed {
    /// XNYS, OPT, CBOE or CME.
    venue: String,
    /// First session date; without it, the first of the calendar.
    #[arg(long)]
    from: Option<NaiveDate>,
    /// Last session date; without it, the last of the calendar.
    #[arg(long)]
    to: Option<NaiveDate>,
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

impl Typed {
    pub fn run(self, home: Option<PathBuf>) -> anyhow::Result<()> {
        let venue: Venue = self.venue.parse()?;
        let home = Home::choose(home, Path::new("desk"));
        let (files, _) = files::of_home(home.root())?;
        let calendar = reference::calendar(&files).map_err(faults_error)?;
        let from = self.from.unwrap_or(crate::market::sessions::FIRST_DATE);
        let to = self.to.unwrap_or(crate::market::sessions::LAST_DATE);
        if from > to {
            bail!("--from {from} is after --to {to}; swap them");
        }
        let sessions: Vec<_> = calendar.sessions(venue, from, to)?.into_iter().collect();
        match self.format {
            Format::Csv => print!("{}", sessions_csv(venue, &sessions)),
            Format::Table => {
                println!(
                    "{:<12} {:<22} {:<22} note",
                    "session", "market open (UTC)", "market close (UTC)"
                );
                for session in &sessions {
                    println!(
                        "{:<12} {:<22} {:<22} {}",
                        session.session_date.to_string(),
                        session.open.format("%Y-%m-%d %H:%M").to_string(),
                        session.close.format("%Y-%m-%d %H:%M").to_string(),
                        if session.is_half_day() { "half day" } else { "" }
                    );
                }
                println!("{} sessions of {venue}", sessions.len());
            }
        }
        Ok(())
    }
}
