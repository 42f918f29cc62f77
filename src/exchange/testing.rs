//! A market of scripted quotes, for the tests of the exchange.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex};

use chrono::{NaiveDate, TimeDelta};

use crate::market::sessions::Calendar;
use crate::market::{
    ConId, FutureContract, FutureQuote, Instrument, OptionContract, OptionQuote, Price, Symbol,
    Timestamp, UnderlyingQuote, VendorGreeks,
};
use crate::structures::testing::{instrument, price, stock};
use crate::structures::{
    Execution, OrderEvent, OrderLeg, OrderRef, OrderRequest, OrderType, Purpose,
};

use super::source::{
    Certainty, DailyBar, DeliveredRow, DividendRow, EventRow, MarketDescription, MarketSource,
    PastQuote, PastSpan, RateRow, SettlementValue,
};
use super::{Exchange, ExchangeConfig, ExchangeEvent};

/// A scripted quote: bid, ask, size of each side. 0 is missing.
#[derive(Debug, Clone, Copy)]
pub struct Scripted {
    pub at: Timestamp,
    pub bid: f64,
    pub ask: f64,
    pub size: i64,
}

/// What a test may change while the exchange runs.
#[derive(Default)]
pub struct Script {
    pub contracts: BTreeMap<ConId, Instrument>,
    pub quotes: BTreeMap<ConId, Vec<Scripted>>,
    pub settlements: BTreeMap<ConId, Price>,
    pub marks: BTreeMap<(ConId, NaiveDate), Price>,
    pub dividends: Vec<DividendRow>,
    pub rates: Vec<RateRow>,
    pub halted: bool,
    pub open: Option<(Timestamp, Timestamp)>,
}

/// Computed once for all tests.
static CALENDAR: LazyLock<Arc<Calendar>> = LazyLock::new(|| Arc::new(Calendar::shipped().unwrap()));

/// The script, shared with the test.
pub type Shared = Arc<Mutex<Script>>;

/// Plays a script.
pub struct FixedMarket {
    pub script: Shared,
    description: MarketDescription,
    now: Timestamp,
}

impl FixedMarket {
    pub fn new(script: Shared, now: Timestamp) -> Self {
        let description = MarketDescription {
            name: "fixed".to_owned(),
            seed: None,
            first_session: now.date_naive(),
            variance_premium: None,
            futures_lead_seconds: None,
            notes: Vec::new(),
        };
        Self { script, description, now }
    }

    fn standing(&self, conid: ConId) -> Option<Scripted> {
        let script = self.script.lock().unwrap();
        if script.halted || !is_open(&script, self.now) {
            return None;
        }
        let quotes = script.quotes.get(&conid)?;
        quotes.iter().rev().find(|quote| quote.at <= self.now).copied()
    }

    fn instruments(&self) -> Vec<Instrument> {
        self.script.lock().unwrap().contracts.values().cloned().collect()
    }
}

fn is_open(script: &Script, now: Timestamp) -> bool {
    script.open.is_none_or(|(open, close)| open <= now && now < close)
}

fn side(value: f64) -> Option<Price> {
    (value > 0.0).then(|| price(value))
}

