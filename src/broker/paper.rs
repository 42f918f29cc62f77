//! The paper broker: straight over the simulated exchange, in process.
//!
//! It adds nothing to what the exchange answers; its only work is to turn an approval into the
//! plain order that the exchange takes.

use std::sync::Arc;

use chrono::NaiveDate;

use crate::exchange::{Exchange, ExchangeEvent};
use crate::market::{
    ConId, FutureContract, FutureQuote, Instrument, OptionContract, OptionQuote, Symbol, Timestamp,
    UnderlyingQuote,
};
use crate::risk::{Approved, ApprovedStep, Proposed};
use crate::structures::{AccountSnapshot, BrokerPosition, OpenOrder, OrderRef, OrderType, WhatIf};

use super::published;
use super::{
    Bar, Broker, BrokerError, BrokerEvent, DeliveredQuote, Dividend, Feed, FeedDescription, Rate,
    Received, ScheduledEvent,
};

/// An account at the simulated exchange.
pub struct PaperBroker {
    exchange: Exchange,
}

impl PaperBroker {
    pub fn new(exchange: Exchange) -> Self {
        Self { exchange }
    }

    /// What is asked of the exchange in process is received when it is asked.
    fn received<Q>(&self, quote: Q) -> Received<Q> {
        Received { quote, at: self.exchange.source().now() }
    }
}

impl Broker for PaperBroker {
    fn margin_of(&self, order: &Proposed) -> Result<WhatIf, BrokerError> {
        Ok(self.exchange.what_if(&order.request)?)
    }

    fn place(&mut self, order: Approved) -> Result<i64, BrokerError> {
        Ok(self.exchange.submit(order.into_request())?)
    }

    fn reprice(&mut self, step: ApprovedStep) -> Result<(), BrokerError> {
        Ok(self.exchange.amend(step.order_ref(), OrderType::Limit(step.limit()))?)
    }

    fn cancel(&mut self, order_ref: &OrderRef) -> Result<(), BrokerError> {
        Ok(self.exchange.cancel(order_ref)?)
    }

    fn take_events(&mut self) -> Vec<BrokerEvent> {
        let events = self.exchange.take_events().into_iter();
        events
            .map(|event| match event {
                ExchangeEvent::Order(event) => BrokerEvent::Order(event),
                ExchangeEvent::Execution(execution) => BrokerEvent::Execution(execution),
            })
            .collect()
    }

    fn open_orders(&self) -> Vec<OpenOrder> {
        self.exchange.open_orders()
    }

    fn positions(&self) -> Vec<BrokerPosition> {
        self.exchange.positions()
    }

    fn account(&self) -> Result<AccountSnapshot, BrokerError> {
        self.exchange.account().map_err(|error| BrokerError::NoAnswer(error.to_string()))
    }
}

impl Feed for PaperBroker {
    fn advance_to(&mut self, at: Timestamp) -> Result<Timestamp, BrokerError> {
        let moved = self.exchange.advance_to(at);
        moved.map_err(|error| BrokerError::NoAnswer(error.to_string()))?;
        Ok(at)
    }

    fn watch(&mut self, _symbol: &Symbol, _conids: &[ConId]) {}

    fn underlyings(&self) -> Vec<Instrument> {
        self.exchange.source().underlyings()
    }

    fn looked_up(&self, _symbol: &Symbol) -> Vec<Arc<OptionContract>> {
        Vec::new()
    }

    fn option_contracts(&self, symbol: &Symbol) -> Vec<Arc<OptionContract>> {
        self.exchange.source().option_contracts(symbol)
    }

    fn futures(&self) -> Vec<Arc<FutureContract>> {
        self.exchange.source().futures()
    }

    fn contract(&self, conid: ConId) -> Option<Instrument> {
        self.exchange.source().contract(conid)
    }

    fn option_quote(&self, conid: ConId) -> Option<Received<OptionQuote>> {
        self.exchange.source().option_quote(conid).map(|quote| self.received(quote))
    }

    fn underlying_quote(&self, symbol: &Symbol) -> Option<Received<UnderlyingQuote>> {
        self.exchange.source().underlying_quote(symbol).map(|quote| self.received(quote))
    }

    fn future_quote(&self, conid: ConId) -> Option<Received<FutureQuote>> {
        self.exchange.source().future_quote(conid).map(|quote| self.received(quote))
    }

    fn is_halted(&self, symbol: &Symbol) -> bool {
        self.exchange.source().is_halted(symbol)
    }

    fn rates(&self) -> Vec<Rate> {
        published::rates(self.exchange.source())
    }

    fn dividends(&self) -> Vec<Dividend> {
        published::dividends(self.exchange.source())
    }

    fn events(&self) -> Vec<ScheduledEvent> {
        published::events(self.exchange.source())
    }

    fn history(&self) -> Vec<Bar> {
        published::history(self.exchange.source())
    }

    fn daily_bar(&self, symbol: &Symbol, session: NaiveDate) -> Option<Bar> {
        published::daily_bar(self.exchange.source(), symbol, session)
    }

    fn take_rows(&mut self) -> Option<Vec<DeliveredQuote>> {
        let rows = self.exchange.take_rows()?.into_iter();
        let delivered = rows.map(|row| DeliveredQuote {
            contract: row.contract,
            right_text: row.right_text,
            quote: row.quote,
            received_at: row.received_at,
            sweep_id: row.sweep_id,
            unrepresentable: row.unrepresentable,
        });
        Some(delivered.collect())
    }

    fn description(&self) -> FeedDescription {
        published::description(self.exchange.source())
    }
}
