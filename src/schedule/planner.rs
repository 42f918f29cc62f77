//! Which job is due when: pure arithmetic over the jobs and the exchange calendars.
//!
//! Ranges are half-open, `[from, until)`, and may be split anywhere. Exchange time moves with
//! daylight saving, so session-relative jobs follow the session; cron patterns follow the rules of
//! Vixie cron: a fixed time in the hour that is skipped runs right after it, one in the hour that
//! comes twice runs once, and a pattern with `*` or `/` in its hours or minutes runs in real time
//! through both.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use chrono_tz::America::New_York;
use chrono_tz::Tz;

use super::job::{Anchor, CronTimes, Edge, Job, JobName, Jobs, Misfire, When};
use super::run::RunId;
use crate::market::Timestamp;
use crate::market::sessions::{Calendar, CalendarError, Session, Venue};

/// An anchor is at most this far from its edge.
pub(super) const OFFSET_HOURS_MAX: i64 = 24;

/// Sessions whose dates are this far from a range cannot reach into it: a session begins up to six
/// hours before its date and ends on it, and an anchor adds a day.
const SESSION_DAYS_MARGIN: TimeDelta = TimeDelta::days(3);

/// A change of the clocks moves less than this.
const CLOCK_CHANGE_MAX: TimeDelta = TimeDelta::hours(3);

/// Time in the lake has microseconds, so the next instant is one later.
const TICK: TimeDelta = TimeDelta::microseconds(1);

/// More occurrences of one job than this are not caught up at once.
const CATCHUP_RUNS_MAX: usize = 500;

/// How far ahead [`Planner::next`] looks.
const HORIZON_DAYS_MAX: i64 = 400;

/// One run that a job owes: its identity is the job and the instant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Occurrence {
    pub scheduled_at: Timestamp,
    /// The job's priority: among occurrences of one instant, smaller goes first.
    pub priority: i64,
    pub job: JobName,
}

impl Occurrence {
    /// The occurrence of a job at an instant: one of its own, one that was asked for or triggered.
    pub fn new(job: &Job, scheduled_at: Timestamp) -> Self {
        Self { scheduled_at, priority: job.priority, job: job.name.clone() }
    }

    pub fn run_id(&self) -> RunId {
        RunId::new(&self.job, self.scheduled_at)
    }
}

/// Why an occurrence does not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissedBecause {
    /// Its job does not run late.
    NeverLate,
    /// It is older than its job's `catchup_window`.
    TooOld,
    /// A newer occurrence of its job runs instead.
    Superseded,
    /// Too many were missed; the newest run.
    TooMany,
}

/// An occurrence that nobody started in time and that does not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missed {
    pub occurrence: Occurrence,
    pub because: MissedBecause,
}

/// The judgement on all occurrences up to an instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// In the order to start them.
    pub start: Vec<Occurrence>,
    pub missed: Vec<Missed>,
    /// To be kept: the next judgement begins after it. It never moves back.
    pub watermark: Timestamp,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    #[error("job {job}: {source}")]
    Calendar { job: JobName, source: CalendarError },
    #[error("job {job}: its cron pattern has no next time after {after}: {fault}")]
    Cron { job: JobName, after: Timestamp, fault: String },
}

/// The jobs with the calendars that they run on.
#[derive(Debug, Clone)]
pub struct Planner {
    jobs: Jobs,
    calendar: Arc<Calendar>,
}

impl Planner {
    pub fn new(jobs: Jobs, calendar: Arc<Calendar>) -> Self {
        Self { jobs, calendar }
    }

    pub fn jobs(&self) -> &Jobs {
        &self.jobs
    }

