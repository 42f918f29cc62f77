//! What needs a person: everything of the day that is not as it should be, worst first.

use super::input::{
    AlertState, DailyReport, DifferenceState, EquityPoint, LimitKind, LimitUnit, LimitUse,
    PnlPartKind, Severity, SourceHealth,
};
use super::text;

/// A limit used beyond this is shown before it is reached. A matter of display only.
pub(super) const NEAR_LIMIT_RATIO: f64 = 0.8;

/// One thing to look at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attention {
    pub severity: Severity,
    pub text: String,
}

/// How a limit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LimitState {
    Within,
    Near,
    Over,
    Unknown,
}

pub(super) fn limit_state(limit: &LimitUse) -> LimitState {
    match limit.used.map(f64::abs) {
        Some(used) if used <= limit.limit * NEAR_LIMIT_RATIO => LimitState::Within,
        Some(used) if used <= limit.limit => LimitState::Near,
        Some(used) if used > limit.limit => LimitState::Over,
        Some(_) | None => LimitState::Unknown,
    }
}

pub(super) fn limit_number(unit: LimitUnit, number: f64) -> String {
    match unit {
        LimitUnit::Usd => text::model_usd_level(number),
        LimitUnit::Ratio => text::percent(number, 1),
        LimitUnit::Count => text::level(number, 0),
    }
}

/// The equity of the report's own session; an older one is not the day's.
pub(super) fn equity_at_close(report: &DailyReport) -> Option<EquityPoint> {
    let date = report.header.session_date;
    report.equity.iter().copied().find(|point| point.session_date == date)
}

/// Received over expected; not known where nothing could be asked for.
pub(super) fn completeness(source: &SourceHealth) -> Option<f64> {
    (source.expected_rows > 0).then(|| source.received_rows as f64 / source.expected_rows as f64)
}

/// What is wrong with a source, if anything is.
pub(super) fn source_fault(source: &SourceHealth) -> Option<String> {
    let Some(complete) = completeness(source) else {
        return Some("nothing could be asked for".to_owned());
    };
    let enough = complete >= source.required_ratio;
    if !enough {
        let (got, needed) = (text::percent(complete, 1), text::percent(source.required_ratio, 0));
        return Some(format!("{got} complete, {needed} required"));
    }
    match source.worst_age {
        None => Some("its age is not known".to_owned()),
        Some(age) if age > source.allowed_age => {
            Some(format!("{} old, {} allowed", text::age(age), text::age(source.allowed_age)))
        }
        Some(_) => None,
    }
}

/// Everything that needs a person, worst first.
pub fn attention(report: &DailyReport) -> Vec<Attention> {
    let mut found = Vec::new();
    standing(report, &mut found);
    books(report, &mut found);
    risk(report, &mut found);
    data(report, &mut found);
    found.sort_by(|a, b| (b.severity, &a.text).cmp(&(a.severity, &b.text)));
    found.dedup();
    found
}

fn note(found: &mut Vec<Attention>, severity: Severity, text: String) {
    found.push(Attention { severity, text });
}

fn standing(report: &DailyReport, found: &mut Vec<Attention>) {
    let header = &report.header;
    if header.breaker_level != "normal" {
        let reason = header.breaker_reason.as_deref().unwrap_or("no reason recorded");
        let text = format!("Breaker at {}: {reason}", header.breaker_level);
        note(found, Severity::Critical, text);
    }
    for alert in &report.alerts {
        if alert.state == AlertState::Open && alert.severity > Severity::Info {
            note(found, alert.severity, format!("Alert: {}", alert.title));
        }
    }
}

fn books(report: &DailyReport, found: &mut Vec<Attention>) {
    let books = &report.reconciliation;
    if books.checked_at.is_none() {
        let text = "The books were not compared with the broker's".to_owned();
        note(found, Severity::Critical, text);
    }
    for difference in &books.differences {
        if difference.state == DifferenceState::Open {
            let text = format!("Books differ on {}: {}", difference.subject, difference.kind);
            note(found, Severity::Critical, text);
        }
    }
    if equity_at_close(report).is_none() {
        let text = "The equity at the close is not known".to_owned();
        note(found, Severity::Warning, text);
    }
    for order in report.orders.iter().filter(|order| order.status == "unknown") {
        let text = format!("The fate of order {} is unknown", order.order_ref);
        note(found, Severity::Critical, text);
    }
    for strategy in report.strategies.iter().filter(|strategy| strategy.pnl_usd.is_none()) {
        let text = format!("{} {} has no mark", strategy.symbol, strategy.structure);
        note(found, Severity::Warning, text);
    }
}

fn risk(report: &DailyReport, found: &mut Vec<Attention>) {
    if report.limits.is_empty() {
        note(found, Severity::Critical, "No limit was evaluated".to_owned());
    }
    if report.pnl.day_usd.is_none() {
        note(found, Severity::Warning, "The day's P&L is not known".to_owned());
    }
    if report.pnl.parts.is_empty() && report.pnl.day_usd.is_some_and(|day| !day.is_zero()) {
        let text = "The day's P&L is not explained by its parts".to_owned();
        note(found, Severity::Warning, text);
    }
    for limit in &report.limits {
        let most = limit_number(limit.unit, limit.limit);
        let used = text::or_unknown(limit.used, |used| limit_number(limit.unit, used));
        match limit_state(limit) {
            LimitState::Within => {}
            LimitState::Near if limit.kind == LimitKind::Budget => {}
            LimitState::Near => {
                let text = format!("{} is near its limit: {used} of {most}", limit.name);
                note(found, Severity::Warning, text);
            }
            LimitState::Over => {
                let text = format!("{} is over its limit: {used} of {most}", limit.name);
                note(found, Severity::Critical, text);
            }
            LimitState::Unknown => {
                let text = format!("{} could not be evaluated", limit.name);
                note(found, Severity::Critical, text);
            }
        }
    }
    let residuals = report.pnl.parts.iter().filter(|part| part.kind == PnlPartKind::Residual);
    for part in residuals {
        if let Some(limit) = report.pnl.residual_limit_usd.filter(|most| part.usd.abs() > *most) {
            let (residual, limit) = (text::usd_change(part.usd), text::usd(limit));
            let text = format!("{residual} of the day's P&L is not explained, {limit} allowed");
            note(found, Severity::Warning, text);
        }
    }
}

fn data(report: &DailyReport, found: &mut Vec<Attention>) {
    if report.sources.is_empty() {
        note(found, Severity::Critical, "No source of data was judged".to_owned());
    }
    for source in &report.sources {
        if let Some(fault) = source_fault(source) {
            let text = format!("{} {}: {fault}", source.source, source.symbol);
            note(found, Severity::Warning, text);
        }
    }
}
