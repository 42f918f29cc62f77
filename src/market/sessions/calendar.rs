//! The calendar: every session of every venue from 2010 to 2035, computed once.
//!
//! Invariants: a value without clock or files; the sessions of a venue are keyed by their date,
//! ordered and disjoint, which construction checks after the overrides are applied.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::America::New_York;

use super::rules::{self, Nyse, date};
use super::{CalendarError, Override, Session, Venue};

/// The first date the calendar answers for.
pub const FIRST_DATE: NaiveDate = date(2010, 1, 1);
/// The last date the calendar answers for.
pub const LAST_DATE: NaiveDate = date(2035, 12, 31);

type Sessions = BTreeMap<NaiveDate, Session>;

/// The sessions of all venues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    xnys: Sessions,
    etf_options: Sessions,
    cboe_index_options: Sessions,
    cme_equity_futures: Sessions,
}

impl Calendar {
    /// The calendar of the rules and these overrides.
    pub fn new(overrides: &[Override]) -> Result<Self, CalendarError> {
        let nyse = Nyse::new()?;
        let by_venue = |venue| by_rule(venue, &nyse);
        let mut calendar = Self {
            xnys: by_venue(Venue::Xnys),
            etf_options: by_venue(Venue::EtfOptions),
            cboe_index_options: by_venue(Venue::CboeIndexOptions),
            cme_equity_futures: by_venue(Venue::CmeEquityFutures),
        };
        let mut seen = BTreeSet::new();
        for row in overrides {
            if !seen.insert((row.venue, row.session_date)) {
                return Err(conflict(row.venue, row.session_date, "the date appears twice"));
            }
            calendar.apply(row)?;
        }
        for venue in Venue::ALL {
            check_disjoint(calendar.of(venue))?;
        }
        Ok(calendar)
    }

    /// The calendar with the overrides that ship with the program.
    pub fn shipped() -> Result<Self, CalendarError> {
        Self::new(&Override::shipped()?)
    }

    fn apply(&mut self, row: &Override) -> Result<(), CalendarError> {
        let on = in_range(row.session_date)?;
        let sessions = match row.venue {
            Venue::Xnys => &mut self.xnys,
            Venue::EtfOptions => &mut self.etf_options,
            Venue::CboeIndexOptions => &mut self.cboe_index_options,
            Venue::CmeEquityFutures => &mut self.cme_equity_futures,
        };
        let Some((open, close)) = row.hours else {
            sessions.remove(&on);
            return Ok(());
        };
        if local_date(close) != on {
            return Err(conflict(row.venue, on, "the close is not on the session's date"));
        }
        let session = Session { venue: row.venue, session_date: on, open, close, breaks: None };
        sessions.insert(on, rules::with_break(session));
        Ok(())
    }

    fn of(&self, venue: Venue) -> &Sessions {
        match venue {
            Venue::Xnys => &self.xnys,
            Venue::EtfOptions => &self.etf_options,
            Venue::CboeIndexOptions => &self.cboe_index_options,
            Venue::CmeEquityFutures => &self.cme_equity_futures,
        }
    }

    /// The session of that date; `None` when the venue is closed all day.
    pub fn session(&self, venue: Venue, on: NaiveDate) -> Result<Option<Session>, CalendarError> {
        Ok(self.of(venue).get(&in_range(on)?).copied())
    }

    /// The session of a date that must be one, such as an expiry.
    pub fn session_on(&self, venue: Venue, on: NaiveDate) -> Result<Session, CalendarError> {
        self.session(venue, on)?.ok_or(CalendarError::NotASession { venue, date: on })
    }

    /// The sessions with dates from `from` to `to`, both included, in order; none if `to` is
    /// earlier.
    pub fn sessions(
        &self,
        venue: Venue,
        from: NaiveDate,
        to: NaiveDate,
    ) -> Result<Vec<Session>, CalendarError> {
        Ok(self.between(venue, from, to)?.copied().collect())
    }

    /// How many sessions have dates from `from` to `to`, both included.
    pub fn count_sessions(
        &self,
        venue: Venue,
        from: NaiveDate,
        to: NaiveDate,
    ) -> Result<usize, CalendarError> {
        Ok(self.between(venue, from, to)?.count())
    }

