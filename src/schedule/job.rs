//! The jobs as they are meant: every value present, in range and consistent with the others.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use chrono::TimeDelta;
use chrono_tz::Tz;
use croner::Cron;

use super::fault::{Fault, Faults};
use super::{check, phrase};
use crate::market::sessions::Venue;

/// The name of a job: lower-case letters, digits and `_`, a letter first, at most 40 characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobName(Arc<str>);

impl JobName {
    /// A name is short enough to be part of a run's identity.
    pub const LEN_MAX: usize = 40;

    /// The name, or nothing where the text is not one.
    pub fn new(text: &str) -> Option<Self> {
        let inner =
            |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
        let valid = text.len() <= Self::LEN_MAX
            && text.starts_with(|first: char| first.is_ascii_lowercase())
            && text.chars().all(inner);
        valid.then(|| Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The beginning or the end of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Edge {
    Open,
    Close,
}

/// A moment counted from an edge of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anchor {
    pub edge: Edge,
    /// Later is positive.
    pub offset: TimeDelta,
}

impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.edge {
            Edge::Open => "open",
            Edge::Close => "close",
        })?;
        match self.offset.num_seconds() {
            0 => Ok(()),
            later if later > 0 => write!(f, "+{}", phrase::span_text(self.offset)),
            _ => write!(f, "-{}", phrase::span_text(-self.offset)),
        }
    }
}

/// A cron pattern of five fields in its zone, on every day or on the days of a calendar.
#[derive(Debug, Clone, PartialEq)]
pub struct CronTimes {
    pub cron: Cron,
    pub timezone: Tz,
    /// Where named, an occurrence stays only if its date in `timezone` is a session date.
    pub calendar: Option<Venue>,
}

/// When a job has occurrences of its own.
#[derive(Debug, Clone, PartialEq)]
pub enum When {
    Cron(Box<CronTimes>),
    /// Once a session.
    At {
        calendar: Venue,
        at: Anchor,
    },
    /// From `from` (inclusive) to `to` (exclusive) of each session, `every` apart, but not while
    /// `outside` has a session.
    Every {
        calendar: Venue,
        every: TimeDelta,
        from: Anchor,
        to: Anchor,
        outside: Option<Venue>,
    },
    /// Never: only when asked for or triggered.
    OnDemand,
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cron(times) => {
                write!(f, "{} {}", times.cron.as_str(), times.timezone.name())?;
                times.calendar.map_or(Ok(()), |venue| write!(f, " on {venue} days"))
            }
            Self::At { calendar, at } => write!(f, "{calendar} {at}"),
            Self::Every { calendar, every, from, to, outside } => {
                let every = phrase::span_text(*every);
                write!(f, "every {every} from {calendar} {from} to {to}")?;
                outside.map_or(Ok(()), |venue| write!(f, " outside {venue}"))
            }
            Self::OnDemand => f.write_str("on demand"),
        }
    }
}

/// What happens to an occurrence while the job still runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlap {
    /// It is skipped, and recorded as such.
    Skip,
    /// It waits for its turn.
    Queue,
}

/// What happens to occurrences that nobody started in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misfire {
    /// They are recorded as missed.
    None,
    /// The latest runs if it is not older than the window and nothing newer of the job is due.
    Latest { catchup_window: TimeDelta },
    /// Those not older than the window run, oldest first.
    All { catchup_window: TimeDelta },
}

/// Further attempts at a run that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// Attempts after the first.
    pub retries: u32,
    /// The pause before the second attempt; it doubles with each further one.
    pub first: TimeDelta,
    /// No pause is longer.
    pub max: TimeDelta,
}

impl Retry {
    /// The pause after attempt `attempt` (counted from 1) failed, or nothing where it was the last.
    pub fn pause_after(&self, attempt: u32) -> Option<TimeDelta> {
        let doublings = attempt.checked_sub(1)?;
        if attempt > self.retries {
            return None;
        }
        let doubled = 2_i32.checked_pow(doublings).and_then(|times| self.first.checked_mul(times));
        Some(doubled.map_or(self.max, |pause| pause.min(self.max)))
    }
}

/// One job.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    pub name: JobName,
    /// The file of `pipelines/` that says what is done, without its ending.
    pub pipeline: String,
    pub when: When,
    /// It also runs each time one of these has succeeded, at the same scheduled instant.
    pub trigger_after: BTreeSet<JobName>,
    /// An attempt that takes longer has failed.
    pub timeout: TimeDelta,
    pub retry: Retry,
    pub overlap: Overlap,
    pub misfire: Misfire,
    /// The order among jobs due at one instant: smaller first.
    pub priority: i64,
    /// Where `jobs.toml` names the pipeline.
    pub(super) pipeline_line: usize,
}

/// All jobs of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Jobs {
    pub(super) file: String,
    pub(super) late_after: TimeDelta,
    pub(super) by_name: BTreeMap<JobName, Job>,
}

impl Jobs {
    /// Reads and checks a whole file; `file` is its name in the faults.
    pub fn parse(file: &str, text: &str) -> Result<Self, Faults> {
        check::jobs(file, text)
    }

    /// Each job whose pipeline does not exist.
    pub fn check_pipelines(&self, known: &BTreeSet<String>) -> Result<(), Faults> {
        let unknown = self.iter().filter(|job| !known.contains(&job.pipeline));
        let names: Vec<&str> = known.iter().map(String::as_str).collect();
        let fault = |job: &Job| Fault {
            file: self.file.clone(),
            line: job.pipeline_line,
            key: format!("jobs.{}.pipeline", job.name),
            problem: format!("there is no pipeline `{}`", job.pipeline),
            remedy: format!(
                "write pipelines/{}.toml or name one of {}",
                job.pipeline,
                names.join(", ")
            ),
        };
        Faults::of(unknown.map(fault).collect())
    }

    /// An occurrence that is older than this when it is first seen was missed, and `misfire`
    /// decides.
    pub fn late_after(&self) -> TimeDelta {
        self.late_after
    }

    pub fn get(&self, name: &JobName) -> Option<&Job> {
        self.by_name.get(name)
    }

    /// The job of a name as somebody typed it.
    pub fn named(&self, text: &str) -> Option<&Job> {
        self.get(&JobName::new(text)?)
    }

    /// By name.
    pub fn iter(&self) -> impl Iterator<Item = &Job> {
        self.by_name.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let retry = Retry { retries: 5, first: TimeDelta::seconds(5), max: TimeDelta::seconds(30) };
        let pauses: Vec<_> = (0..=7)
            .map(|attempt| retry.pause_after(attempt).map(|pause| pause.num_seconds()))
            .collect();
        let expected = [None, Some(5), Some(10), Some(20), Some(30), Some(30), None, None].to_vec();
        assert_eq!(pauses, expected);
        let never = Retry { retries: 0, ..retry };
        assert_eq!(never.pause_after(1), None);
        let often = Retry { retries: 100, ..retry };
        assert_eq!(often.pause_after(99), Some(TimeDelta::seconds(30)));
    }

    #[test]
    fn names_are_plain() {
        assert!(JobName::new("futures_overnight").is_some());
        for wrong in ["", "_a", "9a", "Sweep", "a-b", "a.b", &"a".repeat(41)] {
            assert_eq!(JobName::new(wrong), None, "{wrong}");
        }
    }
}
