//! Sessions as CSV, in the columns of the reference calendars without their first one.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};

use super::rules::pause_start;
use super::{Break, Session, Venue};

/// The sessions of one venue as CSV: `session,market_open,market_close`, for CME with
/// `break_start,break_end` before the close. Instants are UTC to the second.
///
/// A session at CME without a pause repeats one instant in both columns: the pause's usual start,
/// or the close where that comes first.
pub fn sessions_csv(venue: Venue, sessions: &[Session]) -> String {
    let mut csv = match venue {
        Venue::Xnys | Venue::EtfOptions | Venue::CboeIndexOptions => {
            "session,market_open,market_close\n".to_owned()
        }
        Venue::CmeEquityFutures => {
            "session,market_open,break_start,break_end,market_close\n".to_owned()
        }
    };
    for session in sessions {
        let (open, close) = (stamp(session.open), stamp(session.close));
        let breaks = match venue {
            Venue::Xnys | Venue::EtfOptions | Venue::CboeIndexOptions => String::new(),
            Venue::CmeEquityFutures => {
                let pause = session.breaks.unwrap_or_else(|| empty_pause(session));
                format!("{},{},", stamp(pause.start), stamp(pause.end))
            }
        };
        writeln!(csv, "{},{open},{breaks}{close}", session.session_date)
            .expect("writing to a String cannot fail");
    }
    csv
}

fn empty_pause(session: &Session) -> Break {
    let at = pause_start(session.session_date).min(session.close);
    Break { start: at, end: at }
}

fn stamp(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::super::Calendar;
    use super::super::rules::date;
    use super::*;

    #[test]
    fn the_columns_are_those_of_the_reference_calendars() {
        let calendar = Calendar::new(&[]).unwrap();
        let csv = |venue, on| sessions_csv(venue, &calendar.sessions(venue, on, on).unwrap());
        assert_eq!(
            csv(Venue::Xnys, date(2015, 1, 2)),
            "session,market_open,market_close\n\
             2015-01-02,2015-01-02T14:30:00Z,2015-01-02T21:00:00Z\n"
        );
        assert_eq!(
            csv(Venue::CmeEquityFutures, date(2015, 1, 2)),
            "session,market_open,break_start,break_end,market_close\n\
             2015-01-02,2015-01-01T23:00:00Z,2015-01-02T21:15:00Z,2015-01-02T21:30:00Z,\
             2015-01-02T22:00:00Z\n"
        );
        assert_eq!(csv(Venue::Xnys, date(2015, 1, 1)), "session,market_open,market_close\n");
    }
}
