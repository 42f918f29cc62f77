//! Cash that moved at the broker by itself and that a person has named: interest, a fee.
//!
//! A confirmation books nothing: it lets the next reconciliation book the amount, once, and only
//! where the difference is exactly explained by it.

use crate::market::{Timestamp, Usd};
use crate::structures::{Execution, ExecutionKind};

use super::{Journal, JournalError};

/// A confirmed movement of cash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfirmedCash {
    pub booking_id: String,
    /// USD, positive where the account received it.
    pub amount: Usd,
    pub reason: String,
    pub confirmed_at: Timestamp,
}

impl Journal {
    /// Keeps a confirmation; the id it is booked under.
    pub fn confirm_cash(
        &mut self,
        amount: Usd,
        reason: &str,
        at: Timestamp,
    ) -> Result<String, JournalError> {
        let micros = at.timestamp_micros();
        let id = format!("confirmed.{micros}");
        self.connection.execute(
            "insert into confirmed_cash (booking_id, amount, reason, confirmed_at)
             values (?1, ?2, ?3, ?4)",
            (&id, amount.micros(), reason, micros),
        )?;
        Ok(id)
    }

    /// Confirmations that are not booked yet, in the order of their coming.
    pub fn unbooked_cash(&self) -> Result<Vec<ConfirmedCash>, JournalError> {
        let mut statement = self.connection.prepare_cached(
            "select booking_id, amount, reason, confirmed_at from confirmed_cash
             where not exists (
                 select 1 from executions where exec_id = booking_id || '.' || ?1
             ) order by confirmed_at",
        )?;
        let kind = ExecutionKind::Interest.as_str();
        let rows = statement.query_map([kind], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get::<_, i64>(3)?))
        })?;
        rows.map(|row| {
            let (booking_id, amount, reason, micros) = row?;
            let confirmed_at = Timestamp::from_timestamp_micros(micros)
                .ok_or_else(|| JournalError::Unreadable(format!("{micros} is no instant")))?;
            let amount = Usd::from_micros(amount);
            Ok(ConfirmedCash { booking_id, amount, reason, confirmed_at })
        })
        .collect()
    }

    /// Whether an execution has been booked.
    pub fn has_booked(&self, exec_id: &str) -> Result<bool, JournalError> {
        let sql = "select exists (select 1 from executions where exec_id = ?1)";
        Ok(self.connection.prepare_cached(sql)?.query_row([exec_id], |row| row.get(0))?)
    }

    /// When the newest order was written or the newest execution happened: what came later may be
    /// unknown. `None` where nothing was ever traded.
    pub fn newest(&self) -> Result<Option<Timestamp>, JournalError> {
        let sql = "select max(at) from (select applied_at as at from executions
                   union all select created_at from orders)";
        let micros: Option<i64> = self.connection.query_row(sql, [], |row| row.get(0))?;
        Ok(micros.and_then(Timestamp::from_timestamp_micros))
    }

    /// Books cash that concerns the account and no contract. True where it was not booked before.
    pub fn book_cash(&mut self, execution: &Execution) -> Result<bool, JournalError> {
        let work = self.begin()?;
        let fresh = work.execute(
            "insert into executions (exec_id, cash, applied_at) values (?1, ?2, ?3)
             on conflict (exec_id) do nothing",
            (&execution.exec_id, execution.cash.micros(), execution.at.timestamp_micros()),
        )?;
        work.commit()?;
        Ok(fresh == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::ConId;
    use crate::structures::testing::{monday, usd};

    #[test]
    fn a_confirmation_waits_until_it_is_booked_once() {
        let mut journal = Journal::in_memory().unwrap();
        assert_eq!(journal.newest().unwrap(), None);
        let id = journal.confirm_cash(usd(-4.5), "market data", monday()).unwrap();
        let waiting = journal.unbooked_cash().unwrap();
        assert_eq!(waiting.len(), 1);
        assert_eq!(waiting.first().unwrap().amount, usd(-4.5));
        let execution = Execution {
            exec_id: format!("{id}.interest"),
            order_ref: None,
            perm_id: None,
            group_id: id,
            kind: ExecutionKind::Interest,
            conid: ConId::ACCOUNT,
            quantity: 0,
            price: None,
            multiplier: 1,
            commission: Usd::ZERO,
            cash: usd(-4.5),
            at: monday(),
        };
        assert!(journal.book_cash(&execution).unwrap());
        assert!(!journal.book_cash(&execution).unwrap());
        assert_eq!(journal.unbooked_cash().unwrap(), []);
        assert!(journal.has_booked(&execution.exec_id).unwrap());
        assert_eq!(journal.newest().unwrap(), Some(execution.at));
        assert_eq!(journal.executed_cash().unwrap(), usd(-4.5));
    }
}
