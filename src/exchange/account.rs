//! The account: cash of both segments, positions at cost, marks. Moved by executions only.
//!
//! Invariants: cash = initial cash + the sum of the executions' cash; a position = the sum of its
//! executions' quantities; every open position has a mark, at worst the price at which it was
//! booked, and says whether the mark stands or is the last good one.
//!
//! Deliberately absent: interest on cash, borrow fees, settlement dates, tax lots, and the sweep of
//! cash between the segments.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::market::{ConId, Instrument, Price, SecurityKind, Timestamp, Usd};
use crate::structures::{BrokerPosition, Execution, ExecutionKind};

/// Where a mark comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MarkQuality {
    /// Mid of a two-sided quote, or the official mark, at that instant.
    Quoted,
    /// Nothing was quoted since the position was booked: its own price of then.
    Booked,
}

/// A price to value a position by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// USD per share or index points.
    pub price: Price,
    pub at: Timestamp,
    pub quality: MarkQuality,
}

/// A position and what it is worth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarkedPosition {
    pub instrument: Instrument,
    /// Contracts or shares, long positive.
    pub quantity: i64,
    /// Signed cost of what is open: commissions added to longs, taken from shorts' proceeds.
    pub cost: Usd,
    pub mark: Mark,
    /// Futures: price x quantity of what was traded since the last variation, less what the
    /// position was worth then; 0 for everything else. Index points x contracts.
    variation_base: Decimal,
}

impl MarkedPosition {
    /// USD a contract, commissions included.
    fn average_cost(&self) -> Usd {
        Usd::new(self.cost.decimal() / Decimal::from(self.quantity.max(1).max(-self.quantity)))
            .abs()
    }

    /// Market value; for futures the variation not yet booked.
    pub fn value(&self) -> Usd {
        match self.instrument.kind() {
            SecurityKind::Future => self.open_variation(self.mark.price),
            SecurityKind::Stock | SecurityKind::Index | SecurityKind::Option => {
                self.mark.price.value(self.quantity, self.instrument.multiplier())
            }
        }
    }

    /// Variation since the last booking if the future stood at `price`.
    pub fn open_variation(&self, price: Price) -> Usd {
        let points = price.decimal() * Decimal::from(self.quantity) - self.variation_base;
        Usd::new(points * Decimal::from(self.instrument.multiplier()))
    }

    /// Changes the position. What the part that it closes has realised, commissions taken off.
    fn trade(&mut self, execution: &Execution, price: Price) -> Option<Usd> {
        let before = self.quantity;
        let realised = self.realises(execution, price);
        let after = before + execution.quantity;
        let price_cost = price.value(execution.quantity, execution.multiplier);
        let same_side = before.signum() * execution.quantity.signum() >= 0;
        self.cost = if same_side {
            self.cost + price_cost + execution.commission
        } else if before.signum() * after.signum() >= 0 {
            let share = Decimal::from(after) / Decimal::from(before);
            Usd::new(self.cost.decimal() * share)
        } else {
            let fee_share = Decimal::from(after) / Decimal::from(execution.quantity);
            price.value(after, execution.multiplier)
                + Usd::new(execution.commission.decimal() * fee_share)
        };
        self.quantity = after;
        if self.instrument.kind() == SecurityKind::Future {
            self.variation_base += price.decimal() * Decimal::from(execution.quantity);
        }
        if before == 0 {
            self.mark = Mark { price, at: execution.at, quality: MarkQuality::Booked };
        }
        realised
    }

    fn realises(&self, execution: &Execution, price: Price) -> Option<Usd> {
        let traded = execution.quantity;
        if self.quantity.signum() * traded.signum() >= 0 {
            return None;
        }
        let closed = traded.abs().min(self.quantity.abs()) * traded.signum();
        let share = |whole: Usd, of: i64| {
            Usd::new(whole.decimal() * Decimal::from(closed) / Decimal::from(of))
        };
        let proceeds = -price.value(closed, execution.multiplier);
        // The cost's share has the sign of what closes: it is negative already.
        Some(proceeds - share(execution.commission, traded) + share(self.cost, self.quantity))
    }
}

