//! The broker as the desk sees it: one state that the connection's task fills and the desk's thread
//! reads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{NaiveDate, TimeDelta};

use crate::broker::BrokerEvent;
use crate::market::clock::Stopwatch;
use crate::market::{
    ConId, FutureContract, Instrument, OptionContract, SecurityKind, Symbol, Timestamp, Usd,
};
use crate::structures::{AccountSnapshot, BrokerPosition};

use super::Recalled;
use super::bars::Bars;
use super::book::Book;
use super::interruptions::Interruptions;
use super::quotes::Ticks;

/// Of a hundred lines, so many are kept at most by what stays; what is beyond takes turns too.
const STAYING_PERCENT: usize = 75;
/// Instruments are kept for so many days after their last trade: what they settle to is told late.
const KEPT_DAYS: i64 = 7;

/// Whether the broker can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Not connected before, since the start; why the last try failed.
    Starting(String),
    Connected,
    /// Since when, and why.
    Away(Timestamp, String),
}

/// All that is known.
#[derive(Debug)]
pub struct Mirror {
    pub standing: Standing,
    /// How often the broker has been reached and all that it did meanwhile asked for.
    pub arrivals: u64,
    pub book: Book,
    /// Executions up to here are known.
    pub known_until: Option<Timestamp>,
    /// Orders that worked before the connection was lost and that the broker has shown neither
    /// among the open nor among the ended ones since; since when.
    pub missing: BTreeMap<i32, Stopwatch>,
    /// Open orders at the broker that are not the desk's, as of the last look.
    pub foreign_orders: usize,
    pub account: Option<AccountSnapshot>,
    pub positions: Vec<BrokerPosition>,
    /// How many executions had been heard of when account and positions were last read.
    pub read_after: Option<usize>,
    pub listing: Listing,
    pub ticks: BTreeMap<ConId, Ticks>,
    /// Contracts that had a tick since the desk looked last.
    pub ticked: BTreeSet<ConId>,
    /// Contracts whose lines are kept while nothing ends them, as of the last look.
    pub staying: BTreeSet<ConId>,
    /// When the line of a contract was opened last: a count of all openings.
    visits: BTreeMap<ConId, i64>,
    visited: i64,
    pub bars: Bars,
    /// Options whose quotes the desk asks for.
    pub watched: BTreeMap<Symbol, Vec<ConId>>,
    /// Counts how often the broker has lost its streams: a line of an earlier count is dead.
    pub epoch: u64,
    /// What keeps quotes away while the broker can be reached.
    pub interruptions: Interruptions,
    /// Events that belong to the account as it was last read.
    pub sealed: Vec<BrokerEvent>,
    /// Contracts that the broker denies market data for, with its reason.
    pub denied: BTreeMap<ConId, String>,
    /// Contracts that were asked for by their ids in vain: since when, and how often.
    pub undescribed: BTreeMap<ConId, (Stopwatch, u32)>,
}

/// Contracts, as the broker describes them.
#[derive(Debug, Default)]
pub struct Listing {
    /// The session whose listing this is.
    pub of: Option<NaiveDate>,
    /// The date on which every option within reach was looked up, by this process or an earlier.
    pub options_of: Option<NaiveDate>,
    /// The date of which everything was answered.
    pub full_of: Option<NaiveDate>,
    /// What was answered of the look-up of a date, however often the connection was lost meanwhile.
    pub answered: (Option<NaiveDate>, BTreeSet<String>),
    pub instruments: BTreeMap<ConId, Instrument>,
    pub underlyings: BTreeMap<Symbol, Instrument>,
    pub options: BTreeMap<Symbol, Vec<Arc<OptionContract>>>,
    pub futures: Vec<Arc<FutureContract>>,
}

impl Listing {
    fn add(&mut self, instrument: Instrument) {
        let conid = instrument.conid();
        if self.instruments.insert(conid, instrument.clone()).is_some() {
            return;
        }
        match instrument {
            Instrument::Stock(_) | Instrument::Index(_) => {
                self.underlyings.insert(instrument.symbol().clone(), instrument);
            }
            Instrument::Option(option) => {
                let listed = self.options.entry(option.symbol.clone()).or_default();
                let key = |one: &OptionContract| (one.expiry_date, one.strike, one.right);
                let place = listed.partition_point(|one| key(one) < key(&option));
                listed.insert(place, option);
            }
            Instrument::Future(future) => {
                let key = |one: &FutureContract| (one.symbol.clone(), one.expiry_date);
                let place = self.futures.partition_point(|one| key(one) < key(&future));
                self.futures.insert(place, future);
            }
        }
    }
}

impl Mirror {
    pub fn starting(recalled: Recalled, client_id: i32) -> Self {
        let listing = Listing { options_of: recalled.listing_of, ..Listing::default() };
        let mut mirror = Self {
            standing: Standing::Starting("no connection yet".to_owned()),
            arrivals: 0,
            book: Book::of_client(client_id),
            known_until: recalled.known_until,
            missing: BTreeMap::new(),
            foreign_orders: 0,
            account: None,
            positions: Vec::new(),
            read_after: None,
            listing,
            ticks: BTreeMap::new(),
            ticked: BTreeSet::new(),
            staying: BTreeSet::new(),
            visits: BTreeMap::new(),
            visited: 0,
            bars: Bars::default(),
            watched: BTreeMap::new(),
            epoch: 0,
            interruptions: Interruptions::default(),
            sealed: Vec::new(),
            denied: BTreeMap::new(),
            undescribed: BTreeMap::new(),
        };
        for option in recalled.options {
            mirror.add(Instrument::Option(option));
        }
        mirror
    }

    /// The broker has described an instrument.
    pub fn add(&mut self, instrument: Instrument) {
        self.book.learn(&instrument);
        self.listing.add(instrument);
    }

