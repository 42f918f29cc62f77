//! What an order waits for, and how long it lives: read off what the client wrote, and kept beside
//! the order.
//!
//! The exchange knows DAY orders at once and nothing else: whatever is more is the gateway's.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime, TimeZone as _};
use chrono_tz::America::New_York;
use serde::{Deserialize, Serialize};

use crate::exchange::{OnFill, OrderGroup};
use crate::market::Timestamp;
use crate::structures::Reject;

use super::orders::refuse;
use super::stops::Stop;
use super::words::WireOrder;

/// What IB says of a time in force that does not go with the order.
const WRONG_TIF: &str = "The TIF (Tif type) and the order type are incompatible.";

/// How an order waits and when it ends, beyond what the exchange knows. The default is that of an
/// order that went to the exchange at once, for the day.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Course {
    /// Not to be sent before the client says so.
    pub withheld: bool,
    /// Its parent has filled.
    pub freed: bool,
    /// Until it is reached.
    pub stop: Option<Stop>,
    pub ends_at: Option<Timestamp>,
    /// What had filled when it last went to the exchange.
    pub filled_before: i64,
    /// Fills that its group knows of.
    pub counted: i64,
    /// Its end has been asked for.
    pub cancelling: bool,
    #[serde(default)]
    pub reach: Reach,
}

/// Whether IB could be reached when an order came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Reach {
    #[default]
    Reached,
    /// It waits for IB to come back.
    Unsent,
}

impl Course {
    pub fn is_unsent(&self) -> bool {
        self.reach == Reach::Unsent
    }
}

/// How long an order lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    Day,
    UntilCancelled,
    /// What does not fill as soon as the exchange has it is taken back.
    AtOnce,
    Until(Timestamp),
}

impl Life {
    /// Of an order that came at `now`.
    pub fn of(order: &WireOrder, now: Timestamp) -> Result<Self, Reject> {
        match order.time_in_force.as_str() {
            "" | "DAY" => Ok(Self::Day),
            "GTC" => Ok(Self::UntilCancelled),
            "IOC" => Ok(Self::AtOnce),
            "GTD" => match till(&order.good_till) {
                Some(until) if until > now => Ok(Self::Until(until)),
                Some(_) => {
                    let said = format!("its time, {}, has passed", order.good_till);
                    refuse(201, format!("Order rejected - reason:{said}"))
                }
                None => refuse(
                    321,
                    format!("Error validating request: `{}` is no good-till date", order.good_till),
                ),
            },
            known @ ("FOK" | "OPG" | "DTC" | "AUC") => refuse(
                201,
                format!("Order rejected - reason:time in force {known} is not simulated"),
            ),
            _ => refuse(111, WRONG_TIF),
        }
    }

    /// The name that the client reads.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Day => "DAY",
            Self::UntilCancelled => "GTC",
            Self::AtOnce => "IOC",
            Self::Until(_) => "GTD",
        }
    }

    /// The instant of its end, where its session closes at `close`.
    pub fn ends_at(self, close: Option<Timestamp>) -> Option<Timestamp> {
        match self {
            Self::Day | Self::AtOnce => close,
            Self::UntilCancelled => None,
            Self::Until(until) => Some(until),
        }
    }
}

/// The group of orders of which a fill ends or reduces the others. What names no type reduces, as
/// TWS shows it (type 3).
pub fn group_of(order: &WireOrder) -> Result<Option<OrderGroup>, Reject> {
    if order.oca_group.is_empty() {
        return Ok(None);
    }
    let on_fill = match order.oca_type {
        1 => OnFill::Cancel,
        0 | 2 | 3 => OnFill::Reduce,
        other => return refuse(321, format!("Error validating request: OCA type {other}")),
    };
    Ok(Some(OrderGroup { name: order.oca_group.clone(), on_fill }))
}

/// What no order of this gateway can have.
pub fn check_simulated(order: &WireOrder) -> Result<(), Reject> {
    if order.conditions > 0 {
        return refuse(201, "Order rejected - reason:conditions are not simulated");
    }
    if !order.good_after.is_empty() {
        return refuse(201, "Order rejected - reason:a good-after time is not simulated");
    }
    Ok(())
}

