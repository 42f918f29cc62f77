//! Generic ticks: what a client may ask for beside the quotes, and what the market knows of it.
//!
//! Told are, of an option, its open interest (101); of anything its mark (221, 232); of an ETF or
//! index the volume of the options on it (100), the volatility of its last 30 sessions (104), the
//! 30-day implied one at its last close (106) and the extremes and the average volume of past weeks
//! (165). The other numbers that IB knows are taken and bring nothing: this market has no such
//! values.

use chrono::NaiveDate;
use rust_decimal::Decimal;

use crate::exchange::{DailyBar, MarketSource};
use crate::market::{Instrument, OptionRight, Price};

use super::data_event::DataEvent;
use super::event::Event;
use super::house::House;

/// What IB knows (TWS API reference), with its names.
const KNOWN: [(u32, &str); 38] = [
    (100, "Option Volume"),
    (101, "Option Open Interest"),
    (104, "Historical Volatility"),
    (105, "Average Opt Volume"),
    (106, "impvolat"),
    (125, "Bond analytic data"),
    (162, "Index Future Premium"),
    (165, "Misc. Stats"),
    (220, "Creditman"),
    (221, "Mark Price"),
    (225, "Auction"),
    (232, "Mark"),
    (233, "RTVolume"),
    (236, "inventory"),
    (256, "Inventory"),
    (258, "Fundamentals"),
    (291, "Close Implied Volatility"),
    (292, "Wide_news"),
    (293, "TradeCount"),
    (294, "TradeRate"),
    (295, "VolumeRate"),
    (318, "LastRTHTrade"),
    (370, "Participation Monitor"),
    (375, "RTTrdVolume"),
    (377, "CttTickTag"),
    (381, "IB Rate"),
    (384, "RfqTickRespTag"),
    (387, "DMM"),
    (388, "Issuer Fundamentals"),
    (391, "IBWarrantImpVolCompeteTick"),
    (407, "FuturesMargins"),
    (411, "rthistvol"),
    (428, "Monetary Close Price"),
    (456, "IBDividends"),
    (459, "RTCLOSE"),
    (460, "Bond Factor Multiplier"),
    (577, "EtfNavLast"),
    (588, "Futures OI"),
];

/// Tick types (TWS API reference).
mod field {
    pub const AVERAGE_VOLUME: i32 = 21;
    pub const HISTORICAL_VOL: i32 = 23;
    pub const IMPLIED_VOL: i32 = 24;
    /// Lows and highs of 13, 26 and 52 weeks, with the weekdays in them.
    pub const EXTREMES: [(i32, i32, usize); 3] = [(15, 16, 65), (17, 18, 130), (19, 20, 260)];
}

/// Sessions of the historical volatility and of the average volume, and sessions in a year: that
/// these are IB's is an assumption.
const VOL_SESSIONS: usize = 30;
const VOLUME_SESSIONS: usize = 63;
const SESSIONS_A_YEAR: f64 = 252.0;

/// What a client wants beside the quotes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Generic {
    numbers: Vec<u32>,
}

impl Generic {
    /// From `100,101,106`; the error is IB's text.
    pub fn parse(list: &str, kind: &str) -> Result<Self, String> {
        let mut numbers = Vec::new();
        let parts = list.split(',').map(str::trim).filter(|part| !part.is_empty());
        for part in parts {
            // News are asked for with their provider: `292:BRFG`. `mdoff` leaves quotes out at IB.
            let head = part.split(':').next().unwrap_or(part);
            let known = |number: &u32| KNOWN.iter().any(|(known, _)| known == number);
            match head.parse::<u32>().ok().filter(known) {
                Some(number) => numbers.push(number),
                None if head == "mdoff" => {}
                None => return Err(incorrect(part, kind)),
            }
        }
        numbers.sort_unstable();
        numbers.dedup();
        Ok(Self { numbers })
    }

    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    pub fn wants_open_interest(&self) -> bool {
        self.has(101)
    }

    pub fn wants_mark(&self) -> bool {
        self.has(221) || self.has(232)
    }

    pub fn wants_option_volume(&self) -> bool {
        self.has(100)
    }

    fn has(&self, number: u32) -> bool {
        self.numbers.contains(&number)
    }
}

fn incorrect(part: &str, kind: &str) -> String {
    let legal: Vec<String> =
        KNOWN.iter().map(|(number, name)| format!("{number}({name})")).collect();
    let part: String = part.chars().take(40).collect();
    format!(
        "Error validating request.-'bW' : cause - Incorrect generic tick list of {part}.  Legal \
         ones for ({}) are: {}",
        kind,
        legal.join(",")
    )
}

