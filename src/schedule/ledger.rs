//! What is remembered of runs: the watermark and each run's latest state. The durable one belongs
//! to the desk's journal; the one here lives as long as the process.

use std::collections::BTreeMap;

use super::job::JobName;
use super::run::{JobRun, RunId};
use crate::market::Timestamp;

/// The store of runs failed.
#[derive(Debug, thiserror::Error)]
#[error("the ledger of runs failed: {source}")]
pub struct LedgerError {
    #[from]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// The answer to the wish to start a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// It is recorded as started, and this caller runs it.
    Granted,
    /// The same occurrence is already recorded; the run is not started again.
    Known(JobRun),
}

/// The memory of runs.
pub trait RunLedger {
    /// Up to which instant occurrences have been judged; nothing before the first judgement.
    fn watermark(&self) -> Result<Option<Timestamp>, LedgerError>;

    /// Keeps the watermark; an earlier one than the kept one changes nothing.
    fn advance(&mut self, watermark: Timestamp) -> Result<(), LedgerError>;

    /// Records a run unless its identity is known, in one step.
    fn claim(&mut self, run: &JobRun) -> Result<Claim, LedgerError>;

    /// Keeps a run's latest state.
    fn record(&mut self, run: &JobRun) -> Result<(), LedgerError>;

    fn run(&self, run_id: &RunId) -> Result<Option<JobRun>, LedgerError>;

    /// The runs whose status is not final, by scheduled instant and name.
    fn unfinished(&self) -> Result<Vec<JobRun>, LedgerError>;

    /// A job's latest runs, newest first.
    fn history(&self, job: &JobName, count: usize) -> Result<Vec<JobRun>, LedgerError>;
}

/// A ledger without a store, for tests and for virtual time.
#[derive(Debug, Clone, Default)]
pub struct MemoryLedger {
    watermark: Option<Timestamp>,
    runs: BTreeMap<(Timestamp, JobName), JobRun>,
}

fn key(run: &JobRun) -> (Timestamp, JobName) {
    (run.scheduled_at, run.job.clone())
}

impl RunLedger for MemoryLedger {
    fn watermark(&self) -> Result<Option<Timestamp>, LedgerError> {
        Ok(self.watermark)
    }

    fn advance(&mut self, watermark: Timestamp) -> Result<(), LedgerError> {
        self.watermark = self.watermark.max(Some(watermark));
        Ok(())
    }

    fn claim(&mut self, run: &JobRun) -> Result<Claim, LedgerError> {
        if let Some(known) = self.runs.get(&key(run)) {
            return Ok(Claim::Known(known.clone()));
        }
        self.record(run)?;
        Ok(Claim::Granted)
    }

    fn record(&mut self, run: &JobRun) -> Result<(), LedgerError> {
        self.runs.insert(key(run), run.clone());
        Ok(())
    }

    fn run(&self, run_id: &RunId) -> Result<Option<JobRun>, LedgerError> {
        Ok(self.runs.values().find(|run| run.run_id == *run_id).cloned())
    }

    fn unfinished(&self) -> Result<Vec<JobRun>, LedgerError> {
        Ok(self.runs.values().filter(|run| !run.status.is_final()).cloned().collect())
    }

    fn history(&self, job: &JobName, count: usize) -> Result<Vec<JobRun>, LedgerError> {
        let newest_first = self.runs.values().rev().filter(|run| run.job == *job);
        Ok(newest_first.take(count).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::{Cause, Jobs, Occurrence, Outcome, SHIPPED_JOBS};

    #[test]
    fn an_occurrence_is_claimed_once() {
        let jobs = Jobs::parse("jobs.toml", SHIPPED_JOBS).unwrap();
        let sweep = jobs.named("sweep").unwrap();
        let at: Timestamp = "2026-03-02T14:30:00Z".parse().unwrap();
        let run = JobRun::start(&Occurrence::new(sweep, at), Cause::Schedule, at);
        let mut ledger = MemoryLedger::default();
        assert_eq!(ledger.claim(&run).unwrap(), Claim::Granted);
        assert_eq!(ledger.claim(&run).unwrap(), Claim::Known(run.clone()));
        assert_eq!(ledger.unfinished().unwrap(), vec![run.clone()]);

        let done = run.ended(Outcome::Succeeded, at, sweep).unwrap();
        ledger.record(&done).unwrap();
        assert_eq!(ledger.run(&done.run_id).unwrap(), Some(done.clone()));
        assert_eq!(ledger.unfinished().unwrap(), vec![]);
        assert_eq!(ledger.history(&sweep.name, 5).unwrap(), vec![done]);
    }

    #[test]
    fn the_watermark_never_moves_back() {
        let (early, late) = ("2026-03-02T14:30:00Z", "2026-03-02T14:31:00Z");
        let mut ledger = MemoryLedger::default();
        assert_eq!(ledger.watermark().unwrap(), None);
        ledger.advance(late.parse().unwrap()).unwrap();
        ledger.advance(early.parse().unwrap()).unwrap();
        assert_eq!(ledger.watermark().unwrap(), Some(late.parse().unwrap()));
    }
}
