//! Which bars may be asked for: their sizes, how far back, and both together.
//!
//! The table of steps is IB's published one, read as a least size for a span; that a span between
//! two of its rows follows the longer row, and that no bar may be longer than its span, are
//! assumptions. IB itself is known to give more than its table says.

use chrono::{Days, Months, NaiveDate};

/// How long a bar is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BarSize {
    Seconds(i64),
    Day,
    Week,
    Month,
}

const MINUTE: i64 = 60;
const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;

/// Names and sizes (TWS API reference).
const SIZES: [(&str, BarSize); 22] = [
    ("1 secs", BarSize::Seconds(1)),
    ("5 secs", BarSize::Seconds(5)),
    ("10 secs", BarSize::Seconds(10)),
    ("15 secs", BarSize::Seconds(15)),
    ("30 secs", BarSize::Seconds(30)),
    ("1 min", BarSize::Seconds(MINUTE)),
    ("2 mins", BarSize::Seconds(2 * MINUTE)),
    ("3 mins", BarSize::Seconds(3 * MINUTE)),
    ("4 mins", BarSize::Seconds(4 * MINUTE)),
    ("5 mins", BarSize::Seconds(5 * MINUTE)),
    ("10 mins", BarSize::Seconds(10 * MINUTE)),
    ("15 mins", BarSize::Seconds(15 * MINUTE)),
    ("20 mins", BarSize::Seconds(20 * MINUTE)),
    ("30 mins", BarSize::Seconds(30 * MINUTE)),
    ("1 hour", BarSize::Seconds(HOUR)),
    ("2 hours", BarSize::Seconds(2 * HOUR)),
    ("3 hours", BarSize::Seconds(3 * HOUR)),
    ("4 hours", BarSize::Seconds(4 * HOUR)),
    ("8 hours", BarSize::Seconds(8 * HOUR)),
    ("1 day", BarSize::Day),
    ("1 week", BarSize::Week),
    ("1 month", BarSize::Month),
];

/// The least size of a bar by the span it is asked over, seconds of both.
const STEPS: [(i64, i64); 8] = [
    (1_800, 1),
    (3_600, 5),
    (14_400, 10),
    (28_800, 30),
    (DAY, MINUTE),
    (2 * DAY, 2 * MINUTE),
    (7 * DAY, 3 * MINUTE),
    (31 * DAY, 30 * MINUTE),
];

impl BarSize {
    /// A text is taken with or without the plural's s; the error is IB's text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bare = |text: &str| text.strip_suffix('s').unwrap_or(text).to_owned();
        let wanted = bare(text);
        let found = SIZES.iter().find(|(name, _)| bare(name) == wanted);
        found.map(|(_, size)| *size).ok_or_else(|| {
            let legal: Vec<&str> = SIZES.iter().map(|(name, _)| *name).collect();
            format!(
                "Historical data bar size setting is invalid. Legal ones are: {}",
                legal.join(", ")
            )
        })
    }

    /// Nominally.
    fn seconds(self) -> i64 {
        match self {
            Self::Seconds(seconds) => seconds,
            Self::Day => DAY,
            Self::Week => 7 * DAY,
            Self::Month => 31 * DAY,
        }
    }
}

/// How far back bars are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    Seconds(i64),
    /// Sessions.
    Days(u32),
    Weeks(u32),
    Months(u32),
    Years(u32),
}

impl Span {
    /// From `1800 S`, `10 D`, `2 W`, `1 M`, `1 Y`; the error is IB's text, as far as it is known.
    pub fn parse(text: &str) -> Result<Self, String> {
        let invalid = || {
            let text: String = text.chars().take(40).collect();
            format!("Historical data query duration `{text}` is invalid: 10 D, 2 W, 1 M, 1 Y, 60 S")
        };
        let (count, unit) = text.trim().split_once(' ').ok_or_else(invalid)?;
        let count: u32 = count.parse().ok().filter(|count| *count > 0).ok_or_else(invalid)?;
        match unit {
            "S" if i64::from(count) <= DAY => Ok(Self::Seconds(i64::from(count))),
            "S" => Err("Historical data requests in seconds may span at most 86400 S".to_owned()),
            "D" if count <= 365 => Ok(Self::Days(count)),
            "D" => Err("Historical data requests for durations longer than 365 days must be made \
                        in years."
                .to_owned()),
            "W" if count <= 52 => Ok(Self::Weeks(count)),
            "M" if count <= 12 => Ok(Self::Months(count)),
            "W" | "M" => Err("Historical data requests for durations longer than a year must be \
                              made in years."
                .to_owned()),
            "Y" if count <= 100 => Ok(Self::Years(count)),
            _ => Err(invalid()),
        }
    }

