//! The market's own clock: how much variance passes between two instants, and the time grid on
//! which the path is drawn.
//!
//! A second counts by what is open in it: the stock exchange (more near its open and close and
//! after a rate decision), only the futures, or nothing. The unit is the variance year: 261
//! ordinary trading days, so that a calendar year holds about one. Seven tenths of an ordinary
//! day's variance fall into the stock exchange's session.
//!
//! Invariants: segments are ordered and leave no gap; the grid depends on the calendar and on the
//! first live session only.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use crate::market::sessions::{Calendar, CalendarError, Session, Venue};

/// Ordinary trading days in a variance year.
pub(super) const DAYS: f64 = 261.0;

/// Of a day's variance, per hour of the session's middle; the first and the last hour count more.
const MIDDLE: f64 = 0.0896;
const FIRST_HOUR: f64 = 0.162;
const LAST_HOUR: f64 = 0.135;
/// Per hour in which only futures trade.
const OVERNIGHT: f64 = 0.0176;
/// Per hour in which nothing trades.
const CLOSED: f64 = 0.0022;
/// What a rate decision adds, spread over its window.
const DECISION: f64 = 0.4;
const DECISION_WINDOW_SECONDS: i64 = 1_800;

/// What trades.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing.
    Closed,
    /// Futures.
    Futures,
    /// Everything.
    Stocks,
    /// Futures and options; the stock exchange has closed.
    Late,
}

/// A stretch of time that counts evenly. Seconds are those of the Unix epoch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment {
    pub end: i64,
    start: i64,
    pub phase: Phase,
    /// Variance years a second.
    rate: f64,
    /// Variance years from the start of the table.
    before: f64,
}

/// The table of segments.
#[derive(Debug, Clone)]
pub(super) struct VarianceTime {
    segments: Vec<Segment>,
    /// From here on the grid is fine.
    live_from: i64,
}

/// The span of a table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    /// The table begins with the close of the last futures session before it.
    pub from: NaiveDate,
    pub to: NaiveDate,
    /// The date from whose futures session on the grid is fine.
    pub live: NaiveDate,
}

impl VarianceTime {
    pub fn new(calendar: &Calendar, span: Span, decisions: &[i64]) -> Result<Self, CalendarError> {
        let futures = Venue::CmeEquityFutures;
        let live_from = calendar.previous_session(futures, span.live)?.close.timestamp();
        let mut marks = BTreeMap::new();
        marks.insert(
            calendar.previous_session(futures, span.from)?.close.timestamp(),
            (Phase::Closed, CLOSED),
        );
        for session in calendar.sessions(futures, span.from, span.to)? {
            marks.insert(session.open.timestamp(), (Phase::Futures, OVERNIGHT));
            let on = session.session_date;
            let mut closed_from = session.close.timestamp();
            let stocks = calendar.session(Venue::Xnys, on)?;
            let options = calendar.session(Venue::EtfOptions, on)?;
            if let (Some(stocks), Some(options)) = (stocks, options) {
                mark_stocks(&mut marks, &stocks);
                let late_until = options.close.timestamp();
                // On half days the options outlive the futures.
                closed_from = closed_from.max(late_until);
                marks.insert(late_until, (Phase::Futures, OVERNIGHT));
            }
            marks.insert(closed_from, (Phase::Closed, CLOSED));
        }
        Ok(Self { segments: segments(&mark_decisions(marks, decisions)), live_from })
    }

    pub fn begins_at(&self) -> i64 {
        self.segments.first().map_or(i64::MAX, |segment| segment.start)
    }

    /// The path ends here.
    pub fn ends_at(&self) -> i64 {
        self.segments.last().map_or(i64::MIN, |segment| segment.end)
    }

    pub fn live_from(&self) -> i64 {
        self.live_from
    }

    /// The segment that holds the instant; an instant outside the table is in its nearest one.
    pub fn segment(&self, at: i64) -> Option<&Segment> {
        let after = self.segments.partition_point(|segment| segment.end <= at);
        self.segments.get(after).or_else(|| self.segments.last())
    }

    /// Variance years from the table's start to the instant.
    pub fn at(&self, at: i64) -> f64 {
        self.segment(at).map_or(0.0, |segment| {
            let inside = at.clamp(segment.start, segment.end) - segment.start;
            segment.before + segment.rate * inside as f64
        })
    }

    /// Variance years between two instants, not negative.
    pub fn between(&self, from: i64, to: i64) -> f64 {
        (self.at(to) - self.at(from)).max(0.0)
    }

