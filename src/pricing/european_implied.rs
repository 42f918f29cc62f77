//! Implied volatility of European prices, and a quote turned into volatility and Greeks at once.
//!
//! The inversion is Jaeckel's "Let's be rational" from the crate `implied-vol`. A price at or below
//! the discounted intrinsic value, or at or above the price of infinite volatility, has no
//! solution. A price so near those bounds that rounding decides its volatility is inverted as it
//! stands: whether to trust it is the caller's to say, by vega.

use implied_vol::{DefaultSpecialFn, ImpliedBlackVolatilityNormalised};

use super::european::Terms;
use super::{Black76Quote, BsmQuote, Implied, Valuation};

/// Implied volatility of a European option, a fraction a year. `None` where the inputs are not
/// usable (as for `bsm`) or the price is outside the no-arbitrage bounds.
#[inline]
pub fn implied_vol(quote: &BsmQuote) -> Option<f64> {
    solve(&spot_terms(quote)?, quote.price)
}

/// Implied volatility of a European option on a forward. `None` as for [`implied_vol`].
#[inline]
pub fn implied_vol_black76(quote: &Black76Quote) -> Option<f64> {
    solve(&forward_terms(quote)?, quote.price)
}

/// Implied volatility and the valuation at it, sharing their work.
#[inline]
pub fn invert_bsm(quote: &BsmQuote) -> Option<Implied> {
    let terms = spot_terms(quote)?;
    let vol = solve(&terms, quote.price)?;
    let valuation = Valuation::from_annual(terms.at(vol).against_spot(&terms))?;
    Some(Implied { vol, valuation })
}

/// Implied volatility and the valuation at it, on a forward.
#[inline]
pub fn invert_black76(quote: &Black76Quote) -> Option<Implied> {
    let terms = forward_terms(quote)?;
    let vol = solve(&terms, quote.price)?;
    let valuation = Valuation::from_annual(terms.at(vol).against_forward(&terms))?;
    Some(Implied { vol, valuation })
}

/// The terms do not look at the volatility, so the quote's unknown one is given as NaN.
#[inline]
fn spot_terms(quote: &BsmQuote) -> Option<Terms> {
    Terms::on_spot(&quote.at_vol(f64::NAN))
}

#[inline]
fn forward_terms(quote: &Black76Quote) -> Option<Terms> {
    Terms::on_forward(&quote.at_vol(f64::NAN))
}

/// The volatility whose price is `price` (discounted).
#[inline]
pub(super) fn solve(terms: &Terms, price: f64) -> Option<f64> {
    let time_value = terms.normalised_time_value(price);
    let inside = time_value > 0.0;
    if !inside {
        return None;
    }
    let deviation = ImpliedBlackVolatilityNormalised::builder()
        .log_moneyness(terms.log_moneyness())
        .normalised_price(time_value)
        .build()?
        .calculate::<DefaultSpecialFn>()?;
    let vol = terms.vol_of(deviation);
    (vol.is_finite() && vol > 0.0).then_some(vol)
}
