//! The exchange and the paper account behind one door: time, orders, fills, settlement.
//!
//! Invariants: time moves only by [`Exchange::advance_to`]; the same source, configuration and
//! calls give the same events; an order never fills on a quote received before it was submitted
//! plus the latency; all legs of a combo fill together, in ratio, under one group id; every change
//! of cash or of a position is an execution in the event queue, in order; an account short of its
//! maintenance requirement is liquidated (`liquidation`).
//!
//! It deliberately does not: hold orders past their session, accept orders outside it, pay
//! interest, or know why an order was sent.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use chrono::NaiveDate;

use crate::market::sessions::{Calendar, CalendarError};
use crate::market::{ConId, Instrument, Price, Symbol, Timestamp, Usd};
use crate::structures::{BrokerPosition, Execution, OpenOrder, OrderEvent};

use super::account::{Account, MarkedPosition};
use super::book::Book;
use super::config::ExchangeConfig;
use super::draws::Draws;
use super::liquidation::Deficit;
use super::matching::{QuoteTrace, TakenSize};
use super::settlement::PendingSettlement;
use super::source::{DeliveredRow, MarketSource};
use super::timetable::{Moment, Timetable};
use super::view;

/// What the exchange reports, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExchangeEvent {
    Order(OrderEvent),
    Execution(Execution),
}

/// The exchange cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExchangeError {
    #[error("the exchange has no calendar for this instant: {0}")]
    Calendar(#[from] CalendarError),
}

/// The simulated exchange with one account.
pub struct Exchange {
    pub(super) source: Box<dyn MarketSource>,
    pub(super) config: ExchangeConfig,
    pub(super) now: Timestamp,
    pub(super) timetable: Timetable,
    pub(super) draws: Draws,
    pub(super) account: Account,
    pub(super) book: Book,
    pub(super) traces: BTreeMap<ConId, QuoteTrace>,
    pub(super) taken: BTreeMap<ConId, TakenSize>,
    /// Last good price of each underlying that a position or an order needed.
    pub(super) spots: BTreeMap<Symbol, Price>,
    pub(super) pending: Vec<PendingSettlement>,
    /// The last session of the stock exchange that has closed, since the start.
    pub(super) closed_session: Option<NaiveDate>,
    /// The session of each future's last variation.
    pub(super) varied: BTreeMap<ConId, NaiveDate>,
    pub(super) deficit: Deficit,
    /// The legs of the newest fill of an order, until it is broken.
    pub(super) last_trade: Vec<Execution>,
    /// Combos that a fill may have at most.
    pub(super) combos_a_fill: Option<i64>,
    pub(super) events: VecDeque<ExchangeEvent>,
    /// What the executions among the events have realised, by their names.
    pub(super) realised: BTreeMap<String, Usd>,
}

impl Exchange {
    /// An exchange whose market stands where the source stands, with an account in cash.
    pub fn new(
        source: Box<dyn MarketSource>,
        config: ExchangeConfig,
        calendar: Arc<Calendar>,
    ) -> Result<Self, ExchangeError> {
        let now = source.now();
        Ok(Self {
            timetable: Timetable::starting_at(calendar, now, config.report_before_open)?,
            draws: Draws::new(config.seed),
            account: Account::new(config.initial_cash, config.initial_commodities_cash),
            book: Book::default(),
            traces: BTreeMap::new(),
            taken: BTreeMap::new(),
            spots: BTreeMap::new(),
            pending: Vec::new(),
            closed_session: None,
            varied: BTreeMap::new(),
            deficit: Deficit::default(),
            last_trade: Vec::new(),
            combos_a_fill: None,
            events: VecDeque::new(),
            realised: BTreeMap::new(),
            source,
            config,
            now,
        })
    }

    /// The instant reached.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Moves the market and everything that rests on it. An instant that is not later changes
    /// nothing. While orders work, or the account is short of margin, the market moves in steps of
    /// the configured grid. Positions are marked at `at`, where they trade, and officially at each
    /// close.
    pub fn advance_to(&mut self, at: Timestamp) -> Result<(), ExchangeError> {
        while self.now < at {
            let mut next = at.min(self.timetable.next()?.at);
            if let Some(effect) = self.book.next_effect(self.now) {
                next = next.min(effect);
            }
            if self.book.working().next().is_some() || self.deficit.since.is_some() {
                next = next.min(view::next_on_grid(self.now, self.config.step));
            }
            self.source.advance_to(next);
            self.now = next;
            self.tick()?;
            if self.now == at || self.deficit.since.is_some() {
                self.refresh_marks();
                self.watch_margin()?;
            }
        }
        Ok(())
    }

