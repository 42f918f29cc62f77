//! What the gate refused, and what entries found wanting.

use std::collections::{BTreeMap, BTreeSet};

use crate::lake::{LakeError, Row, Rows};
use crate::market::Timestamp;
use crate::report::{FailedCheck, RefusalRow};

use super::tables::Tables;
use super::words::{clock, listed, plain, tidy};

const DENIED: &str = "
    select order_ref, decision_id, purpose, created_at from (
        select *, row_number() over (partition by order_ref order by change_seq desc) as recency
        from ops.orders where session_date = $session_date
    ) as ranked
    where recency = 1 and state = 'denied' order by created_at, order_ref";

const SUBJECTS: &str = "
    select decision_id, symbol, structure from gold.decisions
    where session_date = $session_date order by decision_id";

const FAILED_CHECKS: &str = "
    select order_ref, check_name, result, measured, limit_value, unit, reason
    from ops.risk_checks
    where session_date = $session_date and result in ('fail', 'unevaluable')
    order by order_ref, attempt, check_id, check_name";

/// The last word on each entry while entries were possible.
const CANDIDATES: &str = "
    select entry, symbol, verdict, reason, as_of from (
        select *, row_number() over (
            partition by entry, symbol order by as_of desc, run_id desc
        ) as recency
        from gold.entry_candidates
        where session_date = $session_date and reason <> 'outside entry hours'
    ) as ranked
    where recency = 1 and verdict <> 'candidate' order by reason, symbol, entry";

/// What the gate refused, and what entries found wanting at the last sweep that could enter.
pub(super) async fn refusals(tables: &Tables) -> anyhow::Result<Vec<RefusalRow>> {
    let subjects = subjects(tables).await?;
    let mut checks: BTreeMap<String, Vec<FailedCheck>> = BTreeMap::new();
    for row in tables.rows(FAILED_CHECKS).await?.iter() {
        checks.entry(row.text("order_ref")?.to_owned()).or_default().push(failed_check(&row)?);
    }
    let mut told: BTreeMap<(String, BTreeSet<String>), Refused> = BTreeMap::new();
    for row in tables.rows(DENIED).await?.iter() {
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
        _ => tidy(said),
    };
    Ok(FailedCheck {
        check: plain(row.text("check_name")?),
        result: row.text("result")?.to_owned(),
        reason,
    })
}

/// Entries that were not made, all for one reason.
struct NotEntered {
    last: Timestamp,
    verdict: String,
    entries: Vec<String>,
}

/// One refusal a reason, with the symbols and entries that it holds for.
fn not_entered(candidates: &Rows) -> Result<Vec<RefusalRow>, LakeError> {
    let mut told: BTreeMap<String, NotEntered> = BTreeMap::new();
    for row in candidates.iter() {
        let reason = row.maybe_text("reason")?.unwrap_or("no reason recorded").to_owned();
        let last = row.instant("as_of")?;
        let verdict = row.text("verdict")?.to_owned();
        let refused =
            told.entry(reason).or_insert_with(|| NotEntered { last, verdict, entries: Vec::new() });
        refused.last = refused.last.max(last);
        refused.entries.push(format!("{} {}", row.text("symbol")?, plain(row.text("entry")?)));
    }
    let rows = told.into_iter().map(|(reason, refused)| RefusalRow {
        refused_at: refused.last,
        order_ref: "The entry's own conditions, at the last sweep in its hours.".to_owned(),
        subject: format!("no {}", listed(&refused.entries)),
        checks: vec![FailedCheck {
            check: "conditions".to_owned(),
            result: refused.verdict,
            reason,
        }],
    });
    Ok(rows.collect())
}

/// Symbol and structure of each decision.
async fn subjects(tables: &Tables) -> anyhow::Result<BTreeMap<String, (String, String)>> {
    let mut subjects = BTreeMap::new();
    for row in tables.rows(SUBJECTS).await?.iter() {
        let text =
            |column: &str| Ok::<_, LakeError>(row.maybe_text(column)?.unwrap_or("").to_owned());
        let subject = (text("symbol")?, text("structure")?);
        subjects.insert(row.text("decision_id")?.to_owned(), subject);
    }
    Ok(subjects)
}