    fn between(
        &self,
        venue: Venue,
        from: NaiveDate,
        to: NaiveDate,
    ) -> Result<impl Iterator<Item = &Session>, CalendarError> {
        let (from, to) = (in_range(from)?, in_range(to)?);
        // The range of a map must not run backwards.
        let range = self.of(venue).range(from.min(to)..=to);
        Ok(range.map(|(_, session)| session).filter(move |session| session.session_date >= from))
    }

    /// The first session with a date after `after`.
    pub fn next_session(&self, venue: Venue, after: NaiveDate) -> Result<Session, CalendarError> {
        let after = in_range(after)?;
        self.of(venue)
            .range(after..)
            .map(|(_, session)| *session)
            .find(|session| session.session_date > after)
            .ok_or(CalendarError::NoNeighbour { venue, direction: "after", date: after })
    }

    /// The last session with a date before `before`.
    pub fn previous_session(
        &self,
        venue: Venue,
        before: NaiveDate,
    ) -> Result<Session, CalendarError> {
        let before = in_range(before)?;
        self.of(venue)
            .range(..before)
            .next_back()
            .map(|(_, session)| *session)
            .ok_or(CalendarError::NoNeighbour { venue, direction: "before", date: before })
    }

    /// The session that trades at that instant; `None` when the venue is closed or pauses.
    pub fn session_at(
        &self,
        venue: Venue,
        at: DateTime<Utc>,
    ) -> Result<Option<Session>, CalendarError> {
        let next = self.ending_after(venue, at)?;
        Ok(next.filter(|session| session.contains(at)))
    }

    /// The date of the session that holds the instant, pauses included, or else of the next to
    /// come.
    pub fn session_date_of(
        &self,
        venue: Venue,
        at: DateTime<Utc>,
    ) -> Result<NaiveDate, CalendarError> {
        self.ending_after(venue, at)?.map(|session| session.session_date).ok_or_else(|| {
            CalendarError::NoNeighbour { venue, direction: "after", date: local_date(at) }
        })
    }

    /// The first session that closes after the instant. A session closes on its own date, so none
    /// with an earlier date can.
    fn ending_after(
        &self,
        venue: Venue,
        at: DateTime<Utc>,
    ) -> Result<Option<Session>, CalendarError> {
        let from = in_range(local_date(at))?;
        let mut sessions = self.of(venue).range(from..).map(|(_, session)| *session);
        Ok(sessions.find(|session| session.close > at))
    }
}

fn by_rule(venue: Venue, nyse: &Nyse) -> Sessions {
    FIRST_DATE
        .iter_days()
        .take_while(|on| *on <= LAST_DATE)
        .filter_map(|on| rules::session(venue, on, nyse.day(on)))
        .map(|session| (session.session_date, session))
        .collect()
}

fn check_disjoint(sessions: &Sessions) -> Result<(), CalendarError> {
    let mut last_close = DateTime::<Utc>::MIN_UTC;
    for session in sessions.values() {
        if session.open < last_close || session.close <= session.open {
            let fault = "the session overlaps the one before it or closes before it opens";
            return Err(conflict(session.venue, session.session_date, fault));
        }
        last_close = session.close;
    }
    Ok(())
}

fn conflict(venue: Venue, date: NaiveDate, fault: &'static str) -> CalendarError {
    CalendarError::OverrideConflict { venue, date, fault }
}

fn in_range(on: NaiveDate) -> Result<NaiveDate, CalendarError> {
    if (FIRST_DATE..=LAST_DATE).contains(&on) {
        Ok(on)
    } else {
        Err(CalendarError::OutOfRange { date: on })
    }
}

