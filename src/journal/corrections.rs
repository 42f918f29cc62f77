//! Executions that the broker corrects or breaks after they were counted.
//!
//! Invariants: what was counted is taken back by a movement of its own before what replaces it
//! counts, so that the sum of all that is kept is what the broker has; a version that a newer one
//! has overtaken counts for nothing.

use crate::structures::{Execution, version_of};

use super::{Journal, JournalError};

impl Journal {
    /// What an execution means beside those that are counted: itself; before it the reversal of
    /// what it corrects; nothing where a newer version of it is counted, or one of which no more
    /// than the cash was kept.
    pub fn understood(&self, execution: &Execution) -> Result<Vec<Execution>, JournalError> {
        let Some((name, version)) = version_of(&execution.exec_id) else {
            return Ok(vec![execution.clone()]);
        };
        let mut newest: Option<(u32, Option<String>)> = None;
        let mut statement = self.connection.prepare_cached(
            "select exec_id, told from executions
             where exec_id > ?1 || '.' and exec_id < ?1 || '/'",
        )?;
        let mut rows = statement.query([name])?;
        while let Some(row) = rows.next()? {
            let exec_id: String = row.get(0)?;
            let Some((same, counted)) = version_of(&exec_id) else { continue };
            if same == name && newest.as_ref().is_none_or(|(newest, _)| counted > *newest) {
                newest = Some((counted, row.get(1)?));
            }
        }
        match newest {
            None => Ok(vec![execution.clone()]),
            Some((counted, _)) if counted == version => Ok(vec![execution.clone()]),
            Some((counted, Some(told))) if counted < version => {
                Ok(vec![read(&told)?.reversal(execution.at), execution.clone()])
            }
            Some(_) => Ok(Vec::new()),
        }
    }
}

/// An execution as the journal keeps it.
pub(super) fn written(execution: &Execution) -> Result<String, JournalError> {
    serde_json::to_string(execution).map_err(|error| JournalError::Unreadable(error.to_string()))
}

fn read(told: &str) -> Result<Execution, JournalError> {
    serde_json::from_str(told).map_err(|_| JournalError::Unreadable(told.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::super::schema::prepare;
    use super::super::tests::{at, intent, opened, put, strategy, trade, usd};
    use super::super::{Ruling, StrategyState};
    use super::*;
    use crate::market::{ConId, Price, Usd};
    use crate::structures::{ExecutionKind, Purpose};

    const FIRST: &str = "0000e0d5.65e2a1b7.01.01";
    const SECOND: &str = "0000e0d5.65e2a1b7.01.02";

    fn count(journal: &mut Journal, execution: &Execution) {
        for one in journal.understood(execution).unwrap() {
            journal.apply_execution(&one, &put(10, 600.0)).unwrap();
        }
    }

    /// Two strategies' worth of a leg, opened by an execution with a version.
    fn opened_by(exec_id: &str) -> (Journal, Execution) {
        let mut journal = Journal::in_memory().unwrap();
        let open = intent("d1", Purpose::Open, 2);
        journal.record(&open, &Ruling::Approved, at(0)).unwrap();
        journal.mark_sent(&open.request.order_ref, 77, at(1)).unwrap();
        let execution = trade(exec_id, &open, 10, (2, 1.0));
        count(&mut journal, &execution);
        (journal, execution)
    }

    fn held(journal: &Journal) -> i64 {
        journal.held_legs().unwrap().iter().map(|leg| leg.quantity).sum()
    }

    #[test]
    fn a_broken_trade_takes_back_its_contracts_its_cash_and_its_commission() {
        let (mut journal, first) = opened_by(FIRST);
        assert_eq!((held(&journal), journal.executed_cash().unwrap()), (2, first.cash));
        let broken = Execution {
            exec_id: SECOND.to_owned(),
            quantity: 0,
            commission: Usd::ZERO,
            cash: Usd::ZERO,
            ..first.clone()
        };
        count(&mut journal, &broken);
        assert_eq!(held(&journal), 0);
        assert_eq!(journal.executed_cash().unwrap(), Usd::ZERO);
        let after = (StrategyState::Closed, 0, Usd::ZERO, Usd::ZERO);
        assert_eq!(strategy(&journal), after);
        for late in [&broken, &first] {
            count(&mut journal, late);
            assert_eq!(held(&journal), 0, "nothing counts twice, nothing comes back");
        }
        assert_eq!(journal.executed_cash().unwrap(), Usd::ZERO);
    }

    #[test]
    fn a_corrected_price_moves_cash_alone() {
        let (mut journal, first) = opened_by(FIRST);
        let price = Price::from_f64(1.25);
        let cash = first.cash - usd(50.0);
        let corrected = Execution { exec_id: SECOND.to_owned(), price, cash, ..first };
        let understood = journal.understood(&corrected).unwrap();
        assert_eq!(understood.len(), 2);
        assert_eq!(understood[0].kind, ExecutionKind::Correction);
        assert_eq!((understood[0].quantity, understood[1].quantity), (-2, 2));
        count(&mut journal, &corrected);
        assert_eq!((held(&journal), journal.executed_cash().unwrap()), (2, cash));
    }

    #[test]
    fn a_version_that_was_overtaken_before_it_came_counts_for_nothing() {
        let (mut journal, second) = opened_by(SECOND);
        let older = Execution { exec_id: FIRST.to_owned(), quantity: 1, ..second };
        assert_eq!(journal.understood(&older).unwrap(), []);
        count(&mut journal, &older);
        assert_eq!(held(&journal), 2);
    }

    #[test]
    fn executions_of_one_fill_are_no_versions_of_each_other() {
        let mut journal = Journal::in_memory().unwrap();
        opened(&mut journal);
        let open = intent("d1", Purpose::Open, 2);
        for exec_id in ["1000000001.0.1", "liquidation.1772463600000000.10.0", "g1-3"] {
            let execution = trade(exec_id, &open, 10, (1, 1.0));
            assert_eq!(journal.understood(&execution).unwrap(), [execution]);
        }
    }

    #[test]
    fn a_forced_trade_is_the_holders() {
        let (mut journal, first) = opened_by(FIRST);
        let forced = Execution {
            exec_id: "f-1".to_owned(),
            order_ref: None,
            kind: ExecutionKind::Liquidation,
            conid: ConId(10),
            quantity: -1,
            cash: usd(90.0),
            ..first
        };
        count(&mut journal, &forced);
        assert_eq!(held(&journal), 1);
        assert_eq!(strategy(&journal).0, StrategyState::Open);
    }

    #[test]
    fn a_journal_of_the_schema_before_goes_on_and_what_it_counted_is_not_counted_again() {
        let (mut journal, first) = opened_by(FIRST);
        let back = "alter table executions drop column told; pragma user_version = 3;";
        journal.connection.execute_batch(back).unwrap();
        prepare(&journal.connection).unwrap();
        let corrected = Execution { exec_id: SECOND.to_owned(), quantity: 0, ..first };
        assert_eq!(journal.understood(&corrected).unwrap(), [], "a difference will tell");
        count(&mut journal, &corrected);
        assert_eq!(held(&journal), 2);
    }
}
