//! The recurring rules: what each venue does on a date, before overrides.
//!
//! Days of the New York Stock Exchange come from the crate `finance-dates`; its early closes are
//! not used, because its days after Thanksgiving begin in 2020. All times are New York time.

use std::collections::BTreeSet;

use chrono::{
    DateTime, Datelike, Days, FixedOffset, NaiveDate, NaiveTime, Offset, TimeZone, Utc, Weekday,
};
use chrono_tz::America::New_York;
use finance_dates::holiday::easter_sunday;

use super::calendar::{FIRST_DATE, LAST_DATE};
use super::{Break, CalendarError, Session, Venue};

/// The first session of CME without the pause from 16:15 to 16:30.
const FIRST_WITHOUT_PAUSE: NaiveDate = date(2021, 6, 28);
/// From here on CME halts at 13:00 on holidays that the stock exchange keeps and it does not;
/// before, at 11:30. Presidents' Day 2014 was the last at 11:30, Memorial Day 2014 the first at
/// 13:00.
const FIRST_NOON_HALT: NaiveDate = date(2014, 5, 1);

const NYSE_OPEN: NaiveTime = at(9, 30);
const CME_OPEN: NaiveTime = at(18, 0);
const PAUSE_START: NaiveTime = at(16, 15);
const PAUSE_END: NaiveTime = at(16, 30);

/// A time of day. The minutes of this module are written out, so a wrong one fails to compile.
pub(super) const fn at(hour: u32, minute: u32) -> NaiveTime {
    NaiveTime::from_hms_opt(hour, minute, 0).expect("the constant is a time of day")
}

/// A date. The dates of this module are written out, so a wrong one fails to compile.
pub(super) const fn date(year: i32, month: u32, day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(year, month, day).expect("the constant is a date")
}

/// What the New York Stock Exchange does on a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NyseDay {
    Weekend,
    Closed(Holiday),
    HalfDay,
    FullDay,
}

/// Its closures, as far as CME treats them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holiday {
    /// CME is closed as well.
    NewYearOrChristmas,
    /// CME is closed, unless the employment report comes out that morning.
    GoodFriday,
    /// CME trades until it halts around noon.
    Other,
}

/// Holidays of the New York Stock Exchange within the calendar's range.
pub(super) struct Nyse {
    holidays: BTreeSet<NaiveDate>,
}

impl Nyse {
    pub(super) fn new() -> Result<Self, CalendarError> {
        const EXCHANGE: &str = "XNYS";
        let rules = finance_dates::calendar_for_exchange(EXCHANGE)
            .ok_or(CalendarError::NoHolidayRules { exchange: EXCHANGE })?;
        Ok(Self { holidays: rules.holidays_between(FIRST_DATE, LAST_DATE) })
    }

    pub(super) fn day(&self, on: NaiveDate) -> NyseDay {
        if matches!(on.weekday(), Weekday::Sat | Weekday::Sun) {
            NyseDay::Weekend
        } else if self.holidays.contains(&on) {
            NyseDay::Closed(holiday(on))
        } else if is_half_day(on) {
            NyseDay::HalfDay
        } else {
            NyseDay::FullDay
        }
    }
}

fn holiday(on: NaiveDate) -> Holiday {
    let good_friday =
        easter_sunday(on.year()).and_then(|easter| easter.checked_sub_days(Days::new(2)));
    match (on.month(), on.day()) {
        (1, 1 | 2) | (12, 24..=26) => Holiday::NewYearOrChristmas,
        _ if good_friday == Some(on) => Holiday::GoodFriday,
        _ => Holiday::Other,
    }
}

/// Half days among the days that are sessions: the day before Independence Day, the day after
/// Thanksgiving, Christmas Eve.
fn is_half_day(session: NaiveDate) -> bool {
    match (session.month(), session.day()) {
        (7, 3) | (12, 24) => true,
        // The fourth Thursday is the 22nd to the 28th.
        (11, 23..=29) => session.weekday() == Weekday::Fri,
        _ => false,
    }
}

/// The session a venue holds on a date by rule, if any.
pub(super) fn session(venue: Venue, on: NaiveDate, day: NyseDay) -> Option<Session> {
    let close = match venue {
        Venue::Xnys => stock_close(day, at(13, 0), venue.full_close()),
        Venue::EtfOptions | Venue::CboeIndexOptions => {
            stock_close(day, at(13, 15), venue.full_close())
        }
        Venue::CmeEquityFutures => cme_close(on, day),
    }?;
    let open = match venue {
        Venue::Xnys | Venue::EtfOptions | Venue::CboeIndexOptions => on.and_time(NYSE_OPEN),
        Venue::CmeEquityFutures => on.checked_sub_days(Days::new(1))?.and_time(CME_OPEN),
    };
    let offset = offset_on(on);
    Some(with_break(Session {
        venue,
        session_date: on,
        open: (open - offset).and_utc(),
        close: (on.and_time(close) - offset).and_utc(),
        breaks: None,
    }))
}

