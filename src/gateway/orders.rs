//! The gateway's book of what clients sent: whose order it is, and how far it has come.
//!
//! Invariants: a client's order ids only grow; an order keeps the permanent id that its client has
//! read, the exchange's or, where it was held back first, one of the gateway's own; each time that
//! an order goes to the exchange it goes under a reference that none has had; a combo's price is
//! signed for the order as the client wrote it, so that what a client reads is what it sent.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;
use serde::{Deserialize, Serialize};

use crate::exchange::{MarketSource, PRICE_MAX_USD, QUANTITY_MAX, RATIO_MAX};
use crate::market::Price;
use crate::structures::{OrderLeg, OrderRef, OrderRequest, OrderType, Purpose, Reject};

use super::closes::day_of;
use super::listing::find;
use super::terms::{Course, check_simulated};
use super::words::{WireContract, WireOrder, WireStatus};

/// The first permanent id of orders that the exchange did not have when their client first read of
/// them. The exchange counts up from 1,000,000,001 and would need 800 million orders to meet it.
const FIRST_OWN_PERM_ID: i64 = 1_800_000_001;

/// The id of an order that was placed by hand, before it is bound.
const UNBOUND: i32 = 0;

/// An order of a client.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ClientOrder {
    pub contract: WireContract,
    pub order: WireOrder,
    pub order_ref: OrderRef,
    /// As the exchange holds them: a change may not touch them.
    pub legs: Vec<OrderLeg>,
    pub stage: Stage,
    pub filled: i64,
    pub quantity: i64,
    /// Sum of combos filled times their price, in the exchange's sign.
    pub paid: Decimal,
    pub last_price: Decimal,
    /// 1, or -1 where the client sells: the exchange only buys, and turns price and legs round.
    pub sign: i64,
    pub ended_at: Option<crate::market::Timestamp>,
    #[serde(default)]
    pub course: Course,
    /// It was the first of its group, whose name was free.
    #[serde(default)]
    pub opens_group: bool,
}

/// How far an order has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// In this book only: the exchange does not have it, or not any more.
    Held,
    Pending,
    Submitted,
    Filled,
    Cancelled,
    Inactive,
}

impl Stage {
    /// What the client reads.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Held => "PreSubmitted",
            Self::Pending => "PendingSubmit",
            Self::Submitted => "Submitted",
            Self::Filled => "Filled",
            Self::Cancelled => "Cancelled",
            Self::Inactive => "Inactive",
        }
    }
}

impl ClientOrder {
    pub fn is_final(&self) -> bool {
        match self.stage {
            Stage::Filled | Stage::Cancelled | Stage::Inactive => true,
            Stage::Held | Stage::Pending | Stage::Submitted => false,
        }
    }

    /// What the client reads. `ApiPending` for an order that was not to be sent yet is an
    /// assumption: TWS tells of such orders only those who ask.
    pub fn status(&self) -> &'static str {
        match self.stage {
            Stage::Held if self.course.withheld => "ApiPending",
            Stage::Held if self.course.is_unsent() => Stage::Pending.as_str(),
            Stage::Pending | Stage::Submitted if self.course.cancelling => "PendingCancel",
            Stage::Held
            | Stage::Pending
            | Stage::Submitted
            | Stage::Filled
            | Stage::Cancelled
            | Stage::Inactive => self.stage.as_str(),
        }
    }

    /// The day on which it ended, in New York.
    pub fn ended_on(&self) -> Option<NaiveDate> {
        self.ended_at.map(day_of)
    }

    /// Whether it was placed by hand, bound or not.
    pub fn is_by_hand(&self) -> bool {
        self.order.order_id <= UNBOUND
    }

    pub fn is_withheld(&self) -> bool {
        self.stage == Stage::Held && self.course.withheld
    }

    /// Whether it goes back to the exchange in its next session.
    pub fn renews(&self) -> bool {
        matches!(self.order.time_in_force.as_str(), "GTC" | "GTD")
    }

    /// Whether what does not fill at once is to be taken back.
    pub fn is_immediate(&self) -> bool {
        self.order.time_in_force == "IOC"
    }

    /// Whether it waits for its parent.
    pub fn is_bound(&self) -> bool {
        self.stage == Stage::Held && self.order.parent_id != 0 && !self.course.freed
    }

    /// Whether it was placed by hand and belongs to no client yet.
    pub fn is_unbound(&self) -> bool {
        self.order.order_id == UNBOUND
    }

    /// Why it is held, in IB's words.
    fn why_held(&self) -> String {
        if self.stage != Stage::Held {
            return String::new();
        }
        let child = self.is_bound().then_some("child");
        let trigger = self.course.stop.map(|_| "trigger");
        child.into_iter().chain(trigger).collect::<Vec<_>>().join(",")
    }

    /// A price of the exchange as the client wrote its order.
    pub fn shown(&self, price: Decimal) -> f64 {
        (price * Decimal::from(self.sign)).to_f64().unwrap_or_default()
    }

    pub fn wire_status(&self) -> WireStatus {
        let average =
            if self.filled > 0 { self.shown(self.paid / Decimal::from(self.filled)) } else { 0.0 };
        WireStatus {
            order_id: self.order.order_id,
            status: self.status().to_owned(),
            filled: self.filled.into(),
            remaining: (self.quantity - self.filled).into(),
            average_price: average,
            perm_id: self.order.perm_id,
            parent_id: self.order.parent_id,
            last_price: self.shown(self.last_price),
            client_id: self.order.client_id,
            why_held: self.why_held(),
        }
    }
}

