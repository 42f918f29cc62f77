//! What `[defaults]` and a job may both say: a job's own word first.

use chrono::TimeDelta;
use chrono_tz::Tz;

use super::super::job::{Misfire, Overlap, Retry};
use super::super::phrase;
use super::super::written::{WrittenBackoff, WrittenPolicy};
use super::{Given, Place, SPAN_REMEDY, positive_span};

/// More attempts than this hide a fault instead of bridging it.
const RETRIES_MAX: i64 = 10;

const MISFIRE_REMEDY: &str = "write \"none\", \"latest\" or \"all\"";
const OVERLAP_REMEDY: &str = "write \"skip\" or \"queue\"";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MisfireWord {
    None,
    Latest,
    All,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Backoff {
    first: TimeDelta,
    max: TimeDelta,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Policy {
    pub timezone: Given<Tz>,
    timeout: Given<TimeDelta>,
    retries: Given<u32>,
    backoff: Given<Backoff>,
    overlap: Given<Overlap>,
    misfire: Given<MisfireWord>,
    catchup_window: Given<TimeDelta>,
}

impl Policy {
    pub fn read(written: &WrittenPolicy, place: &mut Place<'_, '_>) -> Self {
        let timezone = ("timezone", written.timezone.as_ref());
        let timeout = ("timeout", written.timeout.as_ref());
        let overlap = ("overlap", written.overlap.as_ref());
        let misfire = ("misfire", written.misfire.as_ref());
        let window = ("catchup_window", written.catchup_window.as_ref());
        Self {
            timezone: place.read(
                timezone,
                "write a name of the IANA database, such as \"America/New_York\"",
                |text| text.parse().ok(),
            ),
            timeout: place.read(timeout, SPAN_REMEDY, positive_span),
            retries: retries(written, place),
            backoff: written
                .backoff
                .as_ref()
                .map_or(Given::Absent, |written| backoff(written, place)),
            overlap: place.read(overlap, OVERLAP_REMEDY, |text| match text {
                "skip" => Some(Overlap::Skip),
                "queue" => Some(Overlap::Queue),
                _ => None,
            }),
            misfire: place.read(misfire, MISFIRE_REMEDY, |text| match text {
                "none" => Some(MisfireWord::None),
                "latest" => Some(MisfireWord::Latest),
                "all" => Some(MisfireWord::All),
                _ => None,
            }),
            catchup_window: place.read(window, SPAN_REMEDY, positive_span),
        }
    }

    pub fn or(self, defaults: &Self) -> Self {
        Self {
            timezone: self.timezone.or(defaults.timezone),
            timeout: self.timeout.or(defaults.timeout),
            retries: self.retries.or(defaults.retries),
            backoff: self.backoff.or(defaults.backoff),
            overlap: self.overlap.or(defaults.overlap),
            misfire: self.misfire.or(defaults.misfire),
            catchup_window: self.catchup_window.or(defaults.catchup_window),
        }
    }

    pub fn timeout(&self, place: &mut Place<'_, '_>) -> Option<TimeDelta> {
        self.timeout.required(place, ("timeout", SPAN_REMEDY))
    }

    pub fn overlap(&self, place: &mut Place<'_, '_>) -> Option<Overlap> {
        self.overlap.required(place, ("overlap", OVERLAP_REMEDY))
    }

    pub fn retry(&self, place: &mut Place<'_, '_>) -> Option<Retry> {
        let remedy = "write a whole number from 0 to 10";
        let retries = self.retries.required(place, ("retries", remedy))?;
        if retries == 0 {
            return Some(Retry { retries, first: TimeDelta::zero(), max: TimeDelta::zero() });
        }
        let remedy = "write backoff = { first = \"5s\", max = \"1m\" }, or retries = 0";
        let Backoff { first, max } = self.backoff.required(place, ("backoff", remedy))?;
        Some(Retry { retries, first, max })
    }

    pub fn misfire(&self, place: &mut Place<'_, '_>) -> Option<Misfire> {
        let word = self.misfire.required(place, ("misfire", MISFIRE_REMEDY))?;
        let remedy = "write how old a missed occurrence may be to run, such as \"10m\"";
        let mut window = || self.catchup_window.required(place, ("catchup_window", remedy));
        match word {
            MisfireWord::None => Some(Misfire::None),
            MisfireWord::Latest => Some(Misfire::Latest { catchup_window: window()? }),
            MisfireWord::All => Some(Misfire::All { catchup_window: window()? }),
        }
    }
}

fn retries(written: &WrittenPolicy, place: &mut Place<'_, '_>) -> Given<u32> {
    let Some(retries) = &written.retries else { return Given::Absent };
    let in_range = (0..=RETRIES_MAX).contains(&retries.value);
    let value = u32::try_from(retries.value).ok().filter(|_| in_range);
    value.map_or_else(
        || {
            let problem = format!("{} is not between 0 and {RETRIES_MAX}", retries.value);
            let remedy = "write the number of attempts after the first";
            place.fault(retries.line, "retries", (problem, remedy));
            Given::Faulty
        },
        Given::Sound,
    )
}

fn backoff(written: &WrittenBackoff, place: &mut Place<'_, '_>) -> Given<Backoff> {
    let outer = place.line;
    place.line = written.line;
    let first = place
        .read(("backoff.first", written.first.as_ref()), SPAN_REMEDY, positive_span)
        .required(place, ("backoff.first", SPAN_REMEDY));
    let max = place
        .read(("backoff.max", written.max.as_ref()), SPAN_REMEDY, positive_span)
        .required(place, ("backoff.max", SPAN_REMEDY));
    place.line = outer;
    let (Some(first), Some(max)) = (first, max) else { return Given::Faulty };
    if first > max {
        let (first, max) = (phrase::span_text(first), phrase::span_text(max));
        let problem = format!("the first pause {first} is longer than the longest, {max}");
        place.fault(written.line, "backoff", (problem, "make max at least first"));
        return Given::Faulty;
    }
    Given::Sound(Backoff { first, max })
}