    /// What futures have moved where none is held: nothing.
    pub fn holds_no_future(&self) -> Option<Usd> {
        let is_other = |held: &BrokerPosition| {
            let known = self.listing.instruments.get(&held.conid);
            known.is_some_and(|known| known.kind() != SecurityKind::Future)
        };
        self.positions.iter().all(is_other).then_some(Usd::ZERO)
    }

    /// What is held or was executed, is not known, and may be asked for now.
    pub fn to_describe(&self) -> Vec<ConId> {
        let held = self.positions.iter().map(|held| held.conid);
        let unknown: BTreeSet<ConId> = held.chain(self.book.undescribed()).collect();
        let is_due = |conid: &ConId| {
            let failed = self.undescribed.get(conid);
            failed.is_none_or(|(since, times)| since.elapsed() >= again_after(*times))
        };
        let listed = &self.listing.instruments;
        unknown.into_iter().filter(|id| !listed.contains_key(id)).filter(is_due).collect()
    }

    /// Remembers that a contract was asked for in vain.
    pub fn not_described(&mut self, conid: ConId) {
        let (since, times) = self.undescribed.entry(conid).or_insert((Stopwatch::start(), 0));
        (*since, *times) = (Stopwatch::start(), times.saturating_add(1));
    }

    /// A line is about to be opened.
    pub fn open(&mut self, conid: ConId) {
        self.visited += 1;
        self.visits.insert(conid, self.visited);
        self.ticks.entry(conid).or_default().reopen();
    }

    /// What deserves a line, shared out over so many.
    pub fn turns(&self, lines: usize, now: Timestamp) -> Turns {
        let mut wanted = self.deserving(now);
        let held = self.positions.iter().map(|held| held.conid).collect::<BTreeSet<_>>();
        let (listed, denied) = (&self.listing.instruments, &self.denied);
        let mut known: BTreeSet<ConId> = wanted.iter().copied().collect();
        let later = self.futures(now).map(|future| future.conid);
        let others = self.watched.values().flatten().copied().chain(later);
        let is_had = |conid: &ConId| listed.contains_key(conid) && !denied.contains_key(conid);
        wanted.retain(is_had);
        let mut rotating: Vec<ConId> =
            others.filter(is_had).filter(|id| known.insert(*id)).collect();
        if wanted.len() + rotating.len() <= lines {
            wanted.append(&mut rotating);
            return Turns { staying: wanted, rotating, crowded_out: 0 };
        }
        let most = (lines * STAYING_PERCENT / 100).max(1);
        let crowded = wanted.split_off(wanted.len().min(most));
        let crowded_out = crowded.len();
        rotating.extend(crowded);
        // What is held comes round twice as often.
        let ahead = i64::try_from(rotating.len()).unwrap_or(i64::MAX) / 2;
        rotating.sort_by_cached_key(|conid| {
            let visit = self.visits.get(conid).copied();
            let ahead = if held.contains(conid) { ahead } else { 0 };
            (visit.map(|visit| visit - ahead), *conid)
        });
        Turns { staying: wanted, rotating, crowded_out }
    }

    /// Contracts whose lines should stay open, the most needed first: the underlyings, the nearest
    /// living future of each root, and what is held.
    fn deserving(&self, now: Timestamp) -> Vec<ConId> {
        let mut roots = BTreeSet::new();
        let nearest = self.futures(now).filter(|future| roots.insert(&future.symbol));
        let nearest: Vec<ConId> = nearest.map(|future| future.conid).collect();
        let underlyings = self.listing.underlyings.values().map(Instrument::conid);
        let held = self.positions.iter().map(|held| held.conid);
        let mut known = BTreeSet::new();
        underlyings.chain(nearest).chain(held).filter(|conid| known.insert(*conid)).collect()
    }

    fn futures(&self, now: Timestamp) -> impl Iterator<Item = &Arc<FutureContract>> {
        self.listing.futures.iter().filter(move |future| now < future.last_trade_at)
    }

    /// Drops what expired a week ago and is not held, and what was known of it.
    pub fn prune(&mut self, now: Timestamp) {
        let since = now - TimeDelta::days(KEPT_DAYS);
        let held: BTreeSet<ConId> = self.positions.iter().map(|held| held.conid).collect();
        let listing = &mut self.listing;
        listing.instruments.retain(|conid, instrument| {
            let last = match instrument {
                Instrument::Option(option) => Some(option.last_trade_at),
                Instrument::Future(future) => Some(future.last_trade_at),
                Instrument::Stock(_) | Instrument::Index(_) => None,
            };
            last.is_none_or(|last| last > since) || held.contains(conid)
        });
        let known = &listing.instruments;
        for options in listing.options.values_mut() {
            options.retain(|option| known.contains_key(&option.conid));
        }
        listing.futures.retain(|future| known.contains_key(&future.conid));
        self.ticks.retain(|conid, _| known.contains_key(conid));
        self.visits.retain(|conid, _| known.contains_key(conid));
        self.denied.retain(|conid, _| known.contains_key(conid));
        self.book.prune(now);
    }
}

/// A minute after the first failure, doubled with each up to an hour.
fn again_after(times: u32) -> Duration {
    let doubled = Duration::from_mins(1).saturating_mul(1 << times.saturating_sub(1).min(6));
    doubled.min(Duration::from_hours(1))
}

/// How lines are shared out.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Turns {
    /// Whose lines are kept.
    pub staying: Vec<ConId>,
    /// Who takes turns through the rest, whose turn was longest ago first: its turn, and not its
    /// last tick, or what never ticks would come first for ever.
    pub rotating: Vec<ConId>,
    /// How many of those that take turns should have stayed.
    pub crowded_out: usize,
}

#[cfg(test)]
mod tests;