    /// Nominally.
    fn seconds(self) -> i64 {
        match self {
            Self::Seconds(seconds) => seconds,
            Self::Days(count) => i64::from(count) * DAY,
            Self::Weeks(count) => i64::from(count) * 7 * DAY,
            Self::Months(count) => i64::from(count) * 31 * DAY,
            Self::Years(count) => i64::from(count) * 366 * DAY,
        }
    }

    /// Whether bars of a size may be asked for over this.
    pub fn allows(self, size: BarSize) -> bool {
        let span = self.seconds();
        let least = STEPS.iter().find(|(up_to, _)| span <= *up_to).map_or(DAY, |(_, least)| *least);
        (least..=span).contains(&size.seconds())
    }

    /// The day before the first. Days are counted as IB counts them, in sessions: that they are
    /// weekdays here makes holidays one bar fewer.
    pub fn before(self, end: NaiveDate) -> Option<NaiveDate> {
        match self {
            Self::Seconds(_) => weekday_before(end),
            Self::Days(count) => {
                let weeks = u64::from(count / 5) * 7;
                let mut day = end.checked_sub_days(Days::new(weeks))?;
                for _ in 0..count % 5 {
                    day = weekday_before(day)?;
                }
                Some(day)
            }
            Self::Weeks(count) => end.checked_sub_days(Days::new(u64::from(count) * 7)),
            Self::Months(count) => end.checked_sub_months(Months::new(count)),
            Self::Years(count) => end.checked_sub_months(Months::new(count.checked_mul(12)?)),
        }
    }
}

pub fn weekday_before(day: NaiveDate) -> Option<NaiveDate> {
    use chrono::{Datelike as _, Weekday};
    let mut day = day.pred_opt()?;
    while matches!(day.weekday(), Weekday::Sat | Weekday::Sun) {
        day = day.pred_opt()?;
    }
    Some(day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_count_back_from_their_end() {
        let end: NaiveDate = "2026-03-10".parse().unwrap();
        for (duration, start) in [
            ("1 D", Some("2026-03-09")),
            ("2 D", Some("2026-03-06")),
            ("5 D", Some("2026-03-03")),
            ("2 W", Some("2026-02-24")),
            ("1 M", Some("2026-02-10")),
            ("1 Y", Some("2025-03-10")),
            ("60 S", Some("2026-03-09")),
            ("0 D", None),
            ("day", None),
            ("99999 Y", None),
        ] {
            let start = start.map(|day| day.parse().unwrap());
            let before = Span::parse(duration).ok().and_then(|span| span.before(end));
            assert_eq!(before, start, "{duration}");
        }
    }

    #[test]
    fn spans_that_are_too_long_in_their_unit_are_refused_with_ibs_text() {
        assert_eq!(Span::parse("86400 S"), Ok(Span::Seconds(86_400)));
        assert!(Span::parse("86401 S").unwrap_err().contains("86400 S"));
        assert!(Span::parse("366 D").unwrap_err().contains("must be made in years"));
        assert!(Span::parse("13 M").is_err() && Span::parse("53 W").is_err());
        for wrong in ["", "1", "D 1", "-1 D", "1 Q", "1.5 D"] {
            assert!(Span::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn bars_and_spans_fit_together_as_in_ibs_table() {
        let allows = |span: &str, size: &str| {
            Span::parse(span).unwrap().allows(BarSize::parse(size).unwrap())
        };
        for (span, least, too_small, too_large) in [
            ("60 S", "1 secs", None, Some("2 mins")),
            ("1800 S", "1 secs", None, Some("1 hour")),
            ("3600 S", "5 secs", Some("1 secs"), Some("2 hours")),
            ("14400 S", "10 secs", Some("5 secs"), Some("8 hours")),
            ("28800 S", "30 secs", Some("15 secs"), Some("1 day")),
            ("1 D", "1 min", Some("30 secs"), Some("1 week")),
            ("2 D", "2 mins", Some("1 min"), Some("1 week")),
            ("1 W", "3 mins", Some("2 mins"), Some("1 month")),
            ("1 M", "30 mins", Some("20 mins"), None),
            ("1 Y", "1 day", Some("8 hours"), None),
            ("10 D", "1 day", Some("1 min"), None),
        ] {
            assert!(allows(span, least), "{span} {least}");
            assert!(!too_small.is_some_and(|size| allows(span, size)), "{span} {too_small:?}");
            assert!(!too_large.is_some_and(|size| allows(span, size)), "{span} {too_large:?}");
        }
        assert!(allows("1 M", "1 month") && allows("1 Y", "1 week"));
        assert_eq!(BarSize::parse("1 mins"), BarSize::parse("1 min"));
        assert!(BarSize::parse("7 mins").unwrap_err().contains("Legal ones are: 1 secs"));
    }
}
