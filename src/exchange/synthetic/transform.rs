//! The law's characteristic function, on the line where option prices are integrated.
//!
//! For X = ln(S/F), returns scaled, ln E[exp(u X)] at u = 1/2 + i phi is `constant + fast v1 +
//! slow v2 + own w` in the variances of now: the law is affine. Each part solves a Riccati
//! equation in closed form, written so that no logarithm leaves its branch; a test integrates the
//! equations numerically beside it.

use super::complex::Complex;
use super::etf::Etf;
use super::model::{
    FAST, Factor, JUMPS, Loading, SLOW, Scaled, Variances, jump_compensator, loading,
};

/// What one factor gives: its coefficient, its constant, and what jumps need of it.
struct Solved {
    slope: Complex,
    constant: Complex,
    discriminant: Complex,
    /// (b - d) / sigma^2.
    root: Complex,
    ratio: Complex,
    decay: Complex,
}

/// Multiple of the market's return and place on the line.
#[derive(Clone, Copy)]
struct Point {
    beta: f64,
    u: Complex,
    /// u - u^2 = 1/4 + phi^2, real on this line.
    curvature: f64,
    time: f64,
}

fn solve(factor: &Factor, point: Point) -> Solved {
    let Point { beta, u, curvature, time } = point;
    let variance = factor.sigma * factor.sigma;
    let b = Complex::new(factor.kappa, 0.0) - u.times(factor.rho * factor.sigma * beta);
    let pull = Complex::new(variance * beta * beta * curvature, 0.0);
    let d = (b * b + pull).sqrt();
    let below = b - d;
    let ratio = below / (b + d);
    let decay = (-d.times(time)).exp();
    let root = below.times(1.0 / variance);
    let damped = Complex::ONE - ratio * decay;
    let slope = root * (Complex::ONE - decay) / damped;
    let log = (damped / (Complex::ONE - ratio)).ln();
    let constant =
        (below.times(time) - log.times(2.0)).times(factor.kappa * factor.theta / variance);
    Solved { slope, constant, discriminant: d, root, ratio, decay }
}

/// Integral over the time of the rate of jumps times (E[exp(u J + B z)] - 1 - u compensator).
fn jump_constant(fast: &Solved, point: Point) -> Complex {
    let Point { beta, u, time, .. } = point;
    let mean = JUMPS.variance_mean;
    let c = Complex::ONE - u.times(mean * beta * JUMPS.size_per_variance);
    let p = c - fast.root.times(mean);
    let q = c * fast.ratio - fast.root.times(mean);
    let start = c * (Complex::ONE - fast.ratio);
    let log = ((p - q * fast.decay) / start).ln();
    let integral = p_over_time(p, time) + (q - fast.ratio * p) / (p * q * fast.discriminant) * log;
    let size = (u.times(beta * JUMPS.size_mean)
        + (u * u).times(0.5 * beta * beta * JUMPS.size_sd * JUMPS.size_sd))
    .exp();
    let compensated = Complex::new(time, 0.0) + u.times(jump_compensator(beta) * time);
    (size * integral - compensated).times(JUMPS.rate)
}

fn p_over_time(p: Complex, time: f64) -> Complex {
    Complex::new(time, 0.0) / p
}

/// E[exp((1/2 + i phi) X)] for an ETF over a scaled time.
pub(super) fn characteristic(etf: Etf, now: &Variances, scaled: Scaled, phi: f64) -> Complex {
    let Loading { beta, own } = loading(etf);
    let point = Point {
        beta: scaled.scale * beta,
        u: Complex::new(0.5, phi),
        curvature: 0.25 + phi * phi,
        time: scaled.time,
    };
    let fast = solve(&FAST, point);
    let slow = solve(&SLOW, point);
    let market = fast.constant
        + slow.constant
        + fast.slope.times(now.fast)
        + slow.slope.times(now.slow)
        + jump_constant(&fast, point);
    let exponent = match own {
        None => market,
        Some(factor) => {
            let own = solve(&factor, Point { beta: scaled.scale, ..point });
            market + own.constant + own.slope.times(now.own)
        }
    };
    exponent.exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The exponent by Runge and Kutta's fourth-order rule on the Riccati equations.
    fn numerically(etf: Etf, now: &Variances, scaled: Scaled, phi: f64) -> Complex {
        let Loading { beta, own } = loading(etf);
        let beta = scaled.scale * beta;
        let u = Complex::new(0.5, phi);
        let pull = (u * u - u).times(0.5);
        let slope = |factor: &Factor, load: f64, b: Complex| {
            pull.times(load * load)
                + (u.times(factor.rho * factor.sigma * load) - Complex::new(factor.kappa, 0.0)) * b
                + (b * b).times(0.5 * factor.sigma * factor.sigma)
        };
        let jump = |b: Complex| {
            let mean = JUMPS.variance_mean;
            let size = (u.times(beta * JUMPS.size_mean)
                + (u * u).times(0.5 * beta * beta * JUMPS.size_sd * JUMPS.size_sd))
            .exp();
            let spread =
                Complex::ONE - u.times(mean * beta * JUMPS.size_per_variance) - b.times(mean);
            (size / spread - Complex::ONE - u.times(jump_compensator(beta))).times(JUMPS.rate)
        };
        let zero = Complex::new(0.0, 0.0);
        let own = own.unwrap_or(Factor { kappa: 1.0, theta: 0.0, sigma: 1e-9, rho: 0.0 });
        let slopes = |y: [Complex; 4]| {
            let [fast, slow, mine, _] = y;
            [
                slope(&FAST, beta, fast),
                slope(&SLOW, beta, slow),
                slope(&own, scaled.scale, mine),
                fast.times(FAST.kappa * FAST.theta)
                    + slow.times(SLOW.kappa * SLOW.theta)
                    + mine.times(own.kappa * own.theta)
                    + jump(fast),
            ]
        };
        let add = |y: [Complex; 4], k: [Complex; 4], h: f64| {
            core::array::from_fn(|i| y[i] + k[i].times(h))
        };
        let steps = 20_000;
        let h = scaled.time / f64::from(steps);
        let mut y = [zero; 4];
        for _ in 0..steps {
            let k1 = slopes(y);
            let k2 = slopes(add(y, k1, 0.5 * h));
            let k3 = slopes(add(y, k2, 0.5 * h));
            let k4 = slopes(add(y, k3, h));
            y = core::array::from_fn(|i| {
                y[i] + (k1[i] + k2[i].times(2.0) + k3[i].times(2.0) + k4[i]).times(h / 6.0)
            });
        }
        (y[3] + y[0].times(now.fast) + y[1].times(now.slow) + y[2].times(now.own)).exp()
    }

    #[test]
    fn the_closed_form_solves_the_equations() {
        let now = Variances { fast: 0.02, slow: 0.011, own: 0.0 };
        for etf in [Etf::Spy, Etf::Qqq, Etf::Iwm] {
            let own = if etf == Etf::Spy { 0.0 } else { 0.008 };
            let now = Variances { own, ..now };
            for time in [0.01, 0.1, 1.2] {
                for phi in [0.0, 0.7, 5.0, 23.0] {
                    let scaled = Scaled { scale: 1.118, time };
                    let got = characteristic(etf, &now, scaled, phi);
                    let want = numerically(etf, &now, scaled, phi);
                    assert!((got - want).size() < 1e-9, "{etf:?} {time} {phi}: {got:?} {want:?}");
                }
            }
        }
    }
}
