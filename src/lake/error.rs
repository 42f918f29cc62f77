//! What can go wrong with the lake; each text names the place and the next step.

use std::path::PathBuf;

use deltalake::DeltaTableError;
use deltalake::arrow::error::ArrowError;
use deltalake::datafusion::error::DataFusionError;

use super::TableName;

/// A fault of the lake or of a query on it.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    #[error("`{0}` is no table name; write <schema>.<table> in lower case letters, digits and _")]
    InvalidTableName(String),
    #[error("the lake has no table {0}")]
    NoSuchTable(TableName),
    #[error("create table statement: {0}")]
    Ddl(String),
    #[error("column `{column}` of type {kind} cannot be stored: {remedy}")]
    UnsupportedColumn { column: String, kind: String, remedy: &'static str },
    #[error("rows for {table} do not fit its columns: {problem}")]
    SchemaMismatch { table: TableName, problem: String },
    #[error(
        "{table}, batch {batch}: the table holds this batch with content {stored}, now \
         {offered} is offered. The run is not deterministic, or code, settings or seed changed; \
         start a fresh home or restore the earlier ones"
    )]
    ContentDiffers { table: TableName, batch: i64, stored: String, offered: String },
    #[error(
        "{table}, batch {batch}: the table already holds batch {latest} and lacks this \
         one; batch numbers must rise. The run is not deterministic, or another one wrote here"
    )]
    BatchOutOfOrder { table: TableName, batch: i64, latest: i64 },
    #[error(
        "{table}: version {version} was written by somebody else while this process holds the \
         lake ({problem}); stop the other writer and start again"
    )]
    ForeignCommit { table: TableName, version: u64, problem: String },
    #[error("{table}: the table in {path} is broken: {problem}. {remedy}")]
    BrokenTable { table: TableName, path: String, problem: String, remedy: String },
    #[error(
        "the lake {path} is held by {holder} until {expires_at} (fencing number {fencing}); stop \
         that process, or wait until its lease has run out"
    )]
    LeaseHeld { path: PathBuf, holder: String, expires_at: String, fencing: u64 },
    #[error(
        "the lease {path} cannot be read: {problem}; if no other process uses the lake, delete it"
    )]
    LeaseBroken { path: PathBuf, problem: String },
    #[error(
        "the lake {place} is now written by {holder} (fencing number {fencing}): this process was \
         away for longer than its lease, and writes nothing more; start it again"
    )]
    LeaseLost { place: String, holder: String, fencing: u64 },
    #[error("only queries are allowed here, and this is none: {0}")]
    NotAQuery(String),
    #[error("{0}")]
    Query(String),
    #[error("no column is called `{column}`; there are {known}")]
    NoSuchColumn { column: String, known: String },
    #[error("column `{column}` holds {held}, not {wanted}")]
    WrongKind { column: String, held: String, wanted: &'static str },
    #[error("column `{column}` is NULL in row {row}")]
    UnexpectedNull { column: String, row: usize },
    #[error("{path}: {problem}{}", remedy(&problem.to_string()))]
    Io { path: PathBuf, problem: std::io::Error },
    #[error("{table}: {}", told(problem))]
    Delta { table: TableName, problem: Box<DeltaTableError> },
    #[error("the lake cannot be opened at {location}: {problem}")]
    Location { location: String, problem: String },
    #[error("arrow: {0}")]
    Arrow(#[from] ArrowError),
}

impl LakeError {
    pub(super) fn delta(table: &TableName, source: DeltaTableError) -> Self {
        Self::Delta { table: table.clone(), problem: Box::new(source) }
    }
}

impl From<DataFusionError> for LakeError {
    /// The innermost message; a parser's message ends with line and column.
    fn from(error: DataFusionError) -> Self {
        Self::Query(error.strip_backtrace())
    }
}

/// What an operator does about what the operating system refuses.
fn remedy(problem: &str) -> &'static str {
    let of_number = [
        ("(os error 13)", "; it must belong to the user who runs the desk"),
        (DISK_FULL, "; free some space and start again: what was acknowledged is there"),
        ("(os error 30)", "; it can be read only: make it writable, or move the home"),
    ];
    let known = of_number.into_iter().find(|(number, _)| problem.contains(number));
    known.map_or("", |(_, remedy)| remedy)
}

/// ENOSPC, as every layer above the operating system repeats it.
const DISK_FULL: &str = "(os error 28)";

/// The layers above a full disk each say the same; once is enough.
fn told(problem: &DeltaTableError) -> String {
    let text = problem.to_string();
    if text.contains(DISK_FULL) {
        return format!("the disk is full{}", remedy(&text));
    }
    format!("{text}{}", remedy(&text))
}