/// An instant, or `20260302` for the end of that day in New York.
fn till(text: &str) -> Option<Timestamp> {
    let Ok(date) = NaiveDate::parse_from_str(text, "%Y%m%d") else { return instant_of(text) };
    let midnight = date.succ_opt()?.and_time(NaiveTime::MIN);
    Some(New_York.from_local_datetime(&midnight).earliest()?.to_utc())
}

/// `20260302 09:30:00 US/Eastern`, in New York where no zone is named; `20260302-14:30:00` in UTC.
pub fn instant_of(text: &str) -> Option<Timestamp> {
    if let Ok(utc) = NaiveDateTime::parse_from_str(text, "%Y%m%d-%H:%M:%S") {
        return Some(utc.and_utc());
    }
    let mut parts = text.split_whitespace();
    let date = NaiveDate::parse_from_str(parts.next()?, "%Y%m%d").ok()?;
    let time = NaiveTime::parse_from_str(parts.next()?, "%H:%M:%S").ok()?;
    let zone: chrono_tz::Tz = match parts.next() {
        Some("EST" | "EDT") | None => New_York,
        Some(zone) => zone.parse().ok()?,
    };
    let local = zone.from_local_datetime(&date.and_time(time)).earliest()?;
    parts.next().is_none().then(|| local.to_utc())
}

/// `2026-03-02 09:30:00 US/Eastern`.
pub fn spoken(at: Timestamp) -> String {
    at.with_timezone(&New_York).format("%Y-%m-%d %H:%M:%S US/Eastern").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::structures::testing::monday;

    fn order(time_in_force: &str, good_till: &str) -> WireOrder {
        WireOrder {
            time_in_force: time_in_force.to_owned(),
            good_till: good_till.to_owned(),
            ..WireOrder::default()
        }
    }

    #[test]
    fn times_are_read_as_clients_write_them() {
        let at = Some("2026-03-04T20:00:00Z".parse().unwrap());
        for text in [
            "20260304 15:00:00",
            "20260304 15:00:00 US/Eastern",
            "20260304 15:00:00 EST",
            "20260304-20:00:00",
            "20260304 20:00:00 UTC",
            "20260304 14:00:00 America/Chicago",
        ] {
            assert_eq!(instant_of(text), at, "{text}");
        }
        assert_eq!(till("20260304"), Some("2026-03-05T05:00:00Z".parse().unwrap()));
        assert_eq!(till("20260304-20:00:00"), at);
        for text in [
            "",
            "soon",
            "20260304",
            "20260304 15",
            "20260304 15:00:00 Mars/Olympus",
            "2026",
            "é",
            "é é",
        ] {
            assert_eq!(instant_of(text), None, "{text}");
        }
    }

    #[test]
    fn a_time_in_force_is_known_or_refused_with_its_code() {
        let life = |tif, till| Life::of(&order(tif, till), monday());
        assert_eq!(life("", ""), Ok(Life::Day));
        assert_eq!(life("GTC", ""), Ok(Life::UntilCancelled));
        assert_eq!(life("IOC", ""), Ok(Life::AtOnce));
        assert!(matches!(life("GTD", "20260304 15:00:00"), Ok(Life::Until(_))));
        let code = |tif, till| life(tif, till).unwrap_err().code;
        assert_eq!(code("GTD", ""), 321);
        assert_eq!(code("GTD", "20260227"), 201);
        for tif in ["FOK", "OPG"] {
            assert_eq!(code(tif, ""), 201, "{tif}");
        }
        assert_eq!(code("SOON", ""), 111);
    }

    #[test]
    fn a_group_cancels_only_where_it_says_so() {
        let group = |oca_type| {
            let order = WireOrder { oca_group: "a".to_owned(), oca_type, ..order("", "") };
            group_of(&order).map(|group| group.map(|group| group.on_fill))
        };
        assert_eq!(group(1), Ok(Some(OnFill::Cancel)));
        for oca_type in [0, 2, 3] {
            assert_eq!(group(oca_type), Ok(Some(OnFill::Reduce)));
        }
        assert_eq!(group(4).unwrap_err().code, 321);
        assert_eq!(group_of(&order("", "")), Ok(None));
    }
}
