//! What stands behind the numbers: sources, rows set aside, smiles, books, alerts, breaker.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;

use crate::lake::{LakeError, Row};
use crate::market::{OptionRight, Timestamp};
use crate::report::{
    AlertRow, AlertState, DifferenceRow, DifferenceState, QuarantineRow, Reconciliation, Severity,
    Smile, SmileCurve, SourceHealth,
};

use super::holdings::Holdings;
use super::tables::Tables;
use super::terms::ReportTerms;
use super::words::{number, plain};

/// Below this share of what was asked for, a source asks for attention. A matter of display only.
const REQUIRED_RATIO: f64 = 0.95;

/// The underlying whose smile every report shows, beside those that are held.
const MARKET_SYMBOL: &str = "SPY";

const SWEEPS: &str = "
    select source, symbol, as_of, asked, received from ops.sweeps
    where session_date = $session_date order by source, symbol, as_of, sweep_id";

const QUARANTINE: &str = "
    select source, coalesce(symbol, '') as symbol, reason, count(*) as rows_out
    from silver.quarantine where session_date = $session_date
    group by source, symbol, reason order by source, symbol, reason";

const SMILES: &str = "
    with quotes as (
        select * from silver.option_quotes
        where session_date = $session_date and received_at <= $session_close
    ),
    newest as (
        select symbol, max(received_at) as newest_at from quotes group by symbol
    ),
    ranked as (
        select quotes.*, row_number() over (
            partition by quotes.conid order by quotes.received_at desc, quotes.ingest_seq desc
        ) as recency
        from quotes
        inner join newest
            on quotes.symbol = newest.symbol
            and quotes.received_at >= newest.newest_at - interval '10 minutes'
    )
    select symbol, expiry_date, strike_usd, option_right, spot_usd, forward_usd, vol from ranked
    where recency = 1 and vol is not null and forward_usd is not null and spot_usd is not null
    order by symbol, expiry_date, strike_usd, option_right, conid";

const RECONCILIATION: &str = "
    select as_of, run_id, difference, conid, symbol, broker_value, desk_value, action, detail
    from ops.reconciliation where session_date = $session_date
    order by as_of, run_id, reconciliation_seq";

const POSITIONS: &str = "
    select count(distinct conid) as positions from (
        select *, rank() over (order by received_at desc, sweep_id desc) as recency
        from bronze.positions where session_date = $session_date
    ) as ranked
    where recency = 1 and quantity <> 0";

const ALERTS: &str = "
    select alert_id, severity, subject, message, as_of from ops.alerts
    where session_date = $session_date order by as_of, alert_id";

const BREAKER: &str = "
    select message from (
        select *, rank() over (order by as_of desc) as recency
        from ops.alerts where session_date <= $session_date and subject = 'breaker'
    ) as ranked
    where recency = 1 order by alert_id";

/// Sweeps of one source and symbol.
#[derive(Default)]
struct Swept {
    /// Asked for and received.
    inside: (i64, i64),
    outside: (i64, i64),
    /// When something came, in order.
    came_at: Vec<Timestamp>,
}

/// Completeness and age inside the regular session, where decisions are made; completeness of what
/// was swept outside where nothing was swept inside.
pub(super) async fn sources(
    tables: &Tables,
    terms: &ReportTerms,
) -> anyhow::Result<Vec<SourceHealth>> {
    let session = &tables.session;
    let mut swept: BTreeMap<(String, String), Swept> = BTreeMap::new();
    for row in tables.rows(SWEEPS).await?.iter() {
        let key = (row.text("source")?.to_owned(), row.text("symbol")?.to_owned());
        let entry = swept.entry(key).or_default();
        let (at, received) = (row.instant("as_of")?, row.int("received")?);
        let inside = (session.open..=session.close).contains(&at);
        let counts = if inside { &mut entry.inside } else { &mut entry.outside };
        *counts = (counts.0 + row.int("asked")?, counts.1 + received);
        if received > 0 {
            entry.came_at.push(at);
        }
    }
    let mut set_aside: BTreeMap<(String, String), u64> = BTreeMap::new();
    for row in quarantine(tables).await? {
        *set_aside.entry((row.source, row.symbol)).or_default() += row.rows;
    }
    Ok(swept
        .into_iter()
        .map(|((source, symbol), swept)| ((source, symbol), swept.counts(), swept.came_at))
        .map(|((source, symbol), (asked, received), came_at)| SourceHealth {
            expected_rows: asked,
            received_rows: received,
            quarantined_rows: bronze_of(&source)
                .and_then(|table| set_aside.get(&(table.to_owned(), symbol.clone())))
                .copied()
                .unwrap_or_default(),
            required_ratio: REQUIRED_RATIO,
            last_at: came_at.last().copied(),
            worst_age: worst_age(&came_at, (session.open, session.close)),
            allowed_age: if source == "futures" { terms.futures_age } else { terms.quote_age },
            source,
            symbol,
        })
        .collect())
}

