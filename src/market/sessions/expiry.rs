//! When contracts expire: the instant for valuation, the last instant of trading, and the dates of
//! the monthly cycles.
//!
//! Invariant: an expiry date is a session; a date that is not one is an error, because no listed
//! contract can carry it. Which contract settles how is the caller's knowledge.

use chrono::{DateTime, Days, Months, NaiveDate, Utc, Weekday};

use super::{Calendar, CalendarError, Venue};

/// How a contract ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ExpiryKind {
    /// Options on ETFs: valued to the close of the underlying, traded to the options' own close.
    EtfPm,
    /// Index options settled at the opening print: valued to the open of the expiry date, traded
    /// until the close of the session before.
    IndexAm,
    /// VIX options, settled at the Wednesday's opening print: valued to that open, traded until the
    /// close of the session before.
    VixAm,
    /// Equity-index futures: settled at the opening print, traded until then.
    FutureAm,
}

/// The instant to which a contract is valued, whatever trades afterwards.
pub fn expiry_instant(
    calendar: &Calendar,
    kind: ExpiryKind,
    expiry_date: NaiveDate,
) -> Result<DateTime<Utc>, CalendarError> {
    let stocks = calendar.session_on(Venue::Xnys, expiry_date)?;
    Ok(match kind {
        ExpiryKind::EtfPm => stocks.close,
        ExpiryKind::IndexAm | ExpiryKind::VixAm | ExpiryKind::FutureAm => stocks.open,
    })
}

/// The first instant at which the contract no longer trades.
pub fn last_trade_instant(
    calendar: &Calendar,
    kind: ExpiryKind,
    expiry_date: NaiveDate,
) -> Result<DateTime<Utc>, CalendarError> {
    match kind {
        ExpiryKind::EtfPm => Ok(calendar.session_on(Venue::EtfOptions, expiry_date)?.close),
        ExpiryKind::IndexAm | ExpiryKind::VixAm => {
            calendar.session_on(Venue::CboeIndexOptions, expiry_date)?;
            Ok(calendar.previous_session(Venue::CboeIndexOptions, expiry_date)?.close)
        }
        ExpiryKind::FutureAm => expiry_instant(calendar, kind, expiry_date),
    }
}

/// The expiry date of an equity-index future: the third Friday, or the session before it when the
/// stock exchange is closed.
pub fn third_friday_expiry(
    calendar: &Calendar,
    year: i32,
    month: u32,
) -> Result<NaiveDate, CalendarError> {
    session_by(calendar, Venue::Xnys, third_friday(year, month)?)
}

/// The expiry date of the monthly ETF options: the third Friday, or the session before it.
pub fn monthly_option_expiry(
    calendar: &Calendar,
    year: i32,
    month: u32,
) -> Result<NaiveDate, CalendarError> {
    session_by(calendar, Venue::EtfOptions, third_friday(year, month)?)
}

/// The expiry date of the monthly VIX options: thirty days before the monthly expiry of SPX options
/// in the following month (itself moved when its Friday is a holiday), or the session before.
pub fn vix_expiry(calendar: &Calendar, year: i32, month: u32) -> Result<NaiveDate, CalendarError> {
    let friday = third_friday(year, month)?;
    let venue = Venue::CboeIndexOptions;
    let spx = next_third_friday(friday)
        .ok_or(CalendarError::OutOfRange { date: friday })
        .and_then(|friday| session_by(calendar, venue, friday))?;
    let thirty_before =
        spx.checked_sub_days(Days::new(30)).ok_or(CalendarError::OutOfRange { date: spx })?;
    session_by(calendar, venue, thirty_before)
}

/// Years from `now` to an expiry, of 365 days each; negative once it has passed.
pub fn years_between(now: DateTime<Utc>, expiry: DateTime<Utc>) -> f64 {
    const MILLISECONDS_PER_YEAR: f64 = 31_536_000_000.0;
    (expiry - now).num_milliseconds() as f64 / MILLISECONDS_PER_YEAR
}

/// That date if it is a session, else the session before it.
fn session_by(
    calendar: &Calendar,
    venue: Venue,
    on: NaiveDate,
) -> Result<NaiveDate, CalendarError> {
    match calendar.session(venue, on)? {
        Some(session) => Ok(session.session_date),
        None => calendar.previous_session(venue, on).map(|session| session.session_date),
    }
}

fn third_friday(year: i32, month: u32) -> Result<NaiveDate, CalendarError> {
    NaiveDate::from_weekday_of_month_opt(year, month, Weekday::Fri, 3)
        .ok_or(CalendarError::NoSuchMonth { year, month })
}

