//! The journal: `state.db`, the truth for what is not finished. Intents, verdicts and order states,
//! strategies and their legs, peaks, alerts, what holds the breaker, watermarks, reconciliations.
//!
//! Invariants: an intent and its verdict are one transaction, before anything is sent; an order
//! leaves the desk at most once, and one whose fate is unknown is never sent again; an execution
//! counts once, however often it is told; a final order never moves again; every change carries a
//! rising number and is kept, and by it is copied to `ops.*`. The realised and open parts of a
//! strategy's cash always add up to the cash of its executions.
//!
//! This is the only module that knows SQLite. It reads no clock and judges nothing.

mod confirmed;
mod corrections;
mod holds;
mod openings;
mod orders;
mod rows;
mod schema;
mod strategies;
#[cfg(test)]
mod tests;

use std::path::Path;

use rusqlite::Connection;

use crate::market::{Timestamp, Usd};

pub use confirmed::ConfirmedCash;
pub use holds::{BreakerChange, BreakerHold, ReconciliationRow};
pub use orders::{Intent, Ruling, Verdict};
pub use rows::{AlertRow, Changes, LegRow, OrderRow, PeakRow, StrategyRow, StrategyState};
pub use strategies::Applied;

use schema::Work;

/// What went wrong with the journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("state.db: {}", told(.0))]
    Database(rusqlite::Error),
    #[error("{path}: {source}; check that the folder exists and can be written")]
    File { path: String, source: std::io::Error },
    #[error(
        "state.db is of schema {found}, this program knows {known}; use the program that wrote it"
    )]
    OtherSchema { found: i64, known: i64 },
    #[error("order {0} is not in the journal")]
    NoOrder(String),
    #[error("strategy {0} is not in the journal")]
    NoStrategy(String),
    #[error("order {order_ref} is {from} and cannot become {to}")]
    IllegalMove { order_ref: String, from: String, to: &'static str },
    #[error("order {order_ref}: {what}")]
    Impossible { order_ref: String, what: String },
    #[error("order {0} is in the journal already; the same intent is never written twice")]
    Duplicate(String),
    #[error("state.db holds `{0}`, which is no value of its column")]
    Unreadable(String),
}

impl From<rusqlite::Error> for JournalError {
    fn from(problem: rusqlite::Error) -> Self {
        Self::Database(problem)
    }
}

/// With what to do, where there is something.
fn told(problem: &rusqlite::Error) -> String {
    let code = problem.sqlite_error_code();
    if code == Some(rusqlite::ErrorCode::DiskFull) {
        let remedy = "free some space and start again: what was acknowledged is there";
        return format!("the disk is full; {remedy}");
    }
    if code == Some(rusqlite::ErrorCode::ReadOnly) {
        return "it can be read only; make it writable, or move the home".to_owned();
    }
    problem.to_string()
}

/// A profit that a strategy has reached.
#[derive(Debug, Clone, PartialEq)]
pub struct Peak {
    pub strategy_id: String,
    pub pnl: Usd,
    /// Of the basis.
    pub pnl_ratio: f64,
    pub at: Timestamp,
}

/// The open journal.
pub struct Journal {
    connection: Connection,
}

impl Journal {
    /// Opens the journal, making it where there is none. Every commit is on disk before it returns.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        Self::connect(path, "FULL")
    }

    /// An empty journal for a run in virtual time, which recomputes everything after a stop: what
    /// was in the file is gone, and a commit does not wait for the disk.
    pub fn create(path: &Path) -> Result<Self, JournalError> {
        for suffix in ["", "-wal", "-shm"] {
            let file = format!("{}{suffix}", path.display());
            match std::fs::remove_file(&file) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(source) => return Err(JournalError::File { path: file, source }),
            }
        }
        Self::connect(path, "NORMAL")
    }

    /// A journal that lives in memory only, for tests.
    pub fn in_memory() -> Result<Self, JournalError> {
        let connection = Connection::open_in_memory()?;
        schema::prepare(&connection)?;
        Ok(Self { connection })
    }

    fn connect(path: &Path, synchronous: &str) -> Result<Self, JournalError> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", synchronous)?;
        connection.set_prepared_statement_cache_capacity(64);
        schema::prepare(&connection)?;
        Ok(Self { connection })
    }

    fn begin(&mut self) -> Result<Work<'_>, JournalError> {
        Ok(Work::begin(&mut self.connection)?)
    }

    /// The number of the newest change.
    pub fn last_change(&self) -> Result<i64, JournalError> {
        Ok(schema::last_change(&self.connection)?)
    }

    /// Keeps the best profit of an open strategy.
    pub fn raise_peak(&mut self, peak: &Peak) -> Result<(), JournalError> {
        let work = self.begin()?;
        let raised = work.execute(
            "insert into peaks (strategy_id, peak_pnl, peak_pnl_ratio, peaked_at, change_seq)
             values (?1, ?2, ?3, ?4, 0)
             on conflict (strategy_id) do update
                 set peak_pnl = ?2, peak_pnl_ratio = ?3, peaked_at = ?4
                 where excluded.peak_pnl_ratio > peaks.peak_pnl_ratio",
            (&peak.strategy_id, peak.pnl.micros(), peak.pnl_ratio, peak.at.timestamp_micros()),
        )?;
        if raised == 1 {
            let seq = schema::next_change(&work)?;
            work.execute(
                "update peaks set change_seq = ?2 where strategy_id = ?1",
                (&peak.strategy_id, seq),
            )?;
        }
        Ok(work.commit()?)
    }
}
