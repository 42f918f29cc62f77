//! The standard normal distribution.
//!
//! Two roads to the same function: [`norm_cdf`] by `erfc`, and `cdf_given_pdf`, which makes one
//! exponential serve both density and distribution, for hot loops. `fast_exp` and `fast_cdf` have
//! no branches, so that loops over samples run on vector registers; they are accurate to a few
//! 1e-16 absolute (of 1) and serve the American integrals only. Tests hold them to the exact ones.

/// 1 / sqrt(2 pi).
pub(super) const INV_SQRT_2PI: f64 = 0.398_942_280_401_432_7;

/// Distribution function of the standard normal: a few units in the last place around 0, and x^2
/// times 1e-16 in both tails, where the rounding of x itself weighs as much.
pub fn norm_cdf(x: f64) -> f64 {
    0.5 * libm::erfc(-x * core::f64::consts::FRAC_1_SQRT_2)
}

/// Density of the standard normal.
pub fn norm_pdf(x: f64) -> f64 {
    INV_SQRT_2PI * libm::exp(-0.5 * x * x)
}

/// Distribution function of the standard normal where its density is known already.
///
/// Beyond 3.5 standard deviations it falls back on [`norm_cdf`]; within, a rational function times
/// the density (Hart et al., Computer Approximations, 5666; coefficients as in West, Better
/// approximations to cumulative normal functions, 2005).
#[inline]
pub(super) fn cdf_given_pdf(x: f64, pdf: f64) -> f64 {
    /// At 3.5 the rational function is right to 5e-14 of the tail, at 5 only to 5e-11.
    const REACH: f64 = 3.5;
    let a = x.abs();
    if a > REACH {
        return norm_cdf(x);
    }
    let tail = hart_tail(a, pdf);
    if x > 0.0 { 1.0 - tail } else { tail }
}

/// Upper tail at `a` >= 0.
#[inline]
fn hart_tail(a: f64, pdf: f64) -> f64 {
    let numerator = ((((((3.526_249_659_989_11e-2 * a + 0.700_383_064_443_688) * a
        + 6.373_962_203_531_65)
        * a
        + 33.912_866_078_383)
        * a
        + 112.079_291_497_871)
        * a
        + 221.213_596_169_931)
        * a)
        + 220.206_867_912_376;
    let denominator = (((((((8.838_834_764_831_84e-2 * a + 1.755_667_163_182_64) * a
        + 16.064_177_579_207)
        * a
        + 86.780_732_202_946_1)
        * a
        + 296.564_248_779_674)
        * a
        + 637.333_633_378_831)
        * a
        + 793.826_512_519_948)
        * a)
        + 440.413_735_824_752;
    pdf * numerator / (INV_SQRT_2PI * denominator)
}

/// Distribution function where the density is known: the rational function everywhere. Far in the
/// lower tail only its absolute accuracy is good.
#[inline]
pub(super) fn fast_cdf(x: f64, pdf: f64) -> f64 {
    // The density is 0 from 39 on; the bound keeps the powers finite.
    let tail = hart_tail(x.abs().min(40.0), pdf);
    if x > 0.0 { 1.0 - tail } else { tail }
}

/// exp(x), relative error below 1e-15, for x in [-700, 700]; the value at the end of that range
/// outside it.
#[inline]
pub(super) fn fast_exp(x: f64) -> f64 {
    /// 1.5 * 2^52: adding it rounds to an integer, which stands in the low bits of the sum.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    /// ln 2 in two parts, the first exact when multiplied by an integer below 2^20.
    const LN2_HIGH: f64 = 6.931_471_803_691_238e-1;
    const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    let x = x.clamp(-700.0, 700.0);
    let shifted = x * core::f64::consts::LOG2_E + ROUND;
    let power = shifted - ROUND;
    let r = (x - power * LN2_HIGH) - power * LN2_LOW;
    // Taylor's series to r^13 for |r| <= ln 2 / 2, in pairs so that the terms overlap.
    let r2 = r * r;
    let r4 = r2 * r2;
    let p0 = (1.0 + r) + r2 * (0.5 + r * (1.0 / 6.0));
    let p1 = (1.0 / 24.0 + r * (1.0 / 120.0)) + r2 * (1.0 / 720.0 + r * (1.0 / 5_040.0));
    let p2 = (1.0 / 40_320.0 + r * (1.0 / 362_880.0))
        + r2 * (1.0 / 3_628_800.0 + r * (1.0 / 39_916_800.0));
    let p3 = 1.0 / 479_001_600.0 + r * (1.0 / 6_227_020_800.0);
    let series = p0 + r4 * (p1 + r4 * (p2 + r4 * p3));
    // Times 2^power: the integer is added to the exponent bits.
    f64::from_bits(series.to_bits().wrapping_add(shifted.to_bits() << 52))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_roads_agree() {
        for i in -370..=370 {
            let x = f64::from(i) * 0.1;
            let pdf = norm_pdf(x);
            let want = norm_cdf(x);
            let got = cdf_given_pdf(x, pdf);
            assert!((got - want).abs() <= 1e-13 * want, "x {x}: {got} against {want}");
            let fast = fast_cdf(x, pdf);
            assert!((fast - want).abs() <= 2e-15, "x {x}: {fast} against {want}");
        }
    }

    #[test]
    fn known_values() {
        // mpmath 1.3, 40 digits.
        let known = [
            (0.0, 0.5),
            (1.0, 0.841_344_746_068_542_9),
            (-1.0, 0.158_655_253_931_457_05),
            (-5.0, 2.866_515_718_791_939e-7),
            (-10.0, 7.619_853_024_160_527e-24),
            (-20.0, 2.753_624_118_606_234e-89),
        ];
        for (x, want) in known {
            let got = norm_cdf(x);
            let tolerance = 1e-16 * (4.0 + x * x);
            assert!((got - want).abs() <= tolerance * want, "x {x}: {got} against {want}");
        }
    }

    #[test]
    fn the_branchless_exponential_is_the_exponential() {
        for i in -70_000..=70_000 {
            let x = f64::from(i) * 0.01 + 0.001_234;
            let want = libm::exp(x.clamp(-700.0, 700.0));
            let got = fast_exp(x);
            assert!((got - want).abs() <= 1e-15 * want, "x {x}: {got} against {want}");
        }
        assert!(fast_exp(f64::NEG_INFINITY) < 1e-300);
    }

    #[test]
    fn tails_end_at_zero_and_one() {
        for (x, want) in [(-1e300, 0.0), (f64::NEG_INFINITY, 0.0), (1e300, 1.0)] {
            let got = cdf_given_pdf(x, norm_pdf(x));
            assert!((got - want).abs() < f64::MIN_POSITIVE, "x {x}: {got}");
        }
    }
}