impl MarketSource for FixedMarket {
    fn description(&self) -> &MarketDescription {
        &self.description
    }
    fn now(&self) -> Timestamp {
        self.now
    }
    fn advance_to(&mut self, at: Timestamp) {
        self.now = self.now.max(at);
    }
    fn underlyings(&self) -> Vec<Instrument> {
        let is_stock =
            |one: &Instrument| matches!(one, Instrument::Stock(_) | Instrument::Index(_));
        self.instruments().into_iter().filter(is_stock).collect()
    }
    fn option_contracts(&self, _symbol: &Symbol) -> Vec<Arc<OptionContract>> {
        Vec::new()
    }
    fn futures(&self) -> Vec<Arc<FutureContract>> {
        Vec::new()
    }
    fn contract(&self, conid: ConId) -> Option<Instrument> {
        self.script.lock().unwrap().contracts.get(&conid).cloned()
    }
    fn is_open(&self, conid: ConId) -> bool {
        let trades = match self.contract(conid) {
            Some(Instrument::Option(option)) => self.now < option.last_trade_at,
            Some(Instrument::Future(future)) => self.now < future.last_trade_at,
            Some(Instrument::Stock(_) | Instrument::Index(_)) => true,
            None => false,
        };
        trades && is_open(&self.script.lock().unwrap(), self.now)
    }
    fn is_halted(&self, _symbol: &Symbol) -> bool {
        self.script.lock().unwrap().halted
    }
    fn option_quote(&self, conid: ConId) -> Option<OptionQuote> {
        let quote = self.standing(conid)?;
        Some(OptionQuote {
            conid,
            bid: side(quote.bid),
            ask: side(quote.ask),
            last: None,
            bid_size: Some(quote.size),
            ask_size: Some(quote.size),
            volume: None,
            open_interest: None,
            vendor: VendorGreeks::default(),
            quoted_at: None,
        })
    }
    fn underlying_quote(&self, symbol: &Symbol) -> Option<UnderlyingQuote> {
        let found = self.underlyings().into_iter().find(|one| one.symbol() == symbol)?;
        let quote = self.standing(found.conid())?;
        Some(UnderlyingQuote {
            conid: found.conid(),
            symbol: symbol.clone(),
            bid: side(quote.bid),
            ask: side(quote.ask),
            last: None,
            bid_size: Some(quote.size),
            ask_size: Some(quote.size),
            quoted_at: None,
        })
    }
    fn future_quote(&self, conid: ConId) -> Option<FutureQuote> {
        let quote = self.standing(conid)?;
        let Some(Instrument::Future(future)) = self.contract(conid) else { return None };
        Some(FutureQuote {
            conid,
            symbol: future.symbol.clone(),
            expiry_date: future.expiry_date,
            bid: side(quote.bid),
            ask: side(quote.ask),
            last: None,
            bid_size: Some(quote.size),
            ask_size: Some(quote.size),
            volume: None,
            quoted_at: None,
        })
    }
    fn quote_received_at(&self, conid: ConId) -> Option<Timestamp> {
        self.standing(conid).map(|quote| quote.at)
    }
    fn fair_value(&self, _conid: ConId) -> Option<f64> {
        None
    }
    fn settlement(&self, conid: ConId) -> Option<SettlementValue> {
        let expires_at = match self.contract(conid)? {
            Instrument::Option(option) => option.expires_at,
            Instrument::Future(future) => future.last_trade_at,
            Instrument::Stock(_) | Instrument::Index(_) => return None,
        };
        let value = self.script.lock().unwrap().settlements.get(&conid).copied()?;
        (self.now >= expires_at).then_some(SettlementValue { price: value, at: expires_at })
    }
    fn official_mark(&self, conid: ConId, session: NaiveDate) -> Option<Price> {
        self.script.lock().unwrap().marks.get(&(conid, session)).copied()
    }
    fn stress(&self, _symbol: &Symbol) -> f64 {
        0.0
    }
    fn rates(&self) -> Vec<RateRow> {
        self.script.lock().unwrap().rates.clone()
    }
    fn dividends(&self) -> Vec<DividendRow> {
        self.script.lock().unwrap().dividends.clone()
    }
    fn events(&self) -> Vec<EventRow> {
        Vec::new()
    }
    fn history(&self) -> Vec<DailyBar> {
        Vec::new()
    }
    fn daily_bar(&self, _symbol: &Symbol, _session: NaiveDate) -> Option<DailyBar> {
        None
    }
    fn past_quotes(&self, _: ConId, _: &PastSpan) -> Vec<PastQuote> {
        Vec::new()
    }

    fn take_rows(&mut self) -> Option<Vec<DeliveredRow>> {
        None
    }
}

/// An exchange on a script, and the script.
pub struct Bench {
    pub script: Shared,
    pub exchange: Exchange,
    orders: u32,
}

impl Bench {
    /// Starts at `now` with SPY quoted at 639.99 x 640.01.
    pub fn at(now: Timestamp, seed: u64) -> Self {
        Self::with(now, ExchangeConfig::shipped(seed))
    }

    pub fn with(now: Timestamp, config: ExchangeConfig) -> Self {
        let script = Shared::default();
        let source = Box::new(FixedMarket::new(Arc::clone(&script), now));
        let exchange = Exchange::new(source, config, Arc::clone(&CALENDAR)).unwrap();
        let mut bench = Self { script, exchange, orders: 0 };
        bench.list(&stock("SPY"));
        bench.quote(stock("SPY").conid(), (639.99, 640.01), 1_000);
        bench
    }

