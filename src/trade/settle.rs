//! The broker's truth held against ours.

use std::collections::{BTreeMap, BTreeSet};

use crate::broker::{Broker, BrokerError, Feed};
use crate::journal::ReconciliationRow;
use crate::lake::{Cell, TableName};
use crate::market::{ConId, Instrument, Symbol, Timestamp, Usd};
use crate::orders::{Books, Difference, Known, Tolerance, reconcile};
use crate::pipeline::StepContext;
use crate::pipeline::{deliver, ops_stamp};
use crate::structures::OrderState;

use super::{Alert, Trader};

/// Cash that differs by no more agrees: the broker tells it in whole cents.
pub(super) fn cash_tolerance() -> Usd {
    Usd::from_micros(5_000)
}

/// What the last reconciliation left open.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Dispute {
    /// Underlyings whose positions differ: no entries.
    symbols: BTreeSet<Symbol>,
    /// Cash or a contract without a known underlying differs: no entries at all.
    everything: bool,
    differences: usize,
    /// Contracts that neither an order nor a known event explains.
    unexplained: i64,
    /// The books have not been compared since the broker was away, or could not be: no entries.
    is_open: bool,
}

impl Dispute {
    fn of(differences: &[Difference]) -> Self {
        let unexplained = differences.iter().filter(|found| !found.kind.is_explained());
        Self {
            symbols: differences.iter().filter_map(|found| found.symbol.clone()).collect(),
            everything: differences.iter().any(|found| found.symbol.is_none()),
            differences: differences.len(),
            unexplained: unexplained
                .map(|found| (found.broker_quantity - found.desk_quantity).abs())
                .sum(),
            is_open: false,
        }
    }

    /// Whatever was found before, it is to be looked at again.
    pub fn doubt(&mut self) {
        self.is_open = true;
    }

    pub fn is_clean(&self) -> bool {
        self.differences == 0 && !self.is_open
    }

    pub fn blocks(&self, symbol: &Symbol) -> bool {
        self.is_open || self.everything || self.symbols.contains(symbol)
    }

    pub fn differences(&self) -> f64 {
        self.differences as f64
    }

    pub fn unexplained(&self) -> f64 {
        self.unexplained as f64
    }
}

const RECONCILIATION: [&str; 11] = [
    "reconciliation_seq",
    "difference",
    "conid",
    "symbol",
    "broker_value",
    "desk_value",
    "action",
    "detail",
    "as_of",
    "run_id",
    "session_date",
];

impl<B: Broker + Feed> Trader<B> {
    /// Holds the broker's positions and cash against the strategies'. What expiry, assignment or a
    /// known amount explains is booked; a difference that stays blocks entries in its underlying,
    /// or everywhere where it has none, and raises an alert; where all agrees one row says `clean`.
    /// Orders of unknown fate are looked for. An account that cannot be read blocks every entry.
    pub fn reconcile(&mut self, context: &mut StepContext<'_>) -> anyhow::Result<Vec<String>> {
        let now = context.run.as_of;
        let broker = match self.broker_books() {
            Ok(broker) => broker,
            Err(error) => {
                self.dispute.doubt();
                let alert = Alert {
                    id: format!("unreconciled-{}", context.run.run_id),
                    severity: "critical",
                    subject: "nothing to reconcile with",
                    message: format!("the account cannot be read: {error}"),
                };
                self.alert(&alert, now)?;
                return Ok(vec![format!("reconciliation: not made, {error}")]);
            }
        };
        let mut desk = self.desk_books()?;
        let mut differences = self.differences(context, &broker, &desk);
        let (mut lines, mut rows) = (Vec::new(), Vec::new());
        if !differences.is_empty() {
            let healed = self.heal(context, (&broker, &desk))?;
            lines = healed.lines;
            rows = healed.rows;
            desk = self.desk_books()?;
            differences = self.differences(context, &broker, &desk);
        }
        self.dispute = Dispute::of(&differences);
        if differences.is_empty() {
            self.clean_reconciliation_at = Some(now);
        }
        rows.extend(rows_of(&differences, (&broker, &desk), now));
        self.record_differences(context, rows)?;
        for difference in &differences {
            let text = text_of(difference);
            lines.push(format!("reconciliation: {text}"));
            let (kind, subject) = (difference.kind.as_str(), subject_of(difference));
            let alert = Alert {
                id: format!("difference-{kind}-{subject}-{}", context.run.run_id),
                severity: "critical",
                subject: "broker and desk differ",
                message: text,
            };
            self.alert(&alert, now)?;
        }
        self.find_out(now)?;
        Ok(lines)
    }