fn next_third_friday(friday: NaiveDate) -> Option<NaiveDate> {
    use chrono::Datelike as _;
    let next = friday.checked_add_months(Months::new(1))?;
    NaiveDate::from_weekday_of_month_opt(next.year(), next.month(), Weekday::Fri, 3)
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::super::rules::date;
    use super::*;

    static SHIPPED: LazyLock<Calendar> = LazyLock::new(|| Calendar::shipped().unwrap());

    fn instants(kind: ExpiryKind, on: NaiveDate) -> (String, String) {
        let text = |at: DateTime<Utc>| at.format("%Y-%m-%dT%H:%M").to_string();
        (
            text(expiry_instant(&SHIPPED, kind, on).unwrap()),
            text(last_trade_instant(&SHIPPED, kind, on).unwrap()),
        )
    }

    #[test]
    fn each_kind_expires_and_stops_trading_at_its_own_instant() {
        let expected = [
            (ExpiryKind::EtfPm, date(2026, 3, 20), "2026-03-20T20:00", "2026-03-20T20:15"),
            // Half day.
            (ExpiryKind::EtfPm, date(2026, 11, 27), "2026-11-27T18:00", "2026-11-27T18:15"),
            (ExpiryKind::IndexAm, date(2026, 3, 20), "2026-03-20T13:30", "2026-03-19T20:15"),
            // The session before is three days and a half day away.
            (ExpiryKind::IndexAm, date(2026, 11, 30), "2026-11-30T14:30", "2026-11-27T18:15"),
            (ExpiryKind::VixAm, date(2026, 3, 18), "2026-03-18T13:30", "2026-03-17T20:15"),
            (ExpiryKind::FutureAm, date(2026, 3, 20), "2026-03-20T13:30", "2026-03-20T13:30"),
            // Winter time.
            (ExpiryKind::FutureAm, date(2026, 12, 18), "2026-12-18T14:30", "2026-12-18T14:30"),
        ];
        for (kind, on, expiry, last_trade) in expected {
            let found = instants(kind, on);
            assert_eq!(found, (expiry.to_owned(), last_trade.to_owned()), "{kind:?} {on}");
        }
    }

    #[test]
    fn no_listed_contract_expires_on_a_holiday() {
        let good_friday = date(2026, 4, 3);
        let kinds =
            [ExpiryKind::EtfPm, ExpiryKind::IndexAm, ExpiryKind::VixAm, ExpiryKind::FutureAm];
        for kind in kinds {
            for found in [
                expiry_instant(&SHIPPED, kind, good_friday),
                last_trade_instant(&SHIPPED, kind, good_friday),
            ] {
                assert!(matches!(found, Err(CalendarError::NotASession { .. })), "{kind:?}");
            }
        }
    }

    #[test]
    fn third_fridays_move_off_holidays() {
        let expected = [
            (2026, 3, date(2026, 3, 20)),
            // Juneteenth.
            (2026, 6, date(2026, 6, 18)),
            (2027, 6, date(2027, 6, 17)),
            // Good Friday.
            (2019, 4, date(2019, 4, 18)),
            (2022, 4, date(2022, 4, 14)),
        ];
        for (year, month, on) in expected {
            assert_eq!(third_friday_expiry(&SHIPPED, year, month), Ok(on));
            assert_eq!(monthly_option_expiry(&SHIPPED, year, month), Ok(on));
        }
        assert_eq!(
            third_friday_expiry(&SHIPPED, 2026, 13),
            Err(CalendarError::NoSuchMonth { year: 2026, month: 13 })
        );
    }

    #[test]
    fn vix_expires_thirty_days_before_the_next_monthly_expiry() {
        let expected = [
            (2026, 1, date(2026, 1, 21)),
            (2026, 3, date(2026, 3, 18)),
            // The third Friday of April 2019 was Good Friday, so SPX expired a day earlier.
            (2019, 3, date(2019, 3, 19)),
            // Thirty days before 19 July 2024 was Juneteenth.
            (2024, 6, date(2024, 6, 18)),
            // The third Friday of June 2026 is Juneteenth.
            (2026, 5, date(2026, 5, 19)),
            (2025, 12, date(2025, 12, 17)),
        ];
        for (year, month, on) in expected {
            assert_eq!(vix_expiry(&SHIPPED, year, month), Ok(on), "{year}-{month}");
        }
        assert_eq!(
            vix_expiry(&SHIPPED, 2035, 12),
            Err(CalendarError::OutOfRange { date: date(2036, 1, 18) })
        );
    }

    #[test]
    fn every_monthly_expiry_of_the_calendar_is_a_session() {
        for year in 2010..=2035 {
            for month in 1..=12 {
                let on = third_friday_expiry(&SHIPPED, year, month).unwrap();
                assert!(expiry_instant(&SHIPPED, ExpiryKind::FutureAm, on).is_ok(), "{on}");
                if let Ok(on) = vix_expiry(&SHIPPED, year, month) {
                    assert!(last_trade_instant(&SHIPPED, ExpiryKind::VixAm, on).is_ok(), "{on}");
                }
            }
        }
    }

    #[test]
    fn a_year_has_365_days_and_the_past_is_negative() {
        let now = DateTime::from_timestamp(1_772_463_600, 0).unwrap();
        let year = years_between(now, now + Days::new(365));
        assert!((year - 1.0).abs() < 1e-15);
        let past = years_between(now, now - Days::new(73));
        assert!((past + 0.2).abs() < 1e-15);
    }
}
