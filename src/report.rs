//! The daily report: one self-contained HTML file, made to be read on a phone.
//!
//! Invariants: the same input gives the same bytes (no clock, rows sorted by what they say, all
//! numbers formatted here); every text of the input is escaped; the file names nothing outside
//! itself and runs nothing; what is not known is shown as not known, and what needs a person
//! stands first.
//!
//! Deliberately absent: where the numbers come from, mail, and files. The caller reads the tables,
//! hands in a [`DailyReport`] and stores or sends the text.

mod attention;
mod chart;
mod input;
mod text;
mod view;

pub use attention::{Attention, attention};
pub use input::{
    AlertRow, AlertState, BookGreeks, DailyReport, DecisionRow, DifferenceRow, DifferenceState,
    EquityPoint, FailedCheck, Greeks, Header, LegRow, LimitKind, LimitUnit, LimitUse, MarketKind,
    MarketNote, OrderRow, Payoff, PnlDay, PnlPart, PnlPartKind, QuarantineRow, Reconciliation,
    RefusalRow, Severity, Smile, SmileCurve, SourceHealth, StrategyRow, Stress,
};

use minijinja::{AutoEscape, Environment, UndefinedBehavior};

/// The template as shipped.
pub const DAILY_TEMPLATE: &str = include_str!("../templates/daily.html");

/// What must stand in every report on a market whose premium is made.
pub const ASSUMED_PREMIUM: &str = "this premium is assumed, results on it prove nothing about edge";

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error("the template of the daily report is faulty: {0:#}")]
    Template(#[from] minijinja::Error),
    #[error("chart `{chart}` could not be drawn: {fault}")]
    Chart { chart: String, fault: String },
}

/// The report in the shipped template.
pub fn daily(report: &DailyReport) -> Result<String, ReportError> {
    daily_in(DAILY_TEMPLATE, report)
}

/// The report in a template of the operator's. A name that the template misspells is an error.
pub fn daily_in(template: &str, report: &DailyReport) -> Result<String, ReportError> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_template("daily.html", template)?;
    let context = view::context(report)?;
    Ok(environment.get_template("daily.html")?.render(context)?)
}

/// The report in a few lines of plain text, for a terminal or the text part of a mail.
pub fn summary(report: &DailyReport) -> String {
    view::summary(report)
}

#[cfg(test)]
mod tests;
