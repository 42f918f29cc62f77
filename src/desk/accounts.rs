//! The account of a recorded market: what became of every input row, and how our Greeks compare
//! with those of the record.

use std::collections::BTreeMap;

use crate::exchange::RowFault;
use crate::market::Timestamp;

use super::world::World;

/// What was read of a recording before anything was delivered.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordRead {
    /// Rows of the folder, copies written out.
    pub read: usize,
    /// When each was received.
    pub stamps: Vec<Timestamp>,
    /// Rows that name no contract; no table has a place for them.
    pub faults: Vec<(Timestamp, RowFault)>,
}

/// Lines for the end of a recorded demo. The first identity that does not hold is an error.
pub fn of_recording<B>(world: &World<B>, record: &RecordRead) -> anyhow::Result<Vec<String>> {
    let end = world.chains_taken_at.get();
    let reached = |at: Timestamp| end.is_some_and(|end| at <= end);
    let beyond = record.stamps.iter().filter(|at| !reached(**at)).count() as i64;
    let mut nameless: BTreeMap<String, i64> = BTreeMap::new();
    for (_, fault) in record.faults.iter().filter(|(at, _)| reached(*at)) {
        *nameless.entry(fault.to_string()).or_default() += 1;
    }
    let left: i64 = nameless.values().sum();
    let bronze = count(world, "select count(*) as rows from bronze.option_quotes")?;
    let silver = count(world, "select count(*) as rows from silver.option_quotes")?;
    let mut lines = vec![String::new(), format!("rows read           {}", record.read)];
    if beyond > 0 {
        lines.push(format!("  not reached       {beyond}"));
    }
    for (fault, rows) in &nameless {
        lines.push(format!("  no contract       {rows}: {fault}"));
    }
    lines.push(format!("bronze              {bronze}"));
    lines.push(format!("silver              {silver}"));
    let reasons = world.ask(
        "select reason, count(*) as rows from silver.quarantine \
         where source = 'bronze.option_quotes' group by reason order by reason",
    )?;
    let mut rejected = 0;
    for row in reasons.iter() {
        let rows = row.int("rows")?;
        rejected += rows;
        lines.push(format!("  {:<18}{rows}", row.text("reason")?));
    }
    let read = record.read as i64 - beyond - left;
    if read != bronze || bronze != silver + rejected {
        anyhow::bail!(
            "rows are unaccounted for: read {}, of these not reached {beyond}, without a contract \
             {left}; bronze {bronze}, silver {silver}, set aside {rejected}",
            record.read
        );
    }
    let without = if beyond + left > 0 { " (less those above)" } else { "" };
    lines.push(format!("read{without} = bronze = silver + rows set aside: holds"));
    lines.extend(delta_lines(world)?);
    Ok(lines)
}

fn count<B>(world: &World<B>, sql: &str) -> anyhow::Result<i64> {
    let rows = world.ask(sql)?;
    Ok(rows.first().map(|row| row.int("rows")).transpose()?.unwrap_or_default())
}

/// The median distance of our delta from the record's, where the record gave one beside a
/// two-sided quote.
fn delta_lines<B>(world: &World<B>) -> anyhow::Result<Vec<String>> {
    let compared = "from silver.option_quotes where delta is not null and vendor_delta is not null \
                    and bid is not null and ask is not null";
    let whole = world.ask(&format!(
        "select median(abs(delta - vendor_delta)) as distance, count(*) as rows {compared}"
    ))?;
    let mut lines = Vec::new();
    for row in whole.iter() {
        if let Some(distance) = row.maybe_double("distance")? {
            lines.push(format!(
                "delta, ours and the record's: median distance {distance:.4} over {} quotes",
                row.int("rows")?
            ));
        }
    }
    let days = world.ask(&format!(
        "select session_date, symbol, median(abs(delta - vendor_delta)) as distance, \
         count(*) as rows {compared} group by session_date, symbol order by session_date, symbol"
    ))?;
    for row in days.iter() {
        lines.push(format!(
            "  {} {:<4} {:.4} over {}",
            row.date("session_date")?,
            row.text("symbol")?,
            row.double("distance")?,
            row.int("rows")?
        ));
    }
    Ok(lines)
}
