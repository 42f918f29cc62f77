//! `deltadesk report`: the page of a past day, written again from the lake.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use chrono::NaiveDate;
use clap::Args;

use super::sql::{OpenLake, runtime};
use crate::broker::FeedDescription;
use crate::desk::demo::DemoMark;
use crate::desk::files;
use crate::desk::home::Home;
use crate::desk::lake_place::open_to_read;
use crate::desk::report_step::{ReportTerms, report_again};

/// What was typed.
#[derive(Debug, Args)]
pub struct Typed {
    /// The session; without it, the newest that was closed.
    #[arg(long)]
    date: Option<NaiveDate>,
    /// The file to write; without it, <home>/reports/<date>.html.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Typed {
    pub fn run(self, home: Option<PathBuf>) -> anyhow::Result<()> {
        let home = Home::choose(home, Path::new("desk"));
        let date = match self.date {
            Some(date) => date,
            None => newest_close(&home)?,
        };
        let (set, _) = files::of_home(home.root())?;
        let terms = ReportTerms::read(&set, &market_of(&home)?)?;
        let runtime = runtime()?;
        let lake = runtime.block_on(open_to_read(&home))?;
        let write = |folder: &Path| runtime.block_on(report_again(&lake, date, &terms, folder));
        let written = match self.out {
            None => write(&home.reports())?,
            Some(file) => written_to(&file, write)?,
        };
        println!("report of {date}: {}", written.display());
        Ok(())
    }
}

/// The page is written into a folder beside the file, then moved to it.
fn written_to(
    file: &Path,
    write: impl FnOnce(&Path) -> anyhow::Result<PathBuf>,
) -> anyhow::Result<PathBuf> {
    let mut beside = file.as_os_str().to_owned();
    beside.push(".part");
    let beside = PathBuf::from(beside);
    let page = write(&beside)?;
    std::fs::rename(&page, file)
        .with_context(|| format!("{} cannot be written", file.display()))?;
    std::fs::remove_dir(&beside)
        .with_context(|| format!("{} cannot be removed", beside.display()))?;
    Ok(file.to_owned())
}

fn newest_close(home: &Home) -> anyhow::Result<NaiveDate> {
    let lake = OpenLake::open(home, None)?;
    let closed = if lake.has("gold.pnl_daily") {
        let newest = lake.rows("select max(session_date) as session_date from gold.pnl_daily")?;
        newest.first().map(|row| row.maybe_date("session_date")).transpose()?.flatten()
    } else {
        None
    };
    closed.context("the lake holds no close yet, and so nothing to report; run `deltadesk demo`")
}

/// The market behind the home's rows, as the demo that wrote them noted it.
pub fn market_of(home: &Home) -> anyhow::Result<FeedDescription> {
    let path = home.demo_mark();
    if !path.exists() {
        bail!(
            "{} is not there, so nobody knows which market the rows of this home come from; \
             `deltadesk demo` writes it",
            path.display()
        );
    }
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("{} cannot be read", path.display()))?;
    let mark: DemoMark = serde_json::from_str(&text)
        .with_context(|| format!("{} is damaged; run the demo in a new --home", path.display()))?;
    let market = mark.description;
    Ok(FeedDescription {
        name: market.name,
        seed: market.variance_premium.map(|_| mark.seed),
        variance_premium: market.variance_premium,
        futures_lead_seconds: market.futures_lead_seconds,
        notes: market.notes,
    })
}
