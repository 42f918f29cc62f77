//! Executions that the broker corrects or breaks after they were counted, or of which it tells the
//! commission late.
//!
//! Invariants: what was counted is taken back by a movement of its own before what replaces it
//! counts, so that the sum of all that is kept is what the broker has; a version that a newer one
//! has overtaken counts for nothing.

use crate::market::Usd;
use crate::structures::{Execution, version_of};

use super::{Journal, JournalError};

impl Journal {
    /// What an execution means beside those that are counted: itself; its commission, where it was
    /// counted without; before it the reversal of what it corrects; nothing where a newer version
    /// of it is counted, or one of which no more than the cash was kept.
    pub fn understood(&self, execution: &Execution) -> Result<Vec<Execution>, JournalError> {
        let other = self.newest_version(&execution.exec_id)?;
        if matches!(other, Some((Order::Newer, _))) {
            return Ok(Vec::new());
        }
        if let Some(counted) = self.told(&execution.exec_id)? {
            let pays = counted.commission == Usd::ZERO && execution.commission != Usd::ZERO;
            return Ok(vec![if pays { execution.late_commission() } else { execution.clone() }]);
        }
        match other {
            None => Ok(vec![execution.clone()]),
            Some((Order::Older, Some(counted))) => {
                let late = self.told(&counted.late_commission_id())?;
                let back = [Some(counted), late].into_iter().flatten();
                let back = back.map(|counted| counted.reversal(execution.at));
                Ok(back.chain([execution.clone()]).collect())
            }
            Some(_) => Ok(Vec::new()),
        }
    }

    /// An execution that is counted, where more than its cash was kept.
    fn told(&self, exec_id: &str) -> Result<Option<Execution>, JournalError> {
        let mut statement =
            self.connection.prepare_cached("select told from executions where exec_id = ?1")?;
        let mut rows = statement.query([exec_id])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let told: Option<String> = row.get(0)?;
        told.as_deref().map(read).transpose()
    }

    /// The newest other version of an execution that is counted, and how it lies to this one.
    fn newest_version(
        &self,
        exec_id: &str,
    ) -> Result<Option<(Order, Option<Execution>)>, JournalError> {
        let Some((name, version)) = version_of(exec_id) else { return Ok(None) };
        let mut newest: Option<(u32, Option<String>)> = None;
        let mut statement = self.connection.prepare_cached(
            "select exec_id, told from executions
             where exec_id > ?1 || '.' and exec_id < ?1 || '/'",
        )?;
        let mut rows = statement.query([name])?;
        while let Some(row) = rows.next()? {
            let exec_id: String = row.get(0)?;
            let Some((same, counted)) = version_of(&exec_id) else { continue };
            if same == name
                && counted != version
                && newest.as_ref().is_none_or(|(newest, _)| counted > *newest)
            {
                newest = Some((counted, row.get(1)?));
            }
        }
        let Some((counted, told)) = newest else { return Ok(None) };
        let order = if counted < version { Order::Older } else { Order::Newer };
        Ok(Some((order, told.as_deref().map(read).transpose()?)))
    }
}

/// How a version that is counted lies to one that comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Older,
    Newer,
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
    use crate::market::{ConId, Price};
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

    /// The same without its commission, as it is booked when that does not come.
    fn unpaid(execution: &Execution) -> Execution {
        let cash = execution.cash + execution.commission;
        Execution { commission: Usd::ZERO, cash, ..execution.clone() }
    }

    #[test]
    fn a_commission_that_comes_late_is_booked_once_whichever_process_hears_of_it() {
        let (_, paid) = opened_by(FIRST);
        let other = Execution { exec_id: "f-1".to_owned(), ..paid.clone() };
        for paid in [paid, other] {
            assert!(paid.commission > Usd::ZERO);
            let mut journal = Journal::in_memory().unwrap();
            let open = intent("d1", Purpose::Open, 2);
            journal.record(&open, &Ruling::Approved, at(0)).unwrap();
            journal.mark_sent(&open.request.order_ref, 77, at(1)).unwrap();
            count(&mut journal, &unpaid(&paid));
            assert_eq!(journal.executed_cash().unwrap(), unpaid(&paid).cash);
            for _ in 0..3 {
                count(&mut journal, &paid);
                count(&mut journal, &unpaid(&paid));
                assert_eq!((held(&journal), journal.executed_cash().unwrap()), (2, paid.cash));
            }
            assert_eq!(journal.strategies().unwrap()[0].commissions, paid.commission);
        }
    }

    #[test]
    fn a_correction_after_a_late_commission_takes_that_back_too() {
        let (_, paid) = opened_by(FIRST);
        let mut journal = Journal::in_memory().unwrap();
        let open = intent("d1", Purpose::Open, 2);
        journal.record(&open, &Ruling::Approved, at(0)).unwrap();
        journal.mark_sent(&open.request.order_ref, 77, at(1)).unwrap();
        count(&mut journal, &unpaid(&paid));
        count(&mut journal, &paid);
        let corrected = Execution { exec_id: SECOND.to_owned(), ..paid.clone() };
        count(&mut journal, &corrected);
        assert_eq!((held(&journal), journal.executed_cash().unwrap()), (2, paid.cash));
        assert_eq!(journal.strategies().unwrap()[0].commissions, paid.commission);
        count(&mut journal, &paid);
        assert_eq!(journal.executed_cash().unwrap(), paid.cash, "the older version is over");
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
        let back = "alter table executions drop column told; drop index orders_by_state;
                    pragma user_version = 3;";
        journal.connection.execute_batch(back).unwrap();
        prepare(&journal.connection).unwrap();
        let corrected = Execution { exec_id: SECOND.to_owned(), quantity: 0, ..first };
        assert_eq!(journal.understood(&corrected).unwrap(), [], "a difference will tell");
        count(&mut journal, &corrected);
        assert_eq!(held(&journal), 2);
    }
}
