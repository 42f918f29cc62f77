//! Jobs that start other jobs: every name exists, and no job starts itself by a detour.

use std::collections::{BTreeMap, BTreeSet};

use super::super::written::{FaultList, WrittenJob};

type Starters<'a> = BTreeMap<&'a str, Vec<&'a str>>;

pub(super) fn check(jobs: &[WrittenJob], faults: &mut FaultList<'_>) {
    let names: BTreeSet<&str> = jobs.iter().map(|job| job.name.value.as_str()).collect();
    let starters: Starters<'_> = jobs
        .iter()
        .map(|job| {
            let after = job.trigger_after.iter().flat_map(|after| &after.value);
            (job.name.value.as_str(), after.map(String::as_str).collect())
        })
        .collect();
    for job in jobs {
        let Some(after) = &job.trigger_after else { continue };
        let key = format!("jobs.{}.trigger_after", job.name.value);
        if after.value.is_empty() {
            faults.add(after.line, &key, ("names no job".to_owned(), "name one or remove it"));
        }
        for missing in after.value.iter().filter(|name| !names.contains(name.as_str())) {
            let problem = format!("there is no job `{missing}`");
            let known: Vec<&str> = names.iter().copied().collect();
            let remedy = format!("name one of {}", known.join(", "));
            faults.add(after.line, &key, (problem, &remedy));
        }
        if reaches(&job.name.value, &starters) {
            let problem = format!("`{}` would start itself", job.name.value);
            faults.add(after.line, &key, (problem, "break the circle of trigger_after"));
        }
    }
}

/// Whether a job comes before itself.
fn reaches(name: &str, starters: &Starters<'_>) -> bool {
    let direct = |job: &str| starters.get(job).into_iter().flatten().copied();
    let mut seen = BTreeSet::new();
    let mut open: Vec<&str> = direct(name).collect();
    while let Some(job) = open.pop() {
        if job == name {
            return true;
        }
        if seen.insert(job) {
            open.extend(direct(job));
        }
    }
    false
}
