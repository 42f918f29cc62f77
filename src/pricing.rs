//! Option prices, Greeks and implied volatilities: Black-Scholes-Merton, Black-76 and American
//! exercise with a continuous yield, and the forward and the rate that a chain itself implies.
//!
//! Units everywhere: prices in USD a share (index points for futures), volatility as a fraction a
//! year (0.20 is 20 %), rate and yield continuously compounded, years = seconds to expiry /
//! 31,536,000. Greeks are those of one long option on one share: see [`Valuation`].
//!
//! Invariants: a function of its arguments only (no clock, no state, nothing carried from one row
//! to the next); never NaN or infinite, what has no answer is `None`; an American option is worth
//! at least the European one and at least its intrinsic value.
//!
//! What it deliberately does not do: discrete dividends (the caller turns them into a yield or
//! prices on a forward), smiles, position or book Greeks, rounding to ticks.

mod american;
mod american_implied;
mod boundary;
mod boundary_guess;
mod european;
mod european_implied;
mod exercise_bound;
mod matrix;
mod normal;
mod parity;
mod quadrature;
mod slices;
#[cfg(test)]
mod tests;

pub use american::american;
pub use american_implied::{implied_vol_american, invert_american};
pub use european::{black76, bsm};
pub use european_implied::{implied_vol, implied_vol_black76, invert_black76, invert_bsm};
pub use exercise_bound::{EARLY_EXERCISE_TOLERANCE_USD, early_exercise_bound};
pub use normal::{norm_cdf, norm_pdf};

pub use parity::{BoxRate, ParityForward, ParityPair, box_rate, parity_forward};
pub use slices::{
    american_slice, black76_slice, bsm_slice, invert_american_slice, invert_black76_slice,
    invert_bsm_slice,
};

/// Whether an option is a right to buy or to sell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Right {
    Call,
    Put,
}

/// Everything that fixes the model price of an option on a spot with a continuous yield. European
/// ([`bsm`]) and American ([`american`]) options take the same inputs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bsm {
    pub right: Right,
    /// Price of the underlying, USD a share, above 0.
    pub spot: f64,
    /// USD a share, above 0.
    pub strike: f64,
    /// Seconds to the expiry instant / 31,536,000, above 0.
    pub years: f64,
    /// Continuous risk-free rate a year, as a fraction.
    pub rate: f64,
    /// Continuous dividend yield a year, as a fraction.
    pub dividend_yield: f64,
    /// Volatility a year, as a fraction, above 0.
    pub vol: f64,
}

/// Inputs of a European option on a forward or a future ([`black76`]).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Black76 {
    pub right: Right,
    /// Forward for the expiry of the option, above 0.
    pub forward: f64,
    /// Same unit as the forward, above 0.
    pub strike: f64,
    /// Seconds to the expiry instant / 31,536,000, above 0.
    pub years: f64,
    /// Continuous rate that discounts the payoff, as a fraction.
    pub rate: f64,
    /// Volatility a year, as a fraction, above 0.
    pub vol: f64,
}

/// An observed price in the place of the volatility of [`Bsm`]; units as there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BsmQuote {
    pub right: Right,
    /// Price of the option, USD a share.
    pub price: f64,
    pub spot: f64,
    pub strike: f64,
    pub years: f64,
    pub rate: f64,
    pub dividend_yield: f64,
}

impl BsmQuote {
    /// The same contract and market at a given volatility.
    pub fn at_vol(&self, vol: f64) -> Bsm {
        Bsm {
            right: self.right,
            spot: self.spot,
            strike: self.strike,
            years: self.years,
            rate: self.rate,
            dividend_yield: self.dividend_yield,
            vol,
        }
    }
}

/// An observed price in the place of the volatility of [`Black76`]; units as there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Black76Quote {
    pub right: Right,
    /// Price of the option, in the unit of the forward, as paid today (discounted).
    pub price: f64,
    pub forward: f64,
    pub strike: f64,
    pub years: f64,
    pub rate: f64,
}

impl Black76Quote {
    /// The same contract and market at a given volatility.
    pub fn at_vol(&self, vol: f64) -> Black76 {
        Black76 {
            right: self.right,
            forward: self.forward,
            strike: self.strike,
            years: self.years,
            rate: self.rate,
            vol,
        }
    }
}

/// Price and Greeks of one long option on one share.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Valuation {
    /// USD a share.
    pub price: f64,
    /// USD for $1 of the underlying (of the forward for [`black76`]); calls 0 to 1, puts -1 to 0.
    pub delta: f64,
    /// Change of delta for $1 of the underlying.
    pub gamma: f64,
    /// USD for one volatility point (0.01).
    pub vega: f64,
    /// USD for one calendar day passing (a year is 365 days); negative where time costs.
    pub theta: f64,
    /// USD for one percentage point (0.01) of the rate; yield, or forward, unchanged.
    pub rho: f64,
}

impl Valuation {
    /// A volatility point, and a percentage point of a rate.
    const POINT: f64 = 0.01;
    /// A calendar day, in years of 31,536,000 seconds.
    const DAY_YEARS: f64 = 1.0 / 365.0;

    /// From derivatives per 1.00 of volatility, per year and per 1.00 of rate. `None` unless every
    /// number is finite.
    fn from_annual(annual: Annual) -> Option<Self> {
        let value = Self {
            price: annual.price,
            delta: annual.delta,
            gamma: annual.gamma,
            vega: annual.vega * Self::POINT,
            theta: annual.theta * Self::DAY_YEARS,
            rho: annual.rho * Self::POINT,
        };
        let Self { price, delta, gamma, vega, theta, rho } = value;
        [price, delta, gamma, vega, theta, rho].iter().all(|x| x.is_finite()).then_some(value)
    }
}

/// A valuation in the units of the formulas: vega and rho per 1.00, theta per year.
#[derive(Debug, Clone, Copy)]
struct Annual {
    price: f64,
    delta: f64,
    gamma: f64,
    vega: f64,
    theta: f64,
    rho: f64,
}

/// An implied volatility and the valuation at it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Implied {
    /// Volatility a year, as a fraction.
    pub vol: f64,
    pub valuation: Valuation,
}

/// Whether every number is finite and above 0.
fn all_positive(numbers: &[f64]) -> bool {
    numbers.iter().all(|x| x.is_finite() && *x > 0.0)
}
