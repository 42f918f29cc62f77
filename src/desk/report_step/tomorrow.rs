//! What is known of the next days, a sentence each.

use chrono::{NaiveDate, TimeDelta};

use crate::report::StrategyRow;

use super::tables::Tables;
use super::words::{clock, local, number, weekday};

/// How far ahead is told, calendar days. A matter of display only.
const AHEAD_DAYS: i64 = 7;

const EVENTS: &str = "
    select distinct event_name, event_at from bronze.events
    where session_date <= $session_date order by event_at, event_name";

const DIVIDENDS: &str = "
    select symbol, ex_date, amount_usd, certainty from (
        select *, row_number() over (
            partition by symbol, ex_date order by ingest_seq desc
        ) as recency
        from bronze.dividends where session_date <= $session_date
    ) as ranked
    where recency = 1 and ex_date > $session_date order by ex_date, symbol";

pub(super) async fn sentences(
    tables: &Tables,
    strategies: &[StrategyRow],
) -> anyhow::Result<Vec<String>> {
    let today = tables.session_date;
    let ahead = |date: NaiveDate| date > today && date <= today + TimeDelta::days(AHEAD_DAYS);
    let mut told: Vec<(NaiveDate, String)> = Vec::new();
    for row in tables.rows(EVENTS).await?.iter() {
        let at = row.instant("event_at")?;
        let date = local(at).date_naive();
        if ahead(date) {
            told.push((
                date,
                format!("{}: {} at {}.", weekday(date), row.text("event_name")?, clock(at)),
            ));
        }
    }
    for row in tables.rows(DIVIDENDS).await?.iter() {
        let date = row.date("ex_date")?;
        if ahead(date) {
            let (symbol, certainty) = (row.text("symbol")?, row.text("certainty")?);
            let amount = number(row.price("amount_usd")?.to_f64());
            let text =
                format!("{}: {symbol} goes ex dividend, ${amount} {certainty}.", weekday(date));
            told.push((date, text));
        }
    }
    for row in strategies.iter().filter(|row| !row.legs.is_empty()) {
        if let Some(date) = row.expiry_date.filter(|date| ahead(*date)) {
            let text = format!("{}: {} {} expires.", weekday(date), row.symbol, row.structure);
            told.push((date, text));
        }
    }
    told.sort();
    Ok(told.into_iter().map(|(_, text)| text).collect())
}
