//! The exchange calendars against the reference calendars of 2015 to 2025, session by session.
//!
//! Where an exchange's own notice contradicts the reference, the notice wins: those sessions are
//! listed here by date with the words of the notice, and nothing else may differ.

#![cfg(test)]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::LazyLock;

use chrono::{DateTime, Datelike, NaiveDate, Utc, Weekday};
use deltadesk::market::sessions::{
    Calendar, FIRST_DATE, LAST_DATE, Override, OverrideKind, Session, Venue, sessions_csv,
};

/// Sessions in which an exchange notice overrules the reference: venue, date, the notice's words.
const NOTICES: [(Venue, &str, &str); 2] = [
    (
        Venue::CmeEquityFutures,
        "2018-12-05",
        "Trading hours for CME Group U.S.-based equity products on Dec. 5 will include an \
         abbreviated session, closing after overnight trading at 8:30 a.m. Central Time",
    ),
    (
        Venue::CmeEquityFutures,
        "2025-01-09",
        "U.S. equity markets will be open until 8:30 a.m. CT on January 9.",
    ),
];

#[test]
fn the_stock_exchange_is_the_reference() {
    compare(Venue::Xnys, "xnys_2015_2025.csv");
}

#[test]
fn the_index_options_are_the_reference() {
    compare(Venue::CboeIndexOptions, "cboe_index_options_2015_2025.csv");
}

#[test]
fn the_equity_futures_are_the_reference_with_their_breaks() {
    compare(Venue::CmeEquityFutures, "cme_equity_futures_2015_2025.csv");
}

#[test]
fn each_listed_notice_is_quoted_by_its_override() {
    let rows = Override::shipped().unwrap();
    for (venue, date, quote) in NOTICES {
        let row = rows
            .iter()
            .find(|row| row.venue == venue && row.session_date.to_string() == date)
            .unwrap_or_else(|| panic!("no override for {venue} {date}"));
        assert_eq!(row.kind, OverrideKind::Hours, "{venue} {date}");
        assert!(row.source.contains(quote), "{venue} {date}: {}", row.source);
    }
}

#[test]
fn reference_rows_stay_within_the_reference_years() {
    for row in Override::shipped().unwrap() {
        if row.kind == OverrideKind::Reference {
            let years = date(2015, 1, 1)..=date(2025, 12, 31);
            assert!(years.contains(&row.session_date), "{row:?}");
        }
    }
}

#[test]
fn every_year_of_every_stock_venue_is_sane() {
    for venue in [Venue::Xnys, Venue::EtfOptions, Venue::CboeIndexOptions] {
        for year in 2010..=2035 {
            let all = calendar().sessions(venue, date(year, 1, 1), date(year, 12, 31)).unwrap();
            assert!((250..=253).contains(&all.len()), "{venue} {year}: {}", all.len());
            let halves = all.iter().filter(|session| session.is_half_day()).count();
            assert!(halves <= 3, "{venue} {year}: {halves} half days");
        }
    }
}

#[test]
fn every_year_of_cme_has_the_stock_sessions_and_the_holiday_halts() {
    for year in 2010..=2035 {
        let (from, to) = (date(year, 1, 1), date(year, 12, 31));
        let futures = calendar().sessions(Venue::CmeEquityFutures, from, to).unwrap();
        assert!((255..=261).contains(&futures.len()), "{year}: {}", futures.len());
        for stocks in calendar().sessions(Venue::Xnys, from, to).unwrap() {
            let on = stocks.session_date;
            let future = calendar().session_on(Venue::CmeEquityFutures, on).unwrap();
            assert!(future.open < stocks.open && stocks.close <= future.close, "{on}");
        }
    }
}

#[test]
fn no_session_has_a_weekend_date() {
    for venue in Venue::ALL {
        for session in calendar().sessions(venue, FIRST_DATE, LAST_DATE).unwrap() {
            let weekday = session.session_date.weekday();
            assert!(!matches!(weekday, Weekday::Sat | Weekday::Sun), "{session:?}");
        }
    }
}

#[test]
fn etf_options_have_the_days_of_the_stock_exchange() {
    let dates = |venue| -> Vec<_> {
        let sessions = calendar().sessions(venue, FIRST_DATE, LAST_DATE).unwrap();
        sessions.iter().map(|session| session.session_date).collect()
    };
    assert_eq!(dates(Venue::EtfOptions), dates(Venue::Xnys));
    assert_eq!(dates(Venue::CboeIndexOptions), dates(Venue::Xnys));
}

