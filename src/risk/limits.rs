//! The limits of the gate, as `[risk]` of the settings writes them. No limit has a default: a
//! missing key is an error, and so is an unknown one. Ratios are fractions, money is USD.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::scenario::ScenarioParameters;
use super::triggers::BreakerParameters;
use crate::market::Symbol;
use crate::structures::{MarginParameters, TickRules};

/// All of `[risk]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RiskLimits {
    pub order: OrderLimits,
    pub price: PriceLimits,
    pub entry: EntryLimits,
    pub account: AccountLimits,
    pub exposure: ExposureLimits,
    pub loss: LossLimits,
    /// Underlyings that count as one risk.
    pub clusters: BTreeMap<String, Cluster>,
    pub scenario: ScenarioParameters,
    pub breaker: BreakerParameters,
    pub margin: MarginParameters,
    pub ticks: TickRules,
}

impl RiskLimits {
    /// The underlyings and futures roots that count as one risk with this one.
    pub fn cluster_of(&self, symbol: &Symbol) -> Option<&[Symbol]> {
        self.clusters
            .values()
            .find(|cluster| cluster.symbols.contains(symbol))
            .map(|cluster| cluster.symbols.as_slice())
    }
}

/// A number of the settings that cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitFault {
    /// As the settings head it.
    pub section: &'static str,
    pub key: String,
    /// What is wrong with it, and what would not be.
    pub what: String,
}

/// `[risk.clusters.<name>]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    pub symbols: Vec<Symbol>,
}

/// `[risk.order]`: bounds of any order, entries and exits alike.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderLimits {
    /// Contracts of the largest leg.
    pub quantity_contracts_max: i64,
    /// Shares of a stock leg.
    pub quantity_shares_max: i64,
    /// The same opening, or an exit that still works, is not sent again within it.
    pub duplicate_window_seconds: i64,
    pub orders_per_minute_max: i64,
    /// Orders of one strategy within `strategy_orders_window_minutes`.
    pub strategy_orders_max: i64,
    pub strategy_orders_window_minutes: i64,
    /// Working orders on one side of one contract.
    pub active_orders_per_side_max: i64,
}

/// `[risk.price]`: what a price and its inputs must look like.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceLimits {
    /// How far beyond natural the worst price may lie: share of the summed leg widths ...
    pub collar_width_ratio: f64,
    /// ... or this many ticks, whichever is more.
    pub collar_ticks: i64,
    /// How far below intrinsic value an option may be sold, USD a share.
    pub intrinsic_tolerance_usd: f64,
    pub quote_age_seconds_max: f64,
    /// Volatility outside this range is a broken quote, fraction a year.
    pub vol_min: f64,
    pub vol_max: f64,
    /// How far mid may have moved against an entry since its decision, as share of the arrival mid.
    pub drift_ratio_max: f64,
}

/// `[risk.entry]`: what only a new structure must meet.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntryLimits {
    pub quiet_minutes_after_open: f64,
    pub quiet_minutes_before_close: f64,
    /// Summed leg widths as share of the net price.
    pub leg_width_ratio_max: f64,
    /// Credit at the worst ladder price as share of the wider side ...
    pub credit_ratio_two_sided_min: f64,
    /// ... and of the width of a single vertical.
    pub credit_ratio_single_min: f64,
    /// Credit at the worst ladder price as multiple of round-trip fees.
    pub credit_fees_multiple_min: f64,
    pub days_to_expiry_min: i64,
    pub days_to_expiry_max: i64,
    /// Delta of a short leg, magnitude.
    pub short_delta_max: f64,
    /// A future nearer to its last day than this takes no new exposure, calendar days.
    pub future_days_to_expiry_min: i64,
}

/// `[risk.account]`: margin and positions after the order.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountLimits {
    /// Excess liquidity / net liquidation.
    pub excess_liquidity_ratio_min: f64,
    /// Look-ahead excess liquidity / net liquidation.
    pub look_ahead_ratio_min: f64,
    /// Contracts of one option or future, magnitude, working orders included.
    pub position_contracts_max: i64,
    /// A short leg in the money with less extrinsic value counts as assigned, USD a share.
    pub assignment_extrinsic_usd: f64,
    /// Sessions a year, for the one-day sigma.
    pub sessions_per_year: f64,
}

/// `[risk.exposure]`: maximum loss and vega, as shares of equity.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExposureLimits {
    pub trade_max_loss_ratio: f64,
    /// Of everything opened within `week_days` calendar days, in the cluster.
    pub week_opened_ratio: f64,
    pub week_days: i64,
    /// Of everything held and working, in the cluster.
    pub cluster_max_loss_ratio: f64,
    /// Short vega of the cluster, USD a volatility point.
    pub cluster_short_vega_ratio: f64,
    /// New structures of one cluster and expiry in one session.
    pub new_structures_per_expiry_max: i64,
    /// Worst grid loss of the book after the order.
    pub worst_case_ratio_max: f64,
}

/// `[risk.loss]`: losses that end entries, as shares of equity.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossLimits {
    pub daily_loss_ratio_max: f64,
    pub drawdown_ratio_max: f64,
}
