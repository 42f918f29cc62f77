//! What is held beside orders: alerts on their way out, causes that hold the breaker, watermarks,
//! differences found by reconciliation.

use rusqlite::{OptionalExtension as _, Row, params};

use crate::market::{ConId, Timestamp};

use super::rows::{alert_row, instant};
use super::schema::next_change;
use super::{AlertRow, Journal, JournalError};

/// A cause that holds the breaker at a level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakerHold {
    pub cause: String,
    pub level: String,
    /// Only a person ends it.
    pub is_latched: bool,
    pub reason: String,
    pub since: Timestamp,
}

/// A cause took hold of the breaker, changed its level, or let go (`level` is `None`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakerChange {
    pub change_seq: i64,
    pub cause: String,
    pub level: Option<String>,
    pub reason: String,
    pub changed_at: Timestamp,
}

/// A difference between the broker's truth and the journal, or the one row of a clean run.
#[derive(Debug, Clone, PartialEq)]
pub struct ReconciliationRow {
    pub run_id: String,
    /// Counts the run's rows from 1.
    pub reconciliation_seq: i64,
    pub difference: String,
    pub conid: Option<ConId>,
    pub symbol: Option<String>,
    pub broker_value: Option<f64>,
    pub desk_value: Option<f64>,
    pub action: String,
    pub detail: String,
    pub found_at: Timestamp,
}

impl Journal {
    /// An alert for the operator. The same id is one alert, however often it is raised. True where
    /// it is new.
    pub fn raise_alert(&mut self, alert: &AlertRow) -> Result<bool, JournalError> {
        let work = self.begin()?;
        let known: Option<i64> = work
            .query_row("select 1 from alerts where alert_id = ?1", [&alert.alert_id], |row| {
                row.get(0)
            })
            .optional()?;
        if known.is_some() {
            return Ok(false);
        }
        let seq = next_change(&work)?;
        work.execute(
            "insert into alerts (alert_id, severity, subject, message, raised_at, change_seq)
             values (?1, ?2, ?3, ?4, ?5, ?6)",
            (
                &alert.alert_id,
                &alert.severity,
                &alert.subject,
                &alert.message,
                alert.raised_at.timestamp_micros(),
                seq,
            ),
        )?;
        work.commit()?;
        Ok(true)
    }

    /// Alerts that no channel has taken, oldest first, with the number of attempts so far.
    pub fn undelivered_alerts(&self) -> Result<Vec<(AlertRow, i64)>, JournalError> {
        let sql = "select * from alerts where delivered_at is null and change_seq > ?1
            order by change_seq";
        self.select(sql, 0, |row| Ok((alert_row(row)?, row.get("attempts")?)))
    }

    /// A channel took the alert.
    pub fn mark_delivered(&mut self, alert_id: &str, at: Timestamp) -> Result<(), JournalError> {
        self.connection.execute(
            "update alerts set delivered_at = ?2, attempts = attempts + 1
             where alert_id = ?1 and delivered_at is null",
            (alert_id, at.timestamp_micros()),
        )?;
        Ok(())
    }

    /// No channel took the alert this time.
    pub fn mark_undelivered(&mut self, alert_id: &str) -> Result<(), JournalError> {
        self.connection
            .execute("update alerts set attempts = attempts + 1 where alert_id = ?1", [alert_id])?;
        Ok(())
    }

    /// A cause takes hold of the breaker, or holds it at another level. `since` is when this level
    /// began; a hold that is told again unchanged keeps its beginning, and one that is latched
    /// stays latched.
    pub fn hold_breaker(&mut self, hold: &BreakerHold) -> Result<(), JournalError> {
        let work = self.begin()?;
        let changed = work.execute(
            "insert into breaker_holds (cause, level, latched, reason, since)
             values (?1, ?2, ?3, ?4, ?5)
             on conflict (cause) do update
                 set level = ?2, latched = max(latched, ?3), reason = ?4, since = ?5
                 where level <> ?2 or latched < ?3",
            params![
                hold.cause,
                hold.level,
                hold.is_latched,
                hold.reason,
                hold.since.timestamp_micros()
            ],
        )?;
        if changed == 1 {
            let seq = next_change(&work)?;
            work.execute(
                "insert into breaker_changes (change_seq, cause, level, reason, changed_at)
                 values (?1, ?2, ?3, ?4, ?5)",
                (seq, &hold.cause, &hold.level, &hold.reason, hold.since.timestamp_micros()),
            )?;
        }
        Ok(work.commit()?)
    }

