//! Exchange calendars: which dates are sessions, when each opens, pauses and closes, and when the
//! contracts that trade in them expire.
//!
//! Invariants: every instant is UTC; the hours are kept in New York time, so daylight saving moves
//! the UTC instants and nothing else; the sessions of a venue are ordered and disjoint; a date
//! outside [`FIRST_DATE`]..=[`LAST_DATE`] is an error, never a guess. Days follow rules, and what
//! rules cannot know (storms, days of mourning) is a row of `reference/session_overrides.csv` that
//! quotes its source.
//!
//! Deliberately absent: overnight sessions of the options venues, halts within a session, and the
//! hours of CME before 21 September 2015 to the quarter of an hour: until 16 November 2012 its
//! trading day turned at 16:15 New York time, and from then on it ended at 17:15, while this
//! calendar says 17:00 as the reference calendar does.

mod calendar;
mod expiry;
mod overrides;
mod render;
mod rules;

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use chrono_tz::America::New_York;

pub use calendar::{Calendar, FIRST_DATE, LAST_DATE};
pub use expiry::{
    ExpiryKind, expiry_instant, last_trade_instant, monthly_option_expiry, third_friday_expiry,
    vix_expiry, years_between,
};
pub use overrides::{Override, OverrideKind};
pub use render::sessions_csv;

/// A place with its own hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Venue {
    /// The New York Stock Exchange, and with it the underlying ETFs: 09:30 to 16:00.
    Xnys,
    /// Options on broad ETFs (SPY, QQQ, IWM): the days of [`Venue::Xnys`], 09:30 to 16:15.
    EtfOptions,
    /// Cboe's index options (SPX, VIX), regular hours: 09:30 to 16:15.
    CboeIndexOptions,
    /// CME's equity-index futures: 18:00 of the evening before to 17:00.
    CmeEquityFutures,
}

impl Venue {
    /// Every venue, in the order of the command line's help.
    pub const ALL: [Self; 4] =
        [Self::Xnys, Self::EtfOptions, Self::CboeIndexOptions, Self::CmeEquityFutures];

    /// The name on the command line and in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Xnys => "XNYS",
            Self::EtfOptions => "OPT",
            Self::CboeIndexOptions => "CBOE",
            Self::CmeEquityFutures => "CME",
        }
    }

    /// The close of a full session, New York time.
    const fn full_close(self) -> NaiveTime {
        match self {
            Self::Xnys => rules::at(16, 0),
            Self::EtfOptions | Self::CboeIndexOptions => rules::at(16, 15),
            Self::CmeEquityFutures => rules::at(17, 0),
        }
    }
}

impl fmt::Display for Venue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Venue {
    type Err = CalendarError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|venue| venue.name() == text)
            .ok_or_else(|| CalendarError::UnknownVenue { text: text.to_owned() })
    }
}

/// A pause inside a session: from `start` (inclusive) to `end` (exclusive) nothing trades.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Break {
    pub start: DateTime<Utc>,
    pub end: DateTime<Utc>,
}

/// One trading session of one venue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Session {
    pub venue: Venue,
    /// The date the session belongs to. An evening at CME belongs to the next session's date.
    pub session_date: NaiveDate,
    /// The first instant that trades.
    pub open: DateTime<Utc>,
    /// The first instant that no longer trades.
    pub close: DateTime<Utc>,
    /// The pause of the session, where it has one: CME's 16:15 to 16:30 until 25 June 2021.
    pub breaks: Option<Break>,
}

impl Session {
    /// Whether the venue trades at `at`: the open is inside, the close and the pause are not.
    pub fn contains(&self, at: DateTime<Utc>) -> bool {
        let paused = self.breaks.is_some_and(|pause| pause.start <= at && at < pause.end);
        self.open <= at && at < self.close && !paused
    }

    /// Whether the session closes before the venue's regular close: half days, and at CME also the
    /// holidays on which it halts at noon.
    pub fn is_half_day(&self) -> bool {
        self.close.with_timezone(&New_York).time() < self.venue.full_close()
    }
}

/// Why the calendar has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CalendarError {
    #[error("{date} is outside the calendar, which covers {FIRST_DATE} to {LAST_DATE}")]
    OutOfRange { date: NaiveDate },
    #[error("{year}-{month} is not a month")]
    NoSuchMonth { year: i32, month: u32 },
    #[error("{venue} has no session {direction} {date} within {FIRST_DATE} to {LAST_DATE}")]
    NoNeighbour { venue: Venue, direction: &'static str, date: NaiveDate },
    #[error("{date} is not a session of {venue}: no listed contract expires on it, check the date")]
    NotASession { venue: Venue, date: NaiveDate },
    #[error("`{text}` is not a venue: use XNYS, OPT, CBOE or CME")]
    UnknownVenue { text: String },
    #[error("the holiday rules know no exchange `{exchange}`")]
    NoHolidayRules { exchange: &'static str },
    #[error("session overrides, line {line}: {fault}")]
    OverrideRow { line: usize, fault: String },
    #[error("session overrides: {venue} {date}: {fault}")]
    OverrideConflict { venue: Venue, date: NaiveDate, fault: &'static str },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_venue_reads_back_from_its_name() {
        for venue in Venue::ALL {
            assert_eq!(venue.to_string().parse::<Venue>(), Ok(venue));
        }
        assert_eq!(
            "xnys".parse::<Venue>(),
            Err(CalendarError::UnknownVenue { text: "xnys".to_owned() })
        );
    }

    #[test]
    fn a_session_holds_its_open_but_neither_its_close_nor_its_pause() {
        let instant = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let session = Session {
            venue: Venue::CmeEquityFutures,
            session_date: NaiveDate::from_ymd_opt(2021, 6, 25).unwrap(),
            open: instant("2021-06-24T22:00:00Z"),
            close: instant("2021-06-25T21:00:00Z"),
            breaks: Some(Break {
                start: instant("2021-06-25T20:15:00Z"),
                end: instant("2021-06-25T20:30:00Z"),
            }),
        };
        let expected = [
            ("2021-06-24T21:59:59.999999Z", false),
            ("2021-06-24T22:00:00Z", true),
            ("2021-06-25T20:14:59.999999Z", true),
            ("2021-06-25T20:15:00Z", false),
            ("2021-06-25T20:29:59.999999Z", false),
            ("2021-06-25T20:30:00Z", true),
            ("2021-06-25T20:59:59.999999Z", true),
            ("2021-06-25T21:00:00Z", false),
        ];
        for (at, inside) in expected {
            assert_eq!(session.contains(instant(at)), inside, "{at}");
        }
        assert!(!session.is_half_day());
    }
}
