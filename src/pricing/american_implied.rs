//! Implied volatility of American prices, and a quote turned into volatility and Greeks at once.
//!
//! The search starts from the European implied volatility of the same quote, never from another
//! row: the American price at it is at least the quoted one, so it is an upper end. It also ends
//! there where `early_exercise_bound` is below [`EARLY_EXERCISE_TOLERANCE_USD`]; then the valuation
//! is the European one. Otherwise secant steps, kept inside a bracket, reach the quoted price to
//! 1e-9 of the strike.

use super::american::{Exercise, Kept};
use super::boundary::Put;
use super::european::bsm;
use super::european_implied::implied_vol;
use super::exercise_bound::{EARLY_EXERCISE_TOLERANCE_USD, bound};
use super::{BsmQuote, Implied};

/// The search ends when the price is matched to this share of the strike,
const PRICE_TOLERANCE: f64 = 1e-9;
/// or when the bracket is this narrow, relative to the volatility.
const VOL_TOLERANCE: f64 = 1e-12;
/// Steps of one search at most; halving alone would need 40 to close the bracket.
const STEPS_MAX: usize = 80;
/// No price is matched by a volatility whose standard deviation over the life is above this.
const TOTAL_VOL_MAX: f64 = 8.0;

/// Implied volatility of an American option, a fraction a year. `None` where `american` has no
/// answer, and for a price at or below intrinsic or at or above what any volatility explains.
pub fn implied_vol_american(quote: &BsmQuote) -> Option<f64> {
    match search(quote)? {
        Found::European(vol) => Some(vol),
        Found::American(kept) => Some(kept.put().vol),
    }
}

/// Implied volatility and the valuation at it, sharing their work.
pub fn invert_american(quote: &BsmQuote) -> Option<Implied> {
    match search(quote)? {
        Found::European(vol) => Some(Implied { vol, valuation: bsm(&quote.at_vol(vol))? }),
        Found::American(kept) => {
            Some(Implied { vol: kept.put().vol, valuation: kept.valuation(quote.right)? })
        }
    }
}

/// Where the search ended.
#[expect(clippy::large_enum_variant, reason = "lives on the stack for one call")]
enum Found {
    /// Early exercise is worth nothing, or less than the tolerance.
    European(f64),
    American(Kept),
}

fn search(quote: &BsmQuote) -> Option<Found> {
    let Some(vol) = implied_vol(quote) else { return search_from_above(quote) };
    let put = match Exercise::of(&quote.at_vol(vol))? {
        Exercise::Never => return Some(Found::European(vol)),
        Exercise::Early(put) => put,
    };
    if !inside_bounds(&put, quote.price) {
        return None;
    }
    if bound(&put) < EARLY_EXERCISE_TOLERANCE_USD {
        return Some(Found::European(vol));
    }
    descend(&Kept::new(put)?, quote.price).map(Found::American)
}

/// For a price above every European one, which an American option can have: from the first of a few
/// high volatilities that makes it worth that much.
fn search_from_above(quote: &BsmQuote) -> Option<Found> {
    let vol_max = TOTAL_VOL_MAX / libm::sqrt(quote.years);
    let put = match Exercise::of(&quote.at_vol(vol_max))? {
        Exercise::Never => return None,
        Exercise::Early(put) => put,
    };
    let above = quote.price >= put.strike * libm::exp(-put.rate * put.years);
    if !(above && inside_bounds(&put, quote.price)) {
        return None;
    }
    let start = [0.125, 0.25, 0.5, 1.0]
        .into_iter()
        .filter_map(|share| Kept::new(Put { vol: share * vol_max, ..put }))
        .find(|kept| kept.price().is_some_and(|worth| worth >= quote.price))?;
    descend(&start, quote.price).map(Found::American)
}

/// Above what exercise at once is worth and below the strike.
fn inside_bounds(put: &Put, price: f64) -> bool {
    price > (put.strike - put.spot).max(0.0) && price < put.strike
}

/// From a volatility at which the put is worth at least the price to the one at which it is worth
/// the price.
fn descend(start: &Kept, price: f64) -> Option<Kept> {
    let tolerance = PRICE_TOLERANCE * start.put().strike;
    let mut kept = *start;
    let mut gap = start.price()? - price;
    let (mut low, mut high) = (0.0, start.put().vol);
    let mut slope = start.european_vega()?;
    for _ in 0..STEPS_MAX {
        let vol = kept.put().vol;
        if gap.abs() <= tolerance || high - low <= VOL_TOLERANCE * high {
            return Some(kept);
        }
        let next = vol - gap / slope;
        let trial = if next > low && next < high { next } else { 0.5 * (low + high) };
        let tried = kept.at_vol(trial)?;
        let tried_gap = tried.price()? - price;
        if tried_gap > 0.0 {
            high = trial;
        } else {
            low = trial;
        }
        // A step that gained less than half is followed by a halving of the bracket.
        let gained = tried_gap.abs() < 0.5 * gap.abs();
        slope = if gained { (tried_gap - gap) / (trial - vol) } else { f64::NAN };
        (kept, gap) = (tried, tried_gap);
    }
    None
}