    /// A cause lets go of the breaker. Whether it may is not judged here.
    pub fn release_breaker(
        &mut self,
        cause: &str,
        reason: &str,
        at: Timestamp,
    ) -> Result<(), JournalError> {
        let work = self.begin()?;
        if work.execute("delete from breaker_holds where cause = ?1", [cause])? == 1 {
            let seq = next_change(&work)?;
            work.execute(
                "insert into breaker_changes (change_seq, cause, level, reason, changed_at)
                 values (?1, ?2, null, ?3, ?4)",
                (seq, cause, reason, at.timestamp_micros()),
            )?;
        }
        Ok(work.commit()?)
    }

    /// All causes that hold the breaker, in order of name.
    pub fn breaker_holds(&self) -> Result<Vec<BreakerHold>, JournalError> {
        self.select("select * from breaker_holds where ?1 = 0 order by cause", 0, |row| {
            Ok(BreakerHold {
                cause: row.get("cause")?,
                level: row.get("level")?,
                is_latched: row.get("latched")?,
                reason: row.get("reason")?,
                since: instant(row, "since")?,
            })
        })
    }

    /// How the breaker's holds changed after change number `after`.
    pub fn breaker_changes_since(&self, after: i64) -> Result<Vec<BreakerChange>, JournalError> {
        let sql = "select * from breaker_changes where change_seq > ?1 order by change_seq";
        self.select(sql, after, |row| {
            Ok(BreakerChange {
                change_seq: row.get("change_seq")?,
                cause: row.get("cause")?,
                level: row.get("level")?,
                reason: row.get("reason")?,
                changed_at: instant(row, "changed_at")?,
            })
        })
    }

    /// Remembers how far something has come.
    pub fn set_watermark(&mut self, name: &str, value: &str) -> Result<(), JournalError> {
        self.connection.execute(
            "insert into watermarks (name, value) values (?1, ?2)
             on conflict (name) do update set value = ?2",
            (name, value),
        )?;
        Ok(())
    }

    /// How far something has come, where that was remembered.
    pub fn watermark(&self, name: &str) -> Result<Option<String>, JournalError> {
        Ok(self
            .connection
            .query_row("select value from watermarks where name = ?1", [name], |row| row.get(0))
            .optional()?)
    }

    /// Keeps what a reconciliation found. Told again, it is the same finding.
    pub fn record_reconciliation(
        &mut self,
        rows: &[ReconciliationRow],
    ) -> Result<(), JournalError> {
        let work = self.begin()?;
        for row in rows {
            let seq = next_change(&work)?;
            work.execute(
                "insert into reconciliations (run_id, reconciliation_seq, difference, conid,
                     symbol, broker_value, desk_value, action, detail, found_at, change_seq)
                 values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
                 on conflict (run_id, reconciliation_seq) do nothing",
                params![
                    row.run_id,
                    row.reconciliation_seq,
                    row.difference,
                    row.conid.map(|conid| conid.0),
                    row.symbol,
                    row.broker_value,
                    row.desk_value,
                    row.action,
                    row.detail,
                    row.found_at.timestamp_micros(),
                    seq,
                ],
            )?;
        }
        Ok(work.commit()?)
    }

    /// What reconciliations found after change number `after`.
    pub fn reconciliations_since(
        &self,
        after: i64,
    ) -> Result<Vec<ReconciliationRow>, JournalError> {
        let sql = "select * from reconciliations where change_seq > ?1 order by change_seq";
        self.select(sql, after, reconciliation_row)
    }
}

fn reconciliation_row(row: &Row<'_>) -> Result<ReconciliationRow, JournalError> {
    Ok(ReconciliationRow {
        run_id: row.get("run_id")?,
        reconciliation_seq: row.get("reconciliation_seq")?,
        difference: row.get("difference")?,
        conid: row.get::<_, Option<i64>>("conid")?.map(ConId),
        symbol: row.get("symbol")?,
        broker_value: row.get("broker_value")?,
        desk_value: row.get("desk_value")?,
        action: row.get("action")?,
        detail: row.get("detail")?,
        found_at: instant(row, "found_at")?,
    })
}
