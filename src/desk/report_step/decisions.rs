//! Decisions and what came of them.

use std::collections::BTreeMap;

use crate::lake::{LakeError, Row};
use crate::market::Timestamp;
use crate::report::DecisionRow;

use super::tables::Tables;
use super::words::{clock, plain, tidy, without_numbers};

const DECISIONS: &str = "
    select decision_id, as_of, subject_id, action, fraction, urgency, rule, reason, symbol,
        structure
    from gold.decisions where session_date = $session_date order by as_of, decision_id";

const CAPSULES: &str = "
    select decision_id, outcome, detail from ops.capsules
    where session_date = $session_date order by as_of, decision_id";

/// The last row of each order of the session.
const ORDERS: &str = "
    select decision_id, state, quantity, filled_quantity from (
        select *, row_number() over (partition by order_ref order by change_seq desc) as recency
        from ops.orders where session_date = $session_date
    ) as ranked
    where recency = 1 order by created_at, order_ref";

/// What became of decisions, by their id.
#[derive(Default)]
struct Outcomes {
    /// What the desk did with it, and the detail.
    said: BTreeMap<String, (String, String)>,
    /// How its order ended.
    ends: BTreeMap<String, String>,
}

/// A decision that was taken again and again.
struct Repeated {
    first: DecisionRow,
    times: usize,
    last: Timestamp,
}

/// Decisions; one that was taken again and again for the same reason with the same outcome, numbers
/// apart, stands once, with its count.
pub(super) async fn decisions(tables: &Tables) -> anyhow::Result<Vec<DecisionRow>> {
    let outcomes = Outcomes::read(tables).await?;
    let mut told: BTreeMap<[String; 5], Repeated> = BTreeMap::new();
    for row in tables.rows(DECISIONS).await?.iter() {
        let first = decision(&row, &outcomes)?;
        let last = first.decided_at;
        let outcome = without_numbers(&first.outcome);
        let [subject, action, rule, reason] =
            [&first.subject, &first.action, &first.rule, &first.reason].map(Clone::clone);
        let key = [subject, action, rule, reason, outcome];
        let repeated = told.entry(key).or_insert_with(|| Repeated { first, times: 0, last });
        repeated.times += 1;
        repeated.last = last;
    }
    Ok(told.into_values().map(Repeated::row).collect())
}

impl Repeated {
    fn row(self) -> DecisionRow {
        let mut row = self.first;
        if self.times > 1 {
            let (times, last) = (self.times, clock(self.last));
            row.outcome = format!("{}; {times} times, last at {last}", row.outcome);
        }
        row
    }
}

impl Outcomes {
    async fn read(tables: &Tables) -> anyhow::Result<Self> {
        let mut outcomes = Self::default();
        for row in tables.rows(CAPSULES).await?.iter() {
            let said = (plain(row.text("outcome")?), row.text("detail")?.to_owned());
            outcomes.said.insert(row.text("decision_id")?.to_owned(), said);
        }
        for row in tables.rows(ORDERS).await?.iter() {
            outcomes.ends.insert(row.text("decision_id")?.to_owned(), order_end(&row)?);
        }
        Ok(outcomes)
    }

    fn of(&self, decision_id: &str) -> String {
        match (self.said.get(decision_id), self.ends.get(decision_id)) {
            // What refused it stands with the refusals.
            (Some((said, _)), _) if said == "refused" => "refused by the gate".to_owned(),
            (Some((said, _)), Some(end)) => format!("{said}, {end}"),
            (Some((said, detail)), None) if detail.is_empty() => said.clone(),
            (Some((said, detail)), None) => format!("{said}: {}", tidy(&plain(detail))),
            (None, Some(end)) => end.clone(),
            // An entry that was refused rests; an exit is always acted on.
            (None, None) => "not acted on".to_owned(),
        }
    }
}

fn decision(row: &Row<'_>, outcomes: &Outcomes) -> Result<DecisionRow, LakeError> {
    let decision_id = row.text("decision_id")?;
    let subject = match (row.maybe_text("symbol")?, row.maybe_text("structure")?) {
        (Some(symbol), Some(structure)) => format!("{symbol} {}", plain(structure)),
        (Some(symbol), None) => symbol.to_owned(),
        (None, _) => row.text("subject_id")?.to_owned(),
    };
    Ok(DecisionRow {
        decision_id: decision_id.to_owned(),
        decided_at: row.instant("as_of")?,
        subject,
        action: row.text("action")?.to_owned(),
        rule: plain(row.text("rule")?),
        urgency: row.int("urgency")?,
        fraction: row.maybe_double("fraction")?,
        reason: sentence(row.maybe_text("reason")?.unwrap_or("no reason recorded")),
        outcome: outcomes.of(decision_id),
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
