//! What a build is asked to run, and what it says that it did.

use super::audit::AuditOutcome;
use super::model::Kind;

/// Which models a build runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Typed rows only: the incremental models and what they read.
    Silver,
    /// After each sweep: everything but the close models.
    Sweep,
    /// At the session's close: everything.
    Close,
}

impl Phase {
    /// Whether it runs models of a kind.
    pub fn runs(self, kind: Kind) -> bool {
        match kind {
            Kind::Ephemeral | Kind::Incremental => true,
            Kind::Snapshot => self != Self::Silver,
            Kind::Close => self == Self::Close,
        }
    }

    /// As `ops.model_runs` records it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Silver => "silver",
            Self::Sweep => "sweep",
            Self::Close => "close",
        }
    }

    /// The phase of that name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Silver, Self::Sweep, Self::Close].into_iter().find(|phase| phase.name() == name)
    }
}

/// What a build did.
#[derive(Debug, Clone, Default)]
pub struct BuildReport {
    /// In the order in which they ran.
    pub models: Vec<ModelRun>,
}

/// What one model did in a build.
#[derive(Debug, Clone, Default)]
pub struct ModelRun {
    pub path: String,
    /// Rows that the tables which it reads held.
    pub rows_in: usize,
    pub rows_out: usize,
    pub rows_quarantined: usize,
    /// Of the wall; `None` where the model had nothing to read.
    pub duration_ms: Option<i64>,
    /// What the tests of its result found.
    pub audits: Vec<AuditOutcome>,
}

/// Which model a build ended at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: the statement failed")]
pub struct ModelFailed {
    pub path: String,
}