    /// The next instant of the grid after one of the grid, and the variance years to it. `None`
    /// at the table's end.
    pub fn step(&self, at: i64) -> Option<(i64, f64)> {
        let segment = self.segment(at).filter(|segment| at < segment.end)?;
        let live = at >= self.live_from;
        let every = match (segment.phase, live) {
            (Phase::Closed, _) => segment.end - segment.start,
            (Phase::Futures, true) => 60,
            (Phase::Futures, false) => 900,
            (Phase::Stocks | Phase::Late, true) => 10,
            (Phase::Stocks | Phase::Late, false) => 300,
        };
        let next = segment.end.min(at - at.rem_euclid(every) + every).max(at + 1);
        Some((next, segment.rate * (next - at) as f64))
    }
}

/// What begins at an instant, and what an hour of it counts.
type Marks = BTreeMap<i64, (Phase, f64)>;

fn mark_stocks(marks: &mut Marks, stocks: &Session) {
    let hour = 3_600;
    let (open, close) = (stocks.open.timestamp(), stocks.close.timestamp());
    marks.insert(open, (Phase::Stocks, FIRST_HOUR));
    marks.insert(open + hour, (Phase::Stocks, MIDDLE));
    marks.insert(close - hour, (Phase::Stocks, LAST_HOUR));
    marks.insert(close, (Phase::Late, OVERNIGHT));
}

fn mark_decisions(mut marks: Marks, decisions: &[i64]) -> Marks {
    let extra = DECISION / (DECISION_WINDOW_SECONDS as f64 / 3_600.0);
    for decision in decisions {
        let until = decision + DECISION_WINDOW_SECONDS;
        let standing =
            |marks: &Marks, at: i64| marks.range(..=at).next_back().map(|(_, mark)| *mark);
        let (Some(before), Some(after)) = (standing(&marks, *decision), standing(&marks, until))
        else {
            continue;
        };
        if before.0 != Phase::Stocks {
            continue;
        }
        marks.insert(until, after);
        marks.insert(*decision, before);
        for (_, (_, weight)) in marks.range_mut(*decision..until) {
            *weight += extra;
        }
    }
    marks
}

fn segments(marks: &Marks) -> Vec<Segment> {
    let mut before = 0.0;
    marks
        .iter()
        .zip(marks.keys().skip(1))
        .map(|((start, (phase, weight)), end)| {
            let rate = weight / (3_600.0 * DAYS);
            let segment = Segment { start: *start, end: *end, phase: *phase, rate, before };
            before += rate * (end - start) as f64;
            segment
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{DateTime, Utc};

    fn table() -> VarianceTime {
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        let span = Span { from: day("2025-03-03"), to: day("2027-03-01"), live: day("2026-03-02") };
        VarianceTime::new(&Calendar::shipped().unwrap(), span, &[]).unwrap()
    }

    fn at(text: &str) -> i64 {
        text.parse::<DateTime<Utc>>().unwrap().timestamp()
    }

    #[test]
    fn a_calendar_year_holds_about_one_variance_year() {
        let year = table().between(at("2025-06-02T12:00:00Z"), at("2026-06-02T12:00:00Z"));
        assert!((year - 0.985).abs() < 0.02, "{year}");
    }

    #[test]
    fn the_session_holds_seven_tenths_of_a_day() {
        let table = table();
        let session = table.between(at("2026-03-03T14:30:00Z"), at("2026-03-03T21:00:00Z"));
        let day = table.between(at("2026-03-02T21:00:00Z"), at("2026-03-03T21:00:00Z"));
        assert!((session / day - 0.70).abs() < 0.01, "{}", session / day);
        assert!((day * DAYS - 1.0).abs() < 0.02, "{}", day * DAYS);
    }

    #[test]
    fn the_grid_is_fine_in_live_sessions_and_adds_up() {
        let table = table();
        let noon = at("2026-03-03T17:00:00Z");
        assert_eq!(table.step(noon).map(|(next, _)| next), Some(noon + 10));
        let mut clock = at("2026-02-26T15:00:00Z");
        let (mut sum, start) = (0.0, clock);
        while clock < noon {
            let (next, passed) = table.step(clock).unwrap();
            clock = next;
            sum += passed;
        }
        assert!((sum - table.between(start, clock)).abs() < 1e-12);
        assert_eq!(clock, noon);
    }

    #[test]
    fn a_decision_adds_its_share_and_no_more() {
        let calendar = Calendar::shipped().unwrap();
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        let span = Span { from: day("2026-03-16"), to: day("2026-03-20"), live: day("2026-03-16") };
        let with = VarianceTime::new(&calendar, span, &[at("2026-03-18T18:00:00Z")]).unwrap();
        let without = VarianceTime::new(&calendar, span, &[]).unwrap();
        let week = |table: &VarianceTime| table.between(table.begins_at(), table.ends_at());
        assert!(((week(&with) - week(&without)) * DAYS - DECISION).abs() < 1e-9);
    }
}
