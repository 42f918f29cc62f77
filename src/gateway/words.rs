//! What both codecs speak of: contracts, orders, executions, as a client names them.
//!
//! Units are the protocol's: prices USD a share or index points, a combo's price signed (a credit
//! is negative), quantities contracts, shares or combos. What a client leaves out is `None` or
//! empty; the protocol's own marks for that (2147483647, the largest double, an empty text) end in
//! the codecs.

use serde::{Deserialize, Serialize};

use rust_decimal::Decimal;

/// A contract as a client describes it, or as the gateway does.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct WireContract {
    /// 0 where it is not known.
    pub con_id: i32,
    pub symbol: String,
    /// `STK`, `OPT`, `FUT`, `IND`, `BAG`.
    pub security_type: String,
    /// `20260417`, or a month `202606`.
    pub last_trade: String,
    pub strike: Option<f64>,
    /// `C` or `P`, also `CALL` and `PUT`; empty for what is no option.
    pub right: String,
    pub multiplier: String,
    pub exchange: String,
    pub primary_exchange: String,
    pub currency: String,
    pub local_symbol: String,
    pub trading_class: String,
    /// Of a combo.
    pub legs: Vec<WireLeg>,
}

/// One leg of a combo.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct WireLeg {
    pub con_id: i32,
    /// At least 1.
    pub ratio: i32,
    /// `BUY` or `SELL`.
    pub action: String,
    pub exchange: String,
}

/// What an order asks for.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct WireOrder {
    pub order_id: i32,
    pub client_id: i32,
    pub perm_id: i64,
    pub parent_id: i32,
    /// `BUY` or `SELL`.
    pub action: String,
    pub quantity: Decimal,
    /// `LMT`, `MKT`, `STP` and so on.
    pub order_type: String,
    pub limit: Option<f64>,
    /// The trigger of a stop order.
    pub aux: Option<f64>,
    /// `DAY` where it is empty.
    pub time_in_force: String,
    pub account: String,
    pub oca_group: String,
    pub order_ref: String,
    pub transmit: bool,
    pub what_if: bool,
    pub outside_rth: bool,
    /// How many conditions it carries.
    pub conditions: usize,
    /// 1 cancels the others of its group, 2 and 3 make them smaller; 0 where it is left out.
    #[serde(default)]
    pub oca_type: i32,
    /// Which price triggers a stop; 0 for the instrument's own.
    #[serde(default)]
    pub trigger_method: i32,
    /// Of a trailing order: where its stop begins, and then where it stands.
    #[serde(default)]
    pub trail_stop: Option<f64>,
    /// Of a trailing order without an amount in [`Self::aux`]: per cent of the price.
    #[serde(default)]
    pub trailing_percent: Option<f64>,
    /// Of a trailing stop limit order: how far its limit is from its stop.
    #[serde(default)]
    pub limit_offset: Option<f64>,
    /// `20260304 15:00:00 US/Eastern`; empty but for a GTD order.
    #[serde(default)]
    pub good_till: String,
    #[serde(default)]
    pub good_after: String,
}

/// What the gateway says of an order's state.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WireOrderState {
    /// `Submitted`, `Filled`, `Cancelled`, ..
    pub status: String,
    /// Of a what-if.
    pub margin: Option<WireMargin>,
    /// Of a completed order: when and how it ended.
    pub completed_time: String,
    pub completed_status: String,
}

/// What the account would look like, USD. The commission is the same at best and at worst.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WireMargin {
    pub initial_before: f64,
    pub maintenance_before: f64,
    pub equity_before: f64,
    pub initial_after: f64,
    pub maintenance_after: f64,
    pub equity_after: f64,
    pub commission: f64,
}

/// How far an order has come.
#[derive(Debug, Clone, PartialEq)]
pub struct WireStatus {
    pub order_id: i32,
    pub status: String,
    pub filled: Decimal,
    pub remaining: Decimal,
    pub average_price: f64,
    pub perm_id: i64,
    pub parent_id: i32,
    pub last_price: f64,
    pub client_id: i32,
    pub why_held: String,
}

/// One fill of one contract.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WireExecution {
    pub order_id: i32,
    pub exec_id: String,
    /// `20260302 09:45:10 US/Eastern`.
    pub time: String,
    pub account: String,
    pub exchange: String,
    /// `BOT` or `SLD`.
    pub side: String,
    pub shares: Decimal,
    pub price: f64,
    pub perm_id: i64,
    pub client_id: i32,
    pub cumulative: Decimal,
    pub average_price: f64,
    pub order_ref: String,
    /// IB forced it.
    #[serde(default)]
    pub liquidation: bool,
}

/// Which executions a client asks for; an empty field excludes none, but for the days.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WireExecutionFilter {
    /// 0 for any.
    pub client_id: i32,
    pub account: String,
    /// Not before, `20260302 09:30:00` with a zone, or `20260302-14:30:00` in UTC.
    pub time: String,
    pub symbol: String,
    pub security_type: String,
    pub exchange: String,
    /// `BUY` or `SELL`.
    pub side: String,
    /// Of the last days, today included; 0 for today alone, unless days are named.
    pub last_days: i32,
    /// Of these days, as `20260302`.
    pub dates: Vec<i32>,
}
