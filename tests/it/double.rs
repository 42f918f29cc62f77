//! A broker that answers as a test tells it to.

#![cfg(test)]

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Duration, NaiveDate};
use deltadesk::broker::{
    Bar, Broker, BrokerError, BrokerEvent, DeliveredQuote, Dividend, Feed, FeedDescription, Rate,
    Received, ScheduledEvent,
};
use deltadesk::market::{
    ConId, ExerciseStyle, FutureContract, FutureQuote, Instrument, OptionContract, OptionQuote,
    OptionRight, Price, Settlement, StockContract, Symbol, Timestamp, UnderlyingQuote, Usd,
    VendorGreeks, occ_symbol,
};
use deltadesk::pricing::{Bsm, Right, bsm};
use deltadesk::risk::{Approved, ApprovedStep, Proposed};
use deltadesk::structures::{
    AccountSnapshot, BrokerPosition, BrokerStatus, Execution, ExecutionKind, OpenOrder, OrderEvent,
    OrderRef, OrderRequest, Reject, WhatIf,
};

pub const SPOT: f64 = 640.0;
pub const VOL: f64 = 0.20;
const EXPIRY_DAYS: i64 = 30;

pub fn monday() -> Timestamp {
    DateTime::from_timestamp(1_772_463_600, 0).unwrap()
}

pub fn price(value: f64) -> Price {
    Price::from_f64(value).unwrap()
}

pub fn usd(value: f64) -> Usd {
    Usd::from_f64(value).unwrap()
}

pub fn today() -> NaiveDate {
    monday().date_naive()
}

pub fn option(right: OptionRight, strike: f64) -> OptionContract {
    let symbol = Symbol::new("SPY");
    let expiry_date = today() + Duration::days(EXPIRY_DAYS);
    let occ = occ_symbol(&symbol, expiry_date, right, price(strike));
    let expires_at = expiry_date.and_hms_opt(20, 0, 0).unwrap().and_utc();
    OptionContract {
        conid: ConId::derived_from(&occ),
        occ_symbol: occ,
        symbol,
        expiry_date,
        strike: price(strike),
        right,
        style: ExerciseStyle::American,
        settlement: Settlement::Physical,
        multiplier: 100,
        min_tick: price(0.01),
        last_trade_at: expires_at,
        expires_at,
    }
}

/// What the options deliver.
pub fn stock() -> Instrument {
    Instrument::Stock(StockContract { conid: ConId(756_733), symbol: Symbol::new("SPY") })
}

/// A condor ten wide, sold: wings bought, shorts sold.
pub fn condor(put_short: f64, call_short: f64) -> Vec<(OptionContract, i64)> {
    vec![
        (option(OptionRight::Put, put_short - 10.0), 1),
        (option(OptionRight::Put, put_short), -1),
        (option(OptionRight::Call, call_short), -1),
        (option(OptionRight::Call, call_short + 10.0), 1),
    ]
}

/// What the broker does with an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Takes,
    /// Takes it, and the answer is lost.
    Silent,
    Refuses,
}

/// Whether the broker can be asked for the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    Answers,
    Away,
}

/// The broker.
pub struct Double {
    pub answer: Answer,
    /// Whether the account can be read.
    pub reading: Reading,
    pub placed: Vec<OrderRequest>,
    pub steps: Vec<(OrderRef, Price)>,
    pub open: Vec<OpenOrder>,
    pub events: Vec<BrokerEvent>,
    pub positions: BTreeMap<ConId, i64>,
    pub cash: Usd,
    pub contracts: BTreeMap<ConId, OptionContract>,
    /// Two cents around the model's value, unless a test says otherwise.
    pub quotes: BTreeMap<ConId, (Option<Price>, Option<Price>)>,
    fills: i64,
}

