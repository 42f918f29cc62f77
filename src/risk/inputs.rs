//! What the gate reads beside the order: plain values, handed in. A missing value is `None` and
//! makes the checks that need it unevaluable; nothing here is ever guessed.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

use super::assignment::AssignedNotional;
use super::book::Book;
use super::limits::RiskLimits;
use super::scenario::ScenarioGrid;
use super::triggers::BreakerLevel;
use crate::market::{ConId, Price, Symbol, Timestamp, TwoSided, Usd};
use crate::structures::{OrderLeg, OrderRef, PriceSource, WhatIf};

/// Everything that a verdict depends on, beside the order itself.
#[derive(Debug, Clone, Copy)]
pub struct GateInputs<'a> {
    pub now: Timestamp,
    /// The session's date in New York.
    pub session_date: NaiveDate,
    pub limits: &'a RiskLimits,
    /// Of the market in which the order trades.
    pub session: SessionView,
    pub account: &'a AccountView,
    pub breaker: BreakerLevel,
    pub market: &'a MarketView,
    pub book: &'a Book,
    pub grid: &'a ScenarioGrid,
    /// The broker's answer for this very order, or why there is none, which is unevaluable where it
    /// is needed.
    pub what_if: Result<&'a WhatIf, &'a str>,
    pub activity: &'a Activity,
    /// Vega of the order's cluster (`vega`), USD a volatility point, long positive.
    pub cluster_vega: Option<f64>,
    /// What the desk needs before it may decide at all, and whether it is there.
    pub required: &'a [RequiredInput],
}

/// The trading session of the order's market.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SessionView {
    pub phase: SessionPhase,
    /// Minutes since the open, negative before it; `None` where the calendar has no session.
    pub minutes_since_open: Option<f64>,
    pub minutes_to_close: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionPhase {
    Open,
    Closed,
    Halted,
}

/// The account, as last read and within its age limit, else `None`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AccountView {
    pub net_liquidation: Option<Usd>,
    /// Setting: caps the equity that limits see.
    pub capital: Usd,
    pub cash: Option<Usd>,
    pub commodities_cash: Option<Usd>,
    pub excess_liquidity: Option<Usd>,
    pub look_ahead_excess_liquidity: Option<Usd>,
    /// What could be bought and held overnight.
    pub overnight_buying_power: Option<Usd>,
    /// Stock notional that assignment of the standing book would bring (`assignment`).
    pub assigned_notional: Option<AssignedNotional>,
    /// Realised and unrealised of the session, loss negative, flows excluded.
    pub profit_today: Option<Usd>,
    /// From the highest equity, as a fraction of it, never negative.
    pub drawdown_ratio: Option<f64>,
}

impl AccountView {
    /// min(net liquidation, capital), USD. `None` unless positive: no share of it means anything.
    pub fn equity(&self) -> Option<f64> {
        Some(self.net_liquidation?.min(self.capital).to_f64()).filter(|equity| *equity > 0.0)
    }

    /// Net liquidation to divide by, USD: `None` unless positive.
    pub fn liquidation_divisor(&self) -> Option<f64> {
        Some(self.net_liquidation?.to_f64()).filter(|usd| *usd > 0.0)
    }
}

/// Quotes and model inputs by contract, and prices of underlyings by symbol.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MarketView {
    pub legs: BTreeMap<ConId, LegMarket>,
    pub spots: BTreeMap<Symbol, Price>,
}

impl PriceSource for MarketView {
    fn spot(&self, symbol: &Symbol) -> Option<Price> {
        self.spots.get(symbol).copied()
    }

    fn mark(&self, conid: ConId) -> Option<Price> {
        self.legs.get(&conid)?.two_sided().map(TwoSided::mid)
    }
}

/// One contract's market.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LegMarket {
    pub bid: Option<Price>,
    pub ask: Option<Price>,
    pub received_at: Timestamp,
    /// Implied, fraction a year.
    pub vol: Option<f64>,
    /// A share.
    pub delta: Option<f64>,
    /// A share and volatility point.
    pub vega: Option<f64>,
    /// Continuous, fraction a year.
    pub rate: Option<f64>,
    pub dividend_yield: Option<f64>,
    /// Of the underlying, USD a share.
    pub spot: Option<f64>,
}

impl LegMarket {
    pub fn two_sided(&self) -> Option<TwoSided> {
        TwoSided::new(self.bid, self.ask)
    }

    pub fn mid(&self) -> Option<f64> {
        self.two_sided().map(|quote| quote.mid().to_f64())
    }
}

/// What was sent and opened lately.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Activity {
    /// Orders sent within the longest window of the limits, any order.
    pub recent: Vec<RecentOrder>,
    /// Every reference ever sent or denied.
    pub known_refs: BTreeSet<OrderRef>,
    /// Structures opened within the week of the limits, closed ones included.
    pub opened: Vec<Opened>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecentOrder {
    pub order_ref: OrderRef,
    pub strategy_id: String,
    pub legs: Vec<OrderLeg>,
    pub quantity: i64,
    pub sent_at: Timestamp,
    pub fate: Fate,
}

/// What has become of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It may still fill, as far as the desk knows.
    Works,
    /// Filled, in whole or in part, and over.
    Filled,
    /// Over without a fill.
    Ended,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    pub strategy_id: String,
    pub symbol: Symbol,
    /// The nearest expiry of its legs.
    pub expiry_date: Option<NaiveDate>,
    pub session_date: NaiveDate,
    pub max_loss: Usd,
}

/// An input that the desk cannot do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequiredInput {
    pub name: &'static str,
    pub presence: Presence,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    Present,
    Missing,
}
