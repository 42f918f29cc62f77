//! The broker as the desk sees it: one state that the connection's task fills and the desk's thread
//! reads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::NaiveDate;

use crate::broker::BrokerEvent;
use crate::market::clock::Stopwatch;
use crate::market::{
    ConId, FutureContract, Instrument, OptionContract, SecurityKind, Symbol, Timestamp, Usd,
};
use crate::structures::{AccountSnapshot, BrokerPosition};

use super::Recalled;
use super::bars::Bars;
use super::book::Book;
use super::quotes::Ticks;

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
    pub bars: Bars,
    /// Options whose quotes the desk asks for.
    pub watched: BTreeMap<Symbol, Vec<ConId>>,
    /// Counts how often the broker has lost its streams: a line of an earlier count is dead.
    pub epoch: u64,
    /// Events that belong to the account as it was last read.
    pub sealed: Vec<BrokerEvent>,
    /// Contracts that the broker denies market data for, with its reason.
    pub denied: BTreeMap<ConId, String>,
}

/// Contracts, as the broker describes them.
#[derive(Debug, Default)]
pub struct Listing {
    /// The session whose listing this is.
    pub of: Option<NaiveDate>,
    /// The date on which every option within reach was looked up, by this process or an earlier.
    pub options_of: Option<NaiveDate>,
    pub instruments: BTreeMap<ConId, Instrument>,
    pub underlyings: BTreeMap<Symbol, Instrument>,
    pub options: BTreeMap<Symbol, Vec<Arc<OptionContract>>>,
    pub futures: Vec<Arc<FutureContract>>,
}

impl Listing {
    pub fn add(&mut self, instrument: Instrument) {
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
    pub fn starting(recalled: Recalled) -> Self {
        let mut listing = Listing { options_of: recalled.listing_of, ..Listing::default() };
        for option in recalled.options {
            listing.add(Instrument::Option(option));
        }
        Self {
            standing: Standing::Starting("no connection yet".to_owned()),
            arrivals: 0,
            book: Book::default(),
            known_until: recalled.known_until,
            missing: BTreeMap::new(),
            account: None,
            positions: Vec::new(),
            read_after: None,
            listing,
            ticks: BTreeMap::new(),
            ticked: BTreeSet::new(),
            staying: BTreeSet::new(),
            bars: Bars::default(),
            watched: BTreeMap::new(),
            epoch: 0,
            sealed: Vec::new(),
            denied: BTreeMap::new(),
        }
    }

    /// What futures have moved where none is held: nothing.
    pub fn holds_no_future(&self) -> Option<Usd> {
        let is_other = |held: &BrokerPosition| {
            let known = self.listing.instruments.get(&held.conid);
            known.is_some_and(|known| known.kind() != SecurityKind::Future)
        };
        self.positions.iter().all(is_other).then_some(Usd::ZERO)
    }

    /// Contracts whose lines stay open while there are lines at all: what is held, the underlyings
    /// and the nearest future of each root.
    pub fn pinned(&self) -> Vec<ConId> {
        let held = self.positions.iter().map(|held| held.conid);
        let held = held.filter(|conid| self.listing.instruments.contains_key(conid));
        let underlyings = self.listing.underlyings.values().map(Instrument::conid);
        let mut roots = BTreeSet::new();
        let futures = self.listing.futures.iter();
        let nearest = futures.filter(|future| roots.insert(&future.symbol));
        let nearest: Vec<ConId> = nearest.map(|future| future.conid).collect();
        let mut pinned = Vec::new();
        let mut known = BTreeSet::new();
        for conid in underlyings.chain(held).chain(nearest) {
            if known.insert(conid) {
                pinned.push(conid);
            }
        }
        pinned
    }

    /// Contracts that take turns, those seen longest ago first.
    pub fn rotating(&self) -> Vec<ConId> {
        let pinned: BTreeSet<ConId> = self.pinned().into_iter().collect();
        let later = self.listing.futures.iter().map(|future| future.conid);
        let watched = self.watched.values().flatten().copied();
        let mut rotating: Vec<(Option<Timestamp>, ConId)> = watched
            .chain(later)
            .filter(|conid| !pinned.contains(conid) && !self.denied.contains_key(conid))
            .map(|conid| (self.ticks.get(&conid).and_then(Ticks::received_at), conid))
            .collect();
        rotating.sort_unstable();
        rotating.dedup();
        rotating.into_iter().map(|(_, conid)| conid).collect()
    }
}
