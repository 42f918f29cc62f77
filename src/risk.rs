//! Risk: what an order does to the book, the checks that judge it, the gate, the breaker, scenarios
//! and sizing. Pure: no clock, no I/O; everything is handed in.
//!
//! [`check`] is the only maker of [`Approved`], and the broker places nothing else. Every check is
//! evaluated for every order and returned with its value and limit; the order is refused when any
//! check fails or cannot be evaluated. Sanity checks always bind; entry limits never bind an order
//! that is computed to reduce risk.
//!
//! What it deliberately does not do: decide what to trade, choose a price, or keep state (the
//! breaker's state is a value that its caller stores).

pub mod assignment;
pub mod book;
pub mod breaker;
mod checks;
mod context;
mod gate;
pub mod inputs;
#[cfg(test)]
mod laws;
mod limit_faults;
pub mod limits;
pub mod scenario;
pub mod sizing;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
pub mod triggers;
pub mod vega;

pub use assignment::{AssignedNotional, assigned_notional};
pub use book::{Book, BookStrategy, ContractSums, WorkingOrder, after_fill, nearest_expiry};
pub use breaker::{Breaker, BreakerInputs, Hold, MarketPhase, Reading, Transition};
pub use checks::{CheckResult, CheckStatus, check_ids};
pub use context::{Effects, OrderClass};
pub use gate::{Approved, ApprovedStep, Mandate, Outcome, Proposed, Provenance, Verdict, check};
pub use inputs::{
    AccountView, Activity, Fate, GateInputs, LegMarket, MarketView, Opened, Presence, RecentOrder,
    RequiredInput, SessionPhase, SessionView,
};
pub use limits::{
    AccountLimits, Cluster, EntryLimits, ExposureLimits, LimitFault, LossLimits, OrderLimits,
    PriceLimits, RiskLimits,
};
pub use scenario::{ContractGrid, NodeProfits, ScenarioGrid, ScenarioParameters};
pub use sizing::{SizingInputs, SizingRefusal, combos_that_fit};
pub use triggers::{BreakerLevel, BreakerParameters, Cause, Trigger};
pub use vega::cluster_vega;