/// Every order of the last days, in the order of their coming.
#[derive(Debug, Default)]
pub struct Orders {
    all: Vec<ClientOrder>,
    by_ref: BTreeMap<OrderRef, usize>,
    by_id: BTreeMap<(i32, i32), usize>,
    /// Places of orders that had not ended when this was last looked through.
    live: BTreeSet<usize>,
    /// Highest order id of each client.
    highest: BTreeMap<i32, i32>,
    sent: u64,
    /// Permanent ids that the gateway has given.
    given: i64,
}

/// What is kept of the book; what is looked up by is made anew.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptOrders {
    all: Vec<ClientOrder>,
    highest: BTreeMap<i32, i32>,
    sent: u64,
    #[serde(default)]
    given: i64,
}

impl Orders {
    pub fn kept(&self) -> KeptOrders {
        KeptOrders {
            all: self.all.clone(),
            highest: self.highest.clone(),
            sent: self.sent,
            given: self.given,
        }
    }

    pub fn of_kept(kept: KeptOrders) -> Self {
        let (sent, given) = (kept.sent, kept.given);
        let mut orders = Self { highest: kept.highest, sent, given, ..Self::default() };
        for order in kept.all {
            orders.add(order);
        }
        orders
    }

    /// Without what had ended at an instant, except by hand: those ids count down from what is
    /// there.
    #[must_use]
    pub fn without_ended(&self, by: crate::market::Timestamp) -> Self {
        let mut kept = self.kept();
        kept.all.retain(|order| order.is_by_hand() || order.ended_at.is_none_or(|at| at > by));
        Self::of_kept(kept)
    }

    pub fn next_id(&self, client_id: i32) -> i32 {
        self.highest.get(&client_id).map_or(1, |highest| highest.saturating_add(1))
    }

    pub fn is_spent(&self, client_id: i32, order_id: i32) -> bool {
        order_id < self.next_id(client_id)
    }

    /// What a what-if uses up.
    pub fn spend(&mut self, client_id: i32, order_id: i32) {
        let highest = self.highest.entry(client_id).or_default();
        *highest = (*highest).max(order_id);
    }

    /// A reference for the exchange that no order has had.
    pub fn new_ref(&mut self) -> Result<OrderRef, Reject> {
        self.sent += 1;
        OrderRef::new(&format!("client{}", self.sent), Purpose::Open, 0)
            .map_err(|error| Reject { code: 320, reason: error.to_string() })
    }

    /// A permanent id that no order has had.
    pub fn new_perm_id(&mut self) -> i64 {
        self.given += 1;
        FIRST_OWN_PERM_ID + self.given - 1
    }

    pub fn add(&mut self, order: ClientOrder) {
        let place = self.all.len();
        let key = (order.order.client_id, order.order.order_id);
        self.spend(key.0, key.1);
        self.by_ref.insert(order.order_ref.clone(), place);
        if key.1 != UNBOUND {
            self.by_id.insert(key, place);
        }
        if !order.is_final() {
            self.live.insert(place);
        }
        self.all.push(order);
    }

    /// The places of orders by hand that work and are not bound.
    pub fn unbound(&mut self) -> Vec<usize> {
        let mut live = self.live();
        live.retain(|place| self.at(*place).is_some_and(ClientOrder::is_unbound));
        live
    }

