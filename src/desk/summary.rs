//! What a person wants to know of a day, read from the lake.

use chrono::NaiveDate;

use crate::lake::Rows;

use super::world::World;

/// One day in a line or two.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DaySummary {
    pub session_date: NaiveDate,
    pub equity_usd: Option<f64>,
    pub change_usd: Option<f64>,
    pub fees_usd: Option<f64>,
    pub opened: i64,
    /// Rule and number of strategies that it closed.
    pub closed: Vec<(String, i64)>,
    pub open: i64,
    pub refused: i64,
    pub alerts: i64,
    /// Verdict and reason of entries, and how often each was said.
    pub entries: Vec<(String, String, i64)>,
}

/// Reads a day's summary.
pub fn day_summary<B>(world: &World<B>, session: NaiveDate) -> anyhow::Result<DaySummary> {
    let mut summary = DaySummary { session_date: session, ..DaySummary::default() };
    let rows = ask(
        world,
        &format!(
            "select cast(end_equity_usd as double) as equity, \
             cast(equity_change_usd as double) as change, cast(fees_usd as double) as fees \
             from gold.pnl_daily where session_date = date '{session}'"
        ),
    )?;
    if let Some(first) = rows.first() {
        summary.equity_usd = first.maybe_double("equity")?;
        summary.change_usd = first.maybe_double("change")?;
        summary.fees_usd = first.maybe_double("fees")?;
    }
    let rows = ask(
        world,
        &format!(
            "with latest as (select *, row_number() over (partition by strategy_id \
             order by change_seq desc) as recency from ops.strategies) \
             select coalesce(close_rule, 'settlement') as close_rule, state, \
             cast(opened_at as date) = date '{session}' as opened_today, \
             cast(closed_at as date) = date '{session}' as closed_today, count(*) as strategies \
             from latest where recency = 1 and state <> 'dropped' \
             group by 1, 2, 3, 4 order by 1, 2, 3, 4"
        ),
    )?;
    for row in rows.iter() {
        let count = row.int("strategies")?;
        if row.maybe_flag("opened_today")? == Some(true) {
            summary.opened += count;
        }
        if row.maybe_flag("closed_today")? == Some(true) {
            summary.closed.push((row.text("close_rule")?.to_owned(), count));
        }
        if row.text("state")? == "open" {
            summary.open += count;
        }
    }
    let rows = ask(
        world,
        &format!(
            "select count(distinct order_ref) as refused from ops.orders \
             where state = 'denied' and session_date = date '{session}'"
        ),
    )?;
    summary.refused = one_count(&rows, "refused")?;
    let rows = ask(
        world,
        &format!("select count(*) as alerts from ops.alerts where session_date = date '{session}'"),
    )?;
    summary.alerts = one_count(&rows, "alerts")?;
    let rows = ask(
        world,
        &format!(
            "select verdict, coalesce(reason, '') as reason, count(*) as times \
             from gold.entry_candidates where session_date = date '{session}' \
             group by 1, 2 order by 3 desc, 1, 2 limit 6"
        ),
    )?;
    for row in rows.iter() {
        summary.entries.push((
            row.text("verdict")?.to_owned(),
            row.text("reason")?.to_owned(),
            row.int("times")?,
        ));
    }
    Ok(summary)
}

fn one_count(rows: &Rows, column: &str) -> anyhow::Result<i64> {
    Ok(rows.first().map(|row| row.maybe_int(column)).transpose()?.flatten().unwrap_or_default())
}

/// A query on the lake; a table that nobody has written yet gives no rows.
pub fn ask<B>(world: &World<B>, sql: &str) -> anyhow::Result<Rows> {
    world.ask(sql)
}
