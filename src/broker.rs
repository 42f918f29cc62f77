//! The broker and its data, as the desk sees them: four doors for orders, readings of the
//! account's truth, and the feed of quotes and reference data.
//!
//! `place` takes a [`crate::risk::Approved`] and `reprice` a [`crate::risk::ApprovedStep`], so that
//! an unchecked order or price does not compile, and neither does placing one approval twice. Both
//! end here: adapters hand a plain request on. This module decides nothing.

pub mod ib;
pub mod paper;
pub mod published;

use std::sync::Arc;

use chrono::NaiveDate;

use crate::market::{
    ConId, FutureContract, FutureQuote, Instrument, OptionContract, OptionQuote, Price, Symbol,
    Timestamp, UnderlyingQuote,
};
use crate::risk::{Approved, ApprovedStep, Proposed};
use crate::structures::{
    AccountSnapshot, BrokerPosition, Execution, OpenOrder, OrderEvent, OrderRef, Reject, WhatIf,
};

/// Why a broker call did not give an answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BrokerError {
    /// Nothing works and nothing was filled: do not send again unchanged.
    #[error(transparent)]
    Rejected(#[from] Reject),
    /// The broker cannot say: what needs the answer is unevaluable, and an order that was being
    /// sent may work or fill unseen.
    #[error("the broker gives no answer: {0}")]
    NoAnswer(String),
}

/// The account's side of the broker.
pub trait Broker {
    /// What the account would look like after the order. Cannot transmit.
    fn margin_of(&self, order: &Proposed) -> Result<WhatIf, BrokerError>;
    /// Sends the order; the broker's permanent id.
    fn place(&mut self, order: Approved) -> Result<i64, BrokerError>;
    /// Moves a working order to the price of an approved step.
    fn reprice(&mut self, step: ApprovedStep) -> Result<(), BrokerError>;
    fn cancel(&mut self, order_ref: &OrderRef) -> Result<(), BrokerError>;

    /// What happened since the last call, in order.
    fn take_events(&mut self) -> Vec<BrokerEvent>;
    fn open_orders(&self) -> Vec<OpenOrder>;
    fn positions(&self) -> Vec<BrokerPosition>;
    fn account(&self) -> Result<AccountSnapshot, BrokerError>;
}

/// News from the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BrokerEvent {
    Order(OrderEvent),
    Execution(Execution),
    /// A stream was not heard for a while.
    Gap(Gap),
}

/// What the broker's news come by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Orders, executions, the account and the quotes: nothing was heard. What happened meanwhile
    /// has been asked for since.
    All,
    /// Quotes alone; those of that time are lost.
    Quotes,
}

/// A time in which a stream was not heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    pub stream: Stream,
    pub from: Timestamp,
    pub until: Timestamp,
    pub reason: String,
}

/// A quote with the instant at which it reached the desk.
#[derive(Debug, Clone, PartialEq)]
pub struct Received<Q> {
    pub quote: Q,
    pub at: Timestamp,
}

/// The market data's side of the broker. Missing is `None` or an empty list, never a guess.
pub trait Feed {
    /// Takes in all that has happened up to an instant, and returns the instant reached: a
    /// simulated market is moved there, a living one is where it is.
    fn advance_to(&mut self, at: Timestamp) -> Result<Timestamp, BrokerError>;
    /// The options of a symbol whose quotes will be asked for from now on. A feed that has to
    /// subscribe takes turns through them.
    fn watch(&mut self, symbol: &Symbol, conids: &[ConId]);
    fn underlyings(&self) -> Vec<Instrument>;
    /// Options of a symbol that had to be looked up, asked for or not: worth keeping, so that they
    /// are not looked up again. Empty from a market that knows its contracts.
    fn looked_up(&self, symbol: &Symbol) -> Vec<Arc<OptionContract>>;
    fn option_contracts(&self, symbol: &Symbol) -> Vec<Arc<OptionContract>>;
    fn futures(&self) -> Vec<Arc<FutureContract>>;
    fn contract(&self, conid: ConId) -> Option<Instrument>;
    fn option_quote(&self, conid: ConId) -> Option<Received<OptionQuote>>;
    fn underlying_quote(&self, symbol: &Symbol) -> Option<Received<UnderlyingQuote>>;
    fn future_quote(&self, conid: ConId) -> Option<Received<FutureQuote>>;
    fn is_halted(&self, symbol: &Symbol) -> bool;
    fn rates(&self) -> Vec<Rate>;
    fn dividends(&self) -> Vec<Dividend>;
    fn events(&self) -> Vec<ScheduledEvent>;
    /// Daily bars of past sessions: those before a simulated market's first one, or all that a
    /// living one gives.
    fn history(&self) -> Vec<Bar>;
    /// The bar of a session, once its close is reached.
    fn daily_bar(&self, symbol: &Symbol, session: NaiveDate) -> Option<Bar>;
    /// Rows of a recorded chain delivered since the last call. `None` from a market that is asked
    /// for its quotes instead.
    fn take_rows(&mut self) -> Option<Vec<DeliveredQuote>>;
    /// What the header of each report says about the market.
    fn description(&self) -> FeedDescription;
}

/// A continuous risk-free rate to a date.
#[derive(Debug, Clone, PartialEq)]
pub struct Rate {
    pub maturity_date: NaiveDate,
    pub rate: f64,
    pub rate_error: Option<f64>,
    pub source: String,
    pub valid_through: NaiveDate,
}

/// A cash dividend a share.
#[derive(Debug, Clone, PartialEq)]
pub struct Dividend {
    pub symbol: Symbol,
    pub ex_date: NaiveDate,
    pub amount: Price,
    /// `declared` or `estimated`.
    pub certainty: &'static str,
    pub source: String,
    pub valid_through: NaiveDate,
}

/// A scheduled event that moves markets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduledEvent {
    pub event_name: String,
    pub event_at: Timestamp,
    pub source: String,
    pub valid_through: NaiveDate,
}

/// One session of one symbol.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    pub symbol: Symbol,
    pub session: NaiveDate,
    pub open: Option<Price>,
    pub high: Option<Price>,
    pub low: Option<Price>,
    pub close: Option<Price>,
    pub volume: Option<i64>,
    /// 30-day, fraction.
    pub implied_vol: Option<f64>,
    /// `raw`, or another word for what the prices are.
    pub price_basis: String,
    pub source: String,
}

/// One row of a recorded chain as it was delivered.
#[derive(Debug, Clone, PartialEq)]
pub struct DeliveredQuote {
    pub contract: Arc<OptionContract>,
    /// The right as the source codes it.
    pub right_text: String,
    pub quote: OptionQuote,
    pub received_at: Timestamp,
    /// The sweep that its stamp belongs to.
    pub sweep_id: String,
    /// Fields of the record that the quote's types cannot hold, as text.
    pub unrepresentable: Option<String>,
}

/// What a reader of a report must know of the market behind it.
#[derive(Debug, Clone, PartialEq)]
pub struct FeedDescription {
    pub name: String,
    /// Of a synthetic market.
    pub seed: Option<u64>,
    pub variance_premium: Option<f64>,
    pub futures_lead_seconds: Option<f64>,
    pub notes: Vec<String>,
}