impl House {
    /// What a line tells once: values that stand until the next close.
    pub(super) fn standing_ticks(
        &self,
        req_id: i32,
        instrument: &Instrument,
        generic: &Generic,
    ) -> Vec<Event> {
        let is_underlying = matches!(instrument, Instrument::Stock(_) | Instrument::Index(_));
        let wanted = generic.has(104) || generic.has(106) || generic.has(165);
        if !is_underlying || !wanted {
            return Vec::new();
        }
        let bars = self.daily(instrument.symbol(), (NaiveDate::MIN, self.today()));
        let mut events = Vec::new();
        let value =
            |field: i32, value: f64| Event::Data(DataEvent::TickGeneric { req_id, field, value });
        if generic.has(104) {
            events.extend(historical_vol(&bars).map(|vol| value(field::HISTORICAL_VOL, vol)));
        }
        if generic.has(106) {
            let vol = bars.last().and_then(|bar| bar.implied_vol);
            events.extend(vol.map(|vol| value(field::IMPLIED_VOL, vol)));
        }
        if generic.has(165) {
            events.extend(past_weeks(req_id, &bars));
        }
        events
    }
}

/// What of the options on an underlying has traded today: calls and puts. `None` where there are
/// none, or nothing is known of any.
pub(super) fn option_volume(source: &dyn MarketSource, of: &Instrument) -> Option<[i64; 2]> {
    if !matches!(of, Instrument::Stock(_) | Instrument::Index(_)) {
        return None;
    }
    let mut volumes = None;
    for option in source.option_contracts(of.symbol()) {
        let quote = source.option_quote(option.conid);
        let Some(volume) = quote.and_then(|quote| quote.volume) else { continue };
        let [calls, puts] = volumes.get_or_insert([0, 0]);
        match option.right {
            OptionRight::Call => *calls += volume,
            OptionRight::Put => *puts += volume,
        }
    }
    volumes
}

/// A fraction a year; none from too few sessions.
fn historical_vol(bars: &[DailyBar]) -> Option<f64> {
    let closes: Vec<f64> =
        bars.iter().rev().take(VOL_SESSIONS + 1).map(|bar| bar.close.to_f64()).collect();
    if closes.len() <= VOL_SESSIONS {
        return None;
    }
    let returns: Vec<f64> = closes
        .iter()
        .zip(closes.iter().skip(1))
        .map(|(later, earlier)| libm::log(later / earlier))
        .collect();
    let count = returns.len() as f64;
    let mean = returns.iter().sum::<f64>() / count;
    let spread = returns.iter().map(|one| (one - mean) * (one - mean)).sum::<f64>();
    let vol = libm::sqrt(spread / (count - 1.0) * SESSIONS_A_YEAR);
    vol.is_finite().then_some(vol)
}

fn past_weeks(req_id: i32, bars: &[DailyBar]) -> Vec<Event> {
    let mut events = Vec::new();
    let price = |field: i32, price: Price| Event::TickPrice {
        req_id,
        field,
        price: price.to_f64(),
        size: Decimal::ZERO,
    };
    for (low, high, sessions) in field::EXTREMES {
        let of = || bars.iter().rev().take(sessions);
        events.extend(of().map(|bar| bar.low).min().map(|least| price(low, least)));
        events.extend(of().map(|bar| bar.high).max().map(|most| price(high, most)));
    }
    let volumes: Vec<i64> =
        bars.iter().rev().take(VOLUME_SESSIONS).filter_map(|bar| bar.volume).collect();
    let average = i64::try_from(volumes.len())
        .ok()
        .and_then(|count| volumes.iter().sum::<i64>().checked_div(count));
    events.extend(average.map(|average| Event::TickSize {
        req_id,
        field: field::AVERAGE_VOLUME,
        size: average.into(),
    }));
    events
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_generic_ticks_is_taken_whole_or_refused_with_ibs_text() {
        let parse = |list| Generic::parse(list, "OPT");
        assert!(parse("").unwrap().is_empty());
        let generic = parse(" 101, 106,232,292:BRFG,mdoff,101").unwrap();
        assert!(generic.wants_open_interest() && generic.wants_mark());
        assert_eq!(generic.numbers, [101, 106, 232, 292]);
        for wrong in ["999", "101,abc", "-1", "101;106"] {
            let said = parse(wrong).unwrap_err();
            assert!(said.contains("Incorrect generic tick list of"), "{said}");
            assert!(said.contains("101(Option Open Interest)"), "{said}");
        }
    }
}
