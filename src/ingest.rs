//! Ingest: what the broker's feed and account say, as bronze rows.
//!
//! Invariants: values are written as received; each delivery carries its sweep and a rising
//! sequence number; each sweep records what it asked for and what came. Nothing here judges a
//! value: that is silver's work.

mod account;
mod chains;
mod futures;
mod reference;
mod underlyings;
pub mod universe;

use std::cell::RefCell;
use std::rc::Rc;

use crate::lake::{Cell, RowBuilder, TableName};
use crate::market::Timestamp;
use crate::pipeline::{Run, StepContext};

pub use account::AccountStep;
pub use chains::{ChainWindow, ChainsStep};
pub use futures::FuturesStep;
pub use reference::{RatesStep, ReferenceStep};
pub use underlyings::UnderlyingsStep;

/// A part of the desk that several steps hold; the desk decides on one thread.
pub type Shared<T> = Rc<RefCell<T>>;

/// The rising number of every row that enters bronze.
#[derive(Debug, Default)]
pub struct Sequence {
    last: i64,
}

impl Sequence {
    /// Counts on from `last`.
    pub fn after(last: i64) -> Self {
        Self { last }
    }

    pub fn advance(&mut self) -> i64 {
        self.last += 1;
        self.last
    }

    /// The number of the newest row.
    pub fn last(&self) -> i64 {
        self.last
    }
}

/// `<source>-<symbol>-<instant>`: the same sweep has the same id on every pass.
pub fn sweep_id(source: &str, symbol: &str, at: Timestamp) -> String {
    format!("{source}-{symbol}-{}", at.format("%Y%m%dT%H%M%S"))
}

/// Puts rows of named columns into a bronze or ops table.
pub fn deliver(
    context: &mut StepContext<'_>,
    table: &TableName,
    names: &[&str],
    rows: &[Vec<Cell>],
) -> anyhow::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let spec = context
        .live
        .contract(table)
        .ok_or_else(|| anyhow::anyhow!("the set has no contract for {table}"))?;
    let mut builder = RowBuilder::new(spec);
    for row in rows {
        let cells = names.iter().map(|name| (*name).to_owned()).zip(row.iter().cloned());
        builder.push_row(cells.collect())?;
    }
    context.live.deliver(table, &builder.finish()?)
}

/// What a sweep asked for and what came.
#[derive(Debug, Clone, Copy, Default)]
pub struct Completeness {
    pub asked: i64,
    pub received: i64,
    pub two_sided: i64,
}

/// Writes the completeness of one source and symbol to ops.sweeps. A sweep that asked for nothing
/// is complete.
pub fn record_sweep(
    context: &mut StepContext<'_>,
    source: &str,
    symbol: &str,
    counts: Completeness,
) -> anyhow::Result<()> {
    let run = context.run.clone();
    let ratio = if counts.asked == 0 { 1.0 } else { counts.received as f64 / counts.asked as f64 };
    let mut row = vec![
        sweep_id(source, symbol, run.as_of).into(),
        source.into(),
        symbol.into(),
        counts.asked.into(),
        counts.received.into(),
        counts.two_sided.into(),
        ratio.into(),
    ];
    row.extend(ops_stamp(&run));
    deliver(
        context,
        &TableName::new("ops", "sweeps"),
        &[
            "sweep_id",
            "source",
            "symbol",
            "asked",
            "received",
            "two_sided",
            "completeness_ratio",
            "as_of",
            "run_id",
            "session_date",
        ],
        &[row],
    )
}

/// The last three columns of every ops table.
pub fn ops_stamp(run: &Run) -> [Cell; 3] {
    [run.as_of.into(), run.run_id.clone().into(), run.session_date.into()]
}
