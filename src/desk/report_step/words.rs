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
        let names = ["SPY", "QQQ", "IWM"].map(str::to_owned);
        assert_eq!(listed(&names), "SPY, QQQ and IWM");
        assert_eq!(listed(&[]), "");
    }
}
