//! Market data: the first ticks of a line, and whatever changed since.

use chrono::TimeDelta;
use rust_decimal::Decimal;

use crate::market::{Instrument, Price, Timestamp};

use super::event::{Computation, Event};
use super::faults::Fault;
use super::house::{COMPETING, House, SeatId};
use super::listing::{details, find, underlying};
use super::request::MarketDataKind;
use super::words::WireContract;

/// One subscription: what it is of, and what was said last.
pub(super) struct Line {
    instrument: Instrument,
    said: Seen,
    kind: MarketDataKind,
    /// When its first ticks are told.
    from: Timestamp,
}

/// Both sides, the last price and the model's values of one instant.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Seen {
    bid: Option<Price>,
    ask: Option<Price>,
    last: Option<Price>,
    bid_size: Option<i64>,
    ask_size: Option<i64>,
    volume: Option<i64>,
    model: Option<Computation>,
}

/// Tick types (TWS API reference), live.
mod field {
    pub const BID_SIZE: i32 = 0;
    pub const BID: i32 = 1;
    pub const ASK: i32 = 2;
    pub const ASK_SIZE: i32 = 3;
    pub const LAST: i32 = 4;
    pub const VOLUME: i32 = 8;
    pub const MODEL: i32 = 13;
}

impl House {
    pub(super) fn market_data(
        &mut self,
        seat: SeatId,
        (req_id, kind): (i32, MarketDataKind),
        wanted: &WireContract,
    ) {
        let found = find(self.exchange.source(), wanted);
        let [instrument] = found.as_slice() else {
            let said = "No security definition has been found for the request";
            self.error(seat, (req_id, 200), said);
            return;
        };
        if self.faults.contains(&Fault::CompetingSession) {
            self.error(seat, (req_id, COMPETING.0), COMPETING.1);
            return;
        }
        let lines: usize = self.seats.values().map(|seat| seat.lines.len()).sum();
        if lines >= self.rules.lines && kind == MarketDataKind::Stream {
            self.error(seat, (req_id, 101), "Max number of tickers has been reached");
            return;
        }
        let min_tick = details(self.exchange.source(), instrument).min_tick;
        self.send(seat, Event::TickRequestParameters { req_id, min_tick });
        let data_type = self.seats.get(&seat).map_or(1, |seat| seat.data_type);
        self.send(seat, Event::MarketDataType { req_id, kind: data_type });
        let key = ((instrument.conid().0 as u64) << 32) ^ req_id as u64;
        let delay = self.rules.first_ticks.map_or(TimeDelta::zero(), |delay| delay.of(key));
        let line = Line {
            instrument: instrument.clone(),
            said: Seen::default(),
            kind,
            from: self.now() + delay,
        };
        if let Some(seat) = self.seats.get_mut(&seat) {
            seat.lines.insert(req_id, line);
        }
        if delay.is_zero() {
            self.tell(seat, req_id);
        }
    }

    /// What has changed of one line; a snapshot ends with it.
    fn tell(&mut self, seat: SeatId, req_id: i32) {
        let Some(line) = self.seats.get(&seat).and_then(|seat| seat.lines.get(&req_id)) else {
            return;
        };
        let (seen, kind) = (self.seen(&line.instrument), line.kind);
        let mut events = changes(req_id, &line.said, &seen);
        if kind == MarketDataKind::Snapshot {
            events.push(Event::TickSnapshotEnd { req_id });
        }
        if let Some(lines) = self.seats.get_mut(&seat).map(|seat| &mut seat.lines) {
            match kind {
                MarketDataKind::Snapshot => drop(lines.remove(&req_id)),
                MarketDataKind::Stream => {
                    if let Some(line) = lines.get_mut(&req_id) {
                        line.said = seen;
                    }
                }
            }
        }
        for event in events {
            self.send(seat, event);
        }
    }

    /// What has changed of every line since it was last told.
    pub(super) fn tick(&mut self) {
        let now = self.now();
        let due: Vec<(SeatId, i32)> = self
            .seats
            .iter()
            .flat_map(|(id, seat)| {
                seat.lines.iter().map(|(req_id, line)| (*id, *req_id, line.from))
            })
            .filter(|(_, _, from)| *from <= now)
            .map(|(id, req_id, _)| (id, req_id))
            .collect();
        for (seat, req_id) in due {
            self.tell(seat, req_id);
        }
    }

    fn seen(&self, instrument: &Instrument) -> Seen {
        let source = self.exchange.source();
        let conid = instrument.conid();
        match instrument {
            Instrument::Option(option) => source.option_quote(conid).map(|quote| {
                let spot = underlying(source, &option.symbol)
                    .and_then(|under| source.underlying_quote(under.symbol()))
                    .and_then(|under| middle(under.bid, under.ask).or(under.last));
                Seen {
                    bid: quote.bid,
                    ask: quote.ask,
                    last: quote.last,
                    bid_size: quote.bid_size,
                    ask_size: quote.ask_size,
                    volume: quote.volume,
                    model: Some(Computation {
                        implied_vol: quote.vendor.vol,
                        delta: quote.vendor.delta,
                        price: middle(quote.bid, quote.ask).map(Price::to_f64),
                        dividends: None,
                        gamma: quote.vendor.gamma,
                        vega: quote.vendor.vega,
                        theta: quote.vendor.theta,
                        underlying: spot.map(Price::to_f64),
                    }),
                }
            }),
            Instrument::Future(_) => source.future_quote(conid).map(|quote| Seen {
                bid: quote.bid,
                ask: quote.ask,
                last: quote.last,
                bid_size: quote.bid_size,
                ask_size: quote.ask_size,
                volume: quote.volume,
                model: None,
            }),
            Instrument::Stock(stock) | Instrument::Index(stock) => {
                source.underlying_quote(&stock.symbol).map(|quote| Seen {
                    bid: quote.bid,
                    ask: quote.ask,
                    last: quote.last,
                    bid_size: quote.bid_size,
                    ask_size: quote.ask_size,
                    volume: None,
                    model: None,
                })
            }
        }
        .unwrap_or_default()
    }
}

fn middle(bid: Option<Price>, ask: Option<Price>) -> Option<Price> {
    Some(bid?.midpoint(ask?))
}

/// The ticks that lead from one state to the next. No quote is a price of -1 with size 0.
fn changes(req_id: i32, before: &Seen, now: &Seen) -> Vec<Event> {
    let mut events = Vec::new();
    let mut price = |field: i32, before: Option<Price>, now: Option<Price>, size: Option<i64>| {
        if before != now {
            let price = now.map_or(-1.0, Price::to_f64);
            let size = Decimal::from(if now.is_some() { size.unwrap_or_default() } else { 0 });
            events.push(Event::TickPrice { req_id, field, price, size });
        }
    };
    price(field::BID, before.bid, now.bid, now.bid_size);
    price(field::ASK, before.ask, now.ask, now.ask_size);
    price(field::LAST, before.last, now.last, None);
    let mut size = |field: i32, before: Option<i64>, now: Option<i64>| {
        if let Some(size) = now.filter(|_| before != now) {
            events.push(Event::TickSize { req_id, field, size: size.into() });
        }
    };
    size(field::BID_SIZE, before.bid_size, now.bid_size);
    size(field::ASK_SIZE, before.ask_size, now.ask_size);
    size(field::VOLUME, before.volume, now.volume);
    if let Some(values) = now.model.filter(|_| before.model != now.model) {
        events.push(Event::TickOptionComputation { req_id, field: field::MODEL, values });
    }
    events
}
