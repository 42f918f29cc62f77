//! The rate that the American options of a record imply, by boxes.
//!
//! A box of American options is worth more than its discounted width, by the early exercise of the
//! side in the money; near the money that premium is as large as the interest itself, so the plain
//! box of [`box_rate`] is biased by several percentage points. Here the premium is taken out: at a
//! trial rate each strike's volatility is read from its option out of the money, both options'
//! premiums of early exercise are computed from it and subtracted, and the box of what is left
//! gives a rate. The rate sought is the one that gives itself back. Its error is the box's own,
//! divided by how steeply that difference crosses zero.
//!
//! Dividends enter as a continuous yield, which overstates the rate where one falls before expiry:
//! so a chain without a dividend before its expiry is preferred, whatever its error.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use crate::market::Symbol;
use crate::pricing::{
    Bsm, BsmQuote, ParityPair, Right, american, box_rate, bsm, implied_vol_american, parity_forward,
};

use super::parity::{ExpiryPairs, Reference};

/// A box less sure than this, a fraction a year, says nothing.
const RATE_ERROR_MAX: f64 = 0.02;
/// Rates that are tried: a hundredth apart up to this many.
const TRIALS: i32 = 13;
const TRIAL_STEP: f64 = 0.01;
/// Halvings of the interval in which the rate was found.
const REFINEMENTS: usize = 4;
/// Pairs used, the narrowest first, and how far their call - put may be from 0 as a ratio of
/// strike.
const PAIRS_MAX: usize = 24;
const DIFFERENCE_MAX_RATIO: f64 = 0.08;

/// A rate and its standard error, continuous fractions a year.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rate {
    pub rate: f64,
    pub rate_error: f64,
}

/// The best rate of each maturity: without a dividend before expiry first, then the surest.
pub(super) fn rates(
    chains: &[ExpiryPairs],
    reference: &Reference<'_>,
) -> BTreeMap<NaiveDate, Rate> {
    let mut best: BTreeMap<NaiveDate, (bool, Rate)> = BTreeMap::new();
    for chain in chains {
        let pays = reference.dividends_before(&chain.symbol, chain.expiry_date).next().is_some();
        let Some(found) = AmericanBox::new(chain, reference).and_then(|chain| chain.rate()) else {
            continue;
        };
        let known = best.entry(chain.expiry_date).or_insert((pays, found));
        let surer = pays == known.0 && found.rate_error < known.1.rate_error;
        if surer || (known.0 && !pays) {
            *known = (pays, found);
        }
    }
    best.into_iter().map(|(maturity, (_, rate))| (maturity, rate)).collect()
}

/// What early exercise takes from the parity forward of each chain, USD a share: the forward of the
/// European parts less that of the quotes, at the rates given.
pub(super) fn forward_corrections(
    chains: &[ExpiryPairs],
    rates: &BTreeMap<NaiveDate, f64>,
    reference: &Reference<'_>,
) -> BTreeMap<(Symbol, NaiveDate), f64> {
    let correction = |chain: &ExpiryPairs| {
        let rate = *rates.get(&chain.expiry_date)?;
        let american = AmericanBox::new(chain, reference)?;
        let raw = parity_forward(&american.pairs, chain.years, rate)?.forward;
        let european = parity_forward(&american.european(rate)?, chain.years, rate)?.forward;
        Some(((chain.symbol.clone(), chain.expiry_date), european - raw))
    };
    chains.iter().filter_map(correction).collect()
}

/// One chain and what its prices depend on beside the rate.
struct AmericanBox<'a> {
    pairs: Vec<ParityPair>,
    chain: &'a ExpiryPairs,
    reference: &'a Reference<'a>,
}

