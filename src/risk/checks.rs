//! The checks, one a file. The list below is the table of contents and the order of every verdict.
//!
//! A check returns a [`Finding`]; what it means for the order follows from the class of the order
//! and from [`Applies`]. A check that does not apply is still evaluated and stored with its value
//! and limit. Comparisons are written so that a NaN on either side refuses.

use super::context::{Context, OrderClass};

mod d01_opposite_sign;
mod d06_new_structure;
mod d06_week_opened;
mod d10_credit_ratio;
mod r01_instrument;
mod r02_tick;
mod r03_price_sign;
mod r04_lot;
mod r05_quantity;
mod r07_collar;
mod r08_intrinsic;
mod r09_net_bounds;
mod r10_leg_width;
mod r11_quotes;
mod r12_model;
mod r13_duplicate;
mod r14_order_rate;
mod r15_strategy_rate;
mod r18_active_orders;
mod r20_buying_power;
mod r21_what_if;
mod r22_look_ahead;
mod r23_position;
mod r25_cluster;
mod r26_short_vega;
mod r28_worst_case;
mod r29_uncovered;
mod r30_trade_loss;
mod r31_assignment;
mod r33_days_to_expiry;
mod r33_short_delta;
mod r34_reduce_only;
mod r39_session;
mod r42_breaker;
mod r44_required_inputs;
mod r45_daily_loss;
mod r45_drawdown;
mod r47_order_ref;
mod r48_legs;
mod r49_within_verdict;
mod r50_drift;
mod r51_fees;
mod r52_commodities_cash;
mod r53_expiry;
mod r54_provenance;

/// Every check, in the order of every verdict.
const CHECKS: [&Check; 45] = [
    &r01_instrument::CHECK,
    &r02_tick::CHECK,
    &r03_price_sign::CHECK,
    &r04_lot::CHECK,
    &r05_quantity::CHECK,
    &r07_collar::CHECK,
    &r08_intrinsic::CHECK,
    &r09_net_bounds::CHECK,
    &r10_leg_width::CHECK,
    &r11_quotes::CHECK,
    &r12_model::CHECK,
    &r13_duplicate::CHECK,
    &r14_order_rate::CHECK,
    &r15_strategy_rate::CHECK,
    &r18_active_orders::CHECK,
    &r20_buying_power::CHECK,
    &r21_what_if::CHECK,
    &r22_look_ahead::CHECK,
    &r23_position::CHECK,
    &r25_cluster::CHECK,
    &r26_short_vega::CHECK,
    &r28_worst_case::CHECK,
    &r29_uncovered::CHECK,
    &r30_trade_loss::CHECK,
    &r31_assignment::CHECK,
    &r33_days_to_expiry::CHECK,
    &r33_short_delta::CHECK,
    &r34_reduce_only::CHECK,
    &r39_session::CHECK,
    &r42_breaker::CHECK,
    &r44_required_inputs::CHECK,
    &r45_daily_loss::CHECK,
    &r45_drawdown::CHECK,
    &r47_order_ref::CHECK,
    &r48_legs::CHECK,
    &r49_within_verdict::CHECK,
    &r50_drift::CHECK,
    &r51_fees::CHECK,
    &r52_commodities_cash::CHECK,
    &r53_expiry::CHECK,
    &r54_provenance::CHECK,
    &d01_opposite_sign::CHECK,
    &d06_week_opened::CHECK,
    &d06_new_structure::CHECK,
    &d10_credit_ratio::CHECK,
];

/// What a check said of one order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckStatus {
    Pass,
    Fail,
    NotApplicable,
    Unevaluable,
}

impl CheckStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::NotApplicable => "not_applicable",
            Self::Unevaluable => "unevaluable",
        }
    }

    /// A failed check refuses, and so does one that could not be evaluated.
    pub fn refuses(self) -> bool {
        match self {
            Self::Fail | Self::Unevaluable => true,
            Self::Pass | Self::NotApplicable => false,
        }
    }
}

/// One row of a verdict.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckResult {
    pub check_id: &'static str,
    pub name: &'static str,
    pub result: CheckStatus,
    pub measured: Option<f64>,
    pub limit: Option<f64>,
    pub unit: &'static str,
    /// Empty where the numbers say it all.
    pub reason: String,
}

/// Id and name of every check, in the order of every verdict.
pub fn check_ids() -> impl Iterator<Item = (&'static str, &'static str)> {
    CHECKS.iter().map(|check| (check.id, check.name))
}

/// For which orders a check binds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Applies {
    /// Every order and every price step.
    Always,
    /// Every new order.
    NewOrders,
    /// New orders that do not reduce risk: entries and hedges.
    AddedRisk,
    /// New orders that neither reduce risk nor hedge.
    Entries,
}

/// What is being judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    NewOrder,
    Step,
}

