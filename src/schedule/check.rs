//! From the jobs as written to the jobs as meant, collecting every fault on the way.

mod graph;
mod policy;
mod times;

use chrono::TimeDelta;

use super::fault::Faults;
use super::job::{Job, JobName, Jobs};
use super::phrase;
use super::written::{FaultList, Lined, WrittenJob, read};
use policy::Policy;

const SPAN_REMEDY: &str = "write a whole number and its unit, such as \"90s\", \"5m\" or \"1h\"";

/// A value on its way: not written, written wrong (and reported), or sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Given<T> {
    Absent,
    Faulty,
    Sound(T),
}

impl<T> Given<T> {
    /// What is written here, else what is written there.
    fn or(self, other: Self) -> Self {
        match self {
            Self::Absent => other,
            Self::Faulty => Self::Faulty,
            Self::Sound(value) => Self::Sound(value),
        }
    }

    /// The value; one that is not written is a fault with this remedy.
    fn required(self, place: &mut Place<'_, '_>, (key, remedy): (&str, &str)) -> Option<T> {
        match self {
            Self::Absent if place.has(key) => None,
            Self::Absent => {
                place.fault(place.line, key, ("is missing".to_owned(), remedy));
                None
            }
            Self::Faulty => None,
            Self::Sound(value) => Some(value),
        }
    }
}

/// The table that is being checked, and where its faults go.
struct Place<'a, 'f> {
    path: String,
    line: usize,
    faults: &'a mut FaultList<'f>,
}

impl Place<'_, '_> {
    /// Whether a key is faulty already, so that it is not missing as well.
    fn has(&self, key: &str) -> bool {
        self.faults.has(&format!("{}.{key}", self.path))
    }

    fn fault(&mut self, line: usize, key: &str, fault: (String, &str)) {
        self.faults.add(line, &format!("{}.{key}", self.path), fault);
    }

    /// A value read from its text by `meaning`.
    fn read<T>(
        &mut self,
        (key, written): (&str, Option<&Lined<String>>),
        remedy: &str,
        meaning: impl FnOnce(&str) -> Option<T>,
    ) -> Given<T> {
        let Some(written) = written else { return Given::Absent };
        meaning(&written.value).map_or_else(
            || {
                let problem = format!("does not understand `{}`", written.value);
                self.fault(written.line, key, (problem, remedy));
                Given::Faulty
            },
            Given::Sound,
        )
    }
}

fn positive_span(text: &str) -> Option<TimeDelta> {
    phrase::span(text).filter(|span| *span > TimeDelta::zero())
}

pub(super) fn jobs(file: &str, text: &str) -> Result<Jobs, Faults> {
    let mut faults = FaultList::new(file, text);
    let written = read(text, &mut faults);
    let late_after = late_after(written.late_after.as_ref(), &mut faults);
    if written.jobs.is_empty() {
        let remedy = "write at least one [jobs.NAME]";
        faults.add(1, "jobs", ("has no job".to_owned(), remedy));
    }
    graph::check(&written.jobs, &mut faults);
    let mut place = Place { path: "defaults".to_owned(), line: 1, faults: &mut faults };
    let defaults = Policy::read(&written.defaults, &mut place);
    let checked: Vec<Option<Job>> =
        written.jobs.iter().map(|written| job(written, &defaults, &mut faults)).collect();
    Faults::of(faults.found)?;
    let late_after = late_after.expect("a missing or wrong late_after is a fault");
    let by_name = checked
        .into_iter()
        .map(|job| job.expect("a job that could not be made has a fault"))
        .map(|job| (job.name.clone(), job))
        .collect();
    Ok(Jobs { file: file.to_owned(), late_after, by_name })
}

fn late_after(written: Option<&Lined<String>>, faults: &mut FaultList<'_>) -> Option<TimeDelta> {
    let Some(written) = written else {
        let remedy = "write late_after = \"2m\" above the tables";
        faults.add(1, "late_after", ("is missing".to_owned(), remedy));
        return None;
    };
    let span = positive_span(&written.value);
    if span.is_none() {
        let problem = format!("does not understand `{}`", written.value);
        faults.add(written.line, "late_after", (problem, SPAN_REMEDY));
    }
    span
}

fn job(written: &WrittenJob, defaults: &Policy, faults: &mut FaultList<'_>) -> Option<Job> {
    let line = written.name.line;
    let mut place = Place { path: format!("jobs.{}", written.name.value), line, faults };
    let name = JobName::new(&written.name.value);
    if name.is_none() {
        let problem = format!("`{}` is not a name of a job", written.name.value);
        let remedy = "write lower-case letters, digits and _, a letter first, at most 40 of them";
        place.faults.add(line, &place.path.clone(), (problem, remedy));
    }
    let pipeline = place
        .read(("pipeline", written.pipeline.as_ref()), "name a file of pipelines/", |text| {
            JobName::new(text).is_some().then(|| text.to_owned())
        })
        .required(&mut place, ("pipeline", "name a file of pipelines/ without its ending"));
    let priority = written
        .priority
        .as_ref()
        .map_or(Given::Absent, |priority| Given::Sound(priority.value))
        .required(&mut place, ("priority", "write a whole number, smaller goes first"));
    let policy = Policy::read(&written.policy, &mut place).or(defaults);
    let when = times::when(written, policy.timezone, &mut place);
    let (timeout, retry) = (policy.timeout(&mut place), policy.retry(&mut place));
    let (overlap, misfire) = (policy.overlap(&mut place), policy.misfire(&mut place));
    let pipeline_line = written.pipeline.as_ref().map_or(line, |pipeline| pipeline.line);
    Some(Job {
        name: name?,
        pipeline: pipeline?,
        when: when?,
        trigger_after: times::triggers(written).collect(),
        timeout: timeout?,
        retry: retry?,
        overlap: overlap?,
        misfire: misfire?,
        priority: priority?,
        pipeline_line,
    })
}

#[cfg(test)]
mod tests;
