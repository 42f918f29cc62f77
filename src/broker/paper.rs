//! The paper broker: straight over the simulated exchange, in process.
//!
//! It adds nothing to what the exchange answers; its only work is to turn an approval into the
//! plain order that the exchange takes.

use std::sync::Arc;

use chrono::NaiveDate;

use crate::exchange::{Exchange, ExchangeError, ExchangeEvent};
use crate::market::{
    ConId, FutureContract, FutureQuote, Instrument, OptionContract, OptionQuote, Symbol, Timestamp,
    UnderlyingQuote,
};
use crate::risk::{Approved, ApprovedStep, Proposed};
use crate::structures::{AccountSnapshot, BrokerPosition, OpenOrder, OrderRef, OrderType, WhatIf};

use super::{
    Bar, Broker, BrokerError, BrokerEvent, DeliveredQuote, Dividend, Feed, FeedDescription, Rate,
    ScheduledEvent,
};

/// An account at the simulated exchange.
pub struct PaperBroker {
    exchange: Exchange,
}

impl PaperBroker {
    pub fn new(exchange: Exchange) -> Self {
        Self { exchange }
    }

    /// Moves the market on. Time goes forward only.
    pub fn advance_to(&mut self, at: Timestamp) -> Result<(), ExchangeError> {
        self.exchange.advance_to(at)
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
    fn underlyings(&self) -> Vec<Instrument> {
        self.exchange.source().underlyings()
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

    fn option_quote(&self, conid: ConId) -> Option<OptionQuote> {
        self.exchange.source().option_quote(conid)
    }

    fn underlying_quote(&self, symbol: &Symbol) -> Option<UnderlyingQuote> {
        self.exchange.source().underlying_quote(symbol)
    }

    fn future_quote(&self, conid: ConId) -> Option<FutureQuote> {
        self.exchange.source().future_quote(conid)
    }

    fn is_halted(&self, symbol: &Symbol) -> bool {
        self.exchange.source().is_halted(symbol)
    }

    fn rates(&self) -> Vec<Rate> {
        let rows = self.exchange.source().rates().into_iter();
        rows.map(|row| Rate {
            maturity_date: row.maturity_date,
            rate: row.rate,
            rate_error: row.rate_error,
            source: row.source.to_owned(),
            valid_through: row.valid_through,
        })
        .collect()
    }

    fn dividends(&self) -> Vec<Dividend> {
        let rows = self.exchange.source().dividends().into_iter();
        rows.map(|row| Dividend {
            symbol: row.symbol,
            ex_date: row.ex_date,
            amount: row.amount,
            certainty: row.certainty.as_str(),
            source: row.source.to_owned(),
            valid_through: row.valid_through,
        })
        .collect()
    }

    fn events(&self) -> Vec<ScheduledEvent> {
        let rows = self.exchange.source().events().into_iter();
        rows.map(|row| ScheduledEvent {
            event_name: row.event_name,
            event_at: row.event_at,
            source: row.source.to_owned(),
            valid_through: row.valid_through,
        })
        .collect()
    }

    fn history(&self) -> Vec<Bar> {
        let name = &self.exchange.source().description().name;
        self.exchange.source().history().into_iter().map(|bar| bar_of(bar, name)).collect()
    }

    fn daily_bar(&self, symbol: &Symbol, session: NaiveDate) -> Option<Bar> {
        let name = &self.exchange.source().description().name;
        self.exchange.source().daily_bar(symbol, session).map(|bar| bar_of(bar, name))
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
        let market = self.exchange.source().description();
        FeedDescription {
            name: market.name.clone(),
            seed: market.seed,
            variance_premium: market.variance_premium,
            futures_lead_seconds: market.futures_lead_seconds,
            notes: market.notes.clone(),
        }
    }
}

fn bar_of(bar: crate::exchange::DailyBar, source: &str) -> Bar {
    Bar {
        symbol: bar.symbol,
        session: bar.session,
        open: Some(bar.open),
        high: Some(bar.high),
        low: Some(bar.low),
        close: Some(bar.close),
        volume: bar.volume,
        implied_vol: bar.implied_vol,
        price_basis: bar.basis.as_str().to_owned(),
        source: source.to_owned(),
    }
}
