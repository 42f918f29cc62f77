//! Numbers and times as a person reads them. Signs are typographic and precede the currency; what
//! is not known, or not a number, is [`UNKNOWN`].

use chrono::{NaiveDate, TimeDelta};
use chrono_tz::America::New_York;
use rust_decimal::{Decimal, RoundingStrategy};

use crate::market::Timestamp;

/// The mark of a value that nobody knows.
pub(super) const UNKNOWN: &str = "–";

const MINUS: char = '\u{2212}';

/// Whether a number without a sign of its own shows a plus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plus {
    Shown,
    Left,
}

/// Which way a number points, for words and classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Gain,
    Loss,
    Flat,
}

impl Tone {
    pub fn of(amount: Decimal) -> Self {
        if amount.is_zero() {
            Self::Flat
        } else if amount.is_sign_positive() {
            Self::Gain
        } else {
            Self::Loss
        }
    }

    pub const fn class(self) -> &'static str {
        match self {
            Self::Gain => "gain",
            Self::Loss => "loss",
            Self::Flat => "flat",
        }
    }

    /// A sign beside the colour.
    pub const fn arrow(self) -> &'static str {
        match self {
            Self::Gain => "▲",
            Self::Loss => "▼",
            Self::Flat => "■",
        }
    }
}

/// Digits in groups of three; `plain` is what `{:.n}` of a number that is not negative gives.
fn grouped(plain: &str) -> String {
    let (whole, fraction) = plain.split_once('.').map_or((plain, None), |(w, f)| (w, Some(f)));
    let mut out = String::new();
    for (n, digit) in whole.chars().enumerate() {
        if n > 0 && (whole.len() - n) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    if let Some(fraction) = fraction {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

/// Sign, unit, digits: the sign is that of what is printed, so that nothing reads as minus zero.
fn signed(magnitude: &str, (negative, plus): (Sign, Plus), unit: &str) -> String {
    let zero = magnitude.chars().all(|letter| !letter.is_ascii_digit() || letter == '0');
    let sign = match (negative, plus) {
        _ if zero => String::new(),
        (Sign::Negative, _) => MINUS.to_string(),
        (Sign::Positive, Plus::Shown) => "+".to_owned(),
        (Sign::Positive, Plus::Left) => String::new(),
    };
    format!("{sign}{unit}{}", grouped(magnitude))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Negative,
    Positive,
}

fn money(amount: Decimal, digits: u32, plus: Plus) -> String {
    let rounded =
        amount.round_dp_with_strategy(digits, RoundingStrategy::MidpointAwayFromZero).abs();
    let magnitude = format!("{rounded:.digits$}", digits = digits as usize);
    let sign = if amount.is_sign_negative() { Sign::Negative } else { Sign::Positive };
    signed(&magnitude, (sign, plus), "$")
}

/// `$1,234.56`
pub(super) fn usd(amount: Decimal) -> String {
    money(amount, 2, Plus::Left)
}

/// `+$1,234.56`
pub(super) fn usd_change(amount: Decimal) -> String {
    money(amount, 2, Plus::Shown)
}

/// `+$1,235`
pub(super) fn usd_whole_change(amount: Decimal) -> String {
    money(amount, 0, Plus::Shown)
}

/// What `print` makes of a value, or the mark of what is not known.
pub(super) fn or_unknown<T>(value: Option<T>, print: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), print)
}

fn float(value: f64, digits: usize, (plus, unit): (Plus, &str)) -> String {
    if !value.is_finite() {
        return UNKNOWN.to_owned();
    }
    let magnitude = format!("{:.digits$}", value.abs());
    let sign = if value < 0.0 { Sign::Negative } else { Sign::Positive };
    signed(&magnitude, (sign, plus), unit)
}

/// A model number of USD, `+$1,235`.
pub(super) fn model_usd(value: f64) -> String {
    float(value, 0, (Plus::Shown, "$"))
}

/// A model number of USD without a plus, `$1,235`.
pub(super) fn model_usd_level(value: f64) -> String {
    float(value, 0, (Plus::Left, "$"))
}

/// `+0.123`
pub(super) fn change(value: f64, digits: usize) -> String {
    float(value, digits, (Plus::Shown, ""))
}

/// `1,234.5`
pub(super) fn level(value: f64, digits: usize) -> String {
    float(value, digits, (Plus::Left, ""))
}

fn percent_mark(number: String) -> String {
    if number == UNKNOWN { number } else { number + "%" }
}

/// `12.3%`
pub(super) fn percent(ratio: f64, digits: usize) -> String {
    percent_mark(level(ratio * 100.0, digits))
}

/// `+12.3%`
pub(super) fn percent_change(ratio: f64, digits: usize) -> String {
    percent_mark(change(ratio * 100.0, digits))
}

/// `1,234`
pub(super) fn count(number: u64) -> String {
    grouped(&number.to_string())
}

/// `+2`
pub(super) fn quantity(number: i64) -> String {
    let sign = if number < 0 { Sign::Negative } else { Sign::Positive };
    signed(&number.unsigned_abs().to_string(), (sign, Plus::Shown), "")
}

/// `1 order`, `2 orders`
pub(super) fn counted(number: usize, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{} {noun}{ending}", count(number as u64))
}

/// `10:35`, New York time.
pub(super) fn clock(at: Timestamp) -> String {
    at.with_timezone(&New_York).format("%H:%M").to_string()
}

/// `Monday, 2 March 2026`
pub(super) fn long_date(date: NaiveDate) -> String {
    date.format("%A, %-d %B %Y").to_string()
}

/// `2 Mar 2026`
pub(super) fn date(date: NaiveDate) -> String {
    date.format("%-d %b %Y").to_string()
}

/// `2 Mar`
pub(super) fn short_date(date: NaiveDate) -> String {
    date.format("%-d %b").to_string()
}

/// `45 s`, `12 min`, `3 h`, `2 d`: the largest unit that holds at least two of it.
pub(super) fn age(age: TimeDelta) -> String {
    let seconds = age.num_seconds();
    let (each, unit) = [(86_400, "d"), (3_600, "h"), (60, "min")]
        .into_iter()
        .find(|(each, _)| seconds >= 2 * each)
        .unwrap_or((1, "s"));
    format!("{} {unit}", seconds / each)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dec(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn money_is_grouped_signed_and_rounded_away_from_zero() {
        assert_eq!(usd(dec("1234567.891")), "$1,234,567.89");
        assert_eq!(usd(dec("-0.005")), "−$0.01");
        assert_eq!(usd(dec("-0.004")), "$0.00");
        assert_eq!(usd_change(dec("999.995")), "+$1,000.00");
        assert_eq!(usd_change(dec("0")), "$0.00");
        assert_eq!(usd_whole_change(dec("-1234.5")), "−$1,235");
        assert_eq!(usd_whole_change(dec("100")), "+$100");
    }

    #[test]
    fn what_is_not_a_number_is_not_known() {
        assert_eq!(model_usd(f64::NAN), UNKNOWN);
        assert_eq!(percent(f64::INFINITY, 1), UNKNOWN);
        assert_eq!(or_unknown(None, usd), UNKNOWN);
        assert_eq!(change(-0.0001, 2), "0.00");
        assert_eq!(percent_change(-0.0123, 1), "−1.2%");
    }

    #[test]
    fn times_are_new_yorks() {
        let at: Timestamp = "2026-03-09T13:30:00Z".parse().unwrap();
        assert_eq!(clock(at), "09:30");
        assert_eq!(long_date(at.date_naive()), "Monday, 9 March 2026");
        assert_eq!(age(TimeDelta::seconds(119)), "119 s");
        assert_eq!(age(TimeDelta::seconds(120)), "2 min");
        assert_eq!(age(TimeDelta::hours(47)), "47 h");
    }
}