#[test]
fn opens_move_with_daylight_saving() {
    let open = |venue, on| calendar().session_on(venue, on).unwrap().open;
    let expected = [
        (Venue::Xnys, date(2026, 3, 6), "2026-03-06T14:30:00Z"),
        (Venue::Xnys, date(2026, 3, 9), "2026-03-09T13:30:00Z"),
        (Venue::CmeEquityFutures, date(2026, 3, 6), "2026-03-05T23:00:00Z"),
        (Venue::CmeEquityFutures, date(2026, 3, 9), "2026-03-08T22:00:00Z"),
        (Venue::Xnys, date(2026, 10, 30), "2026-10-30T13:30:00Z"),
        (Venue::Xnys, date(2026, 11, 2), "2026-11-02T14:30:00Z"),
        (Venue::CmeEquityFutures, date(2026, 10, 30), "2026-10-29T22:00:00Z"),
        (Venue::CmeEquityFutures, date(2026, 11, 2), "2026-11-01T23:00:00Z"),
    ];
    for (venue, on, at) in expected {
        assert_eq!(open(venue, on), instant(at), "{venue} {on}");
    }
}

#[test]
fn half_days_close_at_each_venues_hour() {
    let expected = [
        (Venue::Xnys, "2026-11-27T18:00:00Z"),
        (Venue::EtfOptions, "2026-11-27T18:15:00Z"),
        (Venue::CboeIndexOptions, "2026-11-27T18:15:00Z"),
        (Venue::CmeEquityFutures, "2026-11-27T18:15:00Z"),
    ];
    for (venue, close) in expected {
        let session = calendar().session_on(venue, date(2026, 11, 27)).unwrap();
        assert_eq!((session.close, session.is_half_day()), (instant(close), true), "{venue}");
        let after = calendar().next_session(venue, date(2026, 11, 27)).unwrap();
        assert_eq!((after.session_date, after.is_half_day()), (date(2026, 11, 30), false));
    }
    let halves: Vec<_> = calendar()
        .sessions(Venue::Xnys, date(2010, 1, 1), date(2014, 12, 31))
        .unwrap()
        .into_iter()
        .filter(Session::is_half_day)
        .map(|session| session.session_date.to_string())
        .collect();
    // The early closings the exchange announced for these years.
    let announced = [
        "2010-11-26",
        "2011-11-25",
        "2012-07-03",
        "2012-11-23",
        "2012-12-24",
        "2013-07-03",
        "2013-11-29",
        "2013-12-24",
        "2014-07-03",
        "2014-11-28",
        "2014-12-24",
    ];
    assert_eq!(halves, announced);
}

fn calendar() -> &'static Calendar {
    static SHIPPED: LazyLock<Calendar> = LazyLock::new(|| Calendar::shipped().unwrap());
    &SHIPPED
}

fn date(year: i32, month: u32, day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(year, month, day).unwrap()
}

fn instant(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn compare(venue: Venue, file: &str) {
    let Some(reference) = read_golden(file) else { return };
    let sessions = calendar().sessions(venue, date(2015, 1, 1), date(2025, 12, 31)).unwrap();
    let rendered = sessions_csv(venue, &sessions);

    let expected: Vec<&str> = reference
        .lines()
        .map(|line| line.split_once(',').expect("the first column is the calendar's name").1)
        .collect();
    let found: Vec<&str> = rendered.lines().collect();
    assert_eq!(found[0], expected[0], "the columns differ");
    assert!(expected.len() > 2_700, "{file} is cut short");

    let differing: BTreeSet<&str> = symmetric_difference(&found, &expected);
    let noticed: BTreeSet<&str> =
        NOTICES.into_iter().filter_map(|(of, date, _)| (of == venue).then_some(date)).collect();
    assert_eq!(differing, noticed, "{venue}: dates that differ from {file}");
    println!("{venue}: {} sessions, {} by notice", found.len() - 1, noticed.len());
}

/// The dates of rows that stand in only one of the two.
fn symmetric_difference<'a>(found: &[&'a str], expected: &[&'a str]) -> BTreeSet<&'a str> {
    let found: BTreeSet<&str> = found.iter().copied().collect();
    let expected: BTreeSet<&str> = expected.iter().copied().collect();
    found.symmetric_difference(&expected).map(|row| row.split(',').next().unwrap_or(row)).collect()
}

/// The text of a reference calendar. Without the shared folder the test says so and, in continuous
/// integration, fails.
#[expect(clippy::disallowed_methods, reason = "the folder of reference data is named by the run")]
fn read_golden(file: &str) -> Option<String> {
    let shared = std::env::var("DELTADESK_SHARED").unwrap_or_else(|_| "../shared".to_owned());
    let path = PathBuf::from(shared).join("golden/calendars").join(file);
    match std::fs::read_to_string(&path) {
        Ok(text) => Some(text),
        Err(error) => {
            let why = format!("not run: {}: {error}", path.display());
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{why}");
            println!("{why}");
            None
        }
    }
}
