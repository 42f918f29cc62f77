//! IB's rules for requests of bars of 30 seconds and less: none twice within 15 seconds, fewer than
//! six for one contract and kind of price within two seconds, 60 within ten minutes, where both
//! sides at once count twice (TWS API, historical data limitations).
//!
//! Time is the wall's: the rules protect a server, not a market. That a refused request does not
//! count itself is an assumption.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::request::HistoryRequest;

/// Bars longer than this are not counted, seconds.
pub const COUNTED_UP_TO: i64 = 30;

const TWICE_WITHIN: f64 = 15.0;
const BURST_WITHIN: f64 = 2.0;
const BURST_MAX: usize = 5;
const LONG_WITHIN: f64 = 600.0;
const LONG_MAX: usize = 60;

/// What IB says of one request too many, with code 162.
pub const VIOLATION: &str = "Historical Market Data Service error message:Historical data request \
                             pacing violation";

/// One request that was let through.
#[derive(Debug)]
struct Asked {
    at: f64,
    whole: u64,
    contract: u64,
    weight: usize,
}

/// The requests of the last ten minutes, of all clients.
#[derive(Debug, Default)]
pub struct HistoryTraffic {
    asked: VecDeque<Asked>,
}

/// One request is too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany;

impl HistoryTraffic {
    /// Counts a request that comes at an instant of the wall, in seconds.
    pub fn admit(&mut self, at: f64, wanted: &HistoryRequest) -> Result<(), TooMany> {
        while self.asked.front().is_some_and(|oldest| at - oldest.at >= LONG_WITHIN) {
            self.asked.pop_front();
        }
        let what = &wanted.contract;
        let contract = hash(&format!("{what:?} {}", wanted.what_to_show));
        let whole = hash(&format!("{wanted:?}"));
        let weight = if wanted.what_to_show == "BID_ASK" { 2 } else { 1 };
        let within = |seconds: f64| self.asked.iter().filter(move |past| at - past.at < seconds);
        let is_twice = within(TWICE_WITHIN).any(|past| past.whole == whole);
        let burst: usize = within(BURST_WITHIN)
            .filter(|past| past.contract == contract)
            .map(|past| past.weight)
            .sum();
        let long: usize = self.asked.iter().map(|past| past.weight).sum();
        if is_twice || burst + weight > BURST_MAX || long + weight > LONG_MAX {
            return Err(TooMany);
        }
        self.asked.push_back(Asked { at, whole, contract, weight });
        Ok(())
    }
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(symbol: &str, end: &str, what: &str) -> HistoryRequest {
        let mut wanted = HistoryRequest { end: end.to_owned(), ..HistoryRequest::default() };
        symbol.clone_into(&mut wanted.contract.symbol);
        what.clone_into(&mut wanted.what_to_show);
        wanted
    }

    #[test]
    fn none_twice_within_fifteen_seconds() {
        let mut traffic = HistoryTraffic::default();
        let same = wanted("SPY", "", "TRADES");
        assert_eq!(traffic.admit(0.0, &same), Ok(()));
        assert_eq!(traffic.admit(14.9, &same), Err(TooMany));
        assert_eq!(traffic.admit(15.0, &same), Ok(()));
    }

    #[test]
    fn five_of_one_contract_within_two_seconds() {
        let mut traffic = HistoryTraffic::default();
        for n in 0..5 {
            assert_eq!(traffic.admit(0.1, &wanted("SPY", &n.to_string(), "TRADES")), Ok(()));
        }
        assert_eq!(traffic.admit(1.0, &wanted("SPY", "5", "TRADES")), Err(TooMany));
        assert_eq!(traffic.admit(1.0, &wanted("SPY", "5", "BID")), Ok(()));
        assert_eq!(traffic.admit(1.0, &wanted("QQQ", "5", "TRADES")), Ok(()));
        assert_eq!(traffic.admit(2.1, &wanted("SPY", "5", "TRADES")), Ok(()));
    }

    #[test]
    fn sixty_within_ten_minutes_and_both_sides_count_twice() {
        let mut traffic = HistoryTraffic::default();
        for n in 0..30 {
            let asked = wanted("SPY", &n.to_string(), "BID_ASK");
            assert_eq!(traffic.admit(f64::from(n) * 3.0, &asked), Ok(()));
        }
        assert_eq!(traffic.admit(599.0, &wanted("SPY", "more", "TRADES")), Err(TooMany));
        assert_eq!(traffic.admit(600.0, &wanted("SPY", "more", "TRADES")), Ok(()));
    }
}
