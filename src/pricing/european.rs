//! European options in closed form: Black-Scholes-Merton on a spot with a yield, Black-76 on a
//! forward. Greeks are analytic.
//!
//! Both are one formula on a forward; the difference is what is held fixed when the rate moves and
//! whether delta is against the spot or the forward. Nothing here touches implied volatility.

use super::normal::{INV_SQRT_2PI, cdf_given_pdf, fast_exp};
use super::{Annual, Black76, Bsm, Right, Valuation, all_positive};

/// Price and Greeks of a European option on a spot with a continuous yield. `None` for an input
/// that is not finite, for spot, strike, years or volatility at or below 0, and where a result
/// would not be finite.
#[inline]
pub fn bsm(input: &Bsm) -> Option<Valuation> {
    Valuation::from_annual(bsm_annual(input)?)
}

/// Price and Greeks of a European option on a forward: delta and gamma against the forward, rho
/// with the forward unchanged. `None` as for [`bsm`].
#[inline]
pub fn black76(input: &Black76) -> Option<Valuation> {
    let terms = Terms::on_forward(input)?;
    if !all_positive(&[input.vol]) {
        return None;
    }
    Valuation::from_annual(terms.at(input.vol).against_forward(&terms))
}

/// [`bsm`] in the units of the formulas.
pub(super) fn bsm_annual(input: &Bsm) -> Option<Annual> {
    let terms = Terms::on_spot(input)?;
    all_positive(&[input.vol]).then(|| terms.at(input.vol).against_spot(&terms))
}

/// What of a European option does not depend on its volatility.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    /// +1 for a call, -1 for a put.
    sign: f64,
    /// Spot or forward, whichever the Greeks are against.
    underlying: f64,
    years: f64,
    /// sqrt(years) and its inverse.
    roots: (f64, f64),
    rate: f64,
    dividend_yield: f64,
    /// exp(-yield years).
    carry: f64,
    /// Present values of the forward and of the strike.
    legs: (f64, f64),
    /// ln(forward / strike).
    log_moneyness: f64,
}

/// Rate times years, or yield times years, beyond this has no usable discount factor.
pub(super) const EXPONENT_MAX: f64 = 700.0;

impl Terms {
    /// `None` for anything not finite and for spot, strike or years at or below 0.
    #[inline]
    pub(super) fn on_spot(input: &Bsm) -> Option<Self> {
        let Bsm { right, spot, strike, years, rate, dividend_yield, vol: _ } = *input;
        let growth = (rate * years, dividend_yield * years);
        let usable = all_positive(&[spot, strike, years])
            && growth.0.abs() <= EXPONENT_MAX
            && growth.1.abs() <= EXPONENT_MAX;
        if !usable {
            return None;
        }
        let carry = fast_exp(-growth.1);
        let root = libm::sqrt(years);
        let terms = Self {
            sign: match right {
                Right::Call => 1.0,
                Right::Put => -1.0,
            },
            underlying: spot,
            years,
            roots: (root, 1.0 / root),
            rate,
            dividend_yield,
            carry,
            legs: (spot * carry, strike * fast_exp(-growth.0)),
            log_moneyness: libm::log(spot / strike) + (growth.0 - growth.1),
        };
        terms.usable()
    }

    /// A forward is a spot whose yield is the rate.
    #[inline]
    pub(super) fn on_forward(input: &Black76) -> Option<Self> {
        let Black76 { right, forward, strike, years, rate, vol } = *input;
        let spot = forward;
        Self::on_spot(&Bsm { right, spot, strike, years, rate, dividend_yield: rate, vol })
    }

    #[inline]
    fn usable(self) -> Option<Self> {
        let positive = all_positive(&[self.carry, self.legs.0, self.legs.1]);
        (positive && self.log_moneyness.is_finite()).then_some(self)
    }

    /// Price less its lower no-arbitrage bound, as a share of the geometric mean of the two legs.
    #[inline]
    pub(super) fn normalised_time_value(&self, price: f64) -> f64 {
        (price - self.lower_bound()) / libm::sqrt(self.legs.0 * self.legs.1)
    }

    #[inline]
    pub(super) fn log_moneyness(&self) -> f64 {
        self.log_moneyness
    }

    /// Volatility a year from the standard deviation of ln(spot) at expiry.
    #[inline]
    pub(super) fn vol_of(&self, deviation: f64) -> f64 {
        deviation * self.roots.1
    }

    /// Present value of the payoff on the forward.
    #[inline]
    fn lower_bound(&self) -> f64 {
        (self.sign * (self.legs.0 - self.legs.1)).max(0.0)
    }

    /// The distribution terms at a volatility.
    #[inline]
    pub(super) fn at(&self, vol: f64) -> Point {
        let deviation = vol * self.roots.0;
        let d1 = self.log_moneyness / deviation + 0.5 * deviation;
        let d2 = d1 - deviation;
        let pdf1 = INV_SQRT_2PI * fast_exp(-0.5 * d1 * d1);
        // The density at d2 times the strike's leg is that at d1 times the forward's.
        let pdf2 = pdf1 * self.legs.0 / self.legs.1;
        Point {
            vol,
            deviation,
            pdf1,
            asset: self.legs.0 * cdf_given_pdf(self.sign * d1, pdf1),
            cash: self.legs.1 * cdf_given_pdf(self.sign * d2, pdf2),
        }
    }
}

/// The parts of the formula that depend on the volatility.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point {
    vol: f64,
    /// Standard deviation of ln(spot) at expiry.
    deviation: f64,
    /// Normal density at d1.
    pdf1: f64,
    /// Present value of receiving the asset, unsigned, where the option ends in the money.
    asset: f64,
    /// Present value of paying the strike, unsigned, where the option ends in the money.
    cash: f64,
}

impl Point {
    #[inline]
    fn price(&self, terms: &Terms) -> f64 {
        (terms.sign * (self.asset - self.cash)).max(terms.lower_bound())
    }

    /// What both sets of Greeks share: delta, gamma, vega, and theta without carry.
    #[inline]
    fn common(&self, terms: &Terms) -> Annual {
        let density = terms.legs.0 * self.pdf1;
        Annual {
            price: self.price(terms),
            delta: terms.sign * self.asset / terms.underlying,
            gamma: density / (terms.underlying * terms.underlying * self.deviation),
            vega: density * terms.roots.0,
            theta: -0.5 * density * self.vol * terms.roots.1,
            rho: 0.0,
        }
    }

    /// Greeks against the spot, yield unchanged when the rate moves.
    #[inline]
    pub(super) fn against_spot(&self, terms: &Terms) -> Annual {
        let common = self.common(terms);
        let carried = terms.dividend_yield * self.asset - terms.rate * self.cash;
        Annual {
            theta: common.theta + terms.sign * carried,
            rho: terms.sign * terms.years * self.cash,
            ..common
        }
    }

    /// Greeks against the forward, forward unchanged when the rate moves.
    #[inline]
    pub(super) fn against_forward(&self, terms: &Terms) -> Annual {
        let common = self.common(terms);
        Annual {
            theta: common.theta + terms.rate * common.price,
            rho: -terms.years * common.price,
            ..common
        }
    }
}
