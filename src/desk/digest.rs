//! The digest of a demo: the same seed, settings and program give the same bytes.
//!
//! A day's digest covers the decisions, verdicts, orders, checks, fills and P&L of its session and
//! the state of all strategies at its close, and then the report's bytes. Wall time, paths and file
//! names are not in it.

use chrono::NaiveDate;
use sha2::{Digest as _, Sha256};

use crate::lake::digest_table;
use crate::market::Clock as _;
use crate::pipeline::model::hex;

use super::world::World;

/// One day's digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayDigest {
    pub session_date: NaiveDate,
    /// SHA-256, hex.
    pub digest: String,
    pub rows: usize,
}

/// Tables of the digest, their keys, and whether only the latest row a key counts.
const TABLES: [(&str, &[&str], &str); 7] = [
    ("gold.decisions", &["decision_id"], ""),
    ("gold.rule_verdicts", &["as_of", "rule", "scope", "subject_id"], ""),
    ("ops.orders", &["order_ref"], "order_ref"),
    ("ops.risk_checks", &["order_ref", "attempt", "check_id", "check_name"], ""),
    ("silver.fills", &["exec_id"], ""),
    ("gold.pnl_daily", &["session_date", "account_id"], ""),
    ("ops.strategies", &["strategy_id"], "strategy_id"),
];

/// The digest of one session, read back from the lake.
pub fn day_digest<B>(world: &World<B>, session: NaiveDate) -> anyhow::Result<DayDigest> {
    let (mut hash, mut rows) = (Sha256::new(), 0);
    for (table, key, latest_by) in TABLES {
        let (digest, count) =
            world.runtime.block_on(table_digest(world, table, (key, latest_by), session))?;
        hash.update(table.as_bytes());
        hash.update(digest.as_bytes());
        rows += count;
    }
    let report = world.reports.join(format!("{session}.html"));
    if report.exists() {
        hash.update(std::fs::read(&report)?);
    }
    Ok(DayDigest { session_date: session, digest: hex(&hash.finalize()), rows })
}

async fn table_digest<B>(
    world: &World<B>,
    table: &str,
    (key, latest_by): (&[&str], &str),
    session: NaiveDate,
) -> anyhow::Result<(String, usize)> {
    let name = table.parse()?;
    if !world.lake.tables().contains(&name) {
        return Ok((String::new(), 0));
    }
    let pinned = world.lake.session_at(Some(world.clock.now())).await?;
    let sql = if latest_by.is_empty() {
        format!("select * from {table} where session_date = date '{session}'")
    } else {
        format!(
            "select * from (select *, row_number() over (partition by {latest_by} \
             order by change_seq desc) as wall_recency from {table} \
             where session_date <= date '{session}') where wall_recency = 1"
        )
    };
    let batches = pinned.context().sql(&sql).await?.collect().await?;
    Ok(digest_table(&batches, key)?)
}

/// The digest over all days.
pub fn total_digest(days: &[DayDigest]) -> String {
    let mut hash = Sha256::new();
    for day in days {
        hash.update(day.session_date.to_string().as_bytes());
        hash.update(day.digest.as_bytes());
    }
    hex(&hash.finalize())
}
