//! The gateway's book of what clients sent: whose order it is, and how far it has come.
//!
//! Invariants: a client's order ids only grow; an order keeps its permanent id from the exchange;
//! a combo's price is signed for the order as the client wrote it, so that what a client reads is
//! what it sent.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;
use serde::{Deserialize, Serialize};

use crate::exchange::MarketSource;
use crate::market::Price;
use crate::structures::{OrderLeg, OrderRef, OrderRequest, OrderType, Purpose, Reject};

use super::listing::find;
use super::words::{WireContract, WireOrder, WireStatus};

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
}

/// How far an order has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
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
            Stage::Pending | Stage::Submitted => false,
        }
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
            status: self.stage.as_str().to_owned(),
            filled: self.filled.into(),
            remaining: (self.quantity - self.filled).into(),
            average_price: average,
            perm_id: self.order.perm_id,
            parent_id: self.order.parent_id,
            last_price: self.shown(self.last_price),
            client_id: self.order.client_id,
            why_held: String::new(),
        }
    }
}

/// Every order since the gateway began, in the order of their coming.
#[derive(Debug, Default)]
pub struct Orders {
    all: Vec<ClientOrder>,
    by_ref: BTreeMap<OrderRef, usize>,
    by_id: BTreeMap<(i32, i32), usize>,
    /// Highest order id of each client.
    highest: BTreeMap<i32, i32>,
    sent: u64,
}

/// What is kept of the book; what is looked up by is made anew.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptOrders {
    all: Vec<ClientOrder>,
    highest: BTreeMap<i32, i32>,
    sent: u64,
}

impl Orders {
    pub fn kept(&self) -> KeptOrders {
        KeptOrders { all: self.all.clone(), highest: self.highest.clone(), sent: self.sent }
    }

    pub fn of_kept(kept: KeptOrders) -> Self {
        let mut orders = Self { highest: kept.highest, sent: kept.sent, ..Self::default() };
        for order in kept.all {
            orders.add(order);
        }
        orders
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

    pub fn add(&mut self, order: ClientOrder) {
        let place = self.all.len();
        let key = (order.order.client_id, order.order.order_id);
        self.spend(key.0, key.1);
        self.by_ref.insert(order.order_ref.clone(), place);
        self.by_id.insert(key, place);
        self.all.push(order);
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
        self.working().filter(|order| order.legs == legs).count()
    }

    /// Whether an order works on the other side of the same single contract.
    pub fn opposes(&self, leg: OrderLeg) -> bool {
        self.working().any(|order| match order.legs.as_slice() {
            [other] => other.conid == leg.conid && (other.ratio > 0) != (leg.ratio > 0),
            _ => false,
        })
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
    check_supported(order)?;
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
    let order_type = match (order.order_type.as_str(), order.limit) {
        ("MKT", _) => OrderType::Market,
        ("LMT", Some(limit)) => match Price::from_f64(limit * sign as f64) {
            Some(limit) => OrderType::Limit(limit),
            None => return refuse(321, format!("Error validating request: limit price {limit}")),
        },
        ("LMT", None) => {
            return refuse(321, "Error validating request: a limit order needs a price");
        }
        (other, _) => {
            return refuse(387, format!("Unsupported order type for this exchange: {other}"));
        }
    };
    let mut legs = legs_of(source, contract, sign)?;
    legs.sort();
    Ok(OrderRequest { order_ref, legs, quantity, order_type })
}

fn check_supported(order: &WireOrder) -> Result<(), Reject> {
    if !matches!(order.time_in_force.as_str(), "" | "DAY") {
        let reason = format!("time in force {} is not simulated, only DAY", order.time_in_force);
        return refuse(201, format!("Order rejected - reason:{reason}"));
    }
    if order.conditions > 0 {
        return refuse(201, "Order rejected - reason:conditions are not simulated");
    }
    if order.parent_id != 0 || !order.oca_group.is_empty() || !order.transmit {
        let reason = "brackets, OCA groups and orders held back are not simulated";
        return refuse(201, format!("Order rejected - reason:{reason}"));
    }
    Ok(())
}

fn legs_of(
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