struct Check {
    id: &'static str,
    name: &'static str,
    unit: &'static str,
    applies: Applies,
    run: fn(&Context<'_>) -> Finding,
}

/// What a check found, before the class of the order decides what it means.
enum Finding {
    /// Passes where `measured <= limit`.
    AtMost {
        measured: f64,
        limit: f64,
    },
    /// Passes where `measured >= limit`.
    AtLeast {
        measured: f64,
        limit: f64,
    },
    Pass,
    Fail(String),
    NotApplicable(&'static str),
    Unevaluable(String),
    /// What a comparison cannot say, with the numbers behind it.
    Measured {
        finding: Box<Finding>,
        measured: f64,
        limit: f64,
    },
}

impl Finding {
    /// The same finding with the numbers that it rests on.
    fn with(self, measured: f64, limit: f64) -> Self {
        Self::Measured { finding: Box::new(self), measured, limit }
    }

    fn numbers(&self) -> (Option<f64>, Option<f64>) {
        match self {
            Self::AtMost { measured, limit }
            | Self::AtLeast { measured, limit }
            | Self::Measured { measured, limit, .. } => (Some(*measured), Some(*limit)),
            Self::Pass | Self::Fail(_) | Self::NotApplicable(_) | Self::Unevaluable(_) => {
                (None, None)
            }
        }
    }

    fn missing(what: &str) -> Self {
        Self::Unevaluable(format!("{what} is missing"))
    }

    fn conclude(self, unit: &str) -> (CheckStatus, String) {
        let broken = match self {
            Self::AtMost { measured, limit } if above(measured, limit) => {
                format!("{measured} {unit} is above {limit}")
            }
            Self::AtLeast { measured, limit } if below(measured, limit) => {
                format!("{measured} {unit} is below {limit}")
            }
            Self::AtMost { .. } | Self::AtLeast { .. } | Self::Pass => {
                return (CheckStatus::Pass, String::new());
            }
            Self::Fail(reason) => reason,
            Self::NotApplicable(why) => return (CheckStatus::NotApplicable, why.to_owned()),
            Self::Unevaluable(reason) => return (CheckStatus::Unevaluable, reason),
            Self::Measured { finding, .. } => return finding.conclude(unit),
        };
        (CheckStatus::Fail, broken)
    }

    /// `measured <= limit`, or unevaluable where the measure is missing.
    fn at_most(measured: Option<f64>, limit: f64, what: &str) -> Self {
        measured.map_or_else(|| Self::missing(what), |measured| Self::AtMost { measured, limit })
    }

    /// `measured >= limit`, or unevaluable where the measure is missing.
    fn at_least(measured: Option<f64>, limit: f64, what: &str) -> Self {
        measured.map_or_else(|| Self::missing(what), |measured| Self::AtLeast { measured, limit })
    }
}

/// Runs every check that the scope asks for: all of them for a new order, the sanity checks for a
/// price step.
pub(super) fn evaluate(context: &Context<'_>, scope: Scope) -> Vec<CheckResult> {
    CHECKS
        .iter()
        .filter(|check| scope == Scope::NewOrder || check.applies == Applies::Always)
        .map(|check| check.evaluate(context))
        .collect()
}

/// `measured` is above `limit`, or one of them is not a number.
#[expect(clippy::neg_cmp_op_on_partial_ord, reason = "written so that NaN refuses")]
fn above(measured: f64, limit: f64) -> bool {
    !(measured <= limit)
}

/// `measured` is below `limit`, or one of them is not a number.
#[expect(clippy::neg_cmp_op_on_partial_ord, reason = "written so that NaN refuses")]
fn below(measured: f64, limit: f64) -> bool {
    !(measured >= limit)
}

impl Check {
    fn evaluate(&self, context: &Context<'_>) -> CheckResult {
        let finding = (self.run)(context);
        let (check_id, name, unit) = (self.id, self.name, self.unit);
        let (measured, limit) = finding.numbers();
        let (result, reason) = match self.exemption(context.effects.class) {
            Some(why) => (CheckStatus::NotApplicable, why.to_owned()),
            None => finding.conclude(unit),
        };
        CheckResult { check_id, name, result, measured, limit, unit, reason }
    }

    /// Why a check does not bind an order of that class.
    fn exemption(&self, class: OrderClass) -> Option<&'static str> {
        match (self.applies, class) {
            (Applies::AddedRisk | Applies::Entries, OrderClass::Reducing) => {
                Some("the order reduces risk")
            }
            (Applies::Entries, OrderClass::Hedge) => Some("the order hedges the book"),
            (Applies::Always | Applies::NewOrders, _)
            | (Applies::AddedRisk, OrderClass::Hedge | OrderClass::Entry)
            | (Applies::Entries, OrderClass::Entry) => None,
        }
    }
}
