//! The words of orders, shared by the desk, the brokers and the simulated exchange.
//!
//! One encoding of combos everywhere: the action is BUY, the legs are as they are to be traded
//! (positive ratio bought, negative sold), and the limit is signed: a credit is negative. Every
//! order is a DAY order.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

use crate::market::{ConId, Price, Timestamp, Usd};

/// Longest order reference that the broker keeps.
pub const ORDER_REF_LENGTH_MAX: usize = 40;

/// What an order is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Purpose {
    Open,
    Close,
    Roll,
    Repair,
    Hedge,
}

impl Purpose {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Close => "close",
            Self::Roll => "roll",
            Self::Repair => "repair",
            Self::Hedge => "hedge",
        }
    }
}

impl FromStr for Purpose {
    type Err = InvalidOrderRef;

    fn from_str(text: &str) -> Result<Self, InvalidOrderRef> {
        match text {
            "open" => Ok(Self::Open),
            "close" => Ok(Self::Close),
            "roll" => Ok(Self::Roll),
            "repair" => Ok(Self::Repair),
            "hedge" => Ok(Self::Hedge),
            other => Err(InvalidOrderRef(other.to_owned())),
        }
    }
}

/// `<decision_id>.<purpose>.<n>`: derived from what the order means, so that the same decision
/// acted on twice yields the same reference. `n` counts re-decisions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OrderRef {
    text: String,
    purpose: Purpose,
}

/// The text does not have the form of an order reference.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "`{0}` is not an order reference of the form <decision>.<purpose>.<n> of at most 40 characters"
)]
pub struct InvalidOrderRef(pub String);

impl OrderRef {
    pub fn new(decision_id: &str, purpose: Purpose, n: u32) -> Result<Self, InvalidOrderRef> {
        let text = format!("{decision_id}.{}.{n}", purpose.as_str());
        let sound = !decision_id.is_empty()
            && text.len() <= ORDER_REF_LENGTH_MAX
            && decision_id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if sound { Ok(Self { text, purpose }) } else { Err(InvalidOrderRef(text)) }
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn purpose(&self) -> Purpose {
        self.purpose
    }
}

impl From<OrderRef> for String {
    fn from(order_ref: OrderRef) -> Self {
        order_ref.text
    }
}

impl TryFrom<String> for OrderRef {
    type Error = InvalidOrderRef;

    fn try_from(text: String) -> Result<Self, InvalidOrderRef> {
        text.parse()
    }
}

impl fmt::Display for OrderRef {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

impl FromStr for OrderRef {
    type Err = InvalidOrderRef;

    fn from_str(text: &str) -> Result<Self, InvalidOrderRef> {
        let bad = || InvalidOrderRef(text.to_owned());
        let mut parts = text.split('.');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(decision), Some(purpose), Some(n), None) => {
                Self::new(decision, purpose.parse()?, n.parse().map_err(|_| bad())?)
            }
            _ => Err(bad()),
        }
    }
}

/// One leg as it is to be traded, per combo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OrderLeg {
    pub conid: ConId,
    /// Positive is bought, negative sold; never 0.
    pub ratio: i64,
}

/// How the price is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OrderType {
    /// Worst acceptable net price per share, credit negative.
    Limit(Price),
    Market,
}

impl OrderType {
    pub fn limit(self) -> Option<Price> {
        match self {
            Self::Limit(price) => Some(price),
            Self::Market => None,
        }
    }
}

/// A plain order: BUY `quantity` combos of `legs`, DAY, guaranteed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderRequest {
    pub order_ref: OrderRef,
    /// One leg for a single instrument, up to four for a combo; sorted by contract id.
    pub legs: Vec<OrderLeg>,
    /// Combos; at least 1.
    pub quantity: i64,
    pub order_type: OrderType,
}

/// What the broker says an order's status is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BrokerStatus {
    Working,
    Filled,
    Cancelled,
    Rejected,
}

impl BrokerStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Working => "working",
            Self::Filled => "filled",
            Self::Cancelled => "cancelled",
            Self::Rejected => "rejected",
        }
    }
}

/// The desk's own state of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OrderState {
    Proposed,
    Denied,
    Approved,
    Sent,
    Working,
    Filled,
    Cancelled,
    Rejected,
    Unknown,
}

impl OrderState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::Denied => "denied",
            Self::Approved => "approved",
            Self::Sent => "sent",
            Self::Working => "working",
            Self::Filled => "filled",
            Self::Cancelled => "cancelled",
            Self::Rejected => "rejected",
            Self::Unknown => "unknown",
        }
    }

    /// Nothing more will come of it.
    pub fn is_final(self) -> bool {
        match self {
            Self::Denied | Self::Filled | Self::Cancelled | Self::Rejected => true,
            Self::Proposed | Self::Approved | Self::Sent | Self::Working | Self::Unknown => false,
        }
    }
}

/// A change of an order's status, as the broker reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderEvent {
    pub order_ref: OrderRef,
    pub perm_id: i64,
    pub status: BrokerStatus,
    /// Combos.
    pub filled: i64,
    pub remaining: i64,
    pub limit: Option<Price>,
    /// Empty unless cancelled or rejected.
    pub reason: String,
    pub at: Timestamp,
}

