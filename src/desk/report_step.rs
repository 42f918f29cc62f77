//! The daily report as a step: rows of the lake in, one HTML file out.
//!
//! Everything on the page is read from the lake as it stood at one instant, so that the page of a
//! past day can be written again and is the same. A table that was never written makes its part of
//! the page empty; the report says so. Beside payoff curves and the worst case on the grid nothing
//! is computed here: rows are read, counted and worded.

mod accounts;
mod data;
mod decisions;
mod holdings;
mod limits;
mod markout;
mod orders;
mod payoff;
mod refusals;
mod strategies;
mod tables;
mod terms;
mod tomorrow;
mod words;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use chrono::NaiveDate;
use tokio::runtime::Handle;

use crate::broker::FeedDescription;
use crate::lake::Lake;
use crate::market::Timestamp;
use crate::pipeline::{Files, Step, StepContext};
use crate::report::{DailyReport, Header, daily_in};

use accounts::Accounts;
use holdings::Holdings;
use tables::Tables;

pub use terms::ReportTerms;

/// Writes `<date>.html` into the home's reports.
pub struct ReportStep {
    runtime: Handle,
    terms: ReportTerms,
    folder: PathBuf,
}

impl ReportStep {
    /// `files` gives the template, the limits and the calendar.
    pub fn new(
        runtime: Handle,
        files: &Files,
        market: &FeedDescription,
        folder: PathBuf,
    ) -> anyhow::Result<Self> {
        Ok(Self { runtime, terms: ReportTerms::read(files, market)?, folder })
    }
}

impl Step for ReportStep {
    fn run(&mut self, context: &mut StepContext<'_>) -> anyhow::Result<Vec<String>> {
        let (date, as_of) = (context.run.session_date, context.run.as_of);
        let report =
            self.runtime.block_on(daily_report(context.lake, (date, as_of), &self.terms))?;
        let path = self.terms.write(&report, &self.folder)?;
        // The name alone: what a step says is stored, and where a home lies is not of the day.
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        Ok(vec![format!("report {}", name.unwrap_or_default())])
    }
}

/// Writes the page of a past session again, from the lake as it stood at that session's close.
pub async fn report_again(
    lake: &Lake,
    session_date: NaiveDate,
    terms: &ReportTerms,
    folder: &Path,
) -> anyhow::Result<PathBuf> {
    let Some(as_of) = accounts::closed_at(lake, terms.session(session_date)?).await? else {
        bail!(
            "the lake holds no close of {session_date}, and so nothing to report; \
             `deltadesk sql \"select session_date from gold.pnl_daily\"` lists the days it has"
        );
    };
    let report = daily_report(lake, (session_date, as_of), terms).await?;
    terms.write(&report, folder)
}

/// The report of a session from the lake as it stood at an instant.
pub async fn daily_report(
    lake: &Lake,
    (session_date, as_of): (NaiveDate, Timestamp),
    terms: &ReportTerms,
) -> anyhow::Result<DailyReport> {
    let tables = Tables::open(lake, (terms.session(session_date)?, as_of)).await?;
    let accounts = Accounts::read(&tables).await?;
    let holdings = Holdings::read(&tables).await?;
    let worst_case = holdings.worst_case(&terms.limits.scenario, as_of);
    let strategies = strategies::strategies(&tables, &holdings).await?;
    let (breaker_level, breaker_reason) = data::breaker(&tables).await?;
    Ok(DailyReport {
        header: Header {
            session_date,
            account: accounts.account.clone().unwrap_or_else(|| "no account".to_owned()),
            mode: terms.mode.clone(),
            orders_mode: terms.orders_mode.clone(),
            breaker_level,
            breaker_reason,
            as_of,
            code_version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        market: terms.market.clone(),
        book: holdings.book(&tables, worst_case).await?,
        decisions: decisions::decisions(&tables).await?,
        refusals: refusals::refusals(&tables).await?,
        orders: orders::orders(&tables, &holdings).await?,
        limits: limits::limits(&tables, terms, (&accounts, &holdings, worst_case)).await?,
        stresses: Vec::new(),
        smiles: data::smiles(&tables, &holdings).await?,
        sources: data::sources(&tables, terms).await?,
        quarantine: data::quarantine(&tables).await?,
        reconciliation: data::reconciliation(&tables).await?,
        alerts: data::alerts(&tables).await?,
        tomorrow: tomorrow::sentences(&tables, &strategies).await?,
        equity: accounts.equity,
        pnl: accounts.pnl,
        strategies,
    })
}

impl ReportTerms {
    /// Writes the page whole: a reader finds the old page or the new one, never a part.
    fn write(&self, report: &DailyReport, folder: &Path) -> anyhow::Result<PathBuf> {
        let page = daily_in(&self.template, report)?;
        let path = folder.join(format!("{}.html", report.header.session_date));
        let unfinished = path.with_extension("html.unfinished");
        std::fs::create_dir_all(folder)
            .with_context(|| format!("{} cannot be created", folder.display()))?;
        std::fs::write(&unfinished, page)
            .with_context(|| format!("{} cannot be written", unfinished.display()))?;
        std::fs::rename(&unfinished, &path)
            .with_context(|| format!("{} cannot be written", path.display()))?;
        Ok(path)
    }
}

#[cfg(test)]
mod tests;
