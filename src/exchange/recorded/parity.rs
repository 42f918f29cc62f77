//! What a recorded chain says about its own spot, by put-call parity.
//!
//! The spot is the forward of the nearest expiry that has a rate and three pairs, corrected for
//! early exercise as last measured, discounted, with the dividends before that expiry added. A
//! dividend that goes ex on the expiry date itself counts half: the holder of a call in the money
//! exercises the day before and does not lose it, the holder of a put keeps it, and near the money
//! parity sees the mean of both.

use std::collections::BTreeMap;

use chrono::{NaiveDate, TimeDelta};
use chrono_tz::America::New_York;

use crate::market::sessions::years_between;
use crate::market::{OptionContract, OptionQuote, OptionRight, Symbol, Timestamp, TwoSided};
use crate::pricing::{ParityPair, parity_forward};

use super::super::source::DividendRow;

/// Oldest quote that parity, and an official mark, may use.
pub(super) const QUOTE_AGE_MINUTES_MAX: i64 = 10;

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

/// What parity needs beside quotes.
pub(super) struct Reference<'a> {
    pub dividends: &'a [DividendRow],
    /// What early exercise took from each forward when last measured, USD a share.
    pub corrections: &'a BTreeMap<(Symbol, NaiveDate), f64>,
    pub now: Timestamp,
}

impl Reference<'_> {
    /// Dividends of a symbol that go ex after today and not after a date.
    pub fn dividends_before(
        &self,
        symbol: &Symbol,
        expiry: NaiveDate,
    ) -> impl Iterator<Item = &DividendRow> {
        let today = self.today();
        self.dividends.iter().filter(move |row| {
            row.symbol == *symbol && row.ex_date > today && row.ex_date <= expiry
        })
    }

    /// Their value now, USD a share, one on the expiry date itself by half.
    pub fn paid_before(&self, symbol: &Symbol, expiry: NaiveDate, rate: f64) -> f64 {
        let today = self.today();
        self.dividends_before(symbol, expiry)
            .map(|row| {
                let days = (row.ex_date - today).num_days() as f64;
                let share = if row.ex_date == expiry { 0.5 } else { 1.0 };
                share * row.amount.to_f64() * libm::exp(-rate * days / 365.0)
            })
            .sum()
    }

    fn today(&self) -> NaiveDate {
        self.now.with_timezone(&New_York).date_naive()
    }
}

/// The spot of a symbol from its nearest expiry that has a rate and pairs, USD a share.
pub(super) fn spot(
    chains: &[ExpiryPairs],
    symbol: &Symbol,
    rates: &BTreeMap<NaiveDate, f64>,
    reference: &Reference<'_>,
) -> Option<f64> {
    chains.iter().filter(|chain| chain.symbol == *symbol).find_map(|chain| {
        let rate = *rates.get(&chain.expiry_date)?;
        let key = (symbol.clone(), chain.expiry_date);
        let correction = *reference.corrections.get(&key)?;
        let forward = parity_forward(&chain.pairs, chain.years, rate)?.forward + correction;
        let paid = reference.paid_before(symbol, chain.expiry_date, rate);
        Some(forward * libm::exp(-rate * chain.years) + paid)
    })
}
