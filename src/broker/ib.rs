//! The live broker: TWS or IB Gateway over the crate ibapi, or our own gateway, which speaks the
//! same.
//!
//! One task owns the connection ([`link`]) and fills a mirror of the broker; the desk's thread
//! reads the mirror and sends commands, each with a bound. Shares no code with the gateway, so that
//! each tests the other.
//!
//! What the protocol does not carry (rates, dividends, scheduled events) comes from a [`Reference`]
//! beside it.

mod bars;
mod book;
mod catching_up;
mod codes;
mod contracts;
mod interruptions;
mod link;
mod looking_up;
mod mirror;
mod pacing;
mod probe;
mod quotes;
mod reading;
mod session;
mod streams;
mod trading;
mod what_if;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{NaiveDate, TimeDelta};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::market::sessions::Calendar;
use crate::market::{
    Clock, ConId, FutureContract, FutureQuote, Instrument, OptionContract, OptionQuote,
    SecurityKind, Symbol, Timestamp, UnderlyingQuote, Usd,
};
use crate::risk::{Approved, ApprovedStep, Proposed};
use crate::structures::{AccountSnapshot, BrokerPosition, OpenOrder, OrderRef, WhatIf};

use super::{
    Bar, Broker, BrokerError, BrokerEvent, DeliveredQuote, Dividend, Feed, FeedDescription, Rate,
    Received, ScheduledEvent,
};
use link::{Command, Link};
use mirror::{Mirror, Standing};
use pacing::Pacer;
use quotes::Ticks;

pub use link::{Bounds, CLOCKS_WITHIN, Endpoint, Universe};
pub use probe::{Probe, probe};

/// Commands that may wait at once; the desk's thread sends one at a time.
const COMMANDS: usize = 16;
/// An account reading older than this is no answer.
const READING_GOOD_FOR: TimeDelta = TimeDelta::minutes(2);

/// Published reference data.
pub trait Reference {
    fn rates(&self) -> Vec<Rate>;
    fn dividends(&self) -> Vec<Dividend>;
    fn events(&self) -> Vec<ScheduledEvent>;
    fn description(&self) -> FeedDescription;
}

/// What an adapter is made of.
pub struct IbParts {
    pub endpoint: Endpoint,
    pub universe: Universe,
    pub bounds: Bounds,
    pub calendar: Arc<Calendar>,
    pub clock: Arc<dyn Clock>,
    pub reference: Box<dyn Reference>,
    pub recalled: Recalled,
}

/// A listing in full: told from another by its date, its reach and its size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub of: NaiveDate,
    /// Days to expiry up to which options were looked up.
    pub horizon_days: i64,
    /// Unexpired options a symbol.
    pub counts: BTreeMap<Symbol, usize>,
}

impl Listed {
    pub fn of<'a>(
        of: NaiveDate,
        horizon_days: i64,
        options: impl Iterator<Item = &'a Arc<OptionContract>>,
    ) -> Self {
        let mut counts: BTreeMap<Symbol, usize> = BTreeMap::new();
        for option in options.filter(|option| option.expiry_date >= of) {
            *counts.entry(option.symbol.clone()).or_default() += 1;
        }
        Self { of, horizon_days, counts }
    }
}

/// What an earlier process looked up and heard of.
#[derive(Debug, Default)]
pub struct Recalled {
    pub options: Vec<Arc<OptionContract>>,
    /// The date whose listing they are, in full.
    pub listing_of: Option<NaiveDate>,
    /// Executions up to here were known to it.
    pub known_until: Option<Timestamp>,
}

/// A connection to IB, kept up for as long as this lives.
pub struct IbBroker {
    mirror: Arc<Mutex<Mirror>>,
    /// None once this has disconnected.
    commands: Option<mpsc::Sender<Command>>,
    handle: Handle,
    /// How long a command may take: several answers of the broker.
    bound: Duration,
    clock: Arc<dyn Clock>,
    reference: Box<dyn Reference>,
    horizon_days: i64,
    /// Quotes as they stood at the instant last reached.
    seen: BTreeMap<ConId, Ticks>,
    owner: JoinSet<()>,
}

