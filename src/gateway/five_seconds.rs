//! Bars of five seconds as the market goes.
//!
//! Each is made of what stood at the beats of the gateway. The market's own grid is ten seconds
//! wide in a session and a minute outside it, so a bar is often flat.

use crate::market::{Instrument, Price};

use super::data_event::{DataEvent, FiveSeconds};
use super::data_request::BarsRequest;
use super::entitlement::Entitlement;
use super::event::Event;
use super::house::{House, SeatId};
use super::seen::{Seen, middle};

/// Seconds of a bar.
const LENGTH: i64 = 5;
/// Bars that are filled in where the market jumps: a minute's. What lies beyond is left out.
const FILLED_MAX: i64 = 12;

/// Which prices a bar is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Show {
    Trades,
    Midpoint,
    Bid,
    Ask,
}

impl Show {
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "TRADES" => Self::Trades,
            "MIDPOINT" => Self::Midpoint,
            "BID" => Self::Bid,
            "ASK" => Self::Ask,
            _ => return None,
        })
    }

    /// Of both sides and the last price.
    pub fn of(
        self,
        (bid, ask, last): (Option<Price>, Option<Price>, Option<Price>),
    ) -> Option<f64> {
        let price = match self {
            Self::Trades => last,
            Self::Midpoint => middle(bid, ask),
            Self::Bid => bid,
            Self::Ask => ask,
        };
        price.map(Price::to_f64)
    }
}

/// A subscription and the bar that it is in.
#[derive(Debug)]
pub(super) struct FiveSecondLine {
    instrument: Instrument,
    show: Show,
    bar: Option<FiveSeconds>,
    /// Volume of the session before the bar, and by now.
    volume_before: Option<i64>,
    volume_seen: Option<i64>,
}

impl FiveSecondLine {
    /// Takes what stands at an instant, in seconds; the bars that have ended with it.
    fn see(&mut self, at: i64, value: Option<f64>, volume: Option<i64>) -> Vec<FiveSeconds> {
        let begins = at - at.rem_euclid(LENGTH);
        let mut ended = Vec::new();
        if let Some(bar) = self.bar
            && bar.at < begins
        {
            ended.push(bar);
            let flat = FiveSeconds {
                open: bar.close,
                high: bar.close,
                low: bar.close,
                volume: bar.volume.map(|_| 0),
                ..bar
            };
            let missing = ((begins - bar.at) / LENGTH - 1).min(FILLED_MAX);
            let filled = (1..=missing).map(|n| FiveSeconds { at: bar.at + n * LENGTH, ..flat });
            ended.extend(filled.filter(|_| value.is_some()));
            self.bar = None;
        }
        let Some(value) = value else { return ended };
        if self.bar.is_none() {
            self.volume_before = self.volume_seen.or(volume);
        }
        self.volume_seen = volume;
        let traded = volume.zip(self.volume_before).map(|(now, before)| {
            // A new session counts from nothing.
            if now >= before { now - before } else { now }
        });
        if let Some(bar) = &mut self.bar {
            bar.high = bar.high.max(value);
            bar.low = bar.low.min(value);
            bar.close = value;
            bar.volume = traded;
        } else {
            let (open, high, low, close) = (value, value, value, value);
            self.bar = Some(FiveSeconds { at: begins, open, high, low, close, volume: traded });
        }
        ended
    }
}

impl House {
    pub(super) fn five_seconds(&mut self, seat: SeatId, req_id: i32, wanted: &BarsRequest) {
        match self.five_second_line(seat, req_id, wanted) {
            Ok(line) => self.change(seat, |seat| {
                seat.feeds.five_seconds.insert(req_id, line);
            }),
            Err((code, said)) => self.error(seat, (req_id, code), &said),
        }
    }

    fn five_second_line(
        &self,
        seat: SeatId,
        req_id: i32,
        wanted: &BarsRequest,
    ) -> Result<FiveSecondLine, (i32, String)> {
        let instrument = self.quoted(&wanted.contract)?;
        let invalid =
            |cause: String| (321, format!("Error validating request.-'bW' : cause - {cause}"));
        let show = Show::parse(&wanted.what_to_show).ok_or_else(|| {
            invalid(format!("`{}` is none of TRADES, MIDPOINT, BID, ASK", wanted.what_to_show))
        })?;
        if !matches!(wanted.bar_size, 0 | 5) {
            return Err(invalid("only bars of 5 seconds are supported".to_owned()));
        }
        if matches!(instrument, Instrument::Index(_)) && show != Show::Trades {
            return Err((420, "Invalid Real-time Query:an index has only TRADES".to_owned()));
        }
        if self.rules.entitled.of(&instrument) != Entitlement::Live {
            let said = "Invalid Real-time Query:No market data permissions";
            return Err((420, said.to_owned()));
        }
        self.room_for_a_line(seat, req_id)?;
        Ok(FiveSecondLine { instrument, show, bar: None, volume_before: None, volume_seen: None })
    }

    /// Bars that have ended since the last beat.
    pub(super) fn tell_five_seconds(&mut self) {
        let at = self.now().timestamp();
        let source = self.exchange.source();
        let mut ended = Vec::new();
        for (id, seat) in &mut self.seats {
            for (req_id, line) in &mut seat.feeds.five_seconds {
                let seen = Seen::live(source, &line.instrument);
                let value = line.show.of((seen.bid, seen.ask, seen.last));
                let volume = seen.volume.filter(|_| line.show == Show::Trades);
                let bars = line.see(at, value, volume);
                ended.extend(bars.into_iter().map(|bar| (*id, *req_id, bar)));
            }
        }
        for (seat, req_id, bar) in ended {
            self.send(seat, Event::Data(DataEvent::RealTimeBar { req_id, bar }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::{ConId, StockContract, Symbol};

    #[test]
    fn bars_end_every_five_seconds_and_gaps_are_flat() {
        let stock = StockContract { conid: ConId(1), symbol: Symbol::new("SPY") };
        let mut line = FiveSecondLine {
            instrument: Instrument::Stock(stock),
            show: Show::Trades,
            bar: None,
            volume_before: None,
            volume_seen: None,
        };
        assert!(line.see(1_000, Some(10.0), Some(100)).is_empty());
        assert!(line.see(1_002, Some(12.0), Some(150)).is_empty());
        assert!(line.see(1_004, Some(9.0), Some(160)).is_empty());
        let ended = line.see(1_015, Some(11.0), Some(170));
        let times: Vec<i64> = ended.iter().map(|bar| bar.at).collect();
        assert_eq!(times, [1_000, 1_005, 1_010]);
        let first = ended[0];
        assert_eq!((first.open, first.high, first.low, first.close), (10.0, 12.0, 9.0, 9.0));
        assert_eq!(first.volume, Some(60));
        assert_eq!((ended[2].open, ended[2].volume), (9.0, Some(0)));
        assert_eq!(line.see(1_020, None, None).len(), 1, "the market has closed");
        assert!(line.see(1_025, None, None).is_empty());
        assert!(line.see(9_000, Some(1.0), Some(5)).is_empty());
        assert_eq!(line.see(99_000, Some(1.0), Some(5)).len(), 13, "a jump is not filled whole");
    }
}