fn stock_close(day: NyseDay, half: NaiveTime, full: NaiveTime) -> Option<NaiveTime> {
    match day {
        NyseDay::Weekend | NyseDay::Closed(_) => None,
        NyseDay::HalfDay => Some(half),
        NyseDay::FullDay => Some(full),
    }
}

fn cme_close(on: NaiveDate, day: NyseDay) -> Option<NaiveTime> {
    match day {
        NyseDay::Weekend | NyseDay::Closed(Holiday::NewYearOrChristmas) => None,
        // The employment report comes on the first Friday of a month.
        NyseDay::Closed(Holiday::GoodFriday) => {
            (on.month() == 4 && on.day() <= 7).then(|| at(9, 15))
        }
        NyseDay::Closed(Holiday::Other) if on < FIRST_NOON_HALT => Some(at(11, 30)),
        NyseDay::Closed(Holiday::Other) => Some(at(13, 0)),
        NyseDay::HalfDay => Some(at(13, 15)),
        NyseDay::FullDay => Some(Venue::CmeEquityFutures.full_close()),
    }
}

/// The session with the pause that its venue makes on that date, if it is open for it.
pub(super) fn with_break(session: Session) -> Session {
    let on = session.session_date;
    if session.venue != Venue::CmeEquityFutures || on >= FIRST_WITHOUT_PAUSE {
        return Session { breaks: None, ..session };
    }
    let pause = Break { start: instant(on, PAUSE_START), end: instant(on, PAUSE_END) };
    Session { breaks: (session.close > pause.end).then_some(pause), ..session }
}

/// Where CME's pause begins or used to begin on a date; the reference format writes it even for
/// sessions without a pause.
pub(super) fn pause_start(on: NaiveDate) -> DateTime<Utc> {
    instant(on, PAUSE_START)
}

fn instant(on: NaiveDate, time: NaiveTime) -> DateTime<Utc> {
    (on.and_time(time) - offset_on(on)).and_utc()
}

/// New York's offset on a session's date. It also holds for the evening before: clocks change at
/// two on a Sunday morning, and no session has a Sunday's date.
fn offset_on(on: NaiveDate) -> FixedOffset {
    let noon = on.and_time(at(12, 0));
    New_York
        .offset_from_local_datetime(&noon)
        .single()
        .expect("noon comes exactly once a day in New York: clocks change at two in the morning")
        .fix()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_days_exist_only_where_the_day_is_a_session() {
        let nyse = Nyse::new().unwrap();
        assert_eq!(nyse.day(date(2026, 7, 3)), NyseDay::Closed(Holiday::Other));
        assert_eq!(nyse.day(date(2027, 7, 2)), NyseDay::FullDay);
        assert_eq!(nyse.day(date(2028, 7, 3)), NyseDay::HalfDay);
        assert_eq!(nyse.day(date(2027, 12, 24)), NyseDay::Closed(Holiday::NewYearOrChristmas));
        assert_eq!(nyse.day(date(2026, 12, 24)), NyseDay::HalfDay);
        assert_eq!(nyse.day(date(2018, 11, 23)), NyseDay::HalfDay);
        assert_eq!(nyse.day(date(2019, 11, 29)), NyseDay::HalfDay);
        assert_eq!(nyse.day(date(2019, 11, 22)), NyseDay::FullDay);
    }

    #[test]
    fn a_new_year_on_a_saturday_closes_no_friday() {
        let nyse = Nyse::new().unwrap();
        for year in [2010, 2021, 2027, 2032] {
            assert_eq!(nyse.day(date(year, 12, 31)), NyseDay::FullDay, "{year}");
        }
    }

    #[test]
    fn cme_trades_on_good_friday_only_for_the_employment_report() {
        let nyse = Nyse::new().unwrap();
        let close = |on| session(Venue::CmeEquityFutures, on, nyse.day(on)).map(|s| s.close);
        for on in [date(2010, 4, 2), date(2012, 4, 6), date(2015, 4, 3), date(2026, 4, 3)] {
            assert_eq!(close(on), Some(instant(on, at(9, 15))), "{on}");
        }
        for on in [date(2011, 4, 22), date(2022, 4, 15), date(2027, 3, 26), date(2028, 4, 14)] {
            assert_eq!(close(on), None, "{on}");
        }
    }

    #[test]
    fn cme_halted_earlier_on_holidays_until_the_spring_of_2014() {
        let nyse = Nyse::new().unwrap();
        let close = |on| session(Venue::CmeEquityFutures, on, nyse.day(on)).map(|s| s.close);
        assert_eq!(close(date(2014, 1, 20)), Some(instant(date(2014, 1, 20), at(11, 30))));
        assert_eq!(close(date(2014, 5, 26)), Some(instant(date(2014, 5, 26), at(13, 0))));
    }
}
