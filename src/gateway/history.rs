//! Historical bars: daily ones and longer of what has them, shorter ones from what the market
//! remembers.
//!
//! Answers come at once, so a cancel finds nothing to cancel but a history that is kept up to date
//! (`growing`).

use chrono::{DateTime, Datelike as _, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};
use chrono::{TimeZone as _, Timelike as _};

use crate::exchange::{DailyBar, MarketSource};
use crate::market::{Instrument, Symbol, Timestamp};

use super::away::NO_HISTORY;
use super::bar_sizes::{BarSize, Span, weekday_before};
use super::entitlement::Entitlement;
use super::event::{Event, HistoricalBar};
use super::growing::{GROWING_MAX, Growing};
use super::history_pacing::{COUNTED_UP_TO, VIOLATION};
use super::house::{House, SeatId};
use super::intraday::{Prices, Wanted};
use super::listing::find;
use super::request::HistoryRequest;
use super::traffic::HistoryPacing;
use super::words::WireContract;

/// What IB says where it has no bars.
const NOTHING: &str = "Historical Market Data Service error message:HMDS query returned no data";
const NO_PERMISSIONS: &str = "Historical Market Data Service error message:No market data \
                              permissions for this contract";
/// What it says of bars that are too short for their span.
const TOO_LONG: &str = "Historical Market Data Service error message:Time length exceed max.";
/// What is said of one history too many that is kept up to date: the text is this gateway's own.
const TOO_MANY_OPEN: &str =
    "Historical Market Data Service error message:too many historical requests are open";
/// What it says of a history that its client has cancelled.
const CANCELLED: &str =
    "Historical Market Data Service error message:API historical data query cancelled";
/// Sessions to go back where the one that is asked for has nothing yet.
const BACK_MAX: usize = 4;

/// Bars with the first and the last instant that were asked for, and how they go on.
struct Answer {
    bars: Vec<HistoricalBar>,
    start: String,
    end: String,
    growing: Option<Growing>,
}

type Refused = (i32, String);

/// A request that is understood.
struct Asked {
    size: BarSize,
    span: Span,
    end: Timestamp,
    today: NaiveDate,
}

impl House {
    pub(super) fn history(&mut self, seat: SeatId, req_id: i32, wanted: &HistoryRequest) {
        if self.has_no_farms() {
            return self.error(seat, (req_id, NO_HISTORY.0), NO_HISTORY.1);
        }
        if wanted.what_to_show == "SCHEDULE" {
            return self.schedule(seat, req_id, wanted);
        }
        match self.bars(wanted) {
            Ok(Answer { bars, start, end, growing }) => {
                let (first, last) = (start.clone(), end.clone());
                self.send(seat, Event::HistoricalData { req_id, bars, start, end });
                self.send(seat, Event::HistoricalDataEnd { req_id, start: first, end: last });
                if let Some(growing) = growing {
                    self.change(seat, |seat| {
                        seat.feeds.histories.insert(req_id, growing);
                    });
                }
            }
            Err((code, said)) => self.error(seat, (req_id, code), &said),
        }
    }

    pub(super) fn cancel_history(&mut self, seat: SeatId, req_id: i32) {
        let feeds = self.seats.get_mut(&seat).map(|seat| &mut seat.feeds);
        if feeds.is_some_and(|feeds| feeds.histories.remove(&req_id).is_some()) {
            let said = format!("{CANCELLED}: {req_id}");
            return self.error(seat, (req_id, 162), &said);
        }
        let said = format!("No historical data query found for ticker id:{req_id}");
        self.error(seat, (req_id, 366), &said);
    }