fn local_date(at: DateTime<Utc>) -> NaiveDate {
    at.with_timezone(&New_York).date_naive()
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use chrono::TimeDelta;
    use proptest::prelude::*;

    use super::*;
    use crate::market::sessions::OverrideKind;

    static SHIPPED: LazyLock<Calendar> = LazyLock::new(|| Calendar::shipped().unwrap());

    fn instant(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn venues() -> impl Strategy<Value = Venue> {
        proptest::sample::select(Venue::ALL.to_vec())
    }

    fn dates() -> impl Strategy<Value = NaiveDate> {
        (0..=(LAST_DATE - FIRST_DATE).num_days())
            .prop_map(|days| FIRST_DATE + TimeDelta::days(days))
    }

    /// From the first local midnight of the range to the last.
    fn instants() -> impl Strategy<Value = DateTime<Utc>> {
        let first = instant("2010-01-01T05:00:00Z").timestamp();
        let last = instant("2036-01-01T04:59:59Z").timestamp();
        (first..=last).prop_map(|seconds| DateTime::from_timestamp(seconds, 0).unwrap())
    }

    #[test]
    fn a_cme_evening_belongs_to_the_next_session() {
        let venue = Venue::CmeEquityFutures;
        let date_at = |at| SHIPPED.session_at(venue, instant(at)).unwrap().map(|s| s.session_date);
        let date_of = |at| SHIPPED.session_date_of(venue, instant(at)).unwrap();
        // Monday 20:59:59, maintenance, 22:00 (all UTC, summer).
        assert_eq!(date_at("2026-06-15T20:59:59Z"), Some(date(2026, 6, 15)));
        assert_eq!(date_at("2026-06-15T21:00:00Z"), None);
        assert_eq!(date_of("2026-06-15T21:00:00Z"), date(2026, 6, 16));
        assert_eq!(date_at("2026-06-15T22:00:00Z"), Some(date(2026, 6, 16)));
        assert_eq!(date_at("2026-06-16T03:59:59Z"), Some(date(2026, 6, 16)));
        // Friday evening and Saturday look forward to Monday, which opens on Sunday.
        assert_eq!(date_at("2026-06-12T21:00:00Z"), None);
        assert_eq!(date_of("2026-06-12T21:00:00Z"), date(2026, 6, 15));
        assert_eq!(date_of("2026-06-13T12:00:00Z"), date(2026, 6, 15));
        assert_eq!(date_at("2026-06-14T21:59:59Z"), None);
        assert_eq!(date_at("2026-06-14T22:00:00Z"), Some(date(2026, 6, 15)));
    }

    #[test]
    fn the_pause_of_cme_is_closed_but_keeps_its_date() {
        let venue = Venue::CmeEquityFutures;
        let at = instant("2021-06-25T20:20:00Z");
        assert_eq!(SHIPPED.session_at(venue, at).unwrap(), None);
        assert_eq!(SHIPPED.session_date_of(venue, at).unwrap(), date(2021, 6, 25));
        let later = instant("2021-06-28T20:20:00Z");
        let session = SHIPPED.session_at(venue, later).unwrap().unwrap();
        assert_eq!((session.session_date, session.breaks), (date(2021, 6, 28), None));
    }

    #[test]
    fn neighbours_step_over_closures() {
        let next = SHIPPED.next_session(Venue::Xnys, date(2012, 10, 26)).unwrap();
        assert_eq!(next.session_date, date(2012, 10, 31));
        let previous = SHIPPED.previous_session(Venue::Xnys, date(2025, 1, 10)).unwrap();
        assert_eq!(previous.session_date, date(2025, 1, 8));
        let next = SHIPPED.next_session(Venue::Xnys, date(2025, 1, 11)).unwrap();
        assert_eq!(next.session_date, date(2025, 1, 13));
    }

    #[test]
    fn a_date_outside_is_an_error() {
        for on in [date(2009, 12, 31), date(2036, 1, 1)] {
            let outside = CalendarError::OutOfRange { date: on };
            let venue = Venue::Xnys;
            assert_eq!(SHIPPED.session(venue, on), Err(outside.clone()));
            assert_eq!(SHIPPED.next_session(venue, on), Err(outside.clone()));
            assert_eq!(SHIPPED.previous_session(venue, on), Err(outside.clone()));
            assert_eq!(SHIPPED.count_sessions(venue, FIRST_DATE, on), Err(outside.clone()));
            let noon = on.and_hms_opt(17, 0, 0).unwrap().and_utc();
            assert_eq!(SHIPPED.session_at(venue, noon), Err(outside.clone()));
            assert_eq!(SHIPPED.session_date_of(venue, noon), Err(outside));
        }
        assert!(matches!(
            SHIPPED.next_session(Venue::Xnys, LAST_DATE),
            Err(CalendarError::NoNeighbour { .. })
        ));
        assert!(matches!(
            SHIPPED.previous_session(Venue::Xnys, FIRST_DATE),
            Err(CalendarError::NoNeighbour { .. })
        ));
    }

    #[test]
    fn faulty_overrides_are_refused() {
        let row = |on, open: &str, close: &str| Override {
            venue: Venue::CmeEquityFutures,
            session_date: on,
            hours: Some((instant(open), instant(close))),
            kind: OverrideKind::Hours,
            source: "test".to_owned(),
            note: String::new(),
        };
        let good = row(date(2026, 1, 6), "2026-01-05T23:00:00Z", "2026-01-06T18:00:00Z");
        assert!(Calendar::new(std::slice::from_ref(&good)).is_ok());
        let refused = [
            vec![good.clone(), good],
            vec![row(date(2026, 1, 6), "2026-01-05T21:00:00Z", "2026-01-06T18:00:00Z")],
            vec![row(date(2026, 1, 6), "2026-01-06T19:00:00Z", "2026-01-06T18:00:00Z")],
            vec![row(date(2026, 1, 6), "2026-01-05T23:00:00Z", "2026-01-07T18:00:00Z")],
            vec![row(date(2036, 1, 2), "2036-01-01T23:00:00Z", "2036-01-02T18:00:00Z")],
        ];
        for rows in refused {
            assert!(Calendar::new(&rows).is_err(), "{rows:?}");
        }
    }

    #[test]
    fn sessions_are_ordered_and_disjoint() {
        for venue in Venue::ALL {
            let all = SHIPPED.sessions(venue, FIRST_DATE, LAST_DATE).unwrap();
            for pair in all.windows(2) {
                assert!(pair[0].session_date < pair[1].session_date, "{pair:?}");
                assert!(pair[0].open < pair[0].close && pair[0].close <= pair[1].open, "{pair:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn the_session_at_an_instant_holds_it(venue in venues(), at in instants()) {
            let session = SHIPPED.session_at(venue, at).unwrap();
            if let Some(session) = session {
                prop_assert!(session.contains(at));
                prop_assert_eq!(SHIPPED.session_date_of(venue, at), Ok(session.session_date));
            }
            let from = (local_date(at) - TimeDelta::days(1)).max(FIRST_DATE);
            let to = (local_date(at) + TimeDelta::days(1)).min(LAST_DATE);
            let around = SHIPPED.sessions(venue, from, to).unwrap();
            prop_assert_eq!(around.into_iter().find(|one| one.contains(at)), session);
        }

        #[test]
        fn neighbours_are_inverse(venue in venues(), on in dates()) {
            if let Ok(next) = SHIPPED.next_session(venue, on) {
                prop_assert!(next.session_date > on);
                let back = SHIPPED.previous_session(venue, next.session_date);
                prop_assert!(back.is_err() || back.is_ok_and(|back| back.session_date <= on));
            }
        }

        #[test]
        fn counts_add_up(venue in venues(), mut ends in proptest::array::uniform3(dates())) {
            ends.sort();
            let [from, middle, to] = ends;
            let count = |from, to| SHIPPED.count_sessions(venue, from, to).unwrap();
            let at_middle = count(middle, middle);
            prop_assert_eq!(count(from, to) + at_middle, count(from, middle) + count(middle, to));
            if from < to {
                prop_assert_eq!(count(to, from), 0);
            }
        }

        #[test]
        fn session_dates_never_run_back(venue in venues(), one in instants(), other in instants()) {
            let (early, late) = (one.min(other), one.max(other));
            if let (Ok(a), Ok(b)) =
                (SHIPPED.session_date_of(venue, early), SHIPPED.session_date_of(venue, late))
            {
                prop_assert!(a <= b);
            }
        }
    }
}
