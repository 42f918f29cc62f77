//! `deltadesk lake`: what the lake consists of, whether it is sound, and its upkeep.
//!
//! `status`, `verify` and `lineage` only read and may run beside a server; the rest takes the
//! lake's lease first, and says who holds it.

mod import_v6;
mod lineage;
mod status;
mod upkeep;
mod verify;

pub use upkeep::under_lease;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use crate::desk::home::Home;
use crate::lake::TableName;

/// What was typed.
#[derive(Debug, Args)]
pub struct Typed {
    #[command(subcommand)]
    what: What,
    /// JSON instead of columns, where rows are shown.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Rows, files, sizes, versions and freshness of each table, and the next step.
    Status,
    /// Read everything: logs, files, statistics, encodings, keys. Fails where something is wrong.
    Verify,
    /// What each table is made from, and what is made from it.
    Lineage(lineage::Typed),
    /// Join the small files of each session; rows, and what earlier versions show, stay.
    Compact {
        /// Only this table.
        table: Option<TableName>,
    },
    /// Delete the files that no version within the retention needs.
    Vacuum {
        /// Only this table.
        table: Option<TableName>,
        /// Only say what would be deleted.
        #[arg(long)]
        dry_run: bool,
    },
    /// Set one table back to a version, or to what was known at an instant, by a new commit.
    Restore(upkeep::Restore),
    /// Take over the lake of the predecessor V6, with an account of each row.
    ImportV6(import_v6::Typed),
}

#[derive(Debug, Clone, Copy)]
enum Output {
    Columns,
    Json,
}

impl Typed {
    pub fn run(self, home: Option<PathBuf>) -> anyhow::Result<()> {
        let home = Home::choose(home, Path::new("desk"));
        let output = if self.json { Output::Json } else { Output::Columns };
        match self.what {
            What::Status => status::run(&home, output),
            What::Verify => verify::run(&home),
            What::Lineage(typed) => lineage::run(&home, &typed, output),
            What::Compact { table } => upkeep::compact(&home, table.as_ref()),
            What::Vacuum { table, dry_run: true } => upkeep::would_vacuum(&home, table.as_ref()),
            What::Vacuum { table, dry_run: false } => upkeep::vacuum(&home, table.as_ref()),
            What::Restore(typed) => upkeep::restore(&home, &typed),
            What::ImportV6(typed) => import_v6::run(&home, &typed, output),
        }
    }
}
