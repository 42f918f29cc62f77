//! The life of one run: started, perhaps tried again after a pause, and ended.
//!
//! A run is plain data that moves by being told what happened and when. Its identity says what it
//! is: the job and the scheduled instant, never the wall clock.

use std::fmt;

use super::job::{Job, JobName};
use super::planner::{Missed, MissedBecause, Occurrence};
use crate::market::Timestamp;

/// `<job>-<scheduled instant>`, as in `sweep-20260302T143000Z`; a fraction of a second only where
/// there is one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(String);

impl RunId {
    pub fn new(job: &JobName, scheduled_at: Timestamp) -> Self {
        let micros = scheduled_at.timestamp_subsec_micros();
        let fraction = if micros == 0 { String::new() } else { format!("{micros:06}") };
        Self(format!("{job}-{}{fraction}Z", scheduled_at.format("%Y%m%dT%H%M%S")))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Why a run came to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    Schedule,
    /// A person or another program asked for it.
    Demand,
    /// Another run succeeded.
    Trigger {
        by: RunId,
    },
}

/// Where a run stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunStatus {
    Running,
    /// An attempt failed; the next begins at `retry_at`.
    Waiting {
        retry_at: Timestamp,
        error: String,
    },
    Succeeded {
        finished_at: Timestamp,
    },
    /// No attempt is left.
    Failed {
        finished_at: Timestamp,
        error: String,
    },
    /// It was never started.
    Missed {
        because: MissedBecause,
    },
    /// The job was still running, or its queue full.
    Skipped,
}

impl RunStatus {
    /// Whether nothing further will happen to the run.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Running | Self::Waiting { .. } => false,
            Self::Succeeded { .. } | Self::Failed { .. } | Self::Missed { .. } | Self::Skipped => {
                true
            }
        }
    }

    /// The word for tables and pages.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Waiting { .. } => "waiting",
            Self::Succeeded { .. } => "succeeded",
            Self::Failed { .. } => "failed",
            Self::Missed { .. } => "missed",
            Self::Skipped => "skipped",
        }
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Succeeded,
    Failed {
        error: String,
    },
    /// It took longer than its job's `timeout`.
    TimedOut,
    /// The process ended while it ran; found at the next start.
    Interrupted,
}

/// A move that a run's status does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    #[error("run {run_id} is {status}: only a running one can end")]
    NotRunning { run_id: RunId, status: &'static str },
    #[error("run {run_id} is {status}: only a waiting one is tried again")]
    NotWaiting { run_id: RunId, status: &'static str },
}

/// One run of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRun {
    pub run_id: RunId,
    pub job: JobName,
    pub scheduled_at: Timestamp,
    pub cause: Cause,
    /// Counted from 1; 0 where it never began.
    pub attempt: u32,
    /// When the current attempt began; nothing where it never did.
    pub started_at: Option<Timestamp>,
    pub status: RunStatus,
}

impl JobRun {
    fn unstarted(occurrence: &Occurrence, cause: Cause, status: RunStatus) -> Self {
        Self {
            run_id: occurrence.run_id(),
            job: occurrence.job.clone(),
            scheduled_at: occurrence.scheduled_at,
            cause,
            attempt: 0,
            started_at: None,
            status,
        }
    }

    /// The first attempt, begun at `now`.
    pub fn start(occurrence: &Occurrence, cause: Cause, now: Timestamp) -> Self {
        let run = Self::unstarted(occurrence, cause, RunStatus::Running);
        Self { attempt: 1, started_at: Some(now), ..run }
    }

    /// The record of an occurrence that does not run.
    pub fn missed(missed: &Missed) -> Self {
        let status = RunStatus::Missed { because: missed.because };
        Self::unstarted(&missed.occurrence, Cause::Schedule, status)
    }

    /// The record of an occurrence that the job's previous run left no room for.
    pub fn skipped(occurrence: &Occurrence, cause: Cause) -> Self {
        Self::unstarted(occurrence, cause, RunStatus::Skipped)
    }