impl Double {
    pub fn new(contracts: Vec<OptionContract>) -> Self {
        let contracts: BTreeMap<ConId, OptionContract> =
            contracts.into_iter().map(|option| (option.conid, option)).collect();
        let cents = |value: f64| Some(price((value * 100.0).round() / 100.0));
        let quotes = contracts
            .iter()
            .map(|(conid, option)| {
                let mid = value(option).0;
                (*conid, (cents((mid - 0.02).max(0.01)), cents((mid + 0.02).max(0.02))))
            })
            .collect();
        Self {
            answer: Answer::Takes,
            reading: Reading::Answers,
            placed: Vec::new(),
            steps: Vec::new(),
            open: Vec::new(),
            events: Vec::new(),
            positions: BTreeMap::new(),
            cash: usd(250_000.0),
            contracts,
            quotes,
            fills: 0,
        }
    }

    /// Fills the order that was placed last, each leg at its mid, and tells of it.
    pub fn fill_last(&mut self) {
        let request = self.placed.last().unwrap().clone();
        let perm_id = self.placed.len() as i64;
        self.fills += 1;
        for (n, leg) in request.legs.iter().enumerate() {
            let (bid, ask) = self.quotes[&leg.conid];
            let quantity = leg.ratio * request.quantity;
            let each = bid.unwrap().midpoint(ask.unwrap());
            let commission = usd(0.65).times(quantity.abs());
            let cash = each.value(-quantity, 100) - commission;
            self.cash += cash;
            *self.positions.entry(leg.conid).or_default() += quantity;
            self.events.push(BrokerEvent::Execution(Execution {
                exec_id: format!("{}.{n}", self.fills),
                order_ref: Some(request.order_ref.clone()),
                perm_id: Some(perm_id),
                group_id: self.fills.to_string(),
                kind: ExecutionKind::Trade,
                conid: leg.conid,
                quantity,
                price: Some(each),
                multiplier: 100,
                commission,
                cash,
                at: monday(),
            }));
        }
        self.open.retain(|open| open.request.order_ref != request.order_ref);
        self.events.push(BrokerEvent::Order(OrderEvent {
            order_ref: request.order_ref.clone(),
            perm_id,
            status: BrokerStatus::Filled,
            filled: request.quantity,
            remaining: 0,
            limit: None,
            reason: String::new(),
            at: monday(),
        }));
    }
}

/// Price, delta and vega by the model.
pub fn value(option: &OptionContract) -> (f64, f64, f64) {
    let right = match option.right {
        OptionRight::Call => Right::Call,
        OptionRight::Put => Right::Put,
    };
    let value = bsm(&Bsm {
        right,
        spot: SPOT,
        strike: option.strike.to_f64(),
        years: (option.expires_at - monday()).num_seconds() as f64 / 31_536_000.0,
        rate: 0.04,
        dividend_yield: 0.012,
        vol: VOL,
    })
    .unwrap();
    (value.price, value.delta, value.vega)
}

