//! Which expiries are listed on a date.

use std::collections::BTreeSet;

use chrono::{Datelike, Days, Months, NaiveDate, Weekday};

use crate::market::sessions::{Calendar, CalendarError, Venue, monthly_option_expiry, vix_expiry};

use super::listing::Underlying;

/// Calendar days ahead in which each session is an expiry, and each Friday.
const DAILY_DAYS: Days = Days::new(14);
const WEEKLY_DAYS: Days = Days::new(56);
/// Months ahead with a third Friday, and with a quarter's last session.
const MONTHS: u32 = 12;
/// The VIX has Wednesdays this far ahead, and months.
const VIX_WEEKLY_DAYS: Days = Days::new(35);
const VIX_MONTHS: u32 = 6;

/// The expiries of an underlying from a date on, that date included.
pub(super) fn expiries(
    calendar: &Calendar,
    underlying: Underlying,
    today: NaiveDate,
) -> Result<BTreeSet<NaiveDate>, CalendarError> {
    let mut all = match underlying {
        Underlying::Etf(_) => etf_expiries(calendar, today)?,
        Underlying::Vix => vix_expiries(calendar, today)?,
    };
    all.retain(|expiry| today <= *expiry);
    Ok(all)
}

fn etf_expiries(
    calendar: &Calendar,
    today: NaiveDate,
) -> Result<BTreeSet<NaiveDate>, CalendarError> {
    let venue = Venue::EtfOptions;
    let daily = calendar.sessions(venue, today, today + DAILY_DAYS)?;
    let mut all: BTreeSet<NaiveDate> = daily.iter().map(|session| session.session_date).collect();
    for friday in weekdays(Weekday::Fri, today, WEEKLY_DAYS) {
        all.insert(at_or_before(calendar, venue, friday)?);
    }
    for month in months(today, MONTHS) {
        all.insert(monthly_option_expiry(calendar, month.year(), month.month())?);
        if month.month() % 3 == 0 {
            let after = month + Months::new(1);
            all.insert(calendar.previous_session(venue, after)?.session_date);
        }
    }
    Ok(all)
}

fn vix_expiries(
    calendar: &Calendar,
    today: NaiveDate,
) -> Result<BTreeSet<NaiveDate>, CalendarError> {
    let mut all = BTreeSet::new();
    for wednesday in weekdays(Weekday::Wed, today, VIX_WEEKLY_DAYS) {
        all.insert(at_or_before(calendar, Venue::CboeIndexOptions, wednesday)?);
    }
    for month in months(today, VIX_MONTHS) {
        all.insert(vix_expiry(calendar, month.year(), month.month())?);
    }
    Ok(all)
}

/// The first days of this month and of the months after it.
fn months(today: NaiveDate, count: u32) -> impl Iterator<Item = NaiveDate> {
    let first = today - Days::new(u64::from(today.day0()));
    (0..=count).map(move |ahead| first + Months::new(ahead))
}

fn weekdays(weekday: Weekday, today: NaiveDate, ahead: Days) -> impl Iterator<Item = NaiveDate> {
    today
        .iter_days()
        .take_while(move |day| *day <= today + ahead)
        .filter(move |day| day.weekday() == weekday)
}

/// The date, or the session before it where it is none.
fn at_or_before(
    calendar: &Calendar,
    venue: Venue,
    date: NaiveDate,
) -> Result<NaiveDate, CalendarError> {
    match calendar.session(venue, date)? {
        Some(session) => Ok(session.session_date),
        None => Ok(calendar.previous_session(venue, date)?.session_date),
    }
}

#[cfg(test)]
mod tests {
    use super::super::etf::Etf;
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn etfs_have_days_weeks_months_and_quarters() {
        let calendar = Calendar::shipped().unwrap();
        let all = expiries(&calendar, Underlying::Etf(Etf::Spy), day("2026-03-02")).unwrap();
        let listed = |text: &str| all.contains(&day(text));
        assert!(listed("2026-03-02") && listed("2026-03-11") && listed("2026-03-16"));
        assert!(!listed("2026-03-17") && listed("2026-03-27"));
        // Good Friday: the week's expiry is its Thursday.
        assert!(listed("2026-04-02") && !listed("2026-04-03"));
        assert!(listed("2026-03-31") && listed("2026-12-18") && listed("2027-03-19"));
        assert!(!listed("2026-07-10"));
    }

    #[test]
    fn the_vix_has_wednesdays_and_months() {
        let calendar = Calendar::shipped().unwrap();
        let all = expiries(&calendar, Underlying::Vix, day("2026-03-02")).unwrap();
        let listed = |text: &str| all.contains(&day(text));
        assert!(listed("2026-03-04") && listed("2026-03-18") && listed("2026-06-17"));
        assert!(!listed("2026-05-13"));
    }
}