    /// When the current attempt will have taken too long.
    pub fn deadline(&self, job: &Job) -> Option<Timestamp> {
        match self.status {
            RunStatus::Running => self.started_at.map(|at| at + job.timeout),
            RunStatus::Waiting { .. }
            | RunStatus::Succeeded { .. }
            | RunStatus::Failed { .. }
            | RunStatus::Missed { .. }
            | RunStatus::Skipped => None,
        }
    }

    /// The run after its current attempt ended at `now`: final, or waiting for the next attempt.
    pub fn ended(self, outcome: Outcome, now: Timestamp, job: &Job) -> Result<Self, RunError> {
        if self.status != RunStatus::Running {
            let status = self.status.word();
            return Err(RunError::NotRunning { run_id: self.run_id, status });
        }
        let error = match outcome {
            Outcome::Succeeded => {
                let status = RunStatus::Succeeded { finished_at: now };
                return Ok(Self { status, ..self });
            }
            Outcome::Failed { error } => error,
            Outcome::TimedOut => format!("took longer than {} s", job.timeout.num_seconds()),
            Outcome::Interrupted => "the process ended while it ran".to_owned(),
        };
        let status = match job.retry.pause_after(self.attempt) {
            Some(pause) => RunStatus::Waiting { retry_at: now + pause, error },
            None => RunStatus::Failed { finished_at: now, error },
        };
        Ok(Self { status, ..self })
    }

    /// The next attempt, begun at `now`.
    pub fn again(self, now: Timestamp) -> Result<Self, RunError> {
        if !matches!(self.status, RunStatus::Waiting { .. }) {
            let status = self.status.word();
            return Err(RunError::NotWaiting { run_id: self.run_id, status });
        }
        let attempt = self.attempt + 1;
        Ok(Self { attempt, started_at: Some(now), status: RunStatus::Running, ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::{Jobs, SHIPPED_JOBS};

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn started(name: &str) -> (Job, JobRun) {
        let jobs = Jobs::parse("jobs.toml", SHIPPED_JOBS).unwrap();
        let job = jobs.named(name).unwrap().clone();
        let occurrence = Occurrence::new(&job, at("2026-03-02T14:30:00Z"));
        let run = JobRun::start(&occurrence, Cause::Schedule, at("2026-03-02T14:30:01Z"));
        (job, run)
    }

    #[test]
    fn the_identity_says_what_it_is() {
        let (_, run) = started("sweep");
        assert_eq!(run.run_id.as_str(), "sweep-20260302T143000Z");
        let finer = RunId::new(&run.job, at("2026-03-02T14:30:00.000250Z"));
        assert_eq!(finer.as_str(), "sweep-20260302T143000000250Z");
    }

    #[test]
    fn a_failing_run_is_tried_again_until_no_attempt_is_left() {
        let (job, mut run) = started("close");
        let mut now = at("2026-03-02T14:31:00Z");
        for attempt in 1..=job.retry.retries {
            assert_eq!(run.attempt, attempt);
            run = run.ended(Outcome::TimedOut, now, &job).unwrap();
            let pause = job.retry.pause_after(attempt).unwrap();
            let RunStatus::Waiting { retry_at, .. } = run.status else {
                panic!("{run:?} does not wait")
            };
            assert_eq!(retry_at, now + pause);
            now += pause;
            run = run.again(now).unwrap();
            assert_eq!(run.deadline(&job), Some(now + job.timeout));
        }
        let failed = Outcome::Failed { error: "no data".to_owned() };
        run = run.ended(failed, now, &job).unwrap();
        let expected = RunStatus::Failed { finished_at: now, error: "no data".to_owned() };
        assert_eq!(run.status, expected);
        assert!(run.status.is_final());
        assert_eq!(run.deadline(&job), None);
    }

    #[test]
    fn an_ended_run_stays_ended() {
        let (job, run) = started("sweep");
        let now = at("2026-03-02T14:31:00Z");
        let done = run.ended(Outcome::Succeeded, now, &job).unwrap();
        assert!(matches!(
            done.clone().ended(Outcome::Succeeded, now, &job),
            Err(RunError::NotRunning { status: "succeeded", .. })
        ));
        assert!(matches!(done.again(now), Err(RunError::NotWaiting { .. })));
    }
}
