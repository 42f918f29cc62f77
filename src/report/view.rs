//! The report as the template sees it: every number already a text, every bar already a share.

mod data;
mod money;
mod trading;

use minijinja::{Value, context};

use super::attention::{Attention, attention, equity_at_close};
use super::input::{DailyReport, Severity};
use super::{ReportError, chart, text};

pub(super) fn context(report: &DailyReport) -> Result<Value, ReportError> {
    let mut equity = report.equity.clone();
    equity.retain(|point| point.session_date <= report.header.session_date);
    equity.sort_by_key(|point| point.session_date);
    Ok(context! {
        head => head(report),
        attention => attention(report).iter().map(note).collect::<Value>(),
        market => data::market(&report.market),
        day => money::day(report),
        equity => svg(chart::equity(&equity)?),
        parts => money::parts(&report.pnl),
        book => money::book(&report.book),
        limits => money::limits(&report.limits),
        stresses => money::stresses(&report.stresses),
        strategies => trading::strategies(report)?,
        decisions => trading::decisions(&report.decisions),
        refusals => trading::refusals(&report.refusals),
        orders => trading::orders(&report.orders),
        smiles => data::smiles(&report.smiles)?,
        sources => data::sources(&report.sources),
        quarantine => data::quarantine(&report.quarantine),
        books => data::books(&report.reconciliation),
        alerts => data::alerts(&report.alerts),
        tomorrow => report.tomorrow.iter().collect::<Value>(),
    })
}

fn svg(drawing: Option<String>) -> Value {
    drawing.map_or(Value::from(()), Value::from_safe_string)
}

fn head(report: &DailyReport) -> Value {
    let header = &report.header;
    context! {
        title => format!("deltadesk {}", header.session_date),
        date => text::long_date(header.session_date),
        account => &header.account,
        mode => &header.mode,
        orders_mode => &header.orders_mode,
        breaker => &header.breaker_level,
        breaker_calm => header.breaker_level == "normal",
        as_of => text::clock(header.as_of),
        version => &header.code_version,
    }
}

/// Severity in a word and a mark, so that colour is not the only sign.
fn severity(severity: Severity) -> (&'static str, &'static str) {
    match severity {
        Severity::Info => ("info", "i"),
        Severity::Warning => ("warning", "!"),
        Severity::Critical => ("critical", "!!"),
    }
}

fn note(attention: &Attention) -> Value {
    let (word, mark) = severity(attention.severity);
    context! { severity => word, mark => mark, text => &attention.text }
}

pub(super) fn summary(report: &DailyReport) -> String {
    let pnl = &report.pnl;
    let mut lines = vec![
        format!(
            "deltadesk {} ({}, account {})",
            text::long_date(report.header.session_date),
            report.header.mode,
            report.header.account
        ),
        format!(
            "Day {} ({}), since start {} ({}), equity {}",
            text::or_unknown(pnl.day_usd, text::usd_change),
            text::or_unknown(pnl.day_return_ratio, |ratio| text::percent_change(ratio, 2)),
            text::or_unknown(pnl.total_usd, text::usd_change),
            text::or_unknown(pnl.total_return_ratio, |ratio| text::percent_change(ratio, 2)),
            text::or_unknown(equity_at_close(report), |point| text::usd(point.equity_usd)),
        ),
        format!(
            "{}, {}, {}, {}",
            counted(report.strategies.len(), "strategy", "strategies"),
            text::counted(report.decisions.len(), "decision"),
            text::counted(report.orders.len(), "order"),
            text::counted(report.refusals.len(), "refusal"),
        ),
    ];
    lines.extend(data::assumed(&report.market).map(|sentence| format!("Market: {sentence}.")));
    let notes = attention(report);
    if notes.is_empty() {
        lines.push("Nothing needs you.".to_owned());
    }
    lines.extend(notes.iter().map(|note| format!("{} {}", severity(note.severity).1, note.text)));
    lines.join("\n") + "\n"
}

fn counted(number: usize, one: &str, many: &str) -> String {
    format!("{} {}", text::count(number as u64), if number == 1 { one } else { many })
}