impl IbBroker {
    /// Starts connecting; what is asked before there is a connection is answered with why.
    pub fn start(parts: IbParts, handle: &Handle) -> Self {
        let IbParts { endpoint, universe, bounds, calendar, clock, reference, recalled } = parts;
        let mirror = Arc::new(Mutex::new(Mirror::starting(recalled, endpoint.client_id)));
        let horizon_days = universe.horizon_days;
        let (commands, inbox) = mpsc::channel(COMMANDS);
        let link = Link {
            endpoint,
            universe,
            bounds,
            calendar,
            clock: Arc::clone(&clock),
            mirror: Arc::clone(&mirror),
            pacer: Pacer::new(),
        };
        let mut owner = JoinSet::new();
        owner.spawn_on(link.run(inbox), handle);
        Self {
            mirror,
            commands: Some(commands),
            handle: handle.clone(),
            bound: bounds.answer * 6,
            clock,
            reference,
            horizon_days,
            seen: BTreeMap::new(),
            owner,
        }
    }

    /// Waits, bounded, until the broker answers and its contracts are known.
    pub fn wait_until_ready(&self, within: Duration) -> Result<(), BrokerError> {
        let ready = async {
            loop {
                {
                    let mirror = self.mirror();
                    let listed = mirror.listing.of.is_some();
                    if mirror.standing == Standing::Connected && listed {
                        return;
                    }
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let waited = self.handle.block_on(async { timeout(within, ready).await });
        waited.map_err(|_| BrokerError::NoAnswer(self.standing()))
    }

    /// Waits, bounded, until daily bars have been asked for; which are missing, and why.
    pub fn wait_for_bars(&self, within: Duration) -> Vec<String> {
        let tried = async {
            while !self.mirror().bars.is_tried() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let waited = self.handle.block_on(async { timeout(within, tried).await });
        match waited {
            Ok(()) => self.mirror().bars.missing.clone(),
            Err(_) => vec![format!("no answer within {} s", within.as_secs())],
        }
    }

    /// Of the contracts that are watched: how many have a quote, and how many there are.
    pub fn quoted(&self) -> (usize, usize) {
        let mirror = self.mirror();
        let watched = mirror.watched.values().flatten();
        let of = |conid| mirror.ticks.get(conid)?.received_at(SecurityKind::Option);
        let quoted = watched.clone().filter(|conid| of(*conid).is_some());
        (quoted.count(), watched.count())
    }

    /// The account's cash before the executions that the desk has not taken yet.
    pub fn cash_before_news(&self) -> Result<Usd, BrokerError> {
        let cash = self.account()?.cash;
        let mirror = self.mirror();
        let told = mirror.sealed.iter().filter_map(|event| match event {
            BrokerEvent::Execution(execution) => Some(execution.cash),
            BrokerEvent::Order(_) | BrokerEvent::Gap(_) => None,
        });
        Ok(cash - told.sum())
    }

    /// The date on which every option within reach was looked up, and how many there are.
    pub fn listed(&self) -> Option<Listed> {
        let mirror = self.mirror();
        let of = mirror.listing.options_of?;
        let options = mirror.listing.options.values().flatten();
        Some(Listed::of(of, self.horizon_days, options))
    }

    /// Closes the connection in good order; nothing can be asked afterwards.
    pub fn disconnect(&mut self) {
        self.commands = None;
        let (handle, bound) = (self.handle.clone(), self.bound);
        // A task that does not end in time is ended with this.
        let _ = handle.block_on(async { timeout(bound, self.owner.join_next()).await });
    }

    /// One line on the connection, for people.
    pub fn standing(&self) -> String {
        let mirror = self.mirror();
        match &mirror.standing {
            Standing::Starting(why) => why.clone(),
            Standing::Connected if mirror.listing.of.is_none() => {
                "connected, contracts are being described".to_owned()
            }
            Standing::Connected => "connected".to_owned(),
            Standing::Away(since, why) => format!("{why} (since {since})"),
        }
    }

    fn mirror(&self) -> MutexGuard<'_, Mirror> {
        // As in the link: each change is one message taken in.
        self.mirror.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn command<T>(
        &self,
        make: impl FnOnce(oneshot::Sender<Result<T, BrokerError>>) -> Command,
    ) -> Result<T, BrokerError> {
        let (answer, answered) = oneshot::channel();
        let silent = |why: &str| BrokerError::NoAnswer(why.to_owned());
        let commands = self.commands.as_ref().ok_or_else(|| silent("disconnected"))?;
        let sent = commands.try_send(make(answer));
        sent.map_err(|_| silent("the connection's task takes no commands"))?;
        match self.handle.block_on(async { timeout(self.bound, answered).await }) {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(silent("the connection was lost meanwhile")),
            Err(_) => Err(silent("the broker did not answer in time")),
        }
    }
}

impl Broker for IbBroker {
    fn margin_of(&self, order: &Proposed) -> Result<WhatIf, BrokerError> {
        self.command(|answer| Command::MarginOf(order.request.clone(), answer))
    }

    fn place(&mut self, order: Approved) -> Result<i64, BrokerError> {
        self.command(|answer| Command::Place(order.into_request(), answer))
    }

    fn reprice(&mut self, step: ApprovedStep) -> Result<(), BrokerError> {
        let (order_ref, limit) = (step.order_ref().clone(), step.limit());
        self.command(|answer| Command::Reprice(order_ref, limit, answer))
    }

    fn cancel(&mut self, order_ref: &OrderRef) -> Result<(), BrokerError> {
        self.command(|answer| Command::Cancel(order_ref.clone(), answer))
    }

    fn take_events(&mut self) -> Vec<BrokerEvent> {
        std::mem::take(&mut self.mirror().sealed)
    }

    fn open_orders(&self) -> Vec<OpenOrder> {
        self.mirror().book.open_orders()
    }

    fn positions(&self) -> Vec<BrokerPosition> {
        self.mirror().positions.clone()
    }

    fn account(&self) -> Result<AccountSnapshot, BrokerError> {
        let mirror = self.mirror();
        if mirror.standing != Standing::Connected {
            drop(mirror);
            return Err(BrokerError::NoAnswer(self.standing()));
        }
        let account = mirror.account.clone().ok_or_else(|| {
            BrokerError::NoAnswer("the broker gives no complete account".to_owned())
        })?;
        if self.clock.now() - account.at > READING_GOOD_FOR {
            return Err(BrokerError::NoAnswer(format!("last read at {}", account.at)));
        }
        Ok(account)
    }
}

impl Feed for IbBroker {
    /// The clock of a living market cannot be moved: what has come by now is taken in. Without a
    /// connection nothing has come, and whatever needs it says so. Quotes are kept as they stand
    /// then, so that all that is decided at one instant sees the same market.
    fn advance_to(&mut self, _at: Timestamp) -> Result<Timestamp, BrokerError> {
        match self.command(Command::Settle) {
            Ok(()) => self.describe_what_is_held(),
            Err(error) => tracing::debug!("not settled: {error}"),
        }
        // Through the field: the quotes that were seen are ours to change meanwhile.
        let mut mirror = self.mirror.lock().unwrap_or_else(PoisonError::into_inner);
        if self.seen.len() > mirror.ticks.len() {
            self.seen.retain(|conid, _| mirror.ticks.contains_key(conid));
        }
        for conid in std::mem::take(&mut mirror.ticked) {
            if let Some(ticks) = mirror.ticks.get(&conid) {
                self.seen.insert(conid, ticks.clone());
            }
        }
        drop(mirror);
        Ok(self.clock.now())
    }

    fn watch(&mut self, symbol: &Symbol, conids: &[ConId]) {
        self.mirror().watched.insert(symbol.clone(), conids.to_vec());
    }

    fn underlyings(&self) -> Vec<Instrument> {
        self.mirror().listing.underlyings.values().cloned().collect()
    }

    fn looked_up(&self, symbol: &Symbol) -> Vec<Arc<OptionContract>> {
        self.option_contracts(symbol)
    }

    fn option_contracts(&self, symbol: &Symbol) -> Vec<Arc<OptionContract>> {
        let now = self.clock.now();
        let mirror = self.mirror();
        let listed = mirror.listing.options.get(symbol).into_iter().flatten();
        listed.filter(|option| now < option.last_trade_at).cloned().collect()
    }

    fn futures(&self) -> Vec<Arc<FutureContract>> {
        let now = self.clock.now();
        let mirror = self.mirror();
        let listed = mirror.listing.futures.iter();
        listed.filter(|future| now < future.last_trade_at).cloned().collect()
    }

    fn contract(&self, conid: ConId) -> Option<Instrument> {
        self.mirror().listing.instruments.get(&conid).cloned()
    }

    fn option_quote(&self, conid: ConId) -> Option<Received<OptionQuote>> {
        let mirror = self.mirror();
        match mirror.listing.instruments.get(&conid)? {
            Instrument::Option(option) => self.seen.get(&conid)?.of_option(option),
            Instrument::Stock(_) | Instrument::Index(_) | Instrument::Future(_) => None,
        }
    }

    fn underlying_quote(&self, symbol: &Symbol) -> Option<Received<UnderlyingQuote>> {
        let mirror = self.mirror();
        match mirror.listing.underlyings.get(symbol)? {
            Instrument::Stock(stock) => self.seen.get(&stock.conid)?.of_stock(stock),
            Instrument::Index(index) => self.seen.get(&index.conid)?.of_index(index),
            Instrument::Option(_) | Instrument::Future(_) => None,
        }
    }

    fn future_quote(&self, conid: ConId) -> Option<Received<FutureQuote>> {
        let mirror = self.mirror();
        match mirror.listing.instruments.get(&conid)? {
            Instrument::Future(future) => self.seen.get(&conid)?.of_future(future),
            Instrument::Stock(_) | Instrument::Index(_) | Instrument::Option(_) => None,
        }
    }

    fn is_halted(&self, symbol: &Symbol) -> bool {
        let mirror = self.mirror();
        let under = mirror.listing.underlyings.get(symbol).map(Instrument::conid);
        under.and_then(|conid| self.seen.get(&conid)).is_some_and(Ticks::is_halted)
    }

    fn rates(&self) -> Vec<Rate> {
        self.reference.rates()
    }

    fn dividends(&self) -> Vec<Dividend> {
        self.reference.dividends()
    }

    fn events(&self) -> Vec<ScheduledEvent> {
        self.reference.events()
    }

    fn history(&self) -> Vec<Bar> {
        self.mirror().bars.of.values().cloned().collect()
    }

    fn daily_bar(&self, symbol: &Symbol, session: NaiveDate) -> Option<Bar> {
        self.mirror().bars.of.get(&(session, symbol.clone())).cloned()
    }

    fn take_rows(&mut self) -> Option<Vec<DeliveredQuote>> {
        None
    }

    fn description(&self) -> FeedDescription {
        self.reference.description()
    }
}

impl IbBroker {
    /// Contracts that are held and were not listed are asked for by their ids. One that the broker
    /// does not describe stays unknown, is asked for less and less often, and what needs it cannot
    /// be evaluated.
    fn describe_what_is_held(&self) {
        let unknown = self.mirror().to_describe();
        for conid in unknown {
            if let Err(error) = self.command(|answer| Command::Describe(conid, answer)) {
                tracing::warn!("contract {conid} is held or executed and unknown: {error}");
                self.mirror().not_described(conid);
            }
        }
    }
}
