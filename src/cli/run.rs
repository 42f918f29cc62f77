//! `deltadesk run JOB`.

use std::path::{Path, PathBuf};

use chrono::NaiveDate;
use clap::Args;

use crate::desk::home::Home;

/// What was typed.
#[derive(Debug, Args)]
pub struct Typed {
    /// A job of jobs.toml.
    job: String,
    /// The session that it is run for: the current one, no other can be run by hand.
    #[arg(long)]
    date: Option<NaiveDate>,
}

impl Typed {
    pub fn run(self, home: Option<PathBuf>) -> anyhow::Result<()> {
        let home = Home::choose(home, Path::new("desk"));
        for line in crate::desk::by_hand::run_job(&home, &self.job, self.date)? {
            println!("{line}");
        }
        println!("job {} is done; nothing is sent by hand, orders are recorded only", self.job);
        Ok(())
    }
}
