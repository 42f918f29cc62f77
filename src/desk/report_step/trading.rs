//! Decisions with their outcome, refusals and orders.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use rust_decimal::Decimal;

use crate::lake::{LakeError, Row, Rows};
use crate::market::{Price, Timestamp, Usd};
use crate::report::{DecisionRow, FailedCheck, OrderRow, RefusalRow};

use super::holdings::Holdings;
use super::markout::Mids;
use super::tables::Tables;
use super::words::{clock, listed, plain};

const DECISIONS: &str = "
    select decision_id, as_of, subject_id, action, fraction, urgency, rule, reason, symbol,
        structure
    from gold.decisions where session_date = $session_date order by as_of, decision_id";

const CAPSULES: &str = "
    select decision_id, outcome, detail from ops.capsules
    where session_date = $session_date order by as_of, decision_id";

const ORDERS: &str = "
    select * from (
        select *, row_number() over (partition by order_ref order by change_seq desc) as recency
        from ops.orders where session_date = $session_date
    ) as ranked
    where recency = 1 order by created_at, order_ref";

const FILLS: &str = "
    select order_ref, sum(commission_usd) as fees_usd, max(executed_at) as filled_at
    from silver.fills
    where session_date = $session_date and order_ref is not null
    group by order_ref order by order_ref";

const FAILED_CHECKS: &str = "
    select order_ref, check_name, result, measured, limit_value, unit, reason
    from ops.risk_checks
    where session_date = $session_date and result in ('fail', 'unevaluable')
    order by order_ref, attempt, check_id, check_name";

const STRUCTURES: &str = "
    select strategy_id, symbol, structure from (
        select *, row_number() over (
            partition by strategy_id order by change_seq desc
        ) as recency
        from ops.strategies where session_date <= $session_date
    ) as ranked
    where recency = 1 order by strategy_id";

/// The last word on each entry while entries were possible.
const CANDIDATES: &str = "
    select entry, symbol, verdict, reason, as_of from (
        select *, row_number() over (
            partition by entry, symbol order by as_of desc, run_id desc
        ) as recency
        from gold.entry_candidates
        where session_date = $session_date and reason <> 'outside entry hours'
    ) as ranked
    where recency = 1 and verdict <> 'candidate' order by entry, reason, symbol";

/// Decisions; one that was taken again and again for the same reason with the same outcome stands
/// once, with its count.
pub(super) async fn decisions(tables: &Tables) -> anyhow::Result<Vec<DecisionRow>> {
    let capsules = tables.rows(CAPSULES).await?;
    let mut outcomes: BTreeMap<String, (String, String)> = BTreeMap::new();
    for row in capsules.iter() {
        let outcome = (plain(row.text("outcome")?), row.text("detail")?.to_owned());
        outcomes.insert(row.text("decision_id")?.to_owned(), outcome);
    }
    let orders = tables.rows(ORDERS).await?;
    let mut ends: BTreeMap<String, String> = BTreeMap::new();
    for row in orders.iter() {
        ends.insert(row.text("decision_id")?.to_owned(), order_end(&row)?);
    }
    let mut told: BTreeMap<[String; 5], (DecisionRow, usize, Timestamp)> = BTreeMap::new();
    for row in tables.rows(DECISIONS).await?.iter() {
        let decision = decision(&row, (&outcomes, &ends))?;
        let last = decision.decided_at;
        let alike = [&decision.subject, &decision.action, &decision.rule, &decision.outcome]
            .map(Clone::clone);
        let [subject, action, rule, outcome] = alike;
        let key = [subject, action, rule, outcome, decision.reason.clone()];
        let entry = told.entry(key).or_insert_with(|| (decision, 0, last));
        entry.1 += 1;
        entry.2 = last;
    }
    Ok(told.into_values().map(|(row, times, last)| counted(row, times, last)).collect())
}