    fn bars(&mut self, wanted: &HistoryRequest) -> Result<Answer, Refused> {
        let asked = self.understood(wanted)?;
        let symbol = barred(self.exchange.source(), &wanted.contract);
        let one = <[Instrument; 1]>::try_from(find(self.exchange.source(), &wanted.contract));
        let instrument = one
            .ok()
            .map(|[instrument]| instrument)
            .or_else(|| front(self.exchange.source(), &wanted.contract));
        if symbol.is_none() && instrument.is_none() {
            let said = "No security definition has been found for the request";
            return Err((200, said.to_owned()));
        }
        let seen = instrument.as_ref().map(|instrument| self.rules.entitled.of(instrument));
        let is_seen = match seen {
            Some(Entitlement::None) => false,
            // What goes on is live.
            Some(Entitlement::Delayed) => !wanted.keep_up_to_date,
            Some(Entitlement::Live) | None => true,
        };
        if !is_seen {
            return Err((162, NO_PERMISSIONS.to_owned()));
        }
        if let BarSize::Seconds(..=COUNTED_UP_TO) = asked.size
            && self.rules.history == HistoryPacing::OfIb
            && self.history_traffic.admit(self.wall, wanted).is_err()
        {
            return Err((162, VIOLATION.to_owned()));
        }
        let found = match (asked.size, instrument, symbol) {
            (BarSize::Seconds(size), Some(instrument), _) => {
                self.short(&instrument, (&asked, size), wanted)
            }
            (BarSize::Day | BarSize::Week | BarSize::Month, _, Some(symbol)) => {
                self.long(&symbol, &asked, wanted)
            }
            _ => None,
        };
        found.filter(|answer| !answer.bars.is_empty()).ok_or_else(|| {
            let HistoryRequest { contract, bar_size, what_to_show, .. } = wanted;
            let said = format!(
                "{NOTHING}: {} {bar_size} {what_to_show}; this gateway keeps daily trades of ETFs, \
                 indices and futures, daily implied volatility of ETFs, and shorter bars for some \
                 weeks",
                contract.symbol
            );
            (162, said)
        })
    }

    fn understood(&self, wanted: &HistoryRequest) -> Result<Asked, Refused> {
        let invalid =
            |cause: String| (321, format!("Error validating request.-'bW' : cause - {cause}"));
        let size = BarSize::parse(&wanted.bar_size).map_err(invalid)?;
        if wanted.keep_up_to_date {
            self.can_grow(size, wanted)?;
        }
        let span = Span::parse(&wanted.duration).map_err(invalid)?;
        let shown = wanted.what_to_show.as_str();
        let is_known = Prices::parse(shown).is_some()
            || matches!(shown, "OPTION_IMPLIED_VOLATILITY" | "HISTORICAL_VOLATILITY")
            || matches!(shown, "ADJUSTED_LAST" | "FEE_RATE" | "AGGTRADES");
        if !is_known {
            return Err(invalid(format!("Unknown what to show: `{shown}`")));
        }
        let end = match wanted.end.as_str() {
            "" => self.now(),
            text => end_of(text)
                .ok_or_else(|| invalid(format!("`{text}` is no end of a history")))?
                .min(self.now()),
        };
        if !span.allows(size) {
            let said = format!("{TOO_LONG} {} bars over {}", wanted.bar_size, wanted.duration);
            return Err((162, said));
        }
        let today = end.with_timezone(&chrono_tz::America::New_York).date_naive();
        Ok(Asked { size, span, end, today })
    }

    /// Whether a history may be kept up to date. That days and longer may not is this gateway's
    /// own rule.
    fn can_grow(&self, size: BarSize, wanted: &HistoryRequest) -> Result<(), Refused> {
        let invalid =
            |cause: &str| (321, format!("Error validating request.-'bW' : cause - {cause}"));
        let shown = matches!(&*wanted.what_to_show, "TRADES" | "MIDPOINT" | "BID" | "ASK");
        if !wanted.end.is_empty() {
            return Err(invalid("end date must be empty for bars that are kept up to date"));
        }
        if !matches!(size, BarSize::Seconds(5..)) || !shown {
            return Err(invalid(
                "bars are kept up to date from 5 secs to 8 hours, of TRADES, MIDPOINT, BID, ASK",
            ));
        }
        if self.growing() >= GROWING_MAX {
            let said = format!("{TOO_MANY_OPEN}: {GROWING_MAX}");
            return Err((162, said));
        }
        Ok(())
    }

    /// Days and longer.
    fn long(&self, symbol: &Symbol, asked: &Asked, wanted: &HistoryRequest) -> Option<Answer> {
        let start = asked.span.before(asked.today)?;
        let write: fn(&DailyBar) -> Option<HistoricalBar> = match wanted.what_to_show.as_str() {
            "TRADES" => |bar| Some(trades_of(bar)),
            "OPTION_IMPLIED_VOLATILITY" => vols_of,
            _ => |_| None,
        };
        let daily = self.daily(symbol, (start, asked.today));
        let daily = daily.iter().filter_map(|bar| Some((bar.session, write(bar)?)));
        let bars = match asked.size {
            BarSize::Seconds(_) | BarSize::Day => daily.map(|(_, bar)| bar).collect(),
            BarSize::Week => joined(daily, |day| i64::from(day.iso_week().week())),
            BarSize::Month => joined(daily, |day| i64::from(day.month())),
        };
        let edge = |day: NaiveDate| format!("{} 00:00:00 US/Eastern", day.format("%Y%m%d"));
        Some(Answer { bars, start: edge(start), end: edge(asked.today), growing: None })
    }

