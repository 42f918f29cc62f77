//! An upper bound of what early exercise is worth, cheap enough to spare most inversions the
//! American solution.
//!
//! For a put with rate r >= 0 (a call is the put with spot and strike, rate and yield exchanged)
//! the premium is (Kim 1990)
//!
//! ```text
//! E integral_0^T e^(-rt) (rK - qS) 1{S < B(T - t)} dt,   B <= X = K min(1, r/q).
//! ```
//!
//! Where S < X <= K the bracket is at most (r + max(-q, 0)) K, so with p(t) = P(S_t < X) =
//! N(-d(t)), d(t) = (ln(S/X) + (r - q - vol^2/2) t) / (vol sqrt t), the premium is at most
//! (r + max(-q, 0)) K integral e^(-rt) p(t) dt. The integral is cut into equal panels and p
//! replaced by its largest value in each: d is smallest where its derivative vanishes, or at the
//! end of the panel nearer to there. Where S <= X, p is replaced by 1. Without the probability this
//! is K (1 - e^(-rT)) for a put and S (1 - e^(-qT)) for a call.

use super::Bsm;
use super::american::Exercise;
use super::boundary::{Problem, Put};
use super::normal::norm_cdf;

/// Early exercise worth less than this, USD a share, is neglected by the American inversion.
pub const EARLY_EXERCISE_TOLERANCE_USD: f64 = 0.0005;

/// Panels of the integral.
const PANELS: i32 = 4;

/// Upper bound of American minus European price, USD a share, never below the true difference; 0
/// where early exercise is never optimal. `None` where `american` has no answer.
pub fn early_exercise_bound(input: &Bsm) -> Option<f64> {
    match Exercise::of(input)? {
        Exercise::Never => Some(0.0),
        Exercise::Early(put) => Some(bound(&put)),
    }
}

/// The bound for a put with one boundary.
pub(super) fn bound(put: &Put) -> f64 {
    let Put { spot, strike, years, rate, dividend_yield, vol } = *put;
    let problem = Problem::new(*put);
    let earning = (rate + (-dividend_yield).max(0.0)) * strike;
    let distance = (libm::log(spot / strike) - problem.log_top) / vol;
    let pace = problem.drift / vol;
    let panel = years / f64::from(PANELS);
    let likely = |from: f64| {
        if distance <= 0.0 {
            return 1.0;
        }
        let turn = if pace > 0.0 { distance / pace } else { f64::INFINITY };
        let root = libm::sqrt(turn.clamp(from, from + panel));
        norm_cdf(-(distance / root + pace * root))
    };
    let expected: f64 = (0..PANELS)
        .map(|i| panel * f64::from(i))
        .map(|from| libm::exp(-rate * from) * likely(from))
        .sum();
    // The discounted length of the first panel; the others are it, discounted to their start.
    let length = if rate > 0.0 { -libm::expm1(-rate * panel) / rate } else { panel };
    earning * length * expected
}