fn counted(mut row: DecisionRow, times: usize, last: Timestamp) -> DecisionRow {
    if times > 1 {
        row.outcome = format!("{}; {times} times, last at {}", row.outcome, clock(last));
    }
    row
}

fn decision(
    row: &Row<'_>,
    (outcomes, ends): (&BTreeMap<String, (String, String)>, &BTreeMap<String, String>),
) -> Result<DecisionRow, LakeError> {
    let decision_id = row.text("decision_id")?.to_owned();
    let outcome = match (outcomes.get(&decision_id), ends.get(&decision_id)) {
        // What refused it stands with the refusals.
        (Some((outcome, _)), _) if outcome == "refused" => "refused by the gate".to_owned(),
        (Some((outcome, _)), Some(end)) => format!("{outcome}, {end}"),
        (Some((outcome, detail)), None) if detail.is_empty() => outcome.clone(),
        (Some((outcome, detail)), None) => format!("{outcome}: {detail}"),
        (None, Some(end)) => end.clone(),
        (None, None) => "nothing recorded".to_owned(),
    };
    let symbol = row.maybe_text("symbol")?;
    let subject = match (symbol, row.maybe_text("structure")?) {
        (Some(symbol), Some(structure)) => format!("{symbol} {}", plain(structure)),
        (Some(symbol), None) => symbol.to_owned(),
        (None, _) => row.text("subject_id")?.to_owned(),
    };
    Ok(DecisionRow {
        decision_id,
        decided_at: row.instant("as_of")?,
        subject,
        action: row.text("action")?.to_owned(),
        rule: plain(row.text("rule")?),
        urgency: row.int("urgency")?,
        fraction: row.maybe_double("fraction")?,
        reason: sentence(row.maybe_text("reason")?.unwrap_or("no reason recorded")),
        outcome,
    })
}

/// The order's end in words: `filled 2 of 2`, `cancelled`.
fn order_end(row: &Row<'_>) -> Result<String, LakeError> {
    let state = row.text("state")?;
    let (filled, quantity) = (row.int("filled_quantity")?, row.int("quantity")?);
    Ok(if filled > 0 { format!("{state} {filled} of {quantity}") } else { state.to_owned() })
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        format!("{}{}.", first.to_uppercase(), letters.as_str().trim_end_matches('.'))
    })
}

/// What the gate refused, and what entries found wanting at the last sweep that could enter.
pub(super) async fn refusals(tables: &Tables) -> anyhow::Result<Vec<RefusalRow>> {
    let subjects = subjects(tables).await?;
    let mut checks: BTreeMap<String, Vec<FailedCheck>> = BTreeMap::new();
    for row in tables.rows(FAILED_CHECKS).await?.iter() {
        checks.entry(row.text("order_ref")?.to_owned()).or_default().push(failed_check(&row)?);
    }
    let mut told: BTreeMap<(String, BTreeSet<String>), Refused> = BTreeMap::new();
    for row in tables.rows(ORDERS).await?.iter() {
        if row.text("state")? != "denied" {
            continue;
        }
        let (order_ref, at) = (row.text("order_ref")?, row.instant("created_at")?);
        let failed = checks.remove(order_ref).unwrap_or_default();
        let (symbol, structure) =
            subjects.get(row.text("decision_id")?).cloned().unwrap_or_default();
        let what = format!("{} {}", row.text("purpose")?, plain(&structure));
        let key = (what, failed.iter().map(|one| one.check.clone()).collect());
        let refused = told.entry(key).or_insert_with(|| Refused {
            order_ref: order_ref.to_owned(),
            first: at,
            last: at,
            times: 0,
            symbols: BTreeSet::new(),
            checks: failed,
        });
        refused.last = at;
        refused.times += 1;
        refused.symbols.insert(symbol);
    }
    let mut rows: Vec<RefusalRow> =
        told.into_iter().map(|((what, _), refused)| refused.row(what.trim())).collect();
    rows.extend(not_entered(&tables.rows(CANDIDATES).await?)?);
    Ok(rows)
}