    /// Shorter than a day. A session that has not begun gives way to the one before it.
    fn short(
        &self,
        instrument: &Instrument,
        (asked, size): (&Asked, i64),
        wanted: &HistoryRequest,
    ) -> Option<Answer> {
        let prices = Prices::parse(&wanted.what_to_show)?;
        let mut day = session_of(instrument, asked.end)?;
        for _ in 0..=BACK_MAX {
            let (after, until) = match asked.span {
                Span::Seconds(seconds) => (asked.end - TimeDelta::seconds(seconds), asked.end),
                Span::Days(_) | Span::Weeks(_) | Span::Months(_) | Span::Years(_) => {
                    let before = asked.span.before(day)?;
                    (evening_of(before)?, asked.end.min(evening_of(day)?))
                }
            };
            let regular = wanted.use_rth;
            let in_seconds = wanted.format_date == 2;
            let stretch = Wanted { after, until, size, prices, regular, in_seconds };
            let bars = self.intraday(instrument, &stretch);
            let goes_back = matches!(asked.span, Span::Days(_)) && bars.is_empty();
            if !goes_back {
                let of = (instrument.clone(), stretch);
                let growing = Growing::after(of, bars.last(), asked.end);
                return Some(Answer {
                    bars: bars.into_iter().map(|(_, bar)| bar).collect(),
                    start: written(after),
                    end: written(until),
                    growing: wanted.keep_up_to_date.then_some(growing),
                });
            }
            day = weekday_before(day)?;
        }
        None
    }

    /// Bars after the first day, up to and with the last; of a session only once it has closed.
    pub(super) fn daily(
        &self,
        symbol: &Symbol,
        (start, end): (NaiveDate, NaiveDate),
    ) -> Vec<DailyBar> {
        let source = self.exchange.source();
        let mut bars: Vec<DailyBar> = source.history();
        let begun = source.description().first_session;
        let since = begun.iter_days().take_while(|day| *day <= end);
        bars.extend(since.filter_map(|day| source.daily_bar(symbol, day)));
        bars.retain(|bar| bar.symbol == *symbol && bar.session > start && bar.session <= end);
        bars
    }

    /// The earliest instant of which there are bars.
    pub(super) fn earliest(&self, wanted: &WireContract) -> Result<Timestamp, Refused> {
        let nothing = || (162, NOTHING.to_owned());
        let Some(symbol) = barred(self.exchange.source(), wanted) else {
            let is_known = !find(self.exchange.source(), wanted).is_empty();
            let said = "No security definition has been found for the request";
            return Err(if is_known { nothing() } else { (200, said.to_owned()) });
        };
        let first = self.daily(&symbol, (NaiveDate::MIN, self.today())).into_iter().next();
        first.and_then(|bar| local(bar.session.and_time(OPENS))).ok_or_else(nothing)
    }
}

/// When the stock exchange opens, New York.
const OPENS: NaiveTime = NaiveTime::from_hms_opt(9, 30, 0).expect("half past nine is a time");
/// When a day of futures ends and the next begins, New York.
const EVENING: NaiveTime = NaiveTime::from_hms_opt(17, 30, 0).expect("half past five is a time");

/// The day whose session holds an instant or comes next: a future's evening is the next day's.
pub(super) fn session_of(instrument: &Instrument, at: Timestamp) -> Option<NaiveDate> {
    let local = at.with_timezone(&chrono_tz::America::New_York);
    let day = local.date_naive();
    let is_evening = matches!(instrument, Instrument::Future(_)) && local.hour() >= 18;
    if is_evening { day.checked_add_days(Days::new(1)) } else { Some(day) }
}

fn evening_of(day: NaiveDate) -> Option<Timestamp> {
    local(day.and_time(EVENING))
}

fn local(at: NaiveDateTime) -> Option<Timestamp> {
    Some(chrono_tz::America::New_York.from_local_datetime(&at).earliest()?.to_utc())
}

fn written(at: Timestamp) -> String {
    let local = at.with_timezone(&chrono_tz::America::New_York);
    local.format("%Y%m%d %H:%M:%S US/Eastern").to_string()
}

