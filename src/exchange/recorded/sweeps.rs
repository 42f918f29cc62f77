//! Which rows of a recorded chain belong to one sweep, told from their stamps alone.
//!
//! A sweep of a symbol ends before a row that comes 30 s or more after the one before it, or 60 s
//! or more after the sweep's first row, or that repeats a contract at a later stamp. Its id is the
//! symbol and the stamp of its first row, so the same record yields the same ids on every pass.

use std::collections::BTreeMap;

use chrono::TimeDelta;

use crate::market::{ConId, Symbol, Timestamp};

/// Silence after which a sweep has ended.
const SILENCE_SECONDS: i64 = 30;
/// Longest sweep.
const LENGTH_SECONDS: i64 = 60;

/// The sweep that a symbol is in.
struct Sweep {
    id: String,
    first_at: Timestamp,
    last_at: Timestamp,
    /// When each contract came last in this sweep.
    contracts: BTreeMap<ConId, Timestamp>,
}

impl Sweep {
    fn starting_with(symbol: &Symbol, conid: ConId, at: Timestamp) -> Self {
        Self {
            id: format!("{symbol}-{}", at.format("%Y%m%dT%H%M%S%.6fZ")),
            first_at: at,
            last_at: at,
            contracts: BTreeMap::from([(conid, at)]),
        }
    }

    fn ends_before(&self, conid: ConId, at: Timestamp) -> bool {
        at - self.last_at >= TimeDelta::seconds(SILENCE_SECONDS)
            || at - self.first_at >= TimeDelta::seconds(LENGTH_SECONDS)
            || self.contracts.get(&conid).is_some_and(|earlier| at > *earlier)
    }
}

/// The sweep of each row, in the order given, which must be that of the stamps.
pub fn sweep_ids(rows: &[(Symbol, ConId, Timestamp)]) -> Vec<String> {
    let mut open: BTreeMap<&Symbol, Sweep> = BTreeMap::new();
    let mut ids = Vec::with_capacity(rows.len());
    for (symbol, conid, at) in rows {
        let sweep = open.entry(symbol).or_insert_with(|| Sweep::starting_with(symbol, *conid, *at));
        if sweep.ends_before(*conid, *at) {
            *sweep = Sweep::starting_with(symbol, *conid, *at);
        }
        sweep.last_at = *at;
        sweep.contracts.insert(*conid, *at);
        ids.push(sweep.id.clone());
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::structures::testing::monday;

    fn sweeps(rows: &[(&str, i64, i64)]) -> Vec<String> {
        let rows: Vec<_> = rows
            .iter()
            .map(|(symbol, conid, millis)| {
                let at = monday() + TimeDelta::milliseconds(*millis);
                (Symbol::new(symbol), ConId(*conid), at)
            })
            .collect();
        sweep_ids(&rows)
    }

    fn distinct(ids: &[String]) -> Vec<usize> {
        let mut seen: Vec<&String> = Vec::new();
        ids.iter()
            .map(|id| {
                seen.iter().position(|other| *other == id).unwrap_or_else(|| {
                    seen.push(id);
                    seen.len() - 1
                })
            })
            .collect()
    }

    #[test]
    fn a_silence_of_thirty_seconds_ends_a_sweep() {
        let ids =
            sweeps(&[("SPY", 1, 0), ("SPY", 2, 29_999), ("SPY", 3, 59_998), ("SPY", 4, 89_998)]);
        assert_eq!(distinct(&ids), [0, 0, 0, 1]);
    }

    #[test]
    fn a_minute_ends_a_sweep() {
        let ids =
            sweeps(&[("SPY", 1, 0), ("SPY", 2, 25_000), ("SPY", 3, 50_000), ("SPY", 4, 60_000)]);
        assert_eq!(distinct(&ids), [0, 0, 0, 1]);
    }

    #[test]
    fn a_contract_that_comes_again_begins_a_sweep_but_a_copy_of_the_same_stamp_does_not() {
        let ids = sweeps(&[("SPY", 1, 0), ("SPY", 1, 0), ("SPY", 2, 10), ("SPY", 1, 20)]);
        assert_eq!(distinct(&ids), [0, 0, 0, 1]);
    }

    #[test]
    fn symbols_have_their_own_sweeps_and_ids_name_symbol_and_first_stamp() {
        let ids = sweeps(&[("SPY", 1, 0), ("QQQ", 2, 1_500), ("SPY", 3, 2_000)]);
        assert_eq!(distinct(&ids), [0, 1, 0]);
        assert_eq!(ids[1], "QQQ-20260302T150001.500000Z");
    }
}