impl Broker for Double {
    fn margin_of(&self, _order: &Proposed) -> Result<WhatIf, BrokerError> {
        Ok(WhatIf {
            initial_margin_before: Usd::ZERO,
            initial_margin_after: usd(4_000.0),
            maintenance_margin_after: usd(4_000.0),
            equity_with_loan_after: usd(250_000.0),
            excess_liquidity_after: usd(240_000.0),
            commission: usd(10.4),
        })
    }
    fn place(&mut self, order: Approved) -> Result<i64, BrokerError> {
        let request = order.into_request();
        if self.answer == Answer::Refuses {
            return Err(Reject { code: 201, reason: "not today".to_owned() }.into());
        }
        self.placed.push(request.clone());
        let perm_id = self.placed.len() as i64;
        self.open.push(OpenOrder { request, perm_id, filled: 0 });
        match self.answer {
            Answer::Silent => Err(BrokerError::NoAnswer("connection lost".to_owned())),
            Answer::Takes | Answer::Refuses => Ok(perm_id),
        }
    }
    fn reprice(&mut self, step: ApprovedStep) -> Result<(), BrokerError> {
        self.steps.push((step.order_ref().clone(), step.limit()));
        Ok(())
    }
    fn cancel(&mut self, _order_ref: &OrderRef) -> Result<(), BrokerError> {
        Ok(())
    }
    fn take_events(&mut self) -> Vec<BrokerEvent> {
        std::mem::take(&mut self.events)
    }
    fn open_orders(&self) -> Vec<OpenOrder> {
        self.open.clone()
    }
    fn positions(&self) -> Vec<BrokerPosition> {
        let held = self.positions.iter().filter(|(_, quantity)| **quantity != 0);
        held.map(|(conid, quantity)| BrokerPosition {
            conid: *conid,
            quantity: *quantity,
            average_cost: Usd::ZERO,
        })
        .collect()
    }
    fn account(&self) -> Result<AccountSnapshot, BrokerError> {
        if self.reading == Reading::Away {
            return Err(BrokerError::NoAnswer("connection lost".to_owned()));
        }
        Ok(AccountSnapshot {
            account_id: "DU1".to_owned(),
            net_liquidation: usd(250_000.0),
            cash: self.cash,
            commodities_cash: Usd::ZERO,
            initial_margin: Usd::ZERO,
            maintenance_margin: Usd::ZERO,
            excess_liquidity: usd(240_000.0),
            look_ahead_excess_liquidity: usd(240_000.0),
            buying_power: usd(480_000.0),
            at: monday(),
        })
    }
}

impl Feed for Double {
    fn looked_up(&self, _symbol: &Symbol) -> Vec<Arc<OptionContract>> {
        Vec::new()
    }

    fn advance_to(&mut self, at: Timestamp) -> Result<Timestamp, BrokerError> {
        Ok(at)
    }
    fn watch(&mut self, _symbol: &Symbol, _conids: &[ConId]) {}
    fn underlyings(&self) -> Vec<Instrument> {
        vec![stock()]
    }
    fn option_contracts(&self, _symbol: &Symbol) -> Vec<Arc<OptionContract>> {
        Vec::new()
    }
    fn futures(&self) -> Vec<Arc<FutureContract>> {
        Vec::new()
    }
    fn contract(&self, conid: ConId) -> Option<Instrument> {
        let option = self.contracts.get(&conid).cloned();
        option
            .map(|option| Instrument::Option(Arc::new(option)))
            .or_else(|| Some(stock()).filter(|stock| stock.conid() == conid))
    }
    fn option_quote(&self, conid: ConId) -> Option<Received<OptionQuote>> {
        let (bid, ask) = *self.quotes.get(&conid)?;
        let quote = OptionQuote {
            conid,
            bid,
            ask,
            last: None,
            bid_size: None,
            ask_size: None,
            volume: None,
            open_interest: None,
            vendor: VendorGreeks::default(),
            quoted_at: None,
        };
        Some(Received { quote, at: monday() })
    }
    fn underlying_quote(&self, _symbol: &Symbol) -> Option<Received<UnderlyingQuote>> {
        None
    }
    fn future_quote(&self, _conid: ConId) -> Option<Received<FutureQuote>> {
        None
    }
    fn is_halted(&self, _symbol: &Symbol) -> bool {
        false
    }
    fn rates(&self) -> Vec<Rate> {
        Vec::new()
    }
    fn dividends(&self) -> Vec<Dividend> {
        Vec::new()
    }
    fn events(&self) -> Vec<ScheduledEvent> {
        Vec::new()
    }
    fn history(&self) -> Vec<Bar> {
        Vec::new()
    }
    fn daily_bar(&self, _symbol: &Symbol, _session: NaiveDate) -> Option<Bar> {
        None
    }
    fn take_rows(&mut self) -> Option<Vec<DeliveredQuote>> {
        None
    }
    fn description(&self) -> FeedDescription {
        FeedDescription {
            name: "double".to_owned(),
            seed: None,
            variance_premium: None,
            futures_lead_seconds: None,
            notes: Vec::new(),
        }
    }
}
