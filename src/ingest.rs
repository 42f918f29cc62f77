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
mod watch;

use crate::lake::TableName;
use crate::market::Timestamp;
use crate::pipeline::{StepContext, deliver, ops_stamp};

pub use account::AccountStep;
pub use chains::{ChainWindow, ChainsStep, Known};
pub use futures::FuturesStep;
pub use reference::{BarContent, Delivered, RatesStep, ReferenceStep};
pub use underlyings::UnderlyingsStep;
pub use watch::WatchStep;

/// `<source>-<symbol>-<instant>`: the same sweep has the same id on every pass.
pub fn sweep_id(source: &str, symbol: &str, at: Timestamp) -> String {
    format!("{source}-{symbol}-{}", at.format("%Y%m%dT%H%M%S"))
}

/// What a sweep asked for and what came.
#[derive(Debug, Clone, Copy, Default)]
pub struct Completeness {
    pub asked: i64,
    pub received: i64,
    pub two_sided: i64,
}

/// Writes the completeness of one source and symbol to ops.sweeps. Of a sweep that could ask for
/// nothing it is not known.
pub fn record_sweep(
    context: &mut StepContext<'_>,
    source: &str,
    symbol: &str,
    counts: Completeness,
) -> anyhow::Result<()> {
    let run = context.run.clone();
    let ratio = (counts.asked > 0).then(|| counts.received as f64 / counts.asked as f64);
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
