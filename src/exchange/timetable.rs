//! The instants of a session at which the exchange does something by itself.

use std::collections::VecDeque;
use std::sync::Arc;

use chrono::{NaiveDate, TimeDelta};
use chrono_tz::America::New_York;

use crate::market::Timestamp;
use crate::market::sessions::{Calendar, CalendarError, Session, Venue};

/// What happens at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// Before the open: what was exercised and assigned is reported, dividends go ex.
    Report,
    /// The stock exchange opens: opening prints settle index options and futures.
    Open,
    /// The stock exchange closes: official marks, futures' variation.
    Close,
    /// The ETF options close: exercise and allotment of the day.
    OptionsClose,
}

/// A moment of one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Appointment {
    pub at: Timestamp,
    pub moment: Moment,
    /// The stock exchange's session.
    pub session: Session,
}

/// The appointments to come, in order.
#[derive(Debug, Clone)]
pub(super) struct Timetable {
    calendar: Arc<Calendar>,
    report_before_open: TimeDelta,
    upcoming: VecDeque<Appointment>,
    /// The last session whose appointments were listed.
    listed: NaiveDate,
}

impl Timetable {
    /// Begins with the first appointment after `now`.
    pub fn starting_at(
        calendar: Arc<Calendar>,
        now: Timestamp,
        report_before_open: TimeDelta,
    ) -> Result<Self, CalendarError> {
        let today = now.with_timezone(&New_York).date_naive();
        let listed = today.pred_opt().ok_or(CalendarError::OutOfRange { date: today })?;
        let mut table = Self { calendar, report_before_open, upcoming: VecDeque::new(), listed };
        while table.upcoming.is_empty() {
            table.list_next_session()?;
            table.upcoming.retain(|appointment| appointment.at > now);
        }
        Ok(table)
    }

    pub fn calendar(&self) -> &Calendar {
        &self.calendar
    }

    /// The next appointment; there always is one, or the calendar has ended.
    pub fn next(&mut self) -> Result<Appointment, CalendarError> {
        loop {
            if let Some(next) = self.upcoming.front() {
                return Ok(*next);
            }
            self.list_next_session()?;
        }
    }

    /// Takes the next appointment if its instant has come.
    pub fn take_due(&mut self, now: Timestamp) -> Result<Option<Appointment>, CalendarError> {
        let next = self.next()?;
        if next.at > now {
            return Ok(None);
        }
        Ok(self.upcoming.pop_front())
    }

    /// The instant at which what happened in this session is reported.
    pub fn report_after(&self, session: NaiveDate) -> Result<Timestamp, CalendarError> {
        let next = self.calendar.next_session(Venue::Xnys, session)?;
        Ok(next.open - self.report_before_open)
    }

    /// The stock exchange's session after this one.
    pub fn session_after(&self, session: NaiveDate) -> Result<NaiveDate, CalendarError> {
        Ok(self.calendar.next_session(Venue::Xnys, session)?.session_date)
    }

    /// Whether the stock exchange trades at that instant.
    pub fn stocks_trade(&self, at: Timestamp) -> Result<bool, CalendarError> {
        Ok(self.calendar.session_at(Venue::Xnys, at)?.is_some())
    }

    /// Whether the ETFs' options trade at that instant.
    pub fn options_trade(&self, at: Timestamp) -> Result<bool, CalendarError> {
        Ok(self.calendar.session_at(Venue::EtfOptions, at)?.is_some())
    }

    /// A venue's session that holds an instant, or the next to come.
    pub fn session_of(&self, venue: Venue, at: Timestamp) -> Result<Session, CalendarError> {
        let date = self.calendar.session_date_of(venue, at)?;
        self.calendar.session_on(venue, date)
    }

    fn list_next_session(&mut self) -> Result<(), CalendarError> {
        let session = self.calendar.next_session(Venue::Xnys, self.listed)?;
        self.listed = session.session_date;
        let options = self.calendar.session(Venue::EtfOptions, session.session_date)?;
        let report = (session.open - self.report_before_open, Moment::Report);
        let ends = options.map(|options| (options.close, Moment::OptionsClose));
        let moments =
            [report, (session.open, Moment::Open), (session.close, Moment::Close)].into_iter();
        self.upcoming.extend(moments.chain(ends).map(|(at, moment)| Appointment {
            at,
            moment,
            session,
        }));
        Ok(())
    }
}
