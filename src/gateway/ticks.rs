//! Market data lines: what is asked for, the first ticks, and whatever changed since.

use chrono::TimeDelta;
use rust_decimal::Decimal;

use crate::market::Instrument;
use crate::structures::OrderLeg;

use super::entitlement::{Entitlement, Given, Said, given, partly};
use super::event::Event;
use super::faults::Fault;
use super::generic_ticks::Generic;
use super::house::{COMPETING, House, SeatId};
use super::lines::{Line, LookedUp, Subject};
use super::listing::{details, find, underlying};
use super::orders::legs_of;
use super::request::MarketDataKind;
use super::seen::Seen;
use super::words::WireContract;

/// What a client wants a line of.
pub(super) struct LineWanted<'a> {
    pub contract: &'a WireContract,
    pub generic_ticks: &'a str,
    pub kind: MarketDataKind,
}

impl House {
    pub(super) fn market_data(&mut self, seat: SeatId, req_id: i32, wanted: &LineWanted<'_>) {
        self.read_published();
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
        let subject = self.subject(wanted.contract)?;
        let invalid =
            |cause: &str| (321, format!("Error validating request.-'bW' : cause - {cause}"));
        let generic =
            Generic::parse(wanted.generic_ticks, subject.kind()).map_err(|said| (321, said))?;
        if wanted.kind == MarketDataKind::Snapshot && !generic.is_empty() {
            let said = "Snapshot market data subscription is not applicable to generic ticks";
            return Err(invalid(said));
        }
        self.room_for_a_line(seat, req_id)?;
        let data_type = self.seats.get(&seat).map_or(1, |seat| seat.data_type);
        let legs = subject.legs();
        let entitled = legs.iter().map(|leg| self.rules.entitled.of(leg)).max();
        let entitled = entitled.unwrap_or(Entitlement::None);
        let answer = given(entitled, data_type, self.market_of(&subject));
        let mut notices = Vec::new();
        let shown = match answer {
            Given::Shown(shown) => shown,
            Given::After(notice, shown) => {
                notices.push(notice);
                shown
            }
            Given::Refused((code, said)) => return Err((code, said.to_owned())),
        };
        let under = subject.one().map(|instrument| self.underlying_seen(instrument));
        let has_model = under.is_some_and(|under| shown.is_delayed() || under == Entitlement::Live);
        if let Some(under) = under.filter(|_| !has_model) {
            notices.extend(partly(under));
        }
        let (now, delay) = (
            self.now(),
            subject
                .legs()
                .iter()
                .map(|leg| self.first_after(leg, req_id))
                .max()
                .unwrap_or_default(),
        );
        let until = match wanted.kind {
            MarketDataKind::Stream => None,
            MarketDataKind::Snapshot => Some(now + self.rules.snapshot_end.max(delay)),
        };
        let line = Line {
            subject,
            said: Seen::default(),
            from: now + delay,
            until,
            is_told: false,
            shown,
            wants_frozen: data_type == 2 || data_type == 4,
            has_model,
            generic,
            looked: LookedUp::default(),
        };
        Ok((line, notices))
    }

    /// The one contract or the combo that a description fits, while its data can be had.
    fn subject(&self, wanted: &WireContract) -> Result<Subject, (i32, String)> {
        if wanted.security_type != "BAG" {
            return self.quoted(wanted).map(Subject::One);
        }
        self.not_taken()?;
        let source = self.exchange.source();
        let legs = legs_of(source, wanted, 1).map_err(|refused| (refused.code, refused.reason))?;
        let leg = |leg: &OrderLeg| source.contract(leg.conid).map(|found| (found, leg.ratio));
        legs.iter().map(leg).collect::<Option<_>>().map(Subject::Combo).ok_or_else(no_definition)
    }

    fn not_taken(&self) -> Result<(), (i32, String)> {
        if self.faults.contains(&Fault::CompetingSession) {
            return Err((COMPETING.0, COMPETING.1.to_owned()));
        }
        Ok(())
    }

    /// The one contract that a description fits, while its data can be had.
    pub(super) fn quoted(&self, wanted: &WireContract) -> Result<Instrument, (i32, String)> {
        self.not_taken()?;
        self.one_contract(wanted)
    }

    /// The one contract that a description fits.
    pub(super) fn one_contract(&self, wanted: &WireContract) -> Result<Instrument, (i32, String)> {
        let found = <[Instrument; 1]>::try_from(find(self.exchange.source(), wanted));
        let [instrument] = found.map_err(|_| no_definition())?;
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

    /// How long the first ticks of a request take.
    fn first_after(&self, instrument: &Instrument, req_id: i32) -> TimeDelta {
        let key = ((instrument.conid().0 as u64) << 32) ^ req_id as u64;
        self.rules.first_ticks.map_or(TimeDelta::zero(), |delay| delay.of(key))
    }

    fn begin(&mut self, seat: SeatId, req_id: i32, (line, notices): (Line, Vec<Said>)) {
        for (code, said) in notices {
            self.error(seat, (req_id, code), said);
        }
        let min_tick = self.min_tick(&line.subject);
        self.send(seat, Event::TickRequestParameters { req_id, min_tick });
        self.send(seat, Event::MarketDataType { req_id, kind: line.shown.number() });
        if let Subject::One(instrument) = &line.subject {
            for event in self.standing_ticks(req_id, instrument, &line.generic) {
                self.send(seat, event);
            }
        }
        let is_due = line.from <= self.now();
        if let Some(seat) = self.seats.get_mut(&seat) {
            seat.lines.insert(req_id, line);
        }
        if is_due {
            self.tell(seat, req_id);
        }
    }

    /// A combo is priced in the smallest step of its legs.
    fn min_tick(&self, subject: &Subject) -> String {
        let source = self.exchange.source();
        let legs = subject.legs().into_iter();
        let least = legs
            .map(|leg| details(source, leg).min_tick)
            .min_by_key(|tick| tick.parse::<Decimal>().unwrap_or(Decimal::MAX));
        least.unwrap_or_default()
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

    /// What has changed of every line since it was last told.
    pub(super) fn tick(&mut self) {
        self.read_published();
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

fn no_definition() -> (i32, String) {
    (200, "No security definition has been found for the request".to_owned())
}