    /// Everything that is due at the instant just reached.
    fn tick(&mut self) -> Result<(), ExchangeError> {
        while let Some(due) = self.timetable.take_due(self.now)? {
            match due.moment {
                Moment::Report => self.report(due.session),
                Moment::Open => {}
                Moment::Close => {
                    self.mark_officially(due.session.session_date);
                    self.closed_session = Some(due.session.session_date);
                }
                Moment::OptionsClose => self.allot(due.session)?,
            }
        }
        self.settle_in_cash();
        self.apply_changes();
        self.end_sessions();
        self.match_orders();
        Ok(())
    }

    /// Marks of held positions and prices of their underlyings, where the market has them.
    fn refresh_marks(&mut self) {
        for (conid, instrument) in self.held() {
            self.refresh_mark(conid, &instrument);
        }
    }

    /// Official marks of a session that has just closed, where the market has them.
    fn mark_officially(&mut self, session: NaiveDate) {
        for (conid, instrument) in self.held() {
            if let Some(mark) = self.source.official_mark(conid, session) {
                self.account.set_mark(conid, mark, self.now);
            }
            self.refresh_spot(instrument.symbol());
        }
    }

    fn held(&self) -> Vec<(ConId, Instrument)> {
        self.account.marked().map(|(id, position)| (id, position.instrument.clone())).collect()
    }

    /// The mark of one position and the price of its underlying.
    pub(super) fn refresh_mark(&mut self, conid: ConId, instrument: &Instrument) {
        if let Some(price) = view::mark(&*self.source, instrument) {
            self.account.set_mark(conid, price, self.now);
        }
        self.refresh_spot(instrument.symbol());
    }

    /// Keeps the last good price of an underlying.
    pub(super) fn refresh_spot(&mut self, symbol: &Symbol) {
        let spot = view::underlying(&*self.source, symbol)
            .and_then(|instrument| view::mark(&*self.source, &instrument));
        if let Some(spot) = spot {
            self.spots.insert(symbol.clone(), spot);
        }
    }

    /// Books an execution and reports it.
    pub(super) fn book_execution(&mut self, execution: Execution, instrument: &Instrument) {
        if let Some(realised) = self.account.apply(&execution, instrument) {
            self.realised.insert(execution.exec_id.clone(), realised);
        }
        self.events.push_back(ExchangeEvent::Execution(execution));
    }

    pub(super) fn report_order(&mut self, event: OrderEvent) {
        self.events.push_back(ExchangeEvent::Order(event));
    }

    /// What has happened since the last call, in order.
    pub fn take_events(&mut self) -> Vec<ExchangeEvent> {
        self.realised.clear();
        self.events.drain(..).collect()
    }

    /// What the executions have realised that [`Exchange::take_events`] would give now, by their
    /// names: those that close something, by average cost, commissions taken off.
    pub fn take_realised(&mut self) -> BTreeMap<String, Usd> {
        std::mem::take(&mut self.realised)
    }

    /// The rows of a recorded chain delivered since the last call.
    pub fn take_rows(&mut self) -> Option<Vec<DeliveredRow>> {
        self.source.take_rows()
    }

    /// The last session of the stock exchange that has closed since the exchange began.
    pub fn closed_session(&self) -> Option<NaiveDate> {
        self.closed_session
    }

    /// When its venues trade.
    pub fn calendar(&self) -> &Calendar {
        self.timetable.calendar()
    }

    /// The market, for feeds.
    pub fn source(&self) -> &dyn MarketSource {
        &*self.source
    }

    /// The settings, for the header of reports.
    pub fn config(&self) -> &ExchangeConfig {
        &self.config
    }

    /// Whether the instrument's market is in its session and not halted.
    pub fn market_open(&self, conid: ConId) -> bool {
        self.source.contract(conid).is_some_and(|instrument| {
            self.source.is_open(conid) && !self.source.is_halted(instrument.symbol())
        })
    }

    /// The orders that work, by permanent id.
    pub fn open_orders(&self) -> Vec<OpenOrder> {
        self.book.open_orders()
    }

    /// Open positions, by contract id.
    pub fn positions(&self) -> Vec<BrokerPosition> {
        self.account.broker_positions()
    }

    /// Open positions with their marks and where the marks come from, by contract id.
    pub fn marked_positions(&self) -> impl Iterator<Item = (ConId, &MarkedPosition)> {
        self.account.marked().filter(|(_, position)| position.quantity != 0)
    }
}
