//! The account of a recorded market: what became of every input row, and how our Greeks compare
//! with those of the record.

use super::world::World;

/// Lines for the end of a recorded demo. The first identity that does not hold is an error.
pub fn of_recording(world: &World, rows_read: usize) -> anyhow::Result<Vec<String>> {
    let mut lines = Vec::new();
    let bronze = count(world, "select count(*) as rows from bronze.option_quotes")?;
    let silver = count(world, "select count(*) as rows from silver.option_quotes")?;
    lines.push(String::new());
    lines.push(format!("rows read           {rows_read}"));
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
    if rows_read as i64 != bronze || bronze != silver + rejected {
        anyhow::bail!(
            "rows are unaccounted for: read {rows_read}, bronze {bronze}, silver {silver}, \
             set aside {rejected}"
        );
    }
    lines.push("read = bronze = silver + rows set aside: holds".to_owned());
    lines.extend(delta_lines(world)?);
    Ok(lines)
}

fn count(world: &World, sql: &str) -> anyhow::Result<i64> {
    let rows = world.ask(sql)?;
    Ok(rows.first().map(|row| row.int("rows")).transpose()?.unwrap_or_default())
}

/// The median distance of our delta from the record's, where the record gave one beside a
/// two-sided quote.
fn delta_lines(world: &World) -> anyhow::Result<Vec<String>> {
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