    fn differences(
        &self,
        context: &StepContext<'_>,
        broker: &Books,
        desk: &Books,
    ) -> Vec<Difference> {
        let known = self.known_contracts(broker.positions.keys().chain(desk.positions.keys()));
        let tolerance =
            Tolerance { session_date: context.run.session_date, cash_tolerance: cash_tolerance() };
        reconcile(broker, desk, &known, &tolerance)
    }

    /// Whether something waits for a reconciliation: a difference, an order of unknown fate, a
    /// cause of the breaker.
    pub(super) fn is_unsettled(&self) -> anyhow::Result<bool> {
        if !self.dispute.is_clean() || !self.breaker.holds().is_empty() {
            return Ok(true);
        }
        // One that an earlier process sent is known to the journal alone.
        let open = self.journal.borrow().open_orders()?;
        Ok(open.iter().any(|order| order.state == OrderState::Unknown)
            || self.working.values().any(|working| working.next_at.is_none()))
    }

    fn broker_books(&self) -> Result<Books, BrokerError> {
        let broker = self.broker.borrow();
        let positions =
            broker.positions().into_iter().map(|held| (held.conid, held.quantity)).collect();
        Ok(Books { positions, cash: broker.account()?.cash })
    }

    /// Positions as the strategies' legs add up to, and the cash that our executions leave.
    fn desk_books(&self) -> anyhow::Result<Books> {
        let mut positions: BTreeMap<ConId, i64> = BTreeMap::new();
        for leg in self.journal.borrow().held_legs()? {
            *positions.entry(leg.conid).or_default() += leg.quantity;
        }
        positions.retain(|_, quantity| *quantity != 0);
        Ok(Books { positions, cash: self.cash })
    }

    fn known_contracts<'a>(
        &self,
        conids: impl Iterator<Item = &'a ConId>,
    ) -> BTreeMap<ConId, Known> {
        let conids: BTreeSet<ConId> = conids.copied().collect();
        let broker = self.broker.borrow();
        conids
            .into_iter()
            .filter_map(|conid| {
                let instrument = broker.contract(conid)?;
                let expiry_date = match &instrument {
                    Instrument::Option(option) => Some(option.expiry_date),
                    Instrument::Stock(_) | Instrument::Index(_) | Instrument::Future(_) => None,
                };
                let symbol = instrument.symbol().clone();
                Some((conid, Known { symbol, expiry_date, reported: None }))
            })
            .collect()
    }

    /// Into the journal and into ops.reconciliation.
    fn record_differences(
        &mut self,
        context: &mut StepContext<'_>,
        mut rows: Vec<ReconciliationRow>,
    ) -> anyhow::Result<()> {
        for row in &mut rows {
            self.reconciliations += 1;
            row.reconciliation_seq = self.reconciliations;
            row.run_id.clone_from(&context.run.run_id);
        }
        self.journal.borrow_mut().record_reconciliation(&rows)?;
        let cells: Vec<Vec<Cell>> = rows
            .into_iter()
            .map(|row| {
                let mut cells: Vec<Cell> = vec![
                    row.reconciliation_seq.into(),
                    row.difference.into(),
                    row.conid.map(|conid| conid.0).into(),
                    row.symbol.into(),
                    row.broker_value.into(),
                    row.desk_value.into(),
                    row.action.into(),
                    row.detail.into(),
                ];
                cells.extend(ops_stamp(context.run));
                cells
            })
            .collect();
        deliver(context, &TableName::new("ops", "reconciliation"), &RECONCILIATION, &cells)
    }
}

