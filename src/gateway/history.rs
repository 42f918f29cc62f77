//! Historical bars: daily ones, which are all that the markets behind this gateway keep.

use chrono::{Days, Months, NaiveDate};

use crate::exchange::{DailyBar, MarketSource};
use crate::market::{Instrument, Symbol};

use super::event::{Event, HistoricalBar};
use super::house::{House, SeatId};
use super::listing::find;
use super::request::HistoryRequest;
use super::words::WireContract;

/// What IB says where it has no bars.
const NOTHING: &str = "Historical Market Data Service error message:HMDS query returned no data";

impl House {
    pub(super) fn history(&mut self, seat: SeatId, req_id: i32, wanted: &HistoryRequest) {
        match self.bars(wanted) {
            Ok((bars, start, end)) => {
                let (first, last) = (start.clone(), end.clone());
                self.send(seat, Event::HistoricalData { req_id, bars, start, end });
                self.send(seat, Event::HistoricalDataEnd { req_id, start: first, end: last });
            }
            Err((code, said)) => self.error(seat, (req_id, code), &said),
        }
    }

    /// Bars in order, with the first and the last instant that were asked for.
    fn bars(
        &self,
        wanted: &HistoryRequest,
    ) -> Result<(Vec<HistoricalBar>, String, String), (i32, String)> {
        let symbol = barred(self.exchange.source(), &wanted.contract).ok_or_else(|| {
            (200, "No security definition has been found for the request".to_owned())
        })?;
        let today = self.now().with_timezone(&chrono_tz::America::New_York).date_naive();
        let invalid = |what: &str, value: &str| {
            (321, format!("Error validating request: `{value}` is no {what}"))
        };
        let end = match wanted.end.as_str() {
            "" => today,
            text => day_of(text).ok_or_else(|| invalid("end of a history", text))?.min(today),
        };
        let start =
            before(end, &wanted.duration).ok_or_else(|| invalid("duration", &wanted.duration))?;
        let write: fn(&DailyBar) -> Option<HistoricalBar> = match wanted.what_to_show.as_str() {
            "TRADES" => |bar| Some(trades_of(bar)),
            "OPTION_IMPLIED_VOLATILITY" => vols_of,
            _ => |_| None,
        };
        let bars: Vec<HistoricalBar> = match wanted.bar_size.as_str() {
            "1 day" => self.daily(&symbol, (start, end)).iter().filter_map(write).collect(),
            _ => Vec::new(),
        };
        if bars.is_empty() {
            let said = format!(
                "{NOTHING}: {symbol} {} {}; this gateway keeps daily trades of ETFs, indices and \
                 futures, and daily implied volatility of ETFs",
                wanted.bar_size, wanted.what_to_show
            );
            return Err((162, said));
        }
        let edge = |day: NaiveDate| format!("{} 00:00:00 US/Eastern", day.format("%Y%m%d"));
        Ok((bars, edge(start), edge(end)))
    }

    /// Bars after the first day, up to and with the last; of a session only once it has closed.
    fn daily(&self, symbol: &Symbol, (start, end): (NaiveDate, NaiveDate)) -> Vec<DailyBar> {
        let source = self.exchange.source();
        let mut bars: Vec<DailyBar> = source.history();
        let begun = source.description().first_session;
        let since = begun.iter_days().take_while(|day| *day <= end);
        bars.extend(since.filter_map(|day| source.daily_bar(symbol, day)));
        bars.retain(|bar| bar.symbol == *symbol && bar.session > start && bar.session <= end);
        bars
    }
}

/// Whose bars answer for a contract: an ETF's or an index's own, and of a future its root's, which
/// run on through the expiries.
fn barred(source: &dyn MarketSource, wanted: &WireContract) -> Option<Symbol> {
    let mut rest = wanted.clone();
    if wanted.security_type == "CONTFUT" {
        "FUT".clone_into(&mut rest.security_type);
        let first = find(source, &rest).into_iter().next()?;
        return Some(first.symbol().clone());
    }
    match find(source, &rest).as_slice() {
        [one @ (Instrument::Stock(_) | Instrument::Index(_) | Instrument::Future(_))] => {
            Some(one.symbol().clone())
        }
        _ => None,
    }
}

/// The 30-day implied volatility of the session, a fraction: the market keeps one a day.
fn vols_of(bar: &DailyBar) -> Option<HistoricalBar> {
    let vol = bar.implied_vol?;
    let mut written = trades_of(bar);
    (written.open, written.high, written.low, written.close) = (vol, vol, vol, vol);
    written.volume = None;
    Some(written)
}

fn trades_of(bar: &DailyBar) -> HistoricalBar {
    HistoricalBar {
        date: bar.session.format("%Y%m%d").to_string(),
        open: bar.open.to_f64(),
        high: bar.high.to_f64(),
        low: bar.low.to_f64(),
        close: bar.close.to_f64(),
        volume: bar.volume,
    }
}

/// The day of `20260302 16:00:00 US/Eastern`, `20260302-21:00:00` or `20260302`.
fn day_of(text: &str) -> Option<NaiveDate> {
    NaiveDate::parse_from_str(text.get(..8)?, "%Y%m%d").ok()
}

/// The day before the first of a duration such as `10 D`, `2 W`, `1 M`, `1 Y`. Days are counted as
/// IB counts them, in sessions: that they are weekdays here makes holidays one bar fewer.
fn before(end: NaiveDate, duration: &str) -> Option<NaiveDate> {
    let (count, unit) = duration.split_once(' ')?;
    let count: u32 = count.parse().ok().filter(|count| (1..=10_000).contains(count))?;
    match unit {
        "D" => {
            let weeks = u64::from(count / 5) * 7;
            let mut day = end.checked_sub_days(Days::new(weeks))?;
            for _ in 0..count % 5 {
                day = weekday_before(day)?;
            }
            Some(day)
        }
        "W" => end.checked_sub_days(Days::new(u64::from(count) * 7)),
        "M" => end.checked_sub_months(Months::new(count)),
        "Y" => end.checked_sub_months(Months::new(count.checked_mul(12)?)),
        _ => None,
    }
}

fn weekday_before(day: NaiveDate) -> Option<NaiveDate> {
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
            ("0 D", None),
            ("1 S", None),
            ("day", None),
            ("99999 Y", None),
        ] {
            let start = start.map(|day| day.parse().unwrap());
            assert_eq!(before(end, duration), start, "{duration}");
        }
    }
}
