//! What a recorded chain says about its own rates and spot, by put-call parity.
//!
//! Rates come from boxes of two-sided quotes near the money, the surest symbol for each maturity,
//! with their error; a rate stays for at most five sessions and is then gone. The spot is the
//! forward of the nearest expiry that can tell it, discounted, with the dividends before that
//! expiry added. American exercise biases both by an amount that their error does not hold.

use std::collections::BTreeMap;

use chrono::{NaiveDate, TimeDelta};
use chrono_tz::America::New_York;

use crate::market::sessions::years_between;
use crate::market::{OptionContract, OptionQuote, OptionRight, Symbol, Timestamp, TwoSided};
use crate::pricing::{BoxRate, ParityPair, box_rate, parity_forward};

use super::super::source::DividendRow;

/// Oldest quote that parity, and an official mark, may use.
pub(super) const QUOTE_AGE_MINUTES_MAX: i64 = 10;
/// A box less sure than this, a fraction a year, says nothing.
const RATE_ERROR_MAX: f64 = 0.02;

/// A quote as it stands, with its contract and stamp.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Standing {
    pub contract: std::sync::Arc<OptionContract>,
    pub quote: OptionQuote,
    pub received_at: Timestamp,
    /// How much the row said, for conflicts of one stamp.
    pub fields: usize,
}

/// The pairs of one symbol and expiry.
pub(super) struct ExpiryPairs {
    pub symbol: Symbol,
    pub expiry_date: NaiveDate,
    pub years: f64,
    pub pairs: Vec<ParityPair>,
}

/// Call and put by strike in millionths.
type Strikes = BTreeMap<i64, (Option<TwoSided>, Option<TwoSided>)>;

/// Calls and puts of one strike that are both quoted on both sides and fresh, by symbol and expiry.
pub(super) fn expiry_pairs<'a>(
    standing: impl Iterator<Item = &'a Standing>,
    now: Timestamp,
) -> Vec<ExpiryPairs> {
    let mut chains: BTreeMap<(&Symbol, NaiveDate), (Timestamp, Strikes)> = BTreeMap::new();
    for one in standing {
        let contract = &one.contract;
        let fresh = now - one.received_at <= TimeDelta::minutes(QUOTE_AGE_MINUTES_MAX);
        let two_sided = TwoSided::new(one.quote.bid, one.quote.ask);
        if !fresh || two_sided.is_none() || contract.expires_at <= now {
            continue;
        }
        let key = (&contract.symbol, contract.expiry_date);
        let chain = chains.entry(key).or_insert((contract.expires_at, Strikes::new()));
        let sides = chain.1.entry(contract.strike.micros()).or_default();
        match contract.right {
            OptionRight::Call => sides.0 = two_sided,
            OptionRight::Put => sides.1 = two_sided,
        }
    }
    chains
        .into_iter()
        .map(|((symbol, expiry_date), (expires_at, strikes))| ExpiryPairs {
            symbol: symbol.clone(),
            expiry_date,
            years: years_between(now, expires_at),
            pairs: strikes
                .into_iter()
                .filter_map(|(micros, sides)| Some(pair(micros, sides.0?, sides.1?)))
                .collect(),
        })
        .collect()
}

fn pair(strike_micros: i64, call: TwoSided, put: TwoSided) -> ParityPair {
    ParityPair {
        strike: strike_micros as f64 / 1e6,
        call_mid: call.mid().to_f64(),
        put_mid: put.mid().to_f64(),
        call_half_spread: call.half_spread().to_f64(),
        put_half_spread: put.half_spread().to_f64(),
    }
}

/// The surest box of each maturity.
pub(super) fn box_rates(chains: &[ExpiryPairs]) -> BTreeMap<NaiveDate, BoxRate> {
    let mut surest: BTreeMap<NaiveDate, BoxRate> = BTreeMap::new();
    for chain in chains {
        let found = box_rate(&chain.pairs, chain.years);
        let Some(found) = found.filter(|found| found.rate_error <= RATE_ERROR_MAX) else {
            continue;
        };
        let known = surest.entry(chain.expiry_date).or_insert(found);
        if found.rate_error < known.rate_error {
            *known = found;
        }
    }
    surest
}

/// What a spot needs beside quotes.
pub(super) struct Reference<'a> {
    /// Continuous, by maturity.
    pub rates: &'a BTreeMap<NaiveDate, f64>,
    pub dividends: &'a [DividendRow],
    pub now: Timestamp,
}

/// The spot of a symbol from its nearest expiry that has a rate and pairs, USD a share.
pub(super) fn spot(
    chains: &[ExpiryPairs],
    symbol: &Symbol,
    reference: &Reference<'_>,
) -> Option<f64> {
    let today = reference.now.with_timezone(&New_York).date_naive();
    chains.iter().filter(|chain| chain.symbol == *symbol).find_map(|chain| {
        let rate = *reference.rates.get(&chain.expiry_date)?;
        let forward = parity_forward(&chain.pairs, chain.years, rate)?.forward;
        let paid: f64 = reference
            .dividends
            .iter()
            .filter(|row| row.symbol == *symbol && row.ex_date <= chain.expiry_date)
            .filter(|row| row.ex_date > today)
            .map(|row| {
                let days = (row.ex_date - today).num_days() as f64;
                row.amount.to_f64() * libm::exp(-rate * days / 365.0)
            })
            .sum();
        Some(forward * libm::exp(-rate * chain.years) + paid)
    })
}
