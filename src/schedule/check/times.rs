//! When a job runs: one of four ways of saying it, with exactly the keys that this way needs.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

use super::super::job::{Anchor, CronTimes, JobName, When};
use super::super::phrase;
use super::super::planner::OFFSET_HOURS_MAX;
use super::super::written::{Text, WrittenJob};
use super::{Given, Place, SPAN_REMEDY, positive_span};
use crate::market::sessions::Venue;

const CALENDAR_REMEDY: &str = "write \"XNYS\", \"OPT\", \"CBOE\" or \"CME\"";
const ANCHOR_REMEDY: &str = "write \"open\" or \"close\", with at most a day's offset: \"open+5m\"";
const CRON_REMEDY: &str = "write five fields, minute hour day month weekday: \"*/5 9-16 * * 1-5\"";

const WAYS: [&str; 5] = ["cron", "at", "every", "on_demand", "trigger_after"];

pub(super) fn triggers(written: &WrittenJob) -> impl Iterator<Item = JobName> {
    let after = written.trigger_after.iter().flat_map(|after| &after.value);
    after.filter_map(|name| JobName::new(name))
}

pub(super) fn when(
    written: &WrittenJob,
    timezone: Given<Tz>,
    place: &mut Place<'_, '_>,
) -> Option<When> {
    let ways = [
        ("cron", written.cron.as_ref().map(|key| key.line)),
        ("at", written.at.as_ref().map(|key| key.line)),
        ("every", written.every.as_ref().map(|key| key.line)),
        ("on_demand", written.on_demand.as_ref().map(|key| key.line)),
    ];
    let said: Vec<(&str, usize)> =
        ways.into_iter().filter_map(|(key, line)| Some((key, line?))).collect();
    match said.as_slice() {
        [] if written.trigger_after.is_some() => {
            no_other_keys(written, &[], place);
            Some(When::OnDemand)
        }
        [] if WAYS.iter().any(|way| place.has(way)) => None,
        [] => {
            let remedy = "write one of cron, at, every, on_demand = true or trigger_after";
            place.fault(place.line, "cron", ("nothing says when it runs".to_owned(), remedy));
            None
        }
        [(key, _)] => one_way(key, written, (timezone, place)),
        [(first, _), others @ ..] => {
            for (key, line) in others {
                let problem = format!("says when it runs a second time, beside `{first}`");
                place.fault(*line, key, (problem, "keep one of them"));
            }
            None
        }
    }
}

fn one_way(
    key: &str,
    written: &WrittenJob,
    (timezone, place): (Given<Tz>, &mut Place<'_, '_>),
) -> Option<When> {
    match key {
        "cron" => cron(written, timezone, place),
        "at" => at(written, place),
        "every" => every(written, place),
        _ => on_demand(written, place),
    }
}

fn no_other_keys(written: &WrittenJob, allowed: &[&str], place: &mut Place<'_, '_>) {
    let keys: [(&str, &Text); 5] = [
        ("calendar", &written.calendar),
        ("from", &written.from),
        ("to", &written.to),
        ("outside", &written.outside),
        ("timezone", &written.policy.timezone),
    ];
    for (key, value) in keys {
        if let Some(value) = value.as_ref().filter(|_| !allowed.contains(&key)) {
            let problem = "has no effect on the way this job says when it runs".to_owned();
            place.fault(value.line, key, (problem, "remove it"));
        }
    }
}

fn on_demand(written: &WrittenJob, place: &mut Place<'_, '_>) -> Option<When> {
    no_other_keys(written, &[], place);
    let on_demand = written.on_demand.as_ref()?;
    if !on_demand.value {
        let problem = "`false` says nothing".to_owned();
        place.fault(on_demand.line, "on_demand", (problem, "write true, or cron, at or every"));
        return None;
    }
    Some(When::OnDemand)
}

fn calendar(key: &str, written: &Text, place: &mut Place<'_, '_>) -> Given<Venue> {
    place.read((key, written.as_ref()), CALENDAR_REMEDY, |text| text.parse().ok())
}

fn anchor(key: &str, written: &Text, place: &mut Place<'_, '_>) -> Option<Anchor> {
    let near = |anchor: &Anchor| anchor.offset.abs() <= TimeDelta::hours(OFFSET_HOURS_MAX);
    place
        .read((key, written.as_ref()), ANCHOR_REMEDY, |text| phrase::anchor(text).filter(near))
        .required(place, (key, ANCHOR_REMEDY))
}

fn at(written: &WrittenJob, place: &mut Place<'_, '_>) -> Option<When> {
    no_other_keys(written, &["calendar"], place);
    let at = anchor("at", &written.at, place);
    let calendar = calendar("calendar", &written.calendar, place)
        .required(place, ("calendar", CALENDAR_REMEDY));
    Some(When::At { calendar: calendar?, at: at? })
}

fn every(written: &WrittenJob, place: &mut Place<'_, '_>) -> Option<When> {
    no_other_keys(written, &["calendar", "from", "to", "outside"], place);
    let step = place
        .read(("every", written.every.as_ref()), SPAN_REMEDY, positive_span)
        .required(place, ("every", SPAN_REMEDY));
    let (from, to) = (anchor("from", &written.from, place), anchor("to", &written.to, place));
    let outside = calendar("outside", &written.outside, place);
    let calendar = calendar("calendar", &written.calendar, place)
        .required(place, ("calendar", CALENDAR_REMEDY));
    if let (Some(from), Some(to)) = (from, to)
        && from.edge == to.edge
        && from.offset >= to.offset
    {
        let problem = format!("{to} is not after from, {from}");
        let line = written.to.as_ref().map_or(place.line, |to| to.line);
        place.fault(line, "to", (problem, "write a later moment of the session"));
        return None;
    }
    let outside = match outside {
        Given::Absent => None,
        Given::Faulty => return None,
        Given::Sound(venue) => Some(venue),
    };
    Some(When::Every { calendar: calendar?, every: step?, from: from?, to: to?, outside })
}

fn cron(written: &WrittenJob, timezone: Given<Tz>, place: &mut Place<'_, '_>) -> Option<When> {
    no_other_keys(written, &["calendar", "timezone"], place);
    let remedy = "write a name of the IANA database, such as \"America/New_York\"";
    let timezone = timezone.required(place, ("timezone", remedy));
    let calendar = calendar("calendar", &written.calendar, place);
    let pattern = written.cron.as_ref()?;
    let cron = match parse_cron(&pattern.value) {
        Ok(cron) => Some(cron),
        Err(problem) => {
            place.fault(pattern.line, "cron", (problem, CRON_REMEDY));
            None
        }
    };
    let calendar = match calendar {
        Given::Absent => None,
        Given::Faulty => return None,
        Given::Sound(venue) => Some(venue),
    };
    Some(When::Cron(Box::new(CronTimes { cron: cron?, timezone: timezone?, calendar })))
}

fn parse_cron(pattern: &str) -> Result<Cron, String> {
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    let cron = parser
        .parse(pattern)
        .map_err(|error| format!("does not understand `{pattern}` ({error})"))?;
    // From any instant on, a pattern that fires at all fires within the parser's own horizon.
    cron.find_next_occurrence(&DateTime::<Utc>::UNIX_EPOCH, false)
        .map_err(|_| format!("`{pattern}` names a time that never comes"))?;
    Ok(cron)
}