impl<'a> AmericanBox<'a> {
    fn new(chain: &'a ExpiryPairs, reference: &'a Reference<'a>) -> Option<Self> {
        let near = |pair: &&ParityPair| {
            (pair.call_mid - pair.put_mid).abs() <= DIFFERENCE_MAX_RATIO * pair.strike
        };
        let mut pairs: Vec<ParityPair> = chain.pairs.iter().filter(near).copied().collect();
        let spread = |pair: &ParityPair| pair.call_half_spread + pair.put_half_spread;
        pairs.sort_by(|a, b| spread(a).total_cmp(&spread(b)).then(a.strike.total_cmp(&b.strike)));
        pairs.truncate(PAIRS_MAX);
        (chain.years > 0.0).then_some(Self { pairs, chain, reference })
    }

    /// The greatest rate that gives itself back, searched from above.
    fn rate(&self) -> Option<Rate> {
        let mut high =
            (f64::from(TRIALS - 1) * TRIAL_STEP, self.excess(f64::from(TRIALS - 1) * TRIAL_STEP)?);
        for trial in (0..TRIALS - 1).rev() {
            let rate = f64::from(trial) * TRIAL_STEP;
            let low = (rate, self.excess(rate)?);
            if low.1.rate < 0.0 && high.1.rate >= 0.0 {
                return self.refine(low, high);
            }
            high = low;
        }
        None
    }

    fn refine(&self, mut low: (f64, Rate), mut high: (f64, Rate)) -> Option<Rate> {
        let slope = (high.1.rate - low.1.rate) / (high.0 - low.0);
        for _ in 0..REFINEMENTS {
            let middle = 0.5 * (low.0 + high.0);
            let excess = self.excess(middle)?;
            if excess.rate < 0.0 { low = (middle, excess) } else { high = (middle, excess) }
        }
        let share = -low.1.rate / (high.1.rate - low.1.rate);
        let rate = low.0 + share * (high.0 - low.0);
        let rate_error = high.1.rate_error / slope;
        (rate.is_finite() && rate_error <= RATE_ERROR_MAX).then_some(Rate { rate, rate_error })
    }

    /// By how much the box of the European parts at a trial rate gives more than that rate.
    fn excess(&self, rate: f64) -> Option<Rate> {
        let found = box_rate(&self.european(rate)?, self.chain.years)?;
        Some(Rate { rate: found.rate - rate, rate_error: found.rate_error })
    }

    /// The pairs less their premiums of early exercise at a rate.
    fn european(&self, rate: f64) -> Option<Vec<ParityPair>> {
        let years = self.chain.years;
        let forward = parity_forward(&self.pairs, years, rate)?.forward;
        let discounted = forward * libm::exp(-rate * years);
        let paid = self.reference.paid_before(&self.chain.symbol, self.chain.expiry_date, rate);
        let spot = discounted + paid;
        let dividend_yield = libm::log(spot / discounted) / years;
        let (right, vol) = (Right::Put, 1.0);
        let market = Bsm { right, spot, strike: spot, years, rate, dividend_yield, vol };
        Some(
            self.pairs.iter().filter_map(|pair| without_exercise(pair, forward, &market)).collect(),
        )
    }
}

/// The pair less its premiums of early exercise.
fn without_exercise(pair: &ParityPair, forward: f64, market: &Bsm) -> Option<ParityPair> {
    let (right, price) = if pair.strike >= forward {
        (Right::Call, pair.call_mid)
    } else {
        (Right::Put, pair.put_mid)
    };
    let Bsm { spot, years, rate, dividend_yield, .. } = *market;
    let quote = BsmQuote { right, price, spot, strike: pair.strike, years, rate, dividend_yield };
    let vol = implied_vol_american(&quote)?;
    let premium = |right| {
        let input = Bsm { right, strike: pair.strike, vol, ..*market };
        Some(american(&input)?.price - bsm(&input)?.price)
    };
    Some(ParityPair {
        call_mid: pair.call_mid - premium(Right::Call)?,
        put_mid: pair.put_mid - premium(Right::Put)?,
        ..*pair
    })
}