/// Orders of one kind that failed the same checks.
struct Refused {
    order_ref: String,
    first: Timestamp,
    last: Timestamp,
    times: usize,
    symbols: BTreeSet<String>,
    /// Of the first of them.
    checks: Vec<FailedCheck>,
}

impl Refused {
    fn row(self, what: &str) -> RefusalRow {
        let symbols: Vec<String> = self.symbols.into_iter().collect();
        let times = match self.times {
            1 => String::new(),
            times => format!(", the first of {times}, the last at {}", clock(self.last)),
        };
        RefusalRow {
            refused_at: self.first,
            order_ref: format!("{}{times}", self.order_ref),
            subject: format!("{what}: {}", listed(&symbols)),
            checks: self.checks,
        }
    }
}

fn failed_check(row: &Row<'_>) -> Result<FailedCheck, LakeError> {
    let said = row.text("reason")?;
    let reason = match (row.maybe_double("measured")?, row.maybe_double("limit_value")?) {
        (Some(measured), Some(limit)) if said.is_empty() => {
            format!("{measured:.4} against {limit:.4} {}", row.text("unit")?)
        }
        _ => said.to_owned(),
    };
    Ok(FailedCheck {
        check: plain(row.text("check_name")?),
        result: row.text("result")?.to_owned(),
        reason,
    })
}

/// One refusal an entry and reason, with the symbols that it holds for.
fn not_entered(candidates: &Rows) -> Result<Vec<RefusalRow>, LakeError> {
    let mut told: BTreeMap<(String, String), (Timestamp, String, Vec<String>)> = BTreeMap::new();
    for row in candidates.iter() {
        let key =
            (row.text("entry")?.to_owned(), row.maybe_text("reason")?.unwrap_or("").to_owned());
        let at = row.instant("as_of")?;
        let verdict = row.text("verdict")?;
        let entry = told.entry(key).or_insert_with(|| (at, verdict.to_owned(), Vec::new()));
        entry.0 = entry.0.max(at);
        entry.2.push(row.text("symbol")?.to_owned());
    }
    Ok(told
        .into_iter()
        .map(|((entry, reason), (at, verdict, symbols))| RefusalRow {
            refused_at: at,
            order_ref: "Conditions of the entry, at the last sweep in its hours.".to_owned(),
            subject: format!("no {}: {}", plain(&entry), listed(&symbols)),
            checks: vec![FailedCheck { check: "entry".to_owned(), result: verdict, reason }],
        })
        .collect())
}

/// Symbol and structure of each decision.
async fn subjects(tables: &Tables) -> anyhow::Result<BTreeMap<String, (String, String)>> {
    let mut subjects = BTreeMap::new();
    for row in tables.rows(DECISIONS).await?.iter() {
        let text =
            |column: &str| Ok::<_, LakeError>(row.maybe_text(column)?.unwrap_or("").to_owned());
        let subject = (text("symbol")?, text("structure")?);
        subjects.insert(row.text("decision_id")?.to_owned(), subject);
    }
    Ok(subjects)
}

async fn structures(tables: &Tables) -> anyhow::Result<BTreeMap<String, (String, String)>> {
    let mut names = BTreeMap::new();
    for row in tables.rows(STRUCTURES).await?.iter() {
        let name = (row.text("symbol")?.to_owned(), row.text("structure")?.to_owned());
        names.insert(row.text("strategy_id")?.to_owned(), name);
    }
    Ok(names)
}

