//! Orders: the price ladder, the life cycle, and reconciliation. Pure: the journal stores, the
//! broker sends, this decides what may come next.
//!
//! What it deliberately does not do: judge risk (see `risk`), send, or wait.

pub mod explain;
pub mod ladder;
pub mod lifecycle;
pub mod reconcile;

pub use explain::{CashCause, Evidence, Movement, Unexplained, explain};
pub use ladder::Ladder;
pub use lifecycle::{Happening, IllegalMove, OrderLife, Progress};
pub use reconcile::{Books, Difference, DifferenceKind, Known, KnownMove, Tolerance, reconcile};
