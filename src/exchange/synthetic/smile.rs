//! European option values of one expiry, all strikes, from the law's characteristic function.
//!
//! Lewis' integral on the line Re u = 1/2, with a lognormal price of the same expected variance
//! taken out and added back in closed form, so that what is integrated is small and smooth; the
//! trapezoid rule then converges faster than any power. Values are those of one law, therefore
//! free of static arbitrage up to rounding.

use core::f64::consts::PI;

use crate::pricing::norm_cdf;

use super::complex::Complex;
use super::etf::Etf;
use super::model::{Scaled, Variances, log_contract};
use super::transform::characteristic;

/// Below this share of the integral's scale a node no longer matters.
const NEGLIGIBLE: f64 = 1e-12;
/// Nodes at most; reached in an option's last seconds only.
const NODES_MAX: usize = 4_096;
/// A total variance under which an option is worth its value at once.
const DEAD: f64 = 1e-12;

/// The smile of one expiry at one instant.
#[derive(Debug, Clone)]
pub(super) struct Smile {
    forward: f64,
    /// Expected -2 ln(S/F).
    variance: f64,
    spacing: f64,
    /// (lognormal minus law) / (phi^2 + 1/4) / pi, trapezoid weights included.
    nodes: Vec<Complex>,
}

impl Smile {
    pub fn new(etf: Etf, now: &Variances, scaled: Scaled, forward: f64) -> Self {
        let variance = log_contract(etf, now, scaled);
        if variance <= DEAD {
            return Self { forward, variance: 0.0, spacing: 1.0, nodes: Vec::new() };
        }
        let spacing = PI / (0.6 + 6.0 * libm::sqrt(variance));
        let mut nodes = Vec::new();
        for count in 0..NODES_MAX {
            let phi = spacing * count as f64;
            let curvature = 0.25 + phi * phi;
            let lognormal = libm::exp(-0.5 * variance * curvature);
            let law = characteristic(etf, now, scaled, phi);
            let end = if count == 0 { 0.5 } else { 1.0 };
            let weight = end * spacing / (PI * curvature);
            nodes.push((Complex::new(lognormal, 0.0) - law).times(weight));
            if (lognormal + law.size()) * weight < NEGLIGIBLE {
                break;
            }
        }
        Self { forward, variance, spacing, nodes }
    }

    pub fn forward(&self) -> f64 {
        self.forward
    }

    /// Expected -2 ln(S/F) to the expiry: the square of volatility times time.
    pub fn variance(&self) -> f64 {
        self.variance
    }

    /// Value of a call at the expiry, undiscounted.
    pub fn call(&self, strike: f64) -> f64 {
        let intrinsic = (self.forward - strike).max(0.0);
        let distance = libm::log(self.forward / strike);
        // The sum repeats itself beyond half its period, where no time value is left.
        if self.nodes.is_empty() || distance.abs() * self.spacing > PI {
            return intrinsic;
        }
        let total = libm::sqrt(self.variance);
        let upper = distance / total + 0.5 * total;
        let lognormal = self.forward * norm_cdf(upper) - strike * norm_cdf(upper - total);
        let turn = Complex::new(0.0, self.spacing * distance).exp();
        let mut angle = Complex::ONE;
        let mut sum = 0.0;
        for node in &self.nodes {
            sum += angle.re * node.re - angle.im * node.im;
            angle = angle * turn;
        }
        let value = lognormal + libm::sqrt(self.forward * strike) * sum;
        value.clamp(intrinsic, self.forward)
    }

    /// Value of a put at the expiry, undiscounted: by parity.
    pub fn put(&self, strike: f64) -> f64 {
        (self.call(strike) - self.forward + strike).max(0.0)
    }
}