/// One row a difference, or the one of a clean run; numbered when it is recorded.
fn rows_of(
    differences: &[Difference],
    (broker, desk): (&Books, &Books),
    now: Timestamp,
) -> Vec<ReconciliationRow> {
    let row =
        |difference: &str, action: &str, detail: String| row_of(difference, action, (detail, now));
    if differences.is_empty() {
        return vec![row("clean", "none", "positions and cash agree".to_owned())];
    }
    differences
        .iter()
        .map(|found| {
            let (theirs, ours) = match found.conid {
                Some(_) => (found.broker_quantity as f64, found.desk_quantity as f64),
                None => (broker.cash.to_f64(), desk.cash.to_f64()),
            };
            let action = match found.symbol {
                Some(_) => "entries in the underlying blocked, alert",
                None => "all entries blocked, alert",
            };
            ReconciliationRow {
                conid: found.conid,
                symbol: found.symbol.as_ref().map(ToString::to_string),
                broker_value: Some(theirs),
                desk_value: Some(ours),
                ..row(found.kind.as_str(), action, text_of(found))
            }
        })
        .collect()
}

/// A row without values, numbered when it is recorded.
pub(super) fn row_of(
    difference: &str,
    action: &str,
    (detail, now): (String, Timestamp),
) -> ReconciliationRow {
    ReconciliationRow {
        run_id: String::new(),
        reconciliation_seq: 0,
        difference: difference.to_owned(),
        conid: None,
        symbol: None,
        broker_value: None,
        desk_value: None,
        action: action.to_owned(),
        detail,
        found_at: now,
    }
}

/// What a difference is about, for its alert.
fn subject_of(difference: &Difference) -> String {
    difference.conid.map_or_else(|| "account".to_owned(), |conid| conid.to_string())
}

fn text_of(difference: &Difference) -> String {
    match difference.conid {
        Some(conid) => format!(
            "{}: contract {conid} {}: the broker holds {}, our strategies {}",
            difference.kind.as_str(),
            difference.symbol.as_ref().map_or("of an unknown underlying", Symbol::as_str),
            difference.broker_quantity,
            difference.desk_quantity
        ),
        None => {
            format!("cash: the broker has {} USD more than our executions leave", difference.cash)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orders::DifferenceKind;
    use crate::structures::testing::usd;

    fn cash_difference() -> Difference {
        Difference {
            kind: DifferenceKind::Cash,
            conid: None,
            symbol: None,
            broker_quantity: 0,
            desk_quantity: 0,
            cash: usd(12.5),
        }
    }

    #[test]
    fn a_difference_without_an_underlying_blocks_every_one() {
        let in_spy = Difference {
            kind: DifferenceKind::Extra,
            conid: Some(ConId(7)),
            symbol: Some("SPY".into()),
            broker_quantity: 3,
            ..cash_difference()
        };
        let dispute = Dispute::of(std::slice::from_ref(&in_spy));
        assert!(dispute.blocks(&"SPY".into()) && !dispute.blocks(&"QQQ".into()));
        assert!((dispute.unexplained() - 3.0).abs() < 1e-12);
        let dispute = Dispute::of(&[cash_difference()]);
        assert!(dispute.blocks(&"SPY".into()) && dispute.blocks(&"QQQ".into()));
        let nameless = Difference { symbol: None, ..in_spy };
        assert!(Dispute::of(&[nameless]).blocks(&"QQQ".into()));
        assert!(Dispute::of(&[]).is_clean() && !Dispute::of(&[]).blocks(&"SPY".into()));
        let mut doubted = Dispute::of(&[]);
        doubted.doubt();
        assert!(!doubted.is_clean() && doubted.blocks(&"SPY".into()));
    }

    #[test]
    fn cash_is_stored_as_it_stands_on_both_sides() {
        let books = |cash: f64| Books { positions: BTreeMap::new(), cash: usd(cash) };
        let at = crate::structures::testing::monday();
        let rows = rows_of(&[cash_difference()], (&books(112.5), &books(100.0)), at);
        let row = rows.first().unwrap();
        assert_eq!((row.broker_value, row.desk_value), (Some(112.5), Some(100.0)));
        assert!(row.action.starts_with("all entries blocked"));
    }
}
