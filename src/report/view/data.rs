//! The market and its data: where quotes came from, how complete they were, and whether the books
//! agree.

use minijinja::{Value, context};

use super::{severity, svg};
use crate::report::attention::{completeness, source_fault};
use crate::report::input::{
    AlertRow, AlertState, DifferenceState, MarketKind, MarketNote, QuarantineRow, Reconciliation,
    Smile, SourceHealth,
};
use crate::report::text::{self, or_unknown};
use crate::report::{ASSUMED_PREMIUM, ReportError, chart};

/// The sentence that a market with a made premium must carry.
pub(super) fn assumed(market: &MarketNote) -> Option<String> {
    match market.kind {
        MarketKind::Synthetic { variance_premium, .. } => Some(format!(
            "Variance premium {}: {ASSUMED_PREMIUM}",
            text::level(variance_premium, 2)
        )),
        MarketKind::Recorded | MarketKind::Live => None,
    }
}

pub(super) fn market(market: &MarketNote) -> Value {
    let (kind, seed) = match market.kind {
        MarketKind::Synthetic { seed, .. } => ("synthetic market", Some(seed.to_string())),
        MarketKind::Recorded => ("recorded market", None),
        MarketKind::Live => ("live market", None),
    };
    context! {
        kind => kind,
        seed => seed,
        assumed => assumed(market),
        description => &market.description,
        fills => &market.fills,
    }
}

pub(super) fn smiles(smiles: &[Smile]) -> Result<Value, ReportError> {
    let mut smiles: Vec<_> = smiles.iter().collect();
    smiles.sort_by(|a, b| a.symbol.cmp(&b.symbol));
    let mut drawn = Vec::new();
    for smile in smiles {
        if let Some(drawing) = chart::smile(smile)? {
            drawn.push(context! { symbol => &smile.symbol, chart => svg(Some(drawing)) });
        }
    }
    Ok(Value::from(drawn))
}

pub(super) fn sources(sources: &[SourceHealth]) -> Value {
    let mut sources: Vec<_> = sources.iter().collect();
    sources.sort_by(|a, b| (&a.source, &a.symbol).cmp(&(&b.source, &b.symbol)));
    sources
        .into_iter()
        .map(|row| {
            let fault = source_fault(row);
            context! {
                source => &row.source,
                symbol => &row.symbol,
                rows => text::count(row.received_rows),
                complete => or_unknown(completeness(row), |ratio| text::percent(ratio, 1)),
                quarantined => text::count(row.quarantined_rows),
                last => or_unknown(row.last_at, text::clock),
                age => or_unknown(row.worst_age, text::age),
                good => fault.is_none(),
                fault => fault,
            }
        })
        .collect()
}

pub(super) fn quarantine(rows: &[QuarantineRow]) -> Value {
    let mut rows: Vec<_> = rows.iter().collect();
    rows.sort_by(|a, b| (&a.source, &a.symbol, &a.reason).cmp(&(&b.source, &b.symbol, &b.reason)));
    rows.into_iter()
        .map(|row| {
            context! {
                source => &row.source,
                symbol => &row.symbol,
                reason => &row.reason,
                rows => text::count(row.rows),
            }
        })
        .collect()
}

pub(super) fn books(books: &Reconciliation) -> Value {
    let mut differences: Vec<_> = books.differences.iter().collect();
    differences.sort_by(|a, b| (&a.subject, &a.kind).cmp(&(&b.subject, &b.kind)));
    let open = differences.iter().filter(|row| row.state == DifferenceState::Open).count();
    let rows: Value = differences
        .iter()
        .map(|row| {
            let state = match row.state {
                DifferenceState::Healed => "healed",
                DifferenceState::Open => "open",
            };
            context! {
                kind => &row.kind,
                subject => &row.subject,
                ours => &row.ours,
                brokers => &row.brokers,
                state => state,
            }
        })
        .collect();
    context! {
        checked => books.checked_at.map(text::clock),
        matched => text::count(books.matched_items),
        clean => books.checked_at.is_some() && open == 0,
        open => text::counted(open, "difference"),
        rows => rows,
    }
}

pub(super) fn alerts(alerts: &[AlertRow]) -> Value {
    let mut alerts: Vec<_> = alerts.iter().collect();
    alerts.sort_by(|a, b| (a.raised_at, &a.title, &a.text).cmp(&(b.raised_at, &b.title, &b.text)));
    alerts
        .into_iter()
        .map(|row| {
            let (word, mark) = severity(row.severity);
            let state = match row.state {
                AlertState::Open => "open",
                AlertState::Cleared => "cleared",
            };
            context! {
                at => text::clock(row.raised_at),
                severity => word,
                mark => mark,
                title => &row.title,
                text => &row.text,
                state => state,
            }
        })
        .collect()
}
