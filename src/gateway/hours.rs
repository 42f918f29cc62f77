//! When contracts trade: the hours in their details, and schedules of the past.
//!
//! Trading hours are those in which this market quotes; liquid hours are the stock exchange's for
//! futures and the same for anything else. That IB has ETFs trade before and after the stock
//! exchange's hours is left out, for this market does not.

use chrono::{Days, NaiveDate};

use crate::market::sessions::{Session, Venue};
use crate::market::{Instrument, Timestamp};

use super::bar_sizes::{BarSize, Span};
use super::data_event::{DataEvent, Schedule, ScheduledSession};
use super::event::Event;
use super::history::end_of;
use super::house::{House, SeatId};
use super::request::HistoryRequest;

/// Days of hours in a contract's details, today among them.
const DAYS: u64 = 7;

impl House {
    /// Trading and liquid hours of the days to come, as contract details write them.
    pub(super) fn hours(&self, instrument: &Instrument) -> (String, String) {
        let (trading, liquid) = venues(instrument);
        (self.hours_at(trading), self.hours_at(liquid))
    }

    fn hours_at(&self, venue: Venue) -> String {
        let days = self.today().iter_days().take(DAYS as usize);
        let written = days.filter_map(|day| {
            // Past the calendar's end nothing is known.
            let session = self.exchange.calendar().session(venue, day).ok()?;
            Some(session.map_or_else(
                || format!("{}:CLOSED", day.format("%Y%m%d")),
                |session| {
                    let edge = |at| local(at, "%Y%m%d:%H%M");
                    format!("{}-{}", edge(session.open), edge(session.close))
                },
            ))
        });
        written.collect::<Vec<String>>().join(";")
    }

    /// The sessions of a stretch of the past, in the place of bars.
    pub(super) fn schedule(&mut self, seat: SeatId, req_id: i32, wanted: &HistoryRequest) {
        match self.scheduled(wanted) {
            Ok(schedule) => {
                let schedule = Box::new(schedule);
                self.send(seat, Event::Data(DataEvent::Schedule { req_id, schedule }));
            }
            Err((code, said)) => self.error(seat, (req_id, code), &said),
        }
    }

    fn scheduled(&self, wanted: &HistoryRequest) -> Result<Schedule, (i32, String)> {
        let invalid =
            |cause: String| (321, format!("Error validating request.-'bW' : cause - {cause}"));
        let instrument = self.one_contract(&wanted.contract)?;
        if BarSize::parse(&wanted.bar_size).map_err(invalid)? != BarSize::Day {
            return Err(invalid("a schedule is asked for with 1 day bars".to_owned()));
        }
        let span = Span::parse(&wanted.duration).map_err(invalid)?;
        let end = match wanted.end.as_str() {
            "" => self.now(),
            text => end_of(text)
                .ok_or_else(|| invalid(format!("`{text}` is no end of a schedule")))?
                .min(self.now()),
        };
        let today = end.with_timezone(&chrono_tz::America::New_York).date_naive();
        let (trading, liquid) = venues(&instrument);
        let venue = if wanted.use_rth { liquid } else { trading };
        let sessions = span
            .before(today)
            .and_then(|before| before.checked_add_days(Days::new(1)))
            .and_then(|first| self.exchange.calendar().sessions(venue, first, today).ok())
            .unwrap_or_default();
        let (Some(first), Some(last)) = (sessions.first(), sessions.last()) else {
            let said = "Historical Market Data Service error message:HMDS query returned no data";
            return Err((162, said.to_owned()));
        };
        Ok(Schedule {
            start: edge(first.open),
            end: edge(last.close),
            sessions: sessions.iter().map(scheduled).collect(),
        })
    }
}

/// Where a contract trades, and where when it is liquid.
pub(super) fn venues(instrument: &Instrument) -> (Venue, Venue) {
    match instrument {
        Instrument::Stock(_) => (Venue::Xnys, Venue::Xnys),
        Instrument::Index(_) => (Venue::CboeIndexOptions, Venue::CboeIndexOptions),
        Instrument::Option(option) if option.symbol.as_str() == "VIX" => {
            (Venue::CboeIndexOptions, Venue::CboeIndexOptions)
        }
        Instrument::Option(_) => (Venue::EtfOptions, Venue::EtfOptions),
        Instrument::Future(_) => (Venue::CmeEquityFutures, Venue::Xnys),
    }
}

fn local(at: Timestamp, format: &str) -> String {
    at.with_timezone(&chrono_tz::America::New_York).format(format).to_string()
}

fn edge(at: Timestamp) -> String {
    local(at, "%Y%m%d-%H:%M:%S")
}

fn scheduled(session: &Session) -> ScheduledSession {
    let day: NaiveDate = session.session_date;
    ScheduledSession {
        start: edge(session.open),
        end: edge(session.close),
        day: day.format("%Y%m%d").to_string(),
    }
}
