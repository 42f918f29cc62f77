//! What a record answers to the questions of the exchange and of feeds.

use std::sync::Arc;

use chrono::{NaiveDate, TimeDelta};
use chrono_tz::America::New_York;

use crate::market::sessions::Venue;
use crate::market::{
    ConId, FutureContract, FutureQuote, Instrument, OptionContract, OptionQuote, Price, Settlement,
    Symbol, Timestamp, UnderlyingQuote,
};

use super::super::source::{
    DailyBar, DeliveredRow, DividendRow, EventRow, MarketDescription, MarketSource, PastQuote,
    PastSpan, RateRow, SettlementValue,
};
use super::{RecordedMarket, Step};

impl RecordedMarket {
    fn underlying(&self, conid: ConId) -> Option<&Instrument> {
        self.underlyings.values().find(|underlying| underlying.conid() == conid)
    }
}

impl MarketSource for RecordedMarket {
    fn description(&self) -> &MarketDescription {
        &self.description
    }

    fn now(&self) -> Timestamp {
        self.now
    }

    fn advance_to(&mut self, at: Timestamp) {
        while let Some(step) = self.next_step(at) {
            match step {
                Step::Row => {
                    let Some(row) = self.rows.get(self.next_row).cloned() else { break };
                    // Rows of the grid instant itself belong to the next measurement.
                    self.measure_to(row.received_at - TimeDelta::microseconds(1));
                    self.now = self.now.max(row.received_at);
                    self.next_row += 1;
                    self.deliver(&row);
                }
                Step::Close(close, session) => {
                    self.closes.remove(&close);
                    self.now = self.now.max(close);
                    self.measure_to(close - TimeDelta::microseconds(1));
                    self.close(close, session);
                }
            }
        }
        self.now = self.now.max(at);
        self.measure_to(self.now - TimeDelta::microseconds(1));
    }

    fn over_at(&self) -> Option<Timestamp> {
        Some(self.over_at)
    }

    fn underlyings(&self) -> Vec<Instrument> {
        self.underlyings.values().cloned().collect()
    }

    fn option_contracts(&self, symbol: &Symbol) -> Vec<Arc<OptionContract>> {
        let mut listed: Vec<_> = self
            .contracts
            .values()
            .filter(|contract| contract.symbol == *symbol && self.now < contract.last_trade_at)
            .cloned()
            .collect();
        listed.sort_by_key(|contract| (contract.expiry_date, contract.strike, contract.right));
        listed
    }

    fn futures(&self) -> Vec<Arc<FutureContract>> {
        Vec::new()
    }

    fn contract(&self, conid: ConId) -> Option<Instrument> {
        let option = self.contracts.get(&conid).cloned().map(Instrument::Option);
        option.or_else(|| self.underlying(conid).cloned())
    }

    fn is_open(&self, conid: ConId) -> bool {
        match self.contract(conid) {
            Some(Instrument::Option(option)) => {
                let venue = match option.settlement {
                    Settlement::Physical => Venue::EtfOptions,
                    Settlement::Cash => Venue::CboeIndexOptions,
                };
                self.now < option.last_trade_at && self.trades(venue)
            }
            Some(Instrument::Stock(_)) => self.trades(Venue::Xnys),
            Some(Instrument::Index(_)) => self.trades(Venue::CboeIndexOptions),
            Some(Instrument::Future(_)) | None => false,
        }
    }

    fn is_halted(&self, _symbol: &Symbol) -> bool {
        false
    }

    fn option_quote(&self, conid: ConId) -> Option<OptionQuote> {
        let standing = self.standing.get(&conid)?;
        self.is_open(conid).then(|| standing.quote.clone())
    }

    fn underlying_quote(&self, _symbol: &Symbol) -> Option<UnderlyingQuote> {
        None
    }

    fn future_quote(&self, _conid: ConId) -> Option<FutureQuote> {
        None
    }

    fn quote_received_at(&self, conid: ConId) -> Option<Timestamp> {
        self.standing.get(&conid).map(|standing| standing.received_at)
    }

    /// The parity spot of an ETF; nothing for options.
    fn fair_value(&self, conid: ConId) -> Option<f64> {
        let underlying = self.underlying(conid)?;
        self.spot(underlying.symbol(), self.now).map(Price::to_f64)
    }

    fn settlement(&self, conid: ConId) -> Option<SettlementValue> {
        let contract = self.contracts.get(&conid)?;
        let key = (contract.symbol.clone(), contract.expiry_date);
        let price = *self.stock_closes.get(&key)?;
        Some(SettlementValue { price, at: contract.expires_at })
    }

    fn official_mark(&self, conid: ConId, session: NaiveDate) -> Option<Price> {
        if let Some(mark) = self.option_closes.get(&(conid, session)) {
            return Some(*mark);
        }
        let underlying = self.underlying(conid)?;
        self.stock_closes.get(&(underlying.symbol().clone(), session)).copied()
    }

    fn stress(&self, _symbol: &Symbol) -> f64 {
        0.0
    }

    fn rates(&self) -> Vec<RateRow> {
        let today = self.now.with_timezone(&New_York).date_naive();
        self.rates
            .iter()
            .filter(|(maturity, measured)| **maturity > today && measured.valid_through >= today)
            .filter_map(|(maturity, measured)| {
                let found = measured.rate()?;
                Some(RateRow {
                    maturity_date: *maturity,
                    rate: found.rate,
                    rate_error: Some(found.rate_error),
                    source: "box",
                    valid_through: measured.valid_through,
                })
            })
            .collect()
    }

    fn dividends(&self) -> Vec<DividendRow> {
        self.dividends.clone()
    }

    fn events(&self) -> Vec<EventRow> {
        Vec::new()
    }

    fn history(&self) -> Vec<DailyBar> {
        let first = self.description.first_session;
        self.bars.iter().filter(|bar| bar.session < first).cloned().collect()
    }

    fn daily_bar(&self, symbol: &Symbol, session: NaiveDate) -> Option<DailyBar> {
        let closed = self.calendar.session(Venue::Xnys, session).ok().flatten()?.close <= self.now;
        let found = self.bars.iter().find(|bar| bar.symbol == *symbol && bar.session == session);
        found.filter(|_| closed).cloned()
    }

    fn past_quotes(&self, _: ConId, _: &PastSpan) -> Vec<PastQuote> {
        Vec::new()
    }

    fn take_rows(&mut self) -> Option<Vec<DeliveredRow>> {
        let rows = self.rows.get(self.next_taken..self.next_row).unwrap_or_default();
        let taken = rows
            .iter()
            .map(|row| DeliveredRow {
                contract: Arc::clone(&row.contract),
                right_text: row.right_text.clone(),
                quote: row.quote.clone(),
                received_at: row.received_at,
                sweep_id: row.sweep_id.clone(),
                unrepresentable: row.unrepresentable.clone(),
            })
            .collect();
        self.next_taken = self.next_row;
        Some(taken)
    }
}
