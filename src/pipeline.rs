//! Models read from `sql/`, steps read from `pipelines/`, and the live tables on which both run.
//!
//! A rule names tables, never where they live: the same text runs here on in-memory tables after
//! each sweep and on the lake in batch. Invariants: models run in the order of their lineage; a
//! table holds what its `live` header says; what fails a table audit is never kept.
//! This module knows no trading word and places no order.

pub mod audit;
mod built;
pub mod catalogue;
mod declared;
mod delivery;
pub mod flush;
pub mod live;
#[cfg(test)]
mod live_tests;
pub mod model;
pub mod model_test;
mod parts;
mod portable;
mod replay;
mod restore;
pub mod retention;
mod round;
pub mod run;
mod slot;
pub mod step;

pub use audit::{AuditOutcome, Blocked};
pub use built::{BuildReport, ModelFailed, ModelRun, Phase};
pub use catalogue::{Catalogue, Files, Otherwise};
pub use delivery::{Sequence, Shared, deliver, ops_stamp};
pub use flush::{Flush, Flusher, HeldKeys, Numbering, sorted};
pub use live::LiveTables;
pub use model::{FileFault, Kind, Model, Retention, Role};
pub use replay::{RecordedBuild, Replayed, Tally, keeps_cuts, recorded_builds, replay};
pub use run::{Params, Run};
pub use step::{Pipeline, Step, StepContext};