impl Swept {
    fn counts(&self) -> (u64, u64) {
        let (asked, received) = if self.inside.0 > 0 { self.inside } else { self.outside };
        (asked.unsigned_abs(), received.unsigned_abs())
    }
}

/// Where a source's rows land.
fn bronze_of(source: &str) -> Option<&'static str> {
    match source {
        "chains" => Some("bronze.option_quotes"),
        "underlyings" => Some("bronze.underlying_quotes"),
        "futures" => Some("bronze.futures_quotes"),
        _ => None,
    }
}

/// The longest that what came last stood before it was replaced, between `open` and `close`; the
/// waits for the first delivery and from the last one to the close count as well.
fn worst_age(came_at: &[Timestamp], (open, close): (Timestamp, Timestamp)) -> Option<TimeDelta> {
    let inside: Vec<Timestamp> =
        came_at.iter().copied().filter(|at| (open..close).contains(at)).collect();
    inside.first()?;
    let before = std::iter::once(open).chain(inside.iter().copied());
    let after = inside.iter().copied().chain(std::iter::once(close));
    after.zip(before).map(|(at, before)| at - before).max()
}

pub(super) async fn quarantine(tables: &Tables) -> anyhow::Result<Vec<QuarantineRow>> {
    let mut rows = Vec::new();
    for row in tables.rows(QUARANTINE).await?.iter() {
        rows.push(QuarantineRow {
            source: row.text("source")?.to_owned(),
            symbol: row.text("symbol")?.to_owned(),
            reason: row.text("reason")?.to_owned(),
            rows: row.int("rows_out")?.unsigned_abs(),
        });
    }
    Ok(rows)
}

/// Out-of-the-money volatilities of the session's last quotes.
pub(super) async fn smiles(tables: &Tables, holdings: &Holdings) -> anyhow::Result<Vec<Smile>> {
    let mut shown: BTreeSet<&str> = holdings.legs.iter().map(|leg| leg.symbol.as_str()).collect();
    shown.insert(MARKET_SYMBOL);
    let mut smiles: BTreeMap<String, Smile> = BTreeMap::new();
    for row in tables.rows(SMILES).await?.iter() {
        let (symbol, strike) = (row.text("symbol")?, row.price("strike_usd")?.to_f64());
        let wanted =
            if strike < row.double("forward_usd")? { OptionRight::Put } else { OptionRight::Call };
        if !shown.contains(symbol) || row.text("option_right")? != wanted.as_str() {
            continue;
        }
        let spot_usd = row.double("spot_usd")?;
        let expiry_date = row.date("expiry_date")?;
        let smile = smiles.entry(symbol.to_owned()).or_insert_with(|| Smile {
            symbol: symbol.to_owned(),
            spot_usd,
            curves: Vec::new(),
        });
        let point = (strike, row.double("vol")?);
        match smile.curves.last_mut().filter(|curve| curve.expiry_date == expiry_date) {
            Some(curve) => curve.points.push(point),
            None => smile.curves.push(SmileCurve { expiry_date, points: vec![point] }),
        }
    }
    Ok(smiles.into_values().collect())
}

/// Differences of the session; those that the last comparison no longer found are healed.
pub(super) async fn reconciliation(tables: &Tables) -> anyhow::Result<Reconciliation> {
    let rows = tables.rows(RECONCILIATION).await?;
    let Some(last) = rows.iter().last() else {
        return Ok(Reconciliation { checked_at: None, matched_items: 0, differences: Vec::new() });
    };
    let (checked_at, last_run) = (last.instant("as_of")?, last.text("run_id")?);
    let mut differences: BTreeMap<(String, String), DifferenceRow> = BTreeMap::new();
    let mut disputed = BTreeSet::new();
    for row in rows.iter() {
        if row.text("difference")? == "clean" {
            continue;
        }
        let standing = row.text("run_id")? == last_run && row.text("action")? != "healed";
        let state = if standing { DifferenceState::Open } else { DifferenceState::Healed };
        let difference = difference(&row, state)?;
        if standing {
            disputed.extend(row.maybe_int("conid")?);
        }
        differences.insert((difference.subject.clone(), difference.kind.clone()), difference);
    }
    let positions = tables.rows(POSITIONS).await?;
    let positions = positions.first().map(|row| row.int("positions")).transpose()?;
    let matched = positions.unwrap_or_default().unsigned_abs();
    Ok(Reconciliation {
        checked_at: Some(checked_at),
        matched_items: matched.saturating_sub(disputed.len() as u64),
        differences: differences.into_values().collect(),
    })
}