/// Cash and positions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Account {
    /// Both segments together.
    pub cash: Usd,
    /// The part in the commodities segment.
    pub commodities_cash: Usd,
    positions: BTreeMap<ConId, MarkedPosition>,
}

impl Account {
    pub fn new(cash: Usd, commodities_cash: Usd) -> Self {
        Self { cash, commodities_cash, positions: BTreeMap::new() }
    }

    /// Books an execution of `instrument`. What it has realised, where it closes something.
    pub fn apply(&mut self, execution: &Execution, instrument: &Instrument) -> Option<Usd> {
        self.cash += execution.cash;
        if instrument.kind() == SecurityKind::Future {
            self.commodities_cash += execution.cash;
        }
        let Some(price) = execution.price else {
            self.book_variation(execution);
            return None;
        };
        let conid = execution.conid;
        let position = self.positions.entry(conid).or_insert_with(|| MarkedPosition {
            instrument: instrument.clone(),
            quantity: 0,
            cost: Usd::ZERO,
            mark: Mark { price, at: execution.at, quality: MarkQuality::Booked },
            variation_base: Decimal::ZERO,
        });
        let realised = position.trade(execution, price);
        if position.quantity == 0 && position.variation_base.is_zero() {
            self.positions.remove(&conid);
        }
        realised
    }

    /// After a variation the base is what makes it nil at the price just booked: the cash, in
    /// points, moves into the base.
    fn book_variation(&mut self, execution: &Execution) {
        if execution.kind != ExecutionKind::Variation {
            return;
        }
        if let Some(position) = self.positions.get_mut(&execution.conid) {
            position.variation_base +=
                execution.cash.decimal() / Decimal::from(execution.multiplier);
            if position.quantity == 0 && position.variation_base.is_zero() {
                self.positions.remove(&execution.conid);
            }
        }
    }

    /// Covers a negative commodities balance from the securities segment.
    pub fn cover_commodities(&mut self) {
        self.commodities_cash = self.commodities_cash.max(Usd::ZERO);
    }

    /// Open positions, and futures that are flat with a variation still to be booked.
    pub fn marked(&self) -> impl Iterator<Item = (ConId, &MarkedPosition)> {
        self.positions.iter().map(|(conid, position)| (*conid, position))
    }

    pub fn quantity(&self, conid: ConId) -> i64 {
        self.positions.get(&conid).map_or(0, |position| position.quantity)
    }

    pub fn set_mark(&mut self, conid: ConId, price: Price, at: Timestamp) {
        if let Some(position) = self.positions.get_mut(&conid) {
            position.mark = Mark { price, at, quality: MarkQuality::Quoted };
        }
    }

    pub fn broker_positions(&self) -> Vec<BrokerPosition> {
        self.positions
            .iter()
            .filter(|(_, position)| position.quantity != 0)
            .map(|(conid, position)| BrokerPosition {
                conid: *conid,
                quantity: position.quantity,
                average_cost: position.average_cost(),
            })
            .collect()
    }

    /// Value of the positions of some kinds.
    pub fn value_of(&self, kinds: &[SecurityKind]) -> Usd {
        self.positions
            .values()
            .filter(|position| kinds.contains(&position.instrument.kind()))
            .map(MarkedPosition::value)
            .sum()
    }
}

/// Cash of a movement at a price: what is bought costs, and the commission always does. A future
/// moves no cash but its commission.
pub(super) fn cash_of(
    instrument: &Instrument,
    quantity: i64,
    price: Price,
    commission: Usd,
) -> Usd {
    match instrument.kind() {
        SecurityKind::Future => -commission,
        SecurityKind::Stock | SecurityKind::Index | SecurityKind::Option => {
            -price.value(quantity, instrument.multiplier()) - commission
        }
    }
}
