//! The VIX: its index, its forwards and the options on it.
//!
//! The index is the square root of what a strip of SPY options of exactly 30 days pays for, in
//! closed form: the limit of Cboe's sum over strikes when they are dense and reach far. A test
//! holds the two together. Forwards and options come from the distribution of that square at the
//! expiry, taken as its least value plus a lognormal number of the law's own mean and variance.

use crate::market::OptionRight;

use super::etf::Etf;
use super::model::{Scaled, future_log_contract, log_contract};
use super::process::State;
use super::variance_time::VarianceTime;

const WINDOW_SECONDS: i64 = 30 * 86_400;
const WINDOW_YEARS: f64 = 30.0 / 365.0;
/// Standard deviations that the integrals reach, and their panels (even).
const REACH: f64 = 8.0;
const PANELS: u32 = 128;
/// A spread of the logarithm under which the index is certain.
const CERTAIN: f64 = 1e-9;

/// The index, in points.
pub(super) fn index(state: &State, time: &VarianceTime, scale: f64) -> f64 {
    let ahead = time.between(state.at, state.at + WINDOW_SECONDS);
    let strip = log_contract(Etf::Spy, &state.variances(Etf::Spy), Scaled { scale, time: ahead });
    points(strip)
}

fn points(strip: f64) -> f64 {
    100.0 * libm::sqrt(strip / WINDOW_YEARS)
}

/// The index as it will stand at an instant, seen from a state.
#[derive(Debug, Clone, Copy)]
pub(super) struct Vix {
    least: f64,
    /// Median of the lognormal part of the strip.
    median: f64,
    /// Standard deviation of its logarithm.
    spread: f64,
    forward: f64,
}

impl Vix {
    pub fn new(state: &State, at: i64, (time, scale): (&VarianceTime, f64)) -> Self {
        let wait = time.between(state.at, at);
        let window = Scaled { scale, time: time.between(at, at + WINDOW_SECONDS) };
        let strip = future_log_contract(&state.variances(Etf::Spy), wait, window);
        let mean = strip.mean - strip.least;
        let log_variance = libm::log1p(strip.variance / (mean * mean));
        let mut vix = Self {
            least: strip.least,
            median: mean * libm::exp(-0.5 * log_variance),
            spread: libm::sqrt(log_variance),
            forward: points(strip.mean),
        };
        if vix.spread > CERTAIN {
            vix.forward = vix.expected(-REACH, |points| points);
        }
        vix
    }

    /// The expected index.
    pub fn forward(&self) -> f64 {
        self.forward
    }

    /// Variance of the index's logarithm, about.
    pub fn log_variance(&self) -> f64 {
        0.25 * self.spread * self.spread
    }

    /// Expected payoff, undiscounted.
    pub fn option(&self, right: OptionRight, strike: f64) -> f64 {
        let intrinsic = right.intrinsic(self.forward, strike);
        if self.spread <= CERTAIN {
            return intrinsic;
        }
        let call = self.expected(self.threshold(strike), |points| points - strike);
        let value = match right {
            OptionRight::Call => call,
            OptionRight::Put => call - self.forward + strike,
        };
        value.max(intrinsic)
    }

    /// Where the index passes the strike, in standard deviations.
    fn threshold(&self, strike: f64) -> f64 {
        let square = strike * strike * 1e-4 * WINDOW_YEARS - self.least;
        if square > 0.0 {
            (libm::log(square / self.median) / self.spread).clamp(-REACH, REACH)
        } else {
            -REACH
        }
    }

    /// Expectation of a function of the index from a threshold upwards (Simpson's rule).
    fn expected(&self, from: f64, value: impl Fn(f64) -> f64) -> f64 {
        let width = (REACH - from) / f64::from(PANELS);
        let sum: f64 = (0..=PANELS)
            .map(|i| {
                let x = from + width * f64::from(i);
                let weight = match i {
                    0 | PANELS => 1.0,
                    odd if odd % 2 == 1 => 4.0,
                    _ => 2.0,
                };
                let strip = self.least + self.median * libm::exp(self.spread * x);
                weight * value(points(strip)) * crate::pricing::norm_pdf(x)
            })
            .sum();
        sum * width / 3.0
    }
}
