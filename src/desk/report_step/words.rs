//! Names and numbers of tables as a person says them.

use chrono::{DateTime, NaiveDate};
use chrono_tz::America::New_York;
use rust_decimal::Decimal;

use crate::market::{Timestamp, Usd};

/// `iron_condor` as `iron condor`.
pub(super) fn plain(name: &str) -> String {
    name.replace('_', " ")
}

/// A model number as money, where it is one.
pub(super) fn money(value: Option<f64>) -> Option<Decimal> {
    value.and_then(Usd::from_f64).map(Usd::decimal)
}

/// `17 Apr 2026`
pub(super) fn day(date: NaiveDate) -> String {
    date.format("%-d %b %Y").to_string()
}

/// `15:10`, New York time.
pub(super) fn clock(at: Timestamp) -> String {
    local(at).format("%H:%M").to_string()
}

/// `Wed 18 Mar`
pub(super) fn weekday(date: NaiveDate) -> String {
    date.format("%a %-d %b").to_string()
}

pub(super) fn local(at: Timestamp) -> DateTime<chrono_tz::Tz> {
    at.with_timezone(&New_York)
}

/// A number of unknown unit with as many places as its size asks for.
pub(super) fn number(value: f64) -> String {
    let places = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        _ => 2,
    };
    let text = format!("{value:.places$}");
    text.replacen('-', "\u{2212}", 1)
}

/// A reason as somebody wrote it, its long numbers cut to four places, or two from 1 on.
pub(super) fn tidy(text: &str) -> String {
    let words = text.split(' ').map(|word| {
        let (number, rest) = word.split_at(word.trim_end_matches([';', ',', ':', '.', ')']).len());
        let places = number.split_once('.').map_or(0, |(_, places)| places.len());
        match number.parse::<f64>() {
            Ok(value) if value.abs() >= 1.0 && places > 2 => format!("{value:.2}{rest}"),
            Ok(value) if places > 4 => format!("{value:.4}{rest}"),
            Ok(_) | Err(_) => word.to_owned(),
        }
    });
    words.collect::<Vec<String>>().join(" ")
}

/// What a text says apart from its numbers.
pub(super) fn without_numbers(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_ascii_digit() && *letter != '.').collect()
}

/// `SPY, QQQ and IWM`
pub(super) fn listed(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [only] => only.clone(),
        [front @ .., last] => format!("{} and {last}", front.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_as_said() {
        assert_eq!(plain("put_credit_spread"), "put credit spread");
        assert_eq!(number(-412.4), "\u{2212}412");
        assert_eq!(number(0.2149), "0.21");
        let said = "one needs 1448.2 USD; it leaves 1335.2000000000007, at most 0.0153399 (0.5).";
        assert_eq!(tidy(said), "one needs 1448.2 USD; it leaves 1335.20, at most 0.0153 (0.5).");
        assert_eq!(without_numbers("leaves 13.5 USD"), "leaves  USD");
        let names = ["SPY", "QQQ", "IWM"].map(str::to_owned);
        assert_eq!(listed(&names), "SPY, QQQ and IWM");
        assert_eq!(listed(&[]), "");
    }
}
