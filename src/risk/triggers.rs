//! The words of the breaker: levels, causes with their ceilings, and the triggers of the settings.
//!
//! What it deliberately does not do: keep any state (see `breaker`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::limits::LimitFault;

/// From the mildest to the strictest.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum BreakerLevel {
    #[default]
    Normal,
    /// Exits, rolls that do not add, hedges.
    NoNew,
    /// Exits only.
    Reduce,
    /// Exits and the hedge.
    Hedge,
    /// Cancel all, close all by collared combos.
    Flatten,
    /// Cancel what works, send nothing, keep reading.
    Halt,
}

impl BreakerLevel {
    const ALL: [Self; 6] =
        [Self::Normal, Self::NoNew, Self::Reduce, Self::Hedge, Self::Flatten, Self::Halt];

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str() == name)
    }

    /// From 0, normal, to 5, halt.
    pub fn rank(self) -> f64 {
        f64::from(self as u8)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::NoNew => "no_new",
            Self::Reduce => "reduce",
            Self::Hedge => "hedge",
            Self::Flatten => "flatten",
            Self::Halt => "halt",
        }
    }
}

/// What may hold a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    StaleData,
    Connection,
    Reconciliation,
    RejectBurst,
    ClockSkew,
    /// Own marks and the broker's figures of a loss differ by more than the band.
    LossDisagreement,
    /// A measure of losing cannot be had.
    MissingMeasure,
    DailyLoss,
    Drawdown,
    WorstCase,
    /// Share of net liquidation that maintenance margin takes.
    MarginUse,
    VolatilitySpike,
    OrderStorm,
    UnexplainedPosition,
    Operator,
}

/// How a cause behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CauseKind {
    NotKnowing,
    Losing,
    Market,
    Defect,
    Person,
}

impl Cause {
    /// The causes that have thresholds in the settings.
    pub const MEASURED: [Self; 14] = [
        Self::StaleData,
        Self::Connection,
        Self::Reconciliation,
        Self::RejectBurst,
        Self::ClockSkew,
        Self::LossDisagreement,
        Self::MissingMeasure,
        Self::DailyLoss,
        Self::Drawdown,
        Self::WorstCase,
        Self::MarginUse,
        Self::VolatilitySpike,
        Self::OrderStorm,
        Self::UnexplainedPosition,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::StaleData => "stale_data",
            Self::Connection => "connection",
            Self::Reconciliation => "reconciliation",
            Self::RejectBurst => "reject_burst",
            Self::ClockSkew => "clock_skew",
            Self::LossDisagreement => "loss_disagreement",
            Self::MissingMeasure => "missing_measure",
            Self::DailyLoss => "daily_loss",
            Self::Drawdown => "drawdown",
            Self::WorstCase => "worst_case",
            Self::MarginUse => "margin_use",
            Self::VolatilitySpike => "volatility_spike",
            Self::OrderStorm => "order_storm",
            Self::UnexplainedPosition => "unexplained_position",
            Self::Operator => "operator",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        let mut all = Self::MEASURED.into_iter().chain([Self::Operator]);
        all.find(|cause| cause.as_str() == name)
    }

    pub(super) fn kind(self) -> CauseKind {
        match self {
            Self::StaleData
            | Self::Connection
            | Self::Reconciliation
            | Self::RejectBurst
            | Self::ClockSkew
            | Self::LossDisagreement
            | Self::MissingMeasure => CauseKind::NotKnowing,
            Self::DailyLoss | Self::Drawdown | Self::WorstCase | Self::MarginUse => {
                CauseKind::Losing
            }
            Self::VolatilitySpike => CauseKind::Market,
            Self::OrderStorm | Self::UnexplainedPosition => CauseKind::Defect,
            Self::Operator => CauseKind::Person,
        }
    }

    /// The strictest level that the cause can reach.
    pub fn ceiling(self) -> BreakerLevel {
        match self.kind() {
            CauseKind::NotKnowing => BreakerLevel::NoNew,
            CauseKind::Market => BreakerLevel::Hedge,
            CauseKind::Losing => BreakerLevel::Flatten,
            CauseKind::Defect | CauseKind::Person => BreakerLevel::Halt,
        }
    }

    /// Whether only a person ends its hold.
    pub(super) fn latches(self) -> bool {
        match self.kind() {
            CauseKind::Losing | CauseKind::Defect | CauseKind::Person => true,
            CauseKind::NotKnowing | CauseKind::Market => false,
        }
    }
}

/// `[risk.breaker]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BreakerParameters {
    /// How long a cause of not knowing must be gone.
    pub release_after_seconds: i64,
    /// Holds of one such cause in one session after which it latches.
    pub latch_after_holds: u32,
    /// By how much own and broker's measure of a loss may differ, in the measure's unit.
    pub loss_agreement_band: f64,
    pub triggers: BTreeMap<Cause, Trigger>,
}

/// When a cause asks for which level.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    /// A level is asked for where the measure exceeds this, in the cause's own unit.
    pub levels: BTreeMap<BreakerLevel, f64>,
    /// Consecutive evaluations before a level is taken.
    pub evaluations: u32,
}

impl BreakerParameters {
    /// What is wrong with them: each cause has a trigger, and no trigger reaches past the ceiling.
    pub fn faults(&self) -> Vec<LimitFault> {
        let mut faults = Vec::new();
        let band = self.loss_agreement_band;
        let numbers = [
            ("release_after_seconds", self.release_after_seconds >= 0),
            ("latch_after_holds", self.latch_after_holds >= 1),
            ("loss_agreement_band", band.is_finite() && band >= 0.0),
        ];
        for (key, _) in numbers.into_iter().filter(|(_, sound)| !sound) {
            let what = "is negative, zero where one is the least, or no number".to_owned();
            faults.push(LimitFault { section: "risk.breaker", key: key.to_owned(), what });
        }
        for cause in Cause::MEASURED {
            let name = cause.as_str();
            let mut fault = |what: String| {
                let section = "risk.breaker.triggers";
                faults.push(LimitFault { section, key: name.to_owned(), what });
            };
            let Some(trigger) = self.triggers.get(&cause) else {
                fault("is missing: write its levels and evaluations".to_owned());
                continue;
            };
            if trigger.levels.is_empty() || trigger.evaluations == 0 {
                fault("can never fire: give it a level and at least one evaluation".to_owned());
            }
            if let Some(level) = trigger.levels.keys().find(|level| **level > cause.ceiling()) {
                let (level, ceiling) = (level.as_str(), cause.ceiling().as_str());
                fault(format!("asks for {level}; its ceiling is {ceiling}"));
            }
            let thresholds: Vec<f64> = trigger.levels.values().copied().collect();
            let rising =
                thresholds.iter().zip(thresholds.iter().skip(1)).all(|(low, high)| low <= high);
            if !rising || !thresholds.iter().all(|one| one.is_finite() && *one >= 0.0) {
                let what = "does not rise with the level from 0 on: order its finite numbers";
                fault(what.to_owned());
            }
        }
        faults
    }
}