/// What moved a position or cash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ExecutionKind {
    Trade,
    /// A trade was broken or corrected: what it moved goes back, as a movement of its own.
    Correction,
    /// The broker closed a position by force.
    Liquidation,
    /// A short option was assigned; the stock comes as a `Delivery` of the same group.
    Assignment,
    Exercise,
    /// An option ended worthless.
    Expiry,
    /// An option or future was settled in cash.
    CashSettlement,
    /// Stock delivered by assignment or exercise.
    Delivery,
    /// Daily variation of a future: cash only.
    Variation,
    Dividend,
    Interest,
}

impl ExecutionKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trade => "trade",
            Self::Correction => "correction",
            Self::Liquidation => "liquidation",
            Self::Assignment => "assignment",
            Self::Exercise => "exercise",
            Self::Expiry => "expiry",
            Self::CashSettlement => "cash_settlement",
            Self::Delivery => "delivery",
            Self::Variation => "variation",
            Self::Dividend => "dividend",
            Self::Interest => "interest",
        }
    }
}

/// One movement of one contract, or of cash alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Execution {
    pub exec_id: String,
    /// `None` for what no order of ours caused.
    pub order_ref: Option<OrderRef>,
    pub perm_id: Option<i64>,
    /// All legs of one combo fill (or of one assignment) share it: coverage is judged at its grain.
    pub group_id: String,
    pub kind: ExecutionKind,
    pub conid: ConId,
    /// Change of the position: contracts or shares, bought positive; 0 for cash alone.
    pub quantity: i64,
    /// USD per share or index points; `None` for cash alone.
    pub price: Option<Price>,
    pub multiplier: i64,
    /// Never negative for a cost.
    pub commission: Usd,
    /// Cash booked, commission included: -quantity x price x multiplier - commission where there
    /// is a price (for futures: variation only, so -commission on a trade).
    pub cash: Usd,
    pub at: Timestamp,
}

/// An execution's name without its version, and the version, where it has one: IB tells a
/// correction under the name of what it corrects, with a greater number after the last point.
pub fn version_of(exec_id: &str) -> Option<(&str, u32)> {
    let (name, version) = exec_id.rsplit_once('.')?;
    let numbered = version.len() == 2 && version.bytes().all(|digit| digit.is_ascii_digit());
    // IB's names have four parts; others, the simulated exchange's own, have no version.
    if !numbered || name.split('.').count() < 3 {
        return None;
    }
    Some((name, version.parse().ok()?))
}

/// What names a reversal after what it reverses.
pub const VOID: &str = ".void";
/// What names a commission that is booked after the execution that it is of.
const LATE_COMMISSION: &str = ".commission";

impl Execution {
    /// What takes this execution back: position, cash and commission, at its own price.
    #[must_use]
    pub fn reversal(&self, at: Timestamp) -> Self {
        Self {
            exec_id: format!("{}{VOID}", self.exec_id),
            group_id: format!("{}{VOID}", self.group_id),
            kind: ExecutionKind::Correction,
            quantity: -self.quantity,
            commission: -self.commission,
            cash: -self.cash,
            at,
            ..self.clone()
        }
    }

    /// The commission of this execution as a booking of its own, that moves no position.
    #[must_use]
    pub fn late_commission(&self) -> Self {
        Self {
            exec_id: self.late_commission_id(),
            kind: ExecutionKind::Trade,
            quantity: 0,
            cash: -self.commission,
            ..self.clone()
        }
    }

    /// The name of that booking: one for an execution, so that it counts once.
    pub fn late_commission_id(&self) -> String {
        format!("{}{LATE_COMMISSION}", self.exec_id)
    }
}

/// A position as the broker reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerPosition {
    pub conid: ConId,
    /// Contracts or shares, long positive.
    pub quantity: i64,
    /// USD a contract, commissions included, as IB reports it.
    pub average_cost: Usd,
}

/// The account as the broker reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountSnapshot {
    pub account_id: String,
    pub net_liquidation: Usd,
    pub cash: Usd,
    pub commodities_cash: Usd,
    pub initial_margin: Usd,
    pub maintenance_margin: Usd,
    pub excess_liquidity: Usd,
    pub look_ahead_excess_liquidity: Usd,
    pub buying_power: Usd,
    pub at: Timestamp,
}

/// An order that still works at the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenOrder {
    pub request: OrderRequest,
    pub perm_id: i64,
    pub filled: i64,
}

/// What the account would look like after an order: the broker's answer to a what-if.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WhatIf {
    pub initial_margin_before: Usd,
    pub initial_margin_after: Usd,
    pub maintenance_margin_after: Usd,
    pub equity_with_loan_after: Usd,
    pub excess_liquidity_after: Usd,
    pub commission: Usd,
}

/// The broker refused; nothing works and nothing was filled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("order refused by the broker ({code}): {reason}")]
pub struct Reject {
    /// IB's code where one fits: 201 refused, 110 tick, 200 unknown contract.
    pub code: i32,
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_reads_back() {
        let written = OrderRef::new("0123456789abcdef", Purpose::Close, 2).unwrap();
        assert_eq!(written.as_str(), "0123456789abcdef.close.2");
        assert_eq!(written.as_str().parse(), Ok(written));
    }

    #[test]
    fn what_the_broker_would_cut_is_refused() {
        assert!(OrderRef::new(&"a".repeat(34), Purpose::Open, 0).is_err());
        assert!(OrderRef::new("", Purpose::Open, 0).is_err());
        assert!(OrderRef::new("a.b", Purpose::Open, 0).is_err());
        assert!("x.sell.0".parse::<OrderRef>().is_err());
    }
}
