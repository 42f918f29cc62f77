//! Scheduled events, by rules of the synthetic market's own: eight rate decisions a year on third
//! Wednesdays at 14:00 in New York, consumer prices on second Wednesdays and the employment report
//! on first Fridays at 08:30. Only rate decisions move the synthetic market: more variance passes
//! in the half hour after them.

use chrono::{Datelike, NaiveDate, Weekday};

use crate::exchange::source::EventRow;
use crate::market::Timestamp;
use crate::market::sessions::{Calendar, CalendarError, Venue};

use super::SOURCE;

pub(super) const RATE_DECISION: &str = "rate decision";
const CONSUMER_PRICES: &str = "consumer prices";
const EMPLOYMENT: &str = "employment report";
const DECISION_MONTHS: [u32; 8] = [1, 3, 5, 6, 7, 9, 11, 12];
/// 14:00 and 08:30, from 09:30.
const DECISION_AFTER_OPEN_SECONDS: i64 = 16_200;
const MORNING_AFTER_OPEN_SECONDS: i64 = -3_600;

/// All events between two dates, by instant.
pub(super) fn events(
    calendar: &Calendar,
    from: NaiveDate,
    to: NaiveDate,
) -> Result<Vec<EventRow>, CalendarError> {
    let mut rows = Vec::new();
    for year in from.year()..=to.year() {
        for month in 1..=12 {
            let mut schedule = vec![
                (CONSUMER_PRICES, (Weekday::Wed, 2), MORNING_AFTER_OPEN_SECONDS),
                (EMPLOYMENT, (Weekday::Fri, 1), MORNING_AFTER_OPEN_SECONDS),
            ];
            if DECISION_MONTHS.contains(&month) {
                schedule.push((RATE_DECISION, (Weekday::Wed, 3), DECISION_AFTER_OPEN_SECONDS));
            }
            for (name, (weekday, n), after_open) in schedule {
                let date = NaiveDate::from_weekday_of_month_opt(year, month, weekday, n)
                    .filter(|date| (from..=to).contains(date));
                let Some(date) = date else { continue };
                let Some(session) = calendar.session(Venue::Xnys, date)? else { continue };
                let event_at = Timestamp::from_timestamp(session.open.timestamp() + after_open, 0);
                rows.extend(event_at.map(|event_at| EventRow {
                    event_name: name.to_owned(),
                    event_at,
                    source: SOURCE,
                    valid_through: date,
                }));
            }
        }
    }
    rows.sort_by(|a, b| (a.event_at, &a.event_name).cmp(&(b.event_at, &b.event_name)));
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_rate_decisions_a_year_in_order() {
        let calendar = Calendar::shipped().unwrap();
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        let rows = events(&calendar, day("2026-01-01"), day("2026-12-31")).unwrap();
        let decisions: Vec<_> = rows.iter().filter(|row| row.event_name == RATE_DECISION).collect();
        assert_eq!(decisions.len(), 8);
        assert_eq!(decisions[1].event_at.to_rfc3339(), "2026-03-18T18:00:00+00:00");
        assert!(rows.is_sorted_by_key(|row| row.event_at));
    }
}