    pub fn list(&mut self, one: &Instrument) -> ConId {
        self.script.lock().unwrap().contracts.insert(one.conid(), one.clone());
        one.conid()
    }

    /// Lists an option and quotes it.
    pub fn option(&mut self, contract: &OptionContract, sides: (f64, f64), size: i64) -> ConId {
        let conid = self.list(&instrument(contract));
        self.quote(conid, sides, size);
        conid
    }

    /// A quote of this instant.
    pub fn quote(&mut self, conid: ConId, sides: (f64, f64), size: i64) {
        let quote = Scripted { at: self.exchange.now(), bid: sides.0, ask: sides.1, size };
        self.script.lock().unwrap().quotes.entry(conid).or_default().push(quote);
    }

    /// Everything quoted is quoted again, unchanged, a minute later, and the market moves there.
    pub fn minute(&mut self) {
        let at = self.exchange.now() + TimeDelta::minutes(1);
        for quotes in self.script.lock().unwrap().quotes.values_mut() {
            let last = *quotes.last().unwrap();
            quotes.push(Scripted { at, ..last });
        }
        self.exchange.advance_to(at).unwrap();
    }

    /// New sides for a contract a minute later; everything else unchanged.
    pub fn minute_with(&mut self, changed: &[(ConId, (f64, f64))]) {
        let at = self.exchange.now() + TimeDelta::minutes(1);
        for (conid, quotes) in &mut self.script.lock().unwrap().quotes {
            let last = *quotes.last().unwrap();
            let new = changed.iter().find(|(id, _)| id == conid).map(|(_, sides)| *sides);
            let (bid, ask) = new.unwrap_or((last.bid, last.ask));
            quotes.push(Scripted { at, bid, ask, ..last });
        }
        self.exchange.advance_to(at).unwrap();
    }

    pub fn request(
        &mut self,
        legs: &[(ConId, i64)],
        quantity: i64,
        order_type: OrderType,
    ) -> OrderRequest {
        self.orders += 1;
        let mut legs: Vec<OrderLeg> =
            legs.iter().map(|(conid, ratio)| OrderLeg { conid: *conid, ratio: *ratio }).collect();
        legs.sort_unstable();
        let order_ref = OrderRef::new("test", Purpose::Open, self.orders).unwrap();
        OrderRequest { order_ref, legs, quantity, order_type }
    }

    /// Submits an order that must be accepted.
    pub fn submit(&mut self, legs: &[(ConId, i64)], quantity: i64, limit: f64) -> OrderRequest {
        let request = self.request(legs, quantity, OrderType::Limit(price(limit)));
        self.exchange.submit(request.clone()).unwrap();
        request
    }

    /// Buys or sells at the market and waits until it is done.
    pub fn trade(&mut self, legs: &[(ConId, i64)], quantity: i64) {
        let request = self.request(legs, quantity, OrderType::Market);
        self.exchange.submit(request).unwrap();
        self.minute();
        assert!(self.exchange.open_orders().is_empty(), "the market order is done");
    }

    pub fn executions(&mut self) -> Vec<Execution> {
        self.events().1
    }

    pub fn events(&mut self) -> (Vec<OrderEvent>, Vec<Execution>) {
        let (mut orders, mut executions) = (Vec::new(), Vec::new());
        for event in self.exchange.take_events() {
            match event {
                ExchangeEvent::Order(order) => orders.push(order),
                ExchangeEvent::Execution(execution) => executions.push(execution),
            }
        }
        (orders, executions)
    }
}

/// A declared dividend of SPY.
pub fn dividend(ex_date: NaiveDate, amount: f64) -> DividendRow {
    DividendRow {
        symbol: Symbol::new("SPY"),
        ex_date,
        amount: price(amount),
        certainty: Certainty::Declared,
        source: "test",
        valid_through: ex_date,
    }
}

/// A published rate.
pub fn rate(maturity_date: NaiveDate, rate: f64) -> RateRow {
    RateRow { maturity_date, rate, rate_error: None, source: "test", valid_through: maturity_date }
}
