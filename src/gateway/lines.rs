//! What a line of market data is of, what was said of it last, and how it is brought up to date.

use chrono::{NaiveDate, TimeDelta};

use crate::market::{Instrument, Timestamp};

use super::day_so_far::DaySoFar;
use super::entitlement::{Market, Shown};
use super::event::{Computation, Event};
use super::generic_ticks::{Generic, option_volume};
use super::history::session_of;
use super::house::House;
use super::seen::{DELAY, Seen, close_before};

/// Delayed values are read again so often: the market's grid is no finer.
const DELAYED_EVERY: TimeDelta = TimeDelta::seconds(10);
/// The volume of all options on an underlying is added up so often: each is asked for.
const ADDED_UP_EVERY: TimeDelta = TimeDelta::minutes(1);

/// One subscription: what it is of, and what was said last.
pub(super) struct Line {
    pub subject: Subject,
    pub said: Seen,
    /// When its first ticks are told.
    pub from: Timestamp,
    /// When a snapshot ends.
    pub until: Option<Timestamp>,
    pub is_told: bool,
    pub shown: Shown,
    /// Whether the last values of a closed market are wanted.
    pub wants_frozen: bool,
    /// Whether the values of an option's model are seen.
    pub has_model: bool,
    pub generic: Generic,
    pub looked: LookedUp,
}

/// When values that are not read with each quote were looked up.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LookedUp {
    /// Delayed values.
    delayed_at: Option<Timestamp>,
    /// The day of which the close before was looked up.
    close_on: Option<NaiveDate>,
    /// The session whose course so far was looked up.
    session: Option<NaiveDate>,
    /// When the volume of the options on it was added up.
    added_up_at: Option<Timestamp>,
}

/// What quotes are asked for.
pub(super) enum Subject {
    One(Instrument),
    /// Legs with their ratios, negative where they are sold as the combo is bought; at least one.
    Combo(Vec<(Instrument, i64)>),
}

impl Subject {
    pub fn legs(&self) -> Vec<&Instrument> {
        match self {
            Self::One(instrument) => vec![instrument],
            Self::Combo(legs) => legs.iter().map(|(leg, _)| leg).collect(),
        }
    }

    /// As clients write it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::One(instrument) => instrument.kind().as_str(),
            Self::Combo(_) => "BAG",
        }
    }

    /// `None` for a combo.
    pub fn one(&self) -> Option<&Instrument> {
        match self {
            Self::One(instrument) => Some(instrument),
            Self::Combo(_) => None,
        }
    }

    fn seen(&self, see: impl Fn(&Instrument) -> Seen) -> Seen {
        match self {
            Self::One(instrument) => see(instrument),
            Self::Combo(legs) => Seen::of_combo(
                &legs.iter().map(|(leg, ratio)| (see(leg), *ratio)).collect::<Vec<_>>(),
            ),
        }
    }
}

impl House {
    /// Open where each leg's market is.
    pub(super) fn market_of(&self, subject: &Subject) -> Market {
        let source = self.exchange.source();
        let is_open = subject.legs().iter().all(|leg| source.is_open(leg.conid()));
        if is_open { Market::Open } else { Market::Closed }
    }

    /// Brings a line up to date: the ticks for it.
    pub(super) fn read(&self, req_id: i32, line: &mut Line) -> Vec<Event> {
        let (source, now) = (self.exchange.source(), self.now());
        let is_first = !line.is_told;
        let mut events = Vec::new();
        let is_closed = self.market_of(&line.subject) == Market::Closed;
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
        let at = if shown.is_delayed() { now - DELAY } else { now };
        let seen = match shown {
            Shown::Live => line.subject.seen(|leg| Seen::live(source, leg)),
            Shown::Delayed => {
                let read_at = line.looked.delayed_at;
                if read_at.is_some_and(|at| now - at < DELAYED_EVERY) && !is_changed {
                    return events;
                }
                line.looked.delayed_at = Some(now);
                line.subject.seen(|leg| Seen::at(source, leg, at))
            }
            // They stand until the market opens.
            Shown::Frozen | Shown::DelayedFrozen if !is_first && !is_changed => return events,
            Shown::Frozen | Shown::DelayedFrozen => {
                line.subject.seen(|leg| Seen::frozen(source, leg, at))
            }
        };
        let seen = self.completed(line, (seen, at));
        events.extend(seen.since(&line.said, (req_id, shown, line.subject.one())));
        line.said = seen;
        events
    }

    /// With what is not read off a quote, and without what is not to be told.
    fn completed(&self, line: &mut Line, (seen, at): (Seen, Timestamp)) -> Seen {
        let seen = Seen {
            model: seen.model.filter(|_| line.has_model),
            open_interest: seen.open_interest.filter(|_| line.generic.wants_open_interest()),
            mark: seen.mark.filter(|_| line.generic.wants_mark()),
            ..seen
        };
        let Subject::One(instrument) = &line.subject else { return seen };
        let (said, looked) = (&line.said, &mut line.looked);
        let today = self.today();
        let is_known = looked.close_on.replace(today) == Some(today);
        let source = self.exchange.source();
        let close = if is_known { said.close } else { close_before(source, instrument, today) };
        let wants_volume = line.shown == Shown::Live && line.generic.wants_option_volume();
        let volume = looked.added_up_at.is_none_or(|at| self.now() - at >= ADDED_UP_EVERY);
        let option_volume = if wants_volume && volume {
            looked.added_up_at = Some(self.now());
            option_volume(source, instrument)
        } else {
            said.option_volume
        };
        let session = session_of(instrument, at);
        let is_known = std::mem::replace(&mut looked.session, session) == session;
        let so_far = if is_known { said.day } else { self.day_so_far(instrument, at) };
        Seen {
            close,
            option_volume,
            day: so_far.map(|day| seen.last.map_or(day, |last| DaySoFar::with(day, last))),
            implied: self.implied(instrument, said, (&seen, at)),
            ..seen
        }
    }

    /// What each price of an option implies, where its model is seen; computed anew where the price
    /// has changed.
    fn implied(
        &self,
        instrument: &Instrument,
        said: &Seen,
        (seen, at): (&Seen, Timestamp),
    ) -> [Option<Computation>; 3] {
        let Some(model) = seen.model else { return [None; 3] };
        let prices = [(seen.bid, said.bid), (seen.ask, said.ask), (seen.last, said.last)];
        let mut implied = said.implied;
        for (implied, (price, said)) in implied.iter_mut().zip(prices) {
            if price != said || implied.is_none() {
                *implied = self.implied_by(instrument, (price, model.underlying), at);
            }
        }
        implied
    }
}
