//! When things run: `jobs.toml` read and checked, the occurrences it names, and the life of a run.
//!
//! A job says when; the pipeline that it names says what. Invariants: an occurrence is computed,
//! never stored ahead, and its identity is (job, scheduled instant), so that starting it twice
//! starts it once; times of day are kept in their zone and turned into UTC for each occurrence, so
//! daylight saving moves instants and nothing else; occurrences of a range split anywhere are the
//! occurrences of the range. The watermark moves when occurrences have been judged, not when their
//! runs succeed.
//!
//! Deliberately absent: clocks, tasks and storage. The caller hands in each instant, drives the
//! runs and implements [`RunLedger`]. No word of trading is known here beyond the calendars'
//! names.

mod check;
mod fault;
mod job;
mod ledger;
mod phrase;
mod planner;
mod run;
mod slots;
mod written;

pub use fault::{Fault, Faults};
pub use job::{Anchor, CronTimes, Edge, Job, JobName, Jobs, Misfire, Overlap, Retry, When};
pub use ledger::{Claim, LedgerError, MemoryLedger, RunLedger};
pub use planner::{Due, Missed, MissedBecause, Occurrence, PlanError, Planner};
pub use run::{Cause, JobRun, Outcome, RunError, RunId, RunStatus};
pub use slots::{Offer, Slots};

/// The jobs as shipped.
pub const SHIPPED_JOBS: &str = include_str!("../jobs.toml");
