//! A first approximation of the early-exercise boundary of an American put: the QD+ equation of
//! Li, "Analytical approximations for the critical stock prices of American options" (2009), one
//! unknown solved by Newton's method.
//!
//! It is within about 2 % of the depth of the boundary. It starts the exact iteration, and stands
//! in for its result only where `boundary` says so.

use core::f64::consts::PI;

use super::boundary::{Problem, Put};
use super::normal::{INV_SQRT_2PI, fast_cdf, fast_exp};

/// Newton steps at most; what is left after them is the exact iteration's to correct.
const STEPS_MAX: usize = 6;
/// A step below this share of the depth ends the search: QD+ itself is no better.
const STEP_TOLERANCE: f64 = 0.02;
/// The start is at least this share of the greatest depth, so that it can be doubled.
const DEPTH_LEAST_SHARE: f64 = 1e-9;

/// Approximate depth ln(B(0) / B(time)), positive, at most that of the perpetual boundary.
pub(super) fn guess(problem: &Problem, time: f64) -> f64 {
    let depth_max = problem.depth_max;
    let equation = QdPlus::new(&problem.put, time);
    let mut depth = start(problem, time).max(DEPTH_LEAST_SHARE * depth_max).min(depth_max);
    for _ in 0..STEPS_MAX {
        let step = equation.newton(problem.log_top - depth);
        // Where the equation fails by rounding the depth stays as it is.
        if !step.is_finite() {
            return depth;
        }
        let next = (depth + step).max(0.5 * depth).min(2.0 * depth).min(depth_max);
        let change = (next - depth).abs();
        depth = next;
        if change < STEP_TOLERANCE * depth {
            return depth;
        }
    }
    depth
}

/// Where the search starts: the trigger of Bjerksund and Stensland (1993), or the short-time
/// asymptote of a boundary that starts at the strike, ln(strike / B)^2 ~ vol^2 t ln(z), whichever
/// lies deeper.
fn start(problem: &Problem, time: f64) -> f64 {
    let put = &problem.put;
    let gap = put.rate - put.dividend_yield;
    let variance = put.vol * put.vol;
    // 1 / boundary, in units of the strike, at expiry and at infinity.
    let top = libm::exp(-problem.log_top);
    let bottom = top * libm::exp(problem.depth_max);
    let pace = (2.0 * put.vol * libm::sqrt(time) - gap * time).max(0.0);
    let share = -libm::expm1(-pace * top / (bottom - top));
    let depth = libm::log1p((bottom / top - 1.0) * share);
    let rate_part = gap.max(0.0).powi(2) * time / (2.0 * variance);
    let yield_part = (put.dividend_yield * time).powi(2);
    let z = 1.0 / (16.0 * PI * (rate_part + yield_part));
    depth.max(put.vol * libm::sqrt(time * libm::log(z).max(0.0)) + problem.log_top)
}

/// The QD+ equation at one time to expiry, lengths in units of the strike.
struct QdPlus {
    time: f64,
    vol: f64,
    rate: f64,
    dividend_yield: f64,
    discount: f64,
    carry: f64,
    /// Factor of the early-exercise gain, 1 - B - european.
    gain: f64,
    /// Factor of the European theta.
    decay: f64,
}

impl QdPlus {
    fn new(put: &Put, time: f64) -> Self {
        let Put { rate, dividend_yield, vol, .. } = *put;
        let variance = vol * vol;
        let discount = libm::exp(-rate * time);
        // The letters of the paper, with h / rate in the place of h so that a rate of 0 is no
        // limit:
        // `ratio` is alpha / h, `slope` is alpha times the derivative of lambda in h.
        let length = if rate > 0.0 { -libm::expm1(-rate * time) / rate } else { time };
        let ratio = 2.0 / (variance * length);
        let excess = 2.0 * (rate - dividend_yield) / variance - 1.0;
        let root = libm::sqrt(excess * excess + 4.0 * ratio);
        let lambda = -0.5 * (excess + root);
        let slope = ratio * ratio / root;
        let gain = lambda + discount / root * (ratio - slope / root);
        let carry = libm::exp(-dividend_yield * time);
        let decay = 2.0 / (variance * root);
        Self { time, vol, rate, dividend_yield, discount, carry, gain, decay }
    }

    /// Newton step, as a change of the depth of the boundary.
    fn newton(&self, log_boundary: f64) -> f64 {
        let boundary = fast_exp(log_boundary);
        let variance = self.vol * self.vol;
        let total = self.vol * libm::sqrt(self.time);
        let gap = self.rate - self.dividend_yield;
        let d1 = (log_boundary + (gap + 0.5 * variance) * self.time) / total;
        let d2 = d1 - total;
        let pdf1 = INV_SQRT_2PI * fast_exp(-0.5 * d1 * d1);
        let pdf2 = INV_SQRT_2PI * fast_exp(-0.5 * d2 * d2);
        let delta = -self.carry * fast_cdf(-d1, pdf1);
        let price = self.discount * fast_cdf(-d2, pdf2) + boundary * delta;
        // Spot times gamma, and the half-variance term of the equation.
        let convexity = self.carry * pdf1 / total;
        let theta =
            self.rate * price - gap * boundary * delta - 0.5 * variance * boundary * convexity;
        let theta_slope = self.rate * delta - gap * (delta + convexity) - variance * convexity
            + 0.5 * variance * convexity * (1.0 + d1 / total);
        let value =
            (1.0 + delta) * boundary + self.gain * (1.0 - boundary - price) - self.decay * theta;
        let slope = (1.0 + delta) * (1.0 - self.gain) + convexity - self.decay * theta_slope;
        value / (slope * boundary)
    }
}
