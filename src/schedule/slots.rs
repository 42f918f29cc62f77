//! One run of a job at a time: what happens to an occurrence while the job's previous run is not
//! over.

use std::collections::{BTreeMap, VecDeque};

use super::job::{Job, JobName, Overlap};
use super::planner::Occurrence;

/// More occurrences of one job than this do not wait.
const QUEUED_RUNS_MAX: usize = 16;

/// What becomes of an offered occurrence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// The job was free and is now taken: start it.
    Start,
    /// It waits and comes back from [`Slots::free`].
    Queued,
    /// The job is busy and does not queue.
    Busy,
    /// The job is busy and its queue full.
    QueueFull,
}

/// The jobs that are running and what waits for them.
#[derive(Debug, Clone, Default)]
pub struct Slots {
    taken: BTreeMap<JobName, VecDeque<Occurrence>>,
}

impl Slots {
    pub fn offer(&mut self, job: &Job, occurrence: &Occurrence) -> Offer {
        let Some(waiting) = self.taken.get_mut(&job.name) else {
            self.taken.insert(job.name.clone(), VecDeque::new());
            return Offer::Start;
        };
        match job.overlap {
            Overlap::Skip => Offer::Busy,
            Overlap::Queue if waiting.len() >= QUEUED_RUNS_MAX => Offer::QueueFull,
            Overlap::Queue => {
                waiting.push_back(occurrence.clone());
                Offer::Queued
            }
        }
    }

    /// The job's run is over for good. The occurrence that is next in its queue, if any, is to be
    /// started and keeps the job taken.
    pub fn free(&mut self, job: &JobName) -> Option<Occurrence> {
        let next = self.taken.get_mut(job)?.pop_front();
        if next.is_none() {
            self.taken.remove(job);
        }
        next
    }

    pub fn is_taken(&self, job: &JobName) -> bool {
        self.taken.contains_key(job)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::Timestamp;
    use crate::schedule::{Jobs, SHIPPED_JOBS};
    use chrono::TimeDelta;

    fn job(overlap: Overlap) -> (Job, Vec<Occurrence>) {
        let jobs = Jobs::parse("jobs.toml", SHIPPED_JOBS).unwrap();
        let job = Job { overlap, ..jobs.named("sweep").unwrap().clone() };
        let first: Timestamp = "2026-03-02T14:30:00Z".parse().unwrap();
        let occurrences =
            (0..20).map(|n| Occurrence::new(&job, first + TimeDelta::minutes(n))).collect();
        (job, occurrences)
    }

    #[test]
    fn a_busy_job_skips() {
        let (job, occurrences) = job(Overlap::Skip);
        let mut slots = Slots::default();
        assert_eq!(slots.offer(&job, &occurrences[0]), Offer::Start);
        assert_eq!(slots.offer(&job, &occurrences[1]), Offer::Busy);
        assert_eq!(slots.free(&job.name), None);
        assert_eq!(slots.offer(&job, &occurrences[2]), Offer::Start);
    }

    #[test]
    fn a_queueing_job_keeps_order_and_a_bound() {
        let (job, occurrences) = job(Overlap::Queue);
        let mut slots = Slots::default();
        let offers: Vec<_> = occurrences.iter().map(|next| slots.offer(&job, next)).collect();
        assert_eq!(offers[0], Offer::Start);
        assert!(offers[1..=QUEUED_RUNS_MAX].iter().all(|offer| *offer == Offer::Queued));
        assert!(offers[QUEUED_RUNS_MAX + 1..].iter().all(|offer| *offer == Offer::QueueFull));
        for expected in &occurrences[1..=QUEUED_RUNS_MAX] {
            assert_eq!(slots.free(&job.name).as_ref(), Some(expected));
        }
        assert!(slots.is_taken(&job.name));
        assert_eq!(slots.free(&job.name), None);
        assert!(!slots.is_taken(&job.name));
        assert_eq!(slots.free(&job.name), None);
    }
}
