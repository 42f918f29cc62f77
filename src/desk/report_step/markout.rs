//! What the market did after a fill: the combo's mid some minutes later against its mid at the
//! fill.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use rust_decimal::Decimal;

use crate::market::{Price, Timestamp};

use super::tables::Tables;

/// Mids of contracts over the session.
#[derive(Debug, Default)]
pub(super) struct Mids {
    by_conid: BTreeMap<i64, BTreeMap<Timestamp, Decimal>>,
}

impl Mids {
    pub async fn read(tables: &Tables, conids: &[i64]) -> anyhow::Result<Self> {
        let mut mids = Self::default();
        if conids.is_empty() {
            return Ok(mids);
        }
        let wanted: Vec<String> = conids.iter().map(ToString::to_string).collect();
        let sql = format!(
            "select conid, received_at, mid from silver.option_quotes
             where session_date = $session_date and mid is not null and conid in ({})
             order by conid, received_at, ingest_seq",
            wanted.join(", ")
        );
        for row in tables.rows(&sql).await?.iter() {
            let quotes = mids.by_conid.entry(row.int("conid")?).or_default();
            quotes.insert(row.instant("received_at")?, row.price("mid")?.decimal());
        }
        Ok(mids)
    }

    /// The move of the combo's mid from the last quotes before a fill to the first at least `after`
    /// later, USD a share; up is in the holder's favour. Nothing where a leg was not quoted within
    /// three fifths of `after` more.
    pub fn markout(
        &self,
        legs: &[(i64, i64)],
        filled_at: Timestamp,
        after: TimeDelta,
    ) -> Option<Decimal> {
        let due = filled_at + after;
        let late = due + after * 3 / 5;
        let moves = legs.iter().map(|(conid, ratio)| {
            let quotes = self.by_conid.get(conid)?;
            let (_, before) = quotes.range(..=filled_at).next_back()?;
            let (_, later) = quotes.range(due..=late).next()?;
            Some((later - before) * Decimal::from(*ratio))
        });
        let moved: Option<Decimal> = moves.sum();
        moved.map(Price::new).map(Price::decimal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        format!("2026-03-16T{text}:00Z").parse().unwrap()
    }

    fn quoted(conid: i64, quotes: &[(&str, &str)]) -> (i64, BTreeMap<Timestamp, Decimal>) {
        let quotes = quotes.iter().map(|(when, mid)| (at(when), mid.parse().unwrap()));
        (conid, quotes.collect())
    }

    #[test]
    fn a_spread_sold_gains_when_its_short_leg_falls() {
        let mids = Mids {
            by_conid: [
                quoted(1, &[("14:00", "2.00"), ("14:05", "1.90"), ("14:15", "1.70")]),
                quoted(2, &[("14:00", "1.00"), ("14:05", "0.98"), ("14:15", "0.90")]),
            ]
            .into(),
        };
        let sold = [(1, -1), (2, 1)];
        let ten = TimeDelta::minutes(10);
        let gained = mids.markout(&sold, at("14:01"), ten);
        assert_eq!(gained, Some("0.20".parse().unwrap()));
        assert_eq!(mids.markout(&sold, at("14:01"), TimeDelta::minutes(1)), None);
        assert_eq!(mids.markout(&sold, at("14:08"), ten), None);
        assert_eq!(mids.markout(&[(3, 1)], at("14:01"), ten), None);
    }
}
