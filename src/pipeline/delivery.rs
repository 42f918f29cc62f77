//! How steps put rows of named columns into tables, and what they share for it.

use std::cell::RefCell;
use std::rc::Rc;

use crate::lake::{Cell, RowBuilder, TableName};

use super::run::Run;
use super::step::StepContext;

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

/// The last three columns of every ops table.
pub fn ops_stamp(run: &Run) -> [Cell; 3] {
    [run.as_of.into(), run.run_id.clone().into(), run.session_date.into()]
}