    /// All occurrences with `from <= scheduled_at < until`, by (scheduled_at, priority, name).
    pub fn occurrences(
        &self,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Occurrence>, PlanError> {
        let mut all = Vec::new();
        for job in self.jobs.iter() {
            let times = self.times(job, from, until)?;
            all.extend(times.into_iter().map(|at| Occurrence::new(job, at)));
        }
        all.sort();
        Ok(all)
    }

    /// The next occurrences after an instant, at most `count`, within a year.
    pub fn next(&self, after: Timestamp, count: usize) -> Result<Vec<Occurrence>, PlanError> {
        let mut days = 4;
        loop {
            let mut found = self.occurrences(after + TICK, after + TimeDelta::days(days))?;
            if found.len() >= count || days >= HORIZON_DAYS_MAX {
                found.truncate(count);
                return Ok(found);
            }
            days = (days * 4).min(HORIZON_DAYS_MAX);
        }
    }

    /// The judgement on every occurrence after the watermark and not after `now`. Where the clock
    /// went back behind the watermark, nothing is due and the watermark stays.
    pub fn due(&self, watermark: Timestamp, now: Timestamp) -> Result<Due, PlanError> {
        let mut by_job: BTreeMap<JobName, Vec<Occurrence>> = BTreeMap::new();
        for occurrence in self.occurrences(watermark + TICK, now + TICK)? {
            by_job.entry(occurrence.job.clone()).or_default().push(occurrence);
        }
        let mut due = Due { start: vec![], missed: vec![], watermark: watermark.max(now) };
        for (name, occurrences) in by_job {
            let job = self.jobs.get(&name).expect("occurrences come from the jobs themselves");
            judge(job, (now, self.jobs.late_after()), occurrences, &mut due);
        }
        due.start.sort();
        due.missed.sort_by(|a, b| a.occurrence.cmp(&b.occurrence));
        Ok(due)
    }

    /// What the success of an occurrence makes due, at the same scheduled instant.
    pub fn triggered_by(&self, done: &Occurrence) -> Vec<Occurrence> {
        let waiting = self.jobs.iter().filter(|job| job.trigger_after.contains(&done.job));
        let mut due: Vec<_> = waiting.map(|job| Occurrence::new(job, done.scheduled_at)).collect();
        due.sort();
        due
    }

    fn times(
        &self,
        job: &Job,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Timestamp>, PlanError> {
        if from >= until {
            return Ok(vec![]);
        }
        let range = Range { from, until };
        let of_calendar = |source| PlanError::Calendar { job: job.name.clone(), source };
        match &job.when {
            When::Cron(times) => {
                let fired = cron_times(times, range).map_err(|fault| PlanError::Cron {
                    job: job.name.clone(),
                    after: from,
                    fault,
                })?;
                self.on_calendar(times, fired).map_err(of_calendar)
            }
            When::At { calendar, at } => {
                let sessions = self.sessions(*calendar, range).map_err(of_calendar)?;
                let times = sessions.iter().map(|session| moment(session, *at));
                Ok(times.filter(|at| range.contains(*at)).collect())
            }
            When::Every { calendar, every, from, to, outside } => {
                let sessions = self.sessions(*calendar, range).map_err(of_calendar)?;
                let times = sessions
                    .iter()
                    .flat_map(|session| steps(moment(session, *from), moment(session, *to), *every))
                    .filter(|at| range.contains(*at))
                    .collect();
                self.outside(*outside, times).map_err(of_calendar)
            }
            When::OnDemand => Ok(vec![]),
        }
    }

    fn sessions(&self, venue: Venue, range: Range) -> Result<Vec<Session>, CalendarError> {
        let from = date_in(range.from, New_York) - SESSION_DAYS_MARGIN;
        let to = date_in(range.until, New_York) + SESSION_DAYS_MARGIN;
        self.calendar.sessions(venue, from, to)
    }

    /// Those times whose date, in the pattern's zone, is a session.
    fn on_calendar(
        &self,
        times: &CronTimes,
        fired: Vec<Timestamp>,
    ) -> Result<Vec<Timestamp>, CalendarError> {
        let Some(venue) = times.calendar else { return Ok(fired) };
        let mut kept = Vec::new();
        for at in fired {
            if self.calendar.session(venue, date_in(at, times.timezone))?.is_some() {
                kept.push(at);
            }
        }
        Ok(kept)
    }

    fn outside(
        &self,
        venue: Option<Venue>,
        times: Vec<Timestamp>,
    ) -> Result<Vec<Timestamp>, CalendarError> {
        let Some(venue) = venue else { return Ok(times) };
        let mut kept = Vec::new();
        for at in times {
            let session = self.calendar.session(venue, date_in(at, New_York))?;
            if !session.is_some_and(|session| session.open <= at && at < session.close) {
                kept.push(at);
            }
        }
        Ok(kept)
    }
}

#[derive(Clone, Copy)]
struct Range {
    from: Timestamp,
    until: Timestamp,
}

impl Range {
    fn contains(self, at: Timestamp) -> bool {
        self.from <= at && at < self.until
    }
}

fn date_in(at: Timestamp, zone: Tz) -> NaiveDate {
    at.with_timezone(&zone).date_naive()
}

fn moment(session: &Session, anchor: Anchor) -> Timestamp {
    let edge = match anchor.edge {
        Edge::Open => session.open,
        Edge::Close => session.close,
    };
    edge + anchor.offset
}

/// `first`, then `every` apart, while before `end`.
fn steps(first: Timestamp, end: Timestamp, every: TimeDelta) -> impl Iterator<Item = Timestamp> {
    std::iter::successors(Some(first), move |at| Some(*at + every)).take_while(move |at| *at < end)
}

fn cron_times(times: &CronTimes, range: Range) -> Result<Vec<Timestamp>, String> {
    // Begun before any change of the clocks that could reach into the range, so that the answer
    // does not depend on where the range begins.
    let start: DateTime<Tz> = (range.from - CLOCK_CHANGE_MAX).with_timezone(&times.timezone);
    let mut fired = Vec::new();
    let mut next = times.cron.find_next_occurrence(&start, true).map_err(|e| e.to_string())?;
    while next < range.until {
        fired.push(next.with_timezone(&Utc));
        next = times.cron.find_next_occurrence(&next, false).map_err(|e| e.to_string())?;
    }
    fired.retain(|at| range.contains(*at));
    fired.sort_unstable();
    fired.dedup();
    Ok(fired)
}

/// Sorts one job's occurrences, oldest first, into those that start and those that were missed.
fn judge(
    job: &Job,
    (now, late_after): (Timestamp, TimeDelta),
    occurrences: Vec<Occurrence>,
    due: &mut Due,
) {
    let age = |occurrence: &Occurrence| now - occurrence.scheduled_at;
    let (mut late, on_time): (Vec<_>, Vec<_>) =
        occurrences.into_iter().partition(|occurrence| age(occurrence) > late_after);
    let mut miss = |occurrences: Vec<Occurrence>, because| {
        let missed = occurrences.into_iter().map(|occurrence| Missed { occurrence, because });
        due.missed.extend(missed);
    };
    match job.misfire {
        Misfire::None => miss(late, MissedBecause::NeverLate),
        Misfire::Latest { .. } if !on_time.is_empty() => miss(late, MissedBecause::Superseded),
        Misfire::Latest { catchup_window } => {
            let latest = late.pop();
            miss(late, MissedBecause::Superseded);
            let (young, old): (Vec<_>, Vec<_>) =
                latest.into_iter().partition(|latest| age(latest) <= catchup_window);
            miss(old, MissedBecause::TooOld);
            due.start.extend(young);
        }
        Misfire::All { catchup_window } => {
            let (mut young, old): (Vec<_>, Vec<_>) =
                late.into_iter().partition(|occurrence| age(occurrence) <= catchup_window);
            miss(old, MissedBecause::TooOld);
            let newest = young.split_off(young.len().saturating_sub(CATCHUP_RUNS_MAX));
            miss(young, MissedBecause::TooMany);
            due.start.extend(newest);
        }
    }
    due.start.extend(on_time);
}

#[cfg(test)]
mod tests;
