//! The lake: Delta tables of Arrow rows, and the sessions that query them.
//!
//! Invariants: a batch is written once, however often it is offered, and the same batch number with
//! other content is refused; a commit carries the desk's own `as_of`, run and content hash, and
//! time travel goes by that `as_of`, never by Delta's commit clock; one process writes a lake, held
//! by a lease that lives with it; every column is of a kind that any Delta reader understands.
//!
//! This is the only module that knows Arrow, DataFusion and Delta; what upper floors need of them
//! is re-exported here. It deliberately knows no table by name, plans no runs and reads no clock.
//! Checkpoints and clean-up are explicit steps, never side effects of a commit.

mod append;
mod bucket;
mod cells;
mod columns;
mod compact;
mod digest;
mod error;
mod fresh;
mod functions;
mod lease;
mod ledger;
mod live;
#[cfg(test)]
mod live_tests;
mod log;
mod maintenance;
mod parquet;
mod pinned;
mod place;
mod probe;
mod replace;
mod rows;
mod session;
mod status;
mod store;
mod table;
#[cfg(test)]
mod tests;
mod torn;
#[cfg(test)]
mod upkeep_tests;
mod verify;

pub use deltalake::arrow;
pub use deltalake::datafusion;
pub use deltalake::datafusion::catalog::TableProvider;
pub use deltalake::datafusion::prelude::SessionContext;

pub use append::{Appended, Batch, Outcome, conform};
pub use cells::{Cell, RowBuilder};
pub use digest::{digest_table, row_text};
pub use error::LakeError;
pub use lease::{Lease, LeaseHolder};
pub use ledger::Committed;
pub use live::{LiveTable, PreparedQuery};
pub use maintenance::Vacuum;
pub use parquet::read_parquet;
pub use pinned::PinnedSession;
pub use place::LakePlace;
pub use probe::Probed;
pub use replace::Replaced;
pub use rows::{Row, Rows};
pub use session::{
    narrowed_to_sessions, new_session, query_read_only, register, session_with, tables_read,
};
pub use status::TableHealth;
pub use store::{Durability, Lake, LakeOptions};
pub use table::{TableName, TableSpec};
pub use torn::TornEntry;
pub use verify::{TableFault, Verified};
