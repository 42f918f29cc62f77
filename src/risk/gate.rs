//! The gate: an order in, a verdict out, and in it, where every check let it, an [`Approved`].

use std::collections::BTreeMap;

use super::checks::{CheckResult, Scope, evaluate};
use super::context::{Context, Effects, OrderClass};
use super::inputs::GateInputs;
use crate::market::{Price, Usd};
use crate::structures::{
    CoveragePolicy, Leg, OrderRef, OrderRequest, OrderType, Purpose, StructureKind,
};

/// An order that nobody has judged yet, and why it exists.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposed {
    /// With a limit: that of the first ladder step.
    pub request: OrderRequest,
    /// The legs of the request, in its order, with their contracts.
    pub legs: Vec<Leg>,
    pub strategy_id: String,
    pub decision_id: String,
    /// What the strategy is, or becomes.
    pub structure: StructureKind,
    /// The worst net price that the ladder may end at, credit negative.
    pub worst_price: Price,
    /// Mid of the combo when it was decided.
    pub arrival_mid: Option<Price>,
    /// Fees of one combo, in and out, USD.
    pub fees_per_combo: Usd,
    /// Of a new strategy; an existing one keeps its own.
    pub policy: CoveragePolicy,
    /// Cash set aside for a new strategy's short puts.
    pub reserved_cash: Usd,
    pub provenance: Provenance,
}

impl Proposed {
    pub fn purpose(&self) -> Purpose {
        self.request.order_ref.purpose()
    }
}

/// What the decision read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Provenance {
    pub sql_hash: String,
    pub settings_hash: String,
    pub table_versions: BTreeMap<String, i64>,
}

/// What the gate says of an order, or of a price step: every check, and the outcome.
#[derive(Debug)]
pub struct Verdict<T = Approved> {
    pub results: Vec<CheckResult>,
    pub effects: Effects,
    pub outcome: Outcome<T>,
}

impl<T> Verdict<T> {
    /// The checks that refuse it, in the order of the list.
    pub fn refusals(&self) -> impl Iterator<Item = &CheckResult> {
        self.results.iter().filter(|result| result.result.refuses())
    }

    pub fn is_approved(&self) -> bool {
        match self.outcome {
            Outcome::Approved(_) => true,
            Outcome::Refused => false,
        }
    }
}

#[derive(Debug)]
pub enum Outcome<T = Approved> {
    Approved(T),
    Refused,
}

/// An order that the gate let through. Only [`check`] makes one, it cannot be copied, and placing
/// it uses it up: what was approved once is placed once.
#[derive(Debug)]
pub struct Approved(Box<Parts>);

/// A price step that the gate let through: a new limit for an order that was approved, and nothing
/// else of it. It cannot be placed.
#[derive(Debug, PartialEq, Eq)]
pub struct ApprovedStep {
    order_ref: OrderRef,
    limit: Price,
}

impl ApprovedStep {
    pub fn order_ref(&self) -> &OrderRef {
        &self.order_ref
    }

    /// The new limit, credit negative.
    pub fn limit(&self) -> Price {
        self.limit
    }
}

#[derive(Debug)]
struct Parts {
    proposed: Proposed,
    effects: Effects,
}

impl Approved {
    pub fn request(&self) -> &OrderRequest {
        &self.0.proposed.request
    }

    pub fn proposed(&self) -> &Proposed {
        &self.0.proposed
    }

    /// The worst net price that the gate accepted.
    pub fn worst_price(&self) -> Price {
        self.0.proposed.worst_price
    }

    pub fn class(&self) -> OrderClass {
        self.0.effects.class
    }

    /// What its holder may later ask for: price steps inside the accepted worst price.
    pub fn mandate(&self) -> Mandate {
        Mandate { proposed: self.0.proposed.clone(), effects: self.0.effects }
    }

    pub fn into_request(self) -> OrderRequest {
        self.0.proposed.request
    }
}

/// The right to step a working order's price inside the worst price that was accepted for it.
/// Only an approval grants it.
#[derive(Debug)]
pub struct Mandate {
    proposed: Proposed,
    effects: Effects,
}

impl Mandate {
    pub fn worst_price(&self) -> Price {
        self.proposed.worst_price
    }

    pub fn proposed(&self) -> &Proposed {
        &self.proposed
    }

    /// A new price for the same order: only the sanity checks run again. Beyond the worst price it
    /// is refused, and needs a verdict of its own.
    pub fn reprice_within(&self, limit: Price, inputs: &GateInputs<'_>) -> Verdict<ApprovedStep> {
        let mut proposed = self.proposed.clone();
        proposed.request.order_type = OrderType::Limit(limit);
        let context = Context::at_step(&proposed, inputs, self.effects);
        let results = evaluate(&context, Scope::Step);
        let outcome = if lets_through(&results) {
            Outcome::Approved(ApprovedStep { order_ref: proposed.request.order_ref, limit })
        } else {
            Outcome::Refused
        };
        Verdict { results, effects: self.effects, outcome }
    }
}

/// Judges an order. Every check is evaluated and returned, whatever the others say.
pub fn check(proposed: Proposed, inputs: &GateInputs<'_>) -> Verdict {
    let (results, effects) = {
        let context = Context::new(&proposed, inputs);
        (evaluate(&context, Scope::NewOrder), context.effects)
    };
    let outcome = if lets_through(&results) {
        Outcome::Approved(Approved(Box::new(Parts { proposed, effects })))
    } else {
        Outcome::Refused
    };
    Verdict { results, effects, outcome }
}

/// Some check was made and none refuses.
fn lets_through(results: &[CheckResult]) -> bool {
    !results.is_empty() && !results.iter().any(|result| result.result.refuses())
}
