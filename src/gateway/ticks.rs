//! Market data lines: what is asked for, the first ticks, and whatever changed since.

use chrono::{NaiveDate, TimeDelta};

use crate::market::{Instrument, Timestamp};

use super::entitlement::{Entitlement, Given, Market, Said, Shown, given, partly};
use super::event::Event;
use super::faults::Fault;
use super::generic_ticks::Generic;
use super::house::{COMPETING, House, SeatId};
use super::listing::{details, find, underlying};
use super::request::MarketDataKind;
use super::seen::{DELAY, Seen, close_before};
use super::words::WireContract;

/// Delayed values are read again so often: the market's grid is no finer.
const DELAYED_EVERY: TimeDelta = TimeDelta::seconds(10);

/// One subscription: what it is of, and what was said last.
pub(super) struct Line {
    instrument: Instrument,
    said: Seen,
    /// When its first ticks are told.
    from: Timestamp,
    /// When a snapshot ends.
    until: Option<Timestamp>,
    is_told: bool,
    shown: Shown,
    /// Whether the last values of a closed market are wanted.
    wants_frozen: bool,
    /// Whether the values of an option's model are seen.
    has_model: bool,
    generic: Generic,
    /// When delayed values were read last.
    read_at: Option<Timestamp>,
    /// The day of which the close before was looked up.
    close_on: Option<NaiveDate>,
}

/// What a client wants a line of.
pub(super) struct LineWanted<'a> {
    pub contract: &'a WireContract,
    pub generic_ticks: &'a str,
    pub kind: MarketDataKind,
}

impl House {
    pub(super) fn market_data(&mut self, seat: SeatId, req_id: i32, wanted: &LineWanted<'_>) {
        match self.line_of(seat, req_id, wanted) {
            Ok((line, notices)) => self.begin(seat, req_id, (line, notices)),
            Err((code, said)) => self.error(seat, (req_id, code), &said),
        }
    }

    /// The line that is asked for, with the notices before it.
    fn line_of(
        &self,
        seat: SeatId,
        req_id: i32,
        wanted: &LineWanted<'_>,
    ) -> Result<(Line, Vec<Said>), (i32, String)> {
        let instrument = self.quoted(wanted.contract)?;
        let invalid =
            |cause: &str| (321, format!("Error validating request.-'bW' : cause - {cause}"));
        let generic =
            Generic::parse(wanted.generic_ticks, instrument.kind()).map_err(|said| (321, said))?;
        if wanted.kind == MarketDataKind::Snapshot && !generic.is_empty() {
            let said = "Snapshot market data subscription is not applicable to generic ticks";
            return Err(invalid(said));
        }
        self.room_for_a_line(seat, req_id)?;
        let data_type = self.seats.get(&seat).map_or(1, |seat| seat.data_type);
        let answer =
            given(self.rules.entitled.of(&instrument), data_type, self.market_of(&instrument));
        let mut notices = Vec::new();
        let shown = match answer {
            Given::Shown(shown) => shown,
            Given::After(notice, shown) => {
                notices.push(notice);
                shown
            }
            Given::Refused((code, said)) => return Err((code, said.to_owned())),
        };
        let under = self.underlying_seen(&instrument);
        let has_model = shown.is_delayed() || under == Entitlement::Live;
        if !has_model {
            notices.extend(partly(under));
        }
        let (now, delay) = (self.now(), self.first_after(&instrument, req_id));
        let until = match wanted.kind {
            MarketDataKind::Stream => None,
            MarketDataKind::Snapshot => Some(now + self.rules.snapshot_end.max(delay)),
        };
        let line = Line {
            instrument,
            said: Seen::default(),
            from: now + delay,
            until,
            is_told: false,
            shown,
            wants_frozen: data_type == 2 || data_type == 4,
            has_model,
            generic,
            read_at: None,
            close_on: None,
        };
        Ok((line, notices))
    }

    /// The one contract that a description fits, while its data can be had.
    pub(super) fn quoted(&self, wanted: &WireContract) -> Result<Instrument, (i32, String)> {
        if self.faults.contains(&Fault::CompetingSession) {
            return Err((COMPETING.0, COMPETING.1.to_owned()));
        }
        self.one_contract(wanted)
    }

    /// The one contract that a description fits.
    pub(super) fn one_contract(&self, wanted: &WireContract) -> Result<Instrument, (i32, String)> {
        let found = <[Instrument; 1]>::try_from(find(self.exchange.source(), wanted));
        let [instrument] = found.map_err(|_| {
            (200, "No security definition has been found for the request".to_owned())
        })?;
        Ok(instrument)
    }