/// Orders that passed the gate.
pub(super) async fn orders(tables: &Tables, holdings: &Holdings) -> anyhow::Result<Vec<OrderRow>> {
    let names = structures(tables).await?;
    let mut fills: BTreeMap<String, (Option<Decimal>, Timestamp)> = BTreeMap::new();
    for row in tables.rows(FILLS).await?.iter() {
        let fees = row.maybe_usd("fees_usd")?.map(Usd::decimal);
        fills.insert(row.text("order_ref")?.to_owned(), (fees, row.instant("filled_at")?));
    }
    let rows = tables.rows(ORDERS).await?;
    let mut traded = BTreeSet::new();
    for row in rows.iter() {
        if row.int("filled_quantity")? > 0 {
            traded.extend(legs_of(&row)?.into_iter().map(|(conid, _)| conid));
        }
    }
    let traded: Vec<i64> = traded.into_iter().collect();
    let mids = Mids::read(tables, &traded).await?;
    let mut orders = Vec::new();
    for row in rows.iter() {
        if row.text("state")? == "denied" {
            continue;
        }
        let name = names.get(row.text("strategy_id")?);
        let fill = fills.get(row.text("order_ref")?).copied();
        let mut order = order(&row, (name, holdings))?;
        order.fees_usd = fill.and_then(|(fees, _)| fees);
        if let Some((_, filled_at)) = fill {
            let legs = legs_of(&row)?;
            let after = |minutes| mids.markout(&legs, filled_at, TimeDelta::minutes(minutes));
            order.markout_1m_usd = after(1);
            order.markout_10m_usd = after(10);
        }
        orders.push(order);
    }
    Ok(orders)
}

/// The order without what came of it afterwards.
fn order(
    row: &Row<'_>,
    (name, holdings): (Option<&(String, String)>, &Holdings),
) -> Result<OrderRow, LakeError> {
    Ok(OrderRow {
        order_ref: row.text("order_ref")?.to_owned(),
        sent_at: row.instant("created_at")?,
        subject: name.map_or_else(|| "unknown".to_owned(), |(symbol, _)| symbol.clone()),
        purpose: row.text("purpose")?.to_owned(),
        what: what(row, (name, holdings))?,
        quantity: row.int("quantity")?,
        filled_quantity: row.int("filled_quantity")?,
        status: row.text("state")?.to_owned(),
        arrival_mid_usd: row.maybe_price("arrival_mid")?.map(Price::decimal),
        last_limit_usd: row.maybe_price("limit_price")?.map(Price::decimal),
        fill_price_usd: row.maybe_price("average_fill_price")?.map(Price::decimal),
        fees_usd: None,
        markout_1m_usd: None,
        markout_10m_usd: None,
    })
}

/// Contracts and ratios, as the order trades them.
fn legs_of(row: &Row<'_>) -> Result<Vec<(i64, i64)>, LakeError> {
    let legs = row.text("legs")?.split_whitespace().filter_map(|leg| {
        let (conid, ratio) = leg.split_once(':')?;
        Some((conid.parse().ok()?, ratio.parse().ok()?))
    });
    Ok(legs.collect())
}

/// `sell 1 iron condor 640/650/690/700, 17 Apr 2026`, and why it ended where it did not fill.
fn what(
    row: &Row<'_>,
    (name, holdings): (Option<&(String, String)>, &Holdings),
) -> Result<String, LakeError> {
    let conids: Vec<i64> = legs_of(row)?.into_iter().map(|(conid, _)| conid).collect();
    let price = row.maybe_price("arrival_mid")?.or(row.maybe_price("worst_price")?);
    let received = price.is_some_and(Price::is_negative);
    let verb = match (row.text("purpose")?, received) {
        ("close", false) => "buy back",
        (_, false) => "buy",
        (_, true) => "sell",
    };
    let structure = name.map_or_else(|| "combo".to_owned(), |(_, structure)| plain(structure));
    let quantity = row.int("quantity")?;
    let order = format!("{verb} {quantity} {structure} {}", holdings.legs_words(&conids));
    let reason = row.text("reason")?;
    let ended = matches!(row.text("state")?, "cancelled" | "rejected" | "unknown");
    Ok(if ended && !reason.is_empty() { format!("{order}: {reason}") } else { order })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_become_sentences() {
        assert_eq!(sentence("profit reached its target"), "Profit reached its target.");
        assert_eq!(sentence("Done."), "Done.");
        assert_eq!(sentence(""), "");
    }
}