    /// Gives an order by hand its id, one below the last; its permanent id and this one.
    pub fn bind(&mut self, place: usize) -> Option<(i64, i32)> {
        let bound = self.all.iter().map(|order| order.order.order_id).min().unwrap_or_default();
        let order = self.all.get_mut(place).filter(|order| order.is_unbound())?;
        order.order.order_id = bound.min(UNBOUND).checked_sub(1)?;
        let (client_id, order_id) = (order.order.client_id, order.order.order_id);
        self.by_id.insert((client_id, order_id), place);
        Some((order.order.perm_id, order_id))
    }

    /// Gives an order that may go to the exchange once more a new reference. What the exchange
    /// still says of the old one concerns nobody.
    pub fn rename(&mut self, place: usize) -> Result<(), Reject> {
        let order_ref = self.new_ref()?;
        if let Some(order) = self.all.get_mut(place) {
            self.by_ref.remove(&order.order_ref);
            order.order_ref = order_ref.clone();
            self.by_ref.insert(order_ref, place);
        }
        Ok(())
    }

    /// The place that the next order will have.
    pub fn next_place(&self) -> usize {
        self.all.len()
    }

    pub fn place_of(&self, client_id: i32, order_id: i32) -> Option<usize> {
        self.by_id.get(&(client_id, order_id)).copied()
    }

    pub fn place_of_ref(&self, order_ref: &OrderRef) -> Option<usize> {
        self.by_ref.get(order_ref).copied()
    }

    pub fn at(&self, place: usize) -> Option<&ClientOrder> {
        self.all.get(place)
    }

    pub fn at_mut(&mut self, place: usize) -> Option<&mut ClientOrder> {
        self.all.get_mut(place)
    }

    /// The places of the orders that have not ended, in the order of their coming.
    pub fn live(&mut self) -> Vec<usize> {
        let all = &self.all;
        self.live.retain(|place| all.get(*place).is_some_and(|order| !order.is_final()));
        self.live.iter().copied().collect()
    }

    /// Those that may not have ended.
    pub fn perhaps_live(&self) -> impl Iterator<Item = &ClientOrder> {
        self.live.iter().filter_map(|place| self.all.get(*place))
    }

    pub fn of_client(&mut self, client_id: i32, order_id: i32) -> Option<&mut ClientOrder> {
        let place = *self.by_id.get(&(client_id, order_id))?;
        self.all.get_mut(place)
    }

    pub fn of_ref(&mut self, order_ref: &OrderRef) -> Option<&mut ClientOrder> {
        let place = *self.by_ref.get(order_ref)?;
        self.all.get_mut(place)
    }

    pub fn working(&self) -> impl Iterator<Item = &ClientOrder> {
        self.all.iter().filter(|order| !order.is_final())
    }

    /// Orders that work on the same contract, or the same combo, on the same side.
    pub fn beside(&self, legs: &[OrderLeg]) -> usize {
        let counted = self.working().filter(|order| !order.is_withheld());
        counted.filter(|order| order.legs == legs).count()
    }

    /// Whether an order works on the other side of the same single contract. One that waits for
    /// its parent, as the ends of a bracket do, or for being sent does not count: an assumption.
    pub fn opposes(&self, leg: OrderLeg) -> bool {
        let mut counted = self.working().filter(|order| !order.is_withheld() && !order.is_bound());
        counted.any(|order| match order.legs.as_slice() {
            [other] => other.conid == leg.conid && (other.ratio > 0) != (leg.ratio > 0),
            _ => false,
        })
    }

    /// The orders of a group, since its name was last free.
    pub fn of_group(&self, name: &str) -> Vec<&ClientOrder> {
        let mut members = Vec::new();
        for order in self.all.iter().filter(|order| order.order.oca_group == name) {
            if order.opens_group {
                members.clear();
            }
            members.push(order);
        }
        members
    }

    /// Every order that there has been.
    #[cfg(test)]
    pub fn all(&self) -> impl Iterator<Item = &ClientOrder> {
        self.all.iter()
    }

    pub fn ended(&self) -> impl Iterator<Item = &ClientOrder> {
        self.all.iter().filter(|order| order.is_final())
    }
}

pub fn refuse<T>(code: i32, reason: impl Into<String>) -> Result<T, Reject> {
    Err(Reject { code, reason: reason.into() })
}