    /// Whether one more line may begin under a number.
    pub(super) fn room_for_a_line(&self, seat: SeatId, req_id: i32) -> Result<(), (i32, String)> {
        let held = |seat: &super::house::Seat| seat.lines.len() + seat.feeds.five_seconds.len();
        let lines: usize = self.seats.values().map(held).sum();
        if lines >= self.rules.lines {
            return Err((101, "Max number of tickers has been reached".to_owned()));
        }
        let is_taken = self.seats.get(&seat).is_some_and(|seat| {
            seat.lines.contains_key(&req_id) || seat.feeds.five_seconds.contains_key(&req_id)
        });
        if is_taken {
            let said = "Error processing request.-'bW' : cause - Duplicate ticker id";
            return Err((322, said.to_owned()));
        }
        Ok(())
    }

    /// How much is seen of what an option is written on; all of it for anything else.
    fn underlying_seen(&self, instrument: &Instrument) -> Entitlement {
        match instrument {
            Instrument::Option(option) => underlying(self.exchange.source(), &option.symbol)
                .map_or(Entitlement::Live, |under| self.rules.entitled.of(&under)),
            Instrument::Stock(_) | Instrument::Index(_) | Instrument::Future(_) => {
                Entitlement::Live
            }
        }
    }

    fn market_of(&self, instrument: &Instrument) -> Market {
        let is_open = self.exchange.source().is_open(instrument.conid());
        if is_open { Market::Open } else { Market::Closed }
    }

    /// How long the first ticks of a request take.
    fn first_after(&self, instrument: &Instrument, req_id: i32) -> TimeDelta {
        let key = ((instrument.conid().0 as u64) << 32) ^ req_id as u64;
        self.rules.first_ticks.map_or(TimeDelta::zero(), |delay| delay.of(key))
    }

    fn begin(&mut self, seat: SeatId, req_id: i32, (line, notices): (Line, Vec<Said>)) {
        for (code, said) in notices {
            self.error(seat, (req_id, code), said);
        }
        let min_tick = details(self.exchange.source(), &line.instrument).min_tick;
        self.send(seat, Event::TickRequestParameters { req_id, min_tick });
        self.send(seat, Event::MarketDataType { req_id, kind: line.shown.number() });
        for event in self.standing_ticks(req_id, &line.instrument, &line.generic) {
            self.send(seat, event);
        }
        let is_due = line.from <= self.now();
        if let Some(seat) = self.seats.get_mut(&seat) {
            seat.lines.insert(req_id, line);
        }
        if is_due {
            self.tell(seat, req_id);
        }
    }

    /// What has changed of one line. A snapshot is told once, and ends in its time.
    fn tell(&mut self, seat: SeatId, req_id: i32) {
        let line = self.seats.get_mut(&seat).and_then(|seat| seat.lines.remove(&req_id));
        let Some(mut line) = line else { return };
        let now = self.now();
        if line.until.is_none() || !line.is_told {
            for event in self.read(req_id, &mut line) {
                self.send(seat, event);
            }
        }
        if line.until.is_some_and(|until| until <= now) {
            self.send(seat, Event::TickSnapshotEnd { req_id });
        } else if let Some(seat) = self.seats.get_mut(&seat) {
            seat.lines.insert(req_id, line);
        }
    }

    /// Brings a line up to date: the ticks for it.
    fn read(&self, req_id: i32, line: &mut Line) -> Vec<Event> {
        let (source, now) = (self.exchange.source(), self.now());
        let is_first = !line.is_told;
        let mut events = Vec::new();
        let is_closed = self.market_of(&line.instrument) == Market::Closed;
        let frozen = line.wants_frozen && is_closed;
        let shown = match (line.shown.is_delayed(), frozen) {
            (false, false) => Shown::Live,
            (false, true) => Shown::Frozen,
            (true, false) => Shown::Delayed,
            (true, true) => Shown::DelayedFrozen,
        };
        let is_changed = shown != line.shown;
        if is_changed {
            line.shown = shown;
            events.push(Event::MarketDataType { req_id, kind: shown.number() });
        }
        line.is_told = true;
        let seen = match shown {
            Shown::Live => Seen::live(source, &line.instrument),
            Shown::Delayed => {
                if line.read_at.is_some_and(|at| now - at < DELAYED_EVERY) && !is_changed {
                    return events;
                }
                line.read_at = Some(now);
                Seen::at(source, &line.instrument, now - DELAY)
            }
            // They stand until the market opens.
            Shown::Frozen | Shown::DelayedFrozen if !is_first && !is_changed => return events,
            Shown::Frozen => Seen::frozen(source, &line.instrument, now),
            Shown::DelayedFrozen => Seen::frozen(source, &line.instrument, now - DELAY),
        };
        let today = self.today();
        let is_known = line.close_on.replace(today) == Some(today);
        let close =
            if is_known { line.said.close } else { close_before(source, &line.instrument, today) };
        let seen = Seen {
            close,
            model: seen.model.filter(|_| line.has_model),
            open_interest: seen.open_interest.filter(|_| line.generic.wants_open_interest()),
            mark: seen.mark.filter(|_| line.generic.wants_mark()),
            ..seen
        };
        events.extend(seen.since(&line.said, (req_id, shown, &line.instrument)));
        line.said = seen;
        events
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
        self.tell_five_seconds();
        self.tell_growing();
    }
}
