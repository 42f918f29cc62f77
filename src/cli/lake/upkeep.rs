//! `deltadesk lake compact`, `vacuum` and `restore`: under the lake's lease.

use anyhow::{anyhow, bail};
use chrono::Duration;
use clap::Args;
use tokio::runtime::Handle;

use crate::cli::sql::{instant, instant_text, runtime, say};
use crate::desk::home::Home;
use crate::desk::lake_place::{need_lake, open_to_read, open_to_write};
use crate::desk::settings::Settings;
use crate::desk::writer::take_lake;
use crate::desk::{faults_error, files};
use crate::lake::{Lake, TableName, Vacuum};
use crate::market::{Clock as _, Timestamp, WallClock};

/// Which table, and to where.
#[derive(Debug, Args)]
pub struct Restore {
    table: TableName,
    #[command(flatten)]
    to: To,
}

/// To where: one of the two.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct To {
    /// A version, as `lake status` counts them.
    #[arg(long, value_name = "N")]
    version: Option<u64>,
    /// The table as it was known then: 2026-03-02T15:00:00Z, or a date for that day's end (UTC).
    #[arg(long, value_name = "TS", value_parser = instant)]
    as_of: Option<Timestamp>,
}

/// Joins small files, one table after the other.
pub fn compact(home: &Home, table: Option<&TableName>) -> anyhow::Result<()> {
    under_lease(home, "lake compact", |lake, runtime| {
        runtime.block_on(async {
        for table in chosen(lake, table)? {
            let joined = lake.compact(&table, None).await?;
            if joined > 0 {
                let left = lake.health(&table).await?.files;
                say(&format!("{table}: {joined} files joined, {left} are left\n"))?;
            }
        }
        say("compacted; `deltadesk lake vacuum` deletes the files that nothing needs any more\n")
    })
    })
}

/// Deletes what no version within the retention needs.
pub fn vacuum(home: &Home, table: Option<&TableName>) -> anyhow::Result<()> {
    let keep = retention(home)?;
    under_lease(home, "lake vacuum", |lake, runtime| {
        runtime.block_on(async {
            for table in chosen(lake, table)? {
                let deleted = lake.vacuum(&table, keep, Vacuum::Delete).await?;
                if !deleted.is_empty() {
                    say(&format!("{table}: {} files deleted\n", deleted.len()))?;
                }
            }
            say(&format!("vacuumed; versions of the last {} days are whole\n", keep.num_days()))
        })
    })
}

/// Names what a vacuum would delete; takes no lease.
pub fn would_vacuum(home: &Home, table: Option<&TableName>) -> anyhow::Result<()> {
    let keep = retention(home)?;
    runtime()?.block_on(async {
        let lake = open_to_read(home).await?;
        let mut count = 0;
        for table in chosen(&lake, table)? {
            for file in lake.vacuum(&table, keep, Vacuum::Trial).await? {
                say(&format!("{table}: {file}\n"))?;
                count += 1;
            }
        }
        say(&format!("{count} files would be deleted\n"))
    })
}

/// Sets one table back.
pub fn restore(home: &Home, typed: &Restore) -> anyhow::Result<()> {
    let table = &typed.table;
    under_lease(home, "lake restore", |lake, runtime| {
        runtime.block_on(async {
            chosen(lake, Some(table))?;
            let version = match (typed.to.version, typed.to.as_of) {
                (Some(version), _) => version,
                (None, Some(as_of)) => {
                    lake.version_as_of(table, as_of).await?.ok_or_else(|| {
                        anyhow!(
                            "{table} has no version that is what was known at {}",
                            instant_text(as_of)
                        )
                    })?
                }
                (None, None) => bail!("name a --version or an --as-of"),
            };
            let before = lake.health(table).await?;
            if version >= before.version {
                bail!("{table} is at version {}; name an earlier one", before.version);
            }
            let now = lake.restore(table, version).await?;
            let after = lake.health(table).await?;
            say(&format!(
                "{table}: version {now} shows version {version} again, {} rows instead of {}\n\
             to undo: deltadesk lake restore {table} --version {}\n",
                after.rows, before.rows, before.version
            ))
        })
    })
}

/// The named table, which must be there, or all.
fn chosen(lake: &Lake, table: Option<&TableName>) -> anyhow::Result<Vec<TableName>> {
    let all = lake.tables();
    match table {
        None => Ok(all),
        Some(table) if all.contains(table) => Ok(vec![table.clone()]),
        Some(table) => {
            bail!("the lake has no table {table}; `deltadesk lake status` lists all")
        }
    }
}

/// How long versions are kept, by the home's settings.
fn retention(home: &Home) -> anyhow::Result<Duration> {
    let (files, _) = files::of_home(home.root())?;
    let settings = Settings::read(&files).map_err(faults_error)?;
    Ok(Duration::days(i64::from(settings.lake.retention_days)))
}

/// Work that writes: a server that holds the lake is named, and nothing is done.
pub fn under_lease(
    home: &Home,
    command: &str,
    work: impl FnOnce(&Lake, &Handle) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    need_lake(home)?;
    let runtime = runtime()?;
    let (lease, set_aside) = take_lake(home, command, runtime.handle())?;
    set_aside.iter().try_for_each(|torn| say(&format!("{torn}\n")))?;
    let lake = runtime.block_on(open_to_write(home, &lease))?;
    let done = work(&lake, runtime.handle());
    lease.release(WallClock.now())?;
    done
}
