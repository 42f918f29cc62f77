//! Fixed nodes and weights: Gauss-Legendre quadrature and Chebyshev interpolation.
//!
//! Everything here depends on counts only, so callers compute it once.

use core::array;
use core::f64::consts::PI;

/// Gauss-Legendre nodes and weights for the integral over [0, `upper`].
pub(super) fn gauss_legendre<const COUNT: usize>(upper: f64) -> [(f64, f64); COUNT] {
    array::from_fn(|i| {
        let mut x = libm::cos(PI * (i as f64 + 0.75) / (COUNT as f64 + 0.5));
        let mut slope = 1.0;
        // Newton from the usual asymptotic guess is exact to rounding well before 20 steps.
        for _ in 0..20 {
            let (value, derivative) = legendre(COUNT, x);
            slope = derivative;
            x -= value / slope;
        }
        let weight = 2.0 / ((1.0 - x * x) * slope * slope);
        (0.5 * upper * (1.0 + x), 0.5 * upper * weight)
    })
}

/// Legendre polynomial of a degree and its derivative, inside (-1, 1).
fn legendre(degree: usize, x: f64) -> (f64, f64) {
    let (mut before, mut value) = (1.0, x);
    for k in 2..=degree {
        let k = k as f64;
        (before, value) = (value, ((2.0 * k - 1.0) * x * value - (k - 1.0) * before) / k);
    }
    (value, degree as f64 * (x * value - before) / (x * x - 1.0))
}

/// Node `i` of the Chebyshev extrema cos(i pi / `intervals`), from +1 (`i` = 0) down to -1.
pub(super) fn chebyshev_node(i: usize, intervals: usize) -> f64 {
    libm::cos(i as f64 * PI / intervals as f64)
}

/// Values at `z` of the polynomials that are 1 at one Chebyshev node and 0 at the others: the
/// interpolated function is their sum weighted with its values at the nodes. The polynomial of
/// the last node, -1, is left out: the function must vanish there.
pub(super) fn cardinals<const COUNT: usize>(z: f64) -> [f64; COUNT] {
    array::from_fn(|j| {
        let own = chebyshev_node(j, COUNT);
        (0..=COUNT)
            .filter(|m| *m != j)
            .map(|m| chebyshev_node(m, COUNT))
            .map(|other| (z - other) / (own - other))
            .product()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quadrature_is_exact_for_polynomials() {
        let rule = gauss_legendre::<7>(3.0);
        for power in 0..=13 {
            let sum: f64 = rule.iter().map(|(x, w)| w * x.powi(power)).sum();
            let want = 3.0_f64.powi(power + 1) / f64::from(power + 1);
            assert!((sum - want).abs() < 1e-12 * want, "power {power}: {sum} against {want}");
        }
    }

    #[test]
    fn interpolation_reproduces_a_polynomial_that_vanishes_at_minus_one() {
        let f = |z: f64| (z + 1.0) * (1.0 - 2.0 * z + z.powi(3));
        for z in [-1.0, -0.7, 0.0, 0.33, 1.0] {
            let row = cardinals::<5>(z);
            let got: f64 = row.iter().enumerate().map(|(j, c)| c * f(chebyshev_node(j, 5))).sum();
            assert!((got - f(z)).abs() < 1e-13, "z {z}: {got}");
        }
    }
}