/// Which way the client trades: 1 buys, -1 sells.
pub fn sign_of(action: &str) -> Result<i64, Reject> {
    match action {
        "BUY" => Ok(1),
        "SELL" => Ok(-1),
        other => refuse(321, format!("Error validating request: invalid action `{other}`")),
    }
}

/// A client's order as the exchange takes it: it buys, and what the client sells is turned round.
pub fn request_of(
    source: &dyn MarketSource,
    contract: &WireContract,
    order: &WireOrder,
    order_ref: OrderRef,
) -> Result<OrderRequest, Reject> {
    let sign = sign_of(&order.action)?;
    check_simulated(order)?;
    let quantity = order.quantity.to_i64().filter(|whole| Decimal::from(*whole) == order.quantity);
    let Some(quantity) = quantity else {
        return refuse(
            10318,
            format!("This order doesn't support fractional quantity {}", order.quantity),
        );
    };
    if quantity < 1 {
        return refuse(434, "The order size cannot be zero");
    }
    check_bounds(order, quantity)?;
    let order_type = order_type_of(order, sign)?;
    let mut legs = legs_of(source, contract, sign)?;
    legs.sort();
    Ok(OrderRequest { order_ref, legs, quantity, order_type })
}

/// No number of an order is beyond what the exchange takes, whether it goes there now or later.
fn check_bounds(order: &WireOrder, quantity: i64) -> Result<(), Reject> {
    if quantity > QUANTITY_MAX {
        let said = format!("a quantity is at most {QUANTITY_MAX}, not {quantity}");
        return refuse(321, format!("Error validating request: {said}"));
    }
    let prices = [order.limit, order.aux, order.trail_stop, order.limit_offset];
    let within = |price: &f64| price.abs() <= PRICE_MAX_USD as f64;
    match prices.into_iter().flatten().find(|price| !within(price)) {
        Some(price) => {
            let said = format!("a price is at most {PRICE_MAX_USD} on either side, not {price}");
            refuse(321, format!("Error validating request: {said}"))
        }
        None => Ok(()),
    }
}

/// What an order is at the exchange, once it is there. A trailing stop limit order has no limit
/// before its stop is reached.
pub fn order_type_of(order: &WireOrder, sign: i64) -> Result<OrderType, Reject> {
    match (order.order_type.as_str(), order.limit) {
        ("MKT" | "STP" | "TRAIL" | "MIT", _) => Ok(OrderType::Market),
        ("LMT" | "STP LMT" | "TRAIL LIMIT" | "LIT", Some(limit)) => {
            match Price::from_f64(limit * sign as f64) {
                Some(limit) => Ok(OrderType::Limit(limit)),
                None => refuse(321, format!("Error validating request: limit price {limit}")),
            }
        }
        ("LMT" | "STP LMT" | "TRAIL LIMIT" | "LIT", None) => {
            refuse(321, "Error validating request: a limit order needs a price")
        }
        (other, _) => refuse(387, format!("Unsupported order type for this exchange: {other}")),
    }
}

pub(super) fn legs_of(
    source: &dyn MarketSource,
    contract: &WireContract,
    sign: i64,
) -> Result<Vec<OrderLeg>, Reject> {
    if contract.security_type != "BAG" {
        return match find(source, contract).as_slice() {
            [one] => Ok(vec![OrderLeg { conid: one.conid(), ratio: sign }]),
            [] => refuse(200, "No security definition has been found for the request"),
            many => {
                refuse(200, format!("The contract description is ambiguous: {} fit", many.len()))
            }
        };
    }
    if contract.symbol.is_empty() || contract.legs.is_empty() {
        return refuse(321, "Error validating request: a combo needs a symbol and legs");
    }
    if let Some(leg) = contract.legs.iter().find(|leg| i64::from(leg.ratio) > RATIO_MAX) {
        let said = format!("a leg's ratio is at most {RATIO_MAX}, not {}", leg.ratio);
        return refuse(321, format!("Error validating request: {said}"));
    }
    let legs = contract.legs.iter().map(|leg| {
        let ratio = sign * sign_of(&leg.action)? * i64::from(leg.ratio);
        let wanted = WireContract { con_id: leg.con_id, ..WireContract::default() };
        match find(source, &wanted).first() {
            Some(found) if leg.con_id > 0 && leg.ratio > 0 => {
                Ok(OrderLeg { conid: found.conid(), ratio })
            }
            Some(_) | None => refuse(200, format!("No security definition for leg {}", leg.con_id)),
        }
    });
    legs.collect()
}