/// Whose bars answer for a contract: an ETF's or an index's own, and of a future its root's, which
/// run on through the expiries.
fn barred(source: &dyn MarketSource, wanted: &WireContract) -> Option<Symbol> {
    if wanted.security_type == "CONTFUT" {
        return front(source, wanted).map(|first| first.symbol().clone());
    }
    match find(source, wanted).as_slice() {
        [one @ (Instrument::Stock(_) | Instrument::Index(_) | Instrument::Future(_))] => {
            Some(one.symbol().clone())
        }
        _ => None,
    }
}

/// The first contract of a continuous future.
fn front(source: &dyn MarketSource, wanted: &WireContract) -> Option<Instrument> {
    if wanted.security_type != "CONTFUT" {
        return None;
    }
    let listed = WireContract { security_type: "FUT".to_owned(), ..wanted.clone() };
    find(source, &listed).into_iter().next()
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

/// Weeks or months out of days. Each is dated by its last day, as IB dates them: an assumption.
fn joined(
    days: impl Iterator<Item = (NaiveDate, HistoricalBar)>,
    group_of: fn(NaiveDate) -> i64,
) -> Vec<HistoricalBar> {
    let mut bars: Vec<(i64, HistoricalBar)> = Vec::new();
    for (day, bar) in days {
        let group = group_of(day);
        match bars.last_mut().filter(|(last, _)| *last == group) {
            Some((_, whole)) => {
                whole.date = bar.date;
                whole.high = whole.high.max(bar.high);
                whole.low = whole.low.min(bar.low);
                whole.close = bar.close;
                whole.volume = whole.volume.zip(bar.volume).map(|(sum, more)| sum + more);
            }
            None => bars.push((group, bar)),
        }
    }
    bars.into_iter().map(|(_, bar)| bar).collect()
}

/// The instant of `20260302 16:00:00 US/Eastern`, the same without a zone in New York,
/// `20260302-21:00:00` in UTC, or the end of `20260302`.
pub(super) fn end_of(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(utc) = NaiveDateTime::parse_from_str(text, "%Y%m%d-%H:%M:%S") {
        return Some(utc.and_utc());
    }
    if let Ok(day) = NaiveDate::parse_from_str(text, "%Y%m%d") {
        return local(day.and_hms_opt(23, 59, 59)?);
    }
    let (head, zone) = match text.match_indices(' ').nth(1) {
        Some((at, _)) => (text.get(..at)?, text.get(at + 1..)?),
        None => (text, ""),
    };
    let at = NaiveDateTime::parse_from_str(head, "%Y%m%d %H:%M:%S").ok()?;
    if zone.is_empty() {
        return local(at);
    }
    let zone: chrono_tz::Tz = zone.trim().parse().ok()?;
    let at: DateTime<chrono_tz::Tz> = zone.from_local_datetime(&at).earliest()?;
    Some(at.to_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_understood_in_each_form_that_clients_send() {
        let at = |text: &str| end_of(text).map(|at| at.to_rfc3339());
        let four = Some("2026-03-02T21:00:00+00:00".to_owned());
        assert_eq!(at("20260302 16:00:00 US/Eastern"), four);
        assert_eq!(at("20260302 16:00:00 America/New_York"), four);
        assert_eq!(at("20260302 16:00:00"), four);
        assert_eq!(at("20260302-21:00:00"), four);
        assert_eq!(at("20260302 21:00:00 UTC"), four);
        assert_eq!(at("20260302"), Some("2026-03-03T04:59:59+00:00".to_owned()));
        for wrong in ["2026-03-02", "20260302 25:00:00", "20260302 16:00:00 Mars/Base", "now"] {
            assert_eq!(at(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn weeks_and_months_join_their_days() {
        let day = |date: &str, low: f64, close: f64| {
            let day: NaiveDate = date.parse().unwrap();
            let date = day.format("%Y%m%d").to_string();
            (day, HistoricalBar { date, open: 1.0, high: 9.0, low, close, volume: Some(10) })
        };
        let days =
            [day("2026-02-26", 0.5, 1.0), day("2026-02-27", 0.7, 2.0), day("2026-03-02", 0.9, 3.0)];
        let weeks = joined(days.into_iter(), |day| i64::from(day.iso_week().week()));
        let [first, second] = weeks.as_slice() else { panic!("{weeks:?}") };
        assert_eq!((&*first.date, &*second.date), ("20260227", "20260302"));
        assert!((first.low - 0.5).abs() < 1e-9 && (first.close - 2.0).abs() < 1e-9);
        assert_eq!(first.volume, Some(20));
    }
}