fn difference(row: &Row<'_>, state: DifferenceState) -> Result<DifferenceRow, LakeError> {
    let value = |column: &str| {
        let known = row.maybe_double(column)?;
        Ok::<_, LakeError>(known.map_or_else(|| "none".to_owned(), number))
    };
    let symbol = row.maybe_text("symbol")?;
    let subject = match (symbol, row.maybe_int("conid")?) {
        (Some(symbol), Some(conid)) => format!("{symbol} contract {conid}"),
        (Some(symbol), None) => symbol.to_owned(),
        (None, Some(conid)) => format!("contract {conid}"),
        (None, None) => "the account".to_owned(),
    };
    Ok(DifferenceRow {
        kind: plain(row.text("difference")?),
        subject,
        ours: value("desk_value")?,
        brokers: value("broker_value")?,
        state,
    })
}

/// Alerts of the session. The lake does not record that one was cleared, so each stands.
pub(super) async fn alerts(tables: &Tables) -> anyhow::Result<Vec<AlertRow>> {
    let mut alerts = Vec::new();
    for row in tables.rows(ALERTS).await?.iter() {
        alerts.push(AlertRow {
            raised_at: row.instant("as_of")?,
            severity: match row.text("severity")? {
                "info" => Severity::Info,
                "warning" => Severity::Warning,
                _ => Severity::Critical,
            },
            title: row.text("subject")?.to_owned(),
            text: row.text("message")?.to_owned(),
            state: AlertState::Open,
        });
    }
    Ok(alerts)
}

/// The breaker's level after its last transition, and why. Transitions are alerts; without one the
/// breaker is where it begins.
pub(super) async fn breaker(tables: &Tables) -> anyhow::Result<(String, Option<String>)> {
    let mut last = ("normal".to_owned(), None);
    for row in tables.rows(BREAKER).await?.iter() {
        let message = row.text("message")?;
        last =
            transition(message).unwrap_or_else(|| ("unknown".to_owned(), Some(message.to_owned())));
    }
    Ok(last)
}

/// Reads `.. moves the breaker from <level> to <level>: <reason>`.
fn transition(message: &str) -> Option<(String, Option<String>)> {
    let (_, levels) = message.split_once(" moves the breaker from ")?;
    let (levels, reason) = levels.split_once(": ")?;
    let (_, to) = levels.split_once(" to ")?;
    Some((to.to_owned(), (to != "normal").then(|| reason.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        format!("2026-03-16T{text}:00Z").parse().unwrap()
    }

    #[test]
    fn age_is_the_longest_wait_inside_the_session() {
        let hours = (at("13:30"), at("20:00"));
        let came = ["08:00", "13:30", "13:35", "13:50", "19:55", "20:20"].map(at);
        assert_eq!(worst_age(&came, hours), Some(TimeDelta::minutes(365)));
        let until_it_fell_silent = ["13:30", "13:35", "13:50"].map(at);
        assert_eq!(worst_age(&until_it_fell_silent, hours), Some(TimeDelta::minutes(370)));
        assert_eq!(worst_age(&[at("19:00")], hours), Some(TimeDelta::minutes(330)));
        assert_eq!(worst_age(&[at("20:20")], hours), None);
    }

    #[test]
    fn a_transition_reads_back() {
        let message = "daily_loss moves the breaker from normal to no_new: 2.1 % of equity";
        let read = transition(message).unwrap();
        assert_eq!(read, ("no_new".to_owned(), Some("2.1 % of equity".to_owned())));
        let back = transition("operator moves the breaker from halt to normal: reset").unwrap();
        assert_eq!(back, ("normal".to_owned(), None));
        assert_eq!(transition("something else"), None);
    }
}
