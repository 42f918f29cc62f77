//! What the chain of one expiry says about its own forward and rate, by put-call parity:
//! call - put = D (F - strike), D the discount factor, F the forward.
//!
//! [`parity_forward`] takes the rate as given and reads the forward; [`box_rate`] reads both from
//! the slope over strikes, as box spreads would. Parity is exact for European exercise. For
//! American exercise both are estimates, biased by the early exercise of the side in the money:
//! near the money by a few cents a share for short lives, and the bias is not in the stated error.
//!
//! Deliberately not here: which quotes are fresh or two-sided. Callers hand in pairs whose call and
//! put were both quoted on both sides; a pair with a number that is not finite, a strike not above
//! 0 or a negative spread is left out.

/// Mid prices of the call and the put at one strike, USD a share, and half their bid-ask spreads.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ParityPair {
    pub strike: f64,
    pub call_mid: f64,
    pub put_mid: f64,
    pub call_half_spread: f64,
    pub put_half_spread: f64,
}

impl ParityPair {
    fn usable(&self) -> bool {
        let Self { strike, call_mid, put_mid, call_half_spread, put_half_spread } = *self;
        let finite = [strike, call_mid, put_mid, call_half_spread, put_half_spread]
            .iter()
            .all(|x| x.is_finite() && *x >= 0.0);
        finite && strike > 0.0
    }

    /// Call minus put, USD a share.
    fn difference(&self) -> f64 {
        self.call_mid - self.put_mid
    }

    /// Standard deviation ascribed to the difference: the whole of both half-spreads, which is
    /// cautious, and the grid that mids lie on.
    fn deviation(&self) -> f64 {
        let spread = self.call_half_spread + self.put_half_spread;
        libm::hypot(spread, MID_RESOLUTION_USD)
    }

    fn weight(&self) -> f64 {
        1.0 / (self.deviation() * self.deviation())
    }
}

/// Forward of one expiry from [`parity_forward`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ParityForward {
    /// USD a share, for delivery at expiry.
    pub forward: f64,
    /// Standard error, USD a share: from spreads or from scatter, whichever is larger.
    pub error: f64,
    pub pairs_used: usize,
}

/// Discount factor, rate and forward of one expiry from [`box_rate`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BoxRate {
    /// Value today of 1 USD at expiry.
    pub discount: f64,
    /// Continuous rate a year, as a fraction.
    pub rate: f64,
    /// Standard error of the rate, as a fraction a year.
    pub rate_error: f64,
    /// USD a share, for delivery at expiry.
    pub forward: f64,
    /// Standard error of the forward, USD a share.
    pub forward_error: f64,
    pub pairs_used: usize,
}

/// Fewer pairs than this determine nothing.
const PAIRS_MIN: usize = 3;
/// The forward is read from this many pairs nearest the money.
const FORWARD_PAIRS_MAX: usize = 9;
/// The rate is read from pairs whose |call - put| is at most this share of the strike.
const BOX_DIFFERENCE_MAX_RATIO: f64 = 0.10;
/// Half a cent: mids of quotes on a cent grid are known no better.
const MID_RESOLUTION_USD: f64 = 0.005;
/// From the median of absolute deviations to a standard deviation, for normal errors.
const MAD_TO_DEVIATION: f64 = 1.482_602_218_505_602;
/// Pairs further from the robust line than this many standard deviations are left out.
const OUTLIER_DEVIATIONS: f64 = 4.0;

/// Forward of an expiry `years` away at a given continuous rate: the median of the forwards of the
/// pairs with the smallest |call - put|, weighted with the inverse square of their spreads. `None`
/// with fewer than 3 usable pairs, or for years not above 0 or a rate not finite.
pub fn parity_forward(pairs: &[ParityPair], years: f64, rate: f64) -> Option<ParityForward> {
    let growth = libm::exp(rate * years);
    if !(years > 0.0 && growth.is_finite() && growth > 0.0) {
        return None;
    }
    let mut near: Vec<&ParityPair> = pairs.iter().filter(|pair| pair.usable()).collect();
    near.sort_by(|a, b| {
        let by_money = a.difference().abs().total_cmp(&b.difference().abs());
        by_money.then(a.strike.total_cmp(&b.strike))
    });
    near.truncate(FORWARD_PAIRS_MAX);
    if near.len() < PAIRS_MIN {
        return None;
    }
    let forwards: Vec<(f64, f64)> =
        near.iter().map(|p| (p.strike + growth * p.difference(), p.weight())).collect();
    let forward = weighted_median(&forwards)?;
    let total_weight: f64 = near.iter().map(|pair| pair.weight()).sum();
    let from_spreads = growth / libm::sqrt(total_weight);
    let distances: Vec<(f64, f64)> =
        forwards.iter().map(|(f, _)| ((f - forward).abs(), 1.0)).collect();
    let scatter = MAD_TO_DEVIATION * weighted_median(&distances)?;
    let from_scatter = scatter / libm::sqrt(near.len() as f64);
    let error = from_spreads.max(from_scatter);
    (forward.is_finite() && error.is_finite()).then_some(ParityForward {
        forward,
        error,
        pairs_used: near.len(),
    })
}

/// Discount factor, rate and forward of an expiry `years` away: the weighted straight line through
/// call - put over strikes near the money, outliers from a robust line left out. `None` with fewer
/// than 3 usable pairs left, or where the line does not fall.
pub fn box_rate(pairs: &[ParityPair], years: f64) -> Option<BoxRate> {
    if !(years > 0.0 && years.is_finite()) {
        return None;
    }
    let near: Vec<&ParityPair> = pairs
        .iter()
        .filter(|p| p.usable() && p.difference().abs() <= BOX_DIFFERENCE_MAX_RATIO * p.strike)
        .collect();
    let kept = without_outliers(&near)?;
    let line = Line::fit(&kept)?;
    let discount = -line.slope;
    let falls = discount > 0.0;
    if !falls {
        return None;
    }
    // In units of discounted dollars the mean point is known apart from the slope.
    let reach = line.mean_difference / discount;
    let forward_error = libm::hypot(line.mean_error, reach * line.slope_error) / discount;
    let found = BoxRate {
        discount,
        rate: -libm::log(discount) / years,
        rate_error: line.slope_error / (discount * years),
        forward: line.mean_strike + reach,
        forward_error,
        pairs_used: kept.len(),
    };
    let BoxRate { rate, rate_error, forward, forward_error, .. } = found;
    [rate, rate_error, forward, forward_error].iter().all(|x| x.is_finite()).then_some(found)
}

/// The pairs near the line of median slope (Theil and Sen); `None` with fewer than 3.
fn without_outliers<'a>(pairs: &[&'a ParityPair]) -> Option<Vec<&'a ParityPair>> {
    if pairs.len() < PAIRS_MIN {
        return None;
    }
    let mut slopes = Vec::new();
    for (i, a) in pairs.iter().enumerate() {
        for b in pairs.iter().skip(i + 1) {
            let slope = (b.difference() - a.difference()) / (b.strike - a.strike);
            if slope.is_finite() {
                slopes.push((slope, 1.0));
            }
        }
    }
    let slope = weighted_median(&slopes)?;
    let level = |pair: &ParityPair| pair.difference() - slope * pair.strike;
    let levels: Vec<(f64, f64)> = pairs.iter().map(|pair| (level(pair), 1.0)).collect();
    let middle = weighted_median(&levels)?;
    let distances: Vec<(f64, f64)> =
        levels.iter().map(|(level, _)| ((level - middle).abs(), 1.0)).collect();
    let scatter = MAD_TO_DEVIATION * weighted_median(&distances)?;
    let kept: Vec<&ParityPair> = pairs
        .iter()
        .filter(|pair| {
            let limit = OUTLIER_DEVIATIONS * scatter.max(pair.deviation());
            (level(pair) - middle).abs() <= limit
        })
        .copied()
        .collect();
    (kept.len() >= PAIRS_MIN).then_some(kept)
}

/// Weighted straight line of call - put over the strike.
struct Line {
    slope: f64,
    slope_error: f64,
    mean_strike: f64,
    mean_difference: f64,
    mean_error: f64,
}

impl Line {
    /// `None` if all strikes are the same. Errors are those of the weights, or larger in the
    /// measure in which the points scatter more than the weights say.
    fn fit(pairs: &[&ParityPair]) -> Option<Self> {
        let total = |of: &dyn Fn(&ParityPair) -> f64| -> f64 {
            pairs.iter().map(|pair| pair.weight() * of(pair)).sum()
        };
        let weight = total(&|_| 1.0);
        let mean_strike = total(&|p| p.strike) / weight;
        let mean_difference = total(&|p| p.difference()) / weight;
        let spread = total(&|p| (p.strike - mean_strike).powi(2));
        let strikes_differ = spread > 0.0;
        if !strikes_differ {
            return None;
        }
        let together = total(&|p| (p.strike - mean_strike) * (p.difference() - mean_difference));
        let slope = together / spread;
        let chi_square = total(&|p| {
            (p.difference() - mean_difference - slope * (p.strike - mean_strike)).powi(2)
        });
        let freedom = pairs.len() as f64 - 2.0;
        let inflation = libm::sqrt((chi_square / freedom).max(1.0));
        Some(Self {
            slope,
            slope_error: inflation / libm::sqrt(spread),
            mean_strike,
            mean_difference,
            mean_error: inflation / libm::sqrt(weight),
        })
    }
}

/// The value at which half of the weight is reached; the mean of two values where it is reached
/// between them. `None` for no values.
fn weighted_median(values: &[(f64, f64)]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let half = 0.5 * sorted.iter().map(|(_, weight)| weight).sum::<f64>();
    let mut reached = 0.0;
    let mut remaining = sorted.iter();
    while let Some((value, weight)) = remaining.next() {
        reached += weight;
        if reached > half * (1.0 + 1e-12) {
            return Some(*value);
        }
        if reached >= half * (1.0 - 1e-12) {
            let next = remaining.next().map_or(*value, |(next, _)| *next);
            return Some(0.5 * (value + next));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pricing::{Black76, Right, black76};

    const YEARS: f64 = 0.25;
    const RATE: f64 = 0.043;
    const FORWARD: f64 = 603.7;

    fn pair(strike: f64) -> ParityPair {
        let price = |right| {
            let (forward, years, rate) = (FORWARD, YEARS, RATE);
            black76(&Black76 { right, forward, strike, years, rate, vol: 0.2 }).unwrap().price
        };
        ParityPair {
            strike,
            call_mid: price(Right::Call),
            put_mid: price(Right::Put),
            call_half_spread: 0.02,
            put_half_spread: 0.03,
        }
    }

    fn chain() -> Vec<ParityPair> {
        (0..21).map(|i| pair(580.0 + 2.5 * f64::from(i))).collect()
    }

    #[test]
    fn exact_prices_give_the_exact_forward_and_rate() {
        let forward = parity_forward(&chain(), YEARS, RATE).unwrap();
        assert!((forward.forward - FORWARD).abs() < 1e-9, "{forward:?}");
        assert!(forward.error > 0.0 && forward.error < 0.05, "{forward:?}");
        assert_eq!(forward.pairs_used, FORWARD_PAIRS_MAX);
        let found = box_rate(&chain(), YEARS).unwrap();
        assert!((found.rate - RATE).abs() < 1e-9, "{found:?}");
        assert!((found.forward - FORWARD).abs() < 1e-8, "{found:?}");
        assert!((found.discount - (-RATE * YEARS).exp()).abs() < 1e-10, "{found:?}");
    }

    #[test]
    fn one_wrong_quote_moves_neither() {
        for i in [7, 9, 10, 20] {
            let mut chain = chain();
            chain[i].call_mid += 5.0;
            let forward = parity_forward(&chain, YEARS, RATE).unwrap();
            assert!((forward.forward - FORWARD).abs() < 1e-6, "{i} {forward:?}");
            let found = box_rate(&chain, YEARS).unwrap();
            assert!((found.rate - RATE).abs() < 1e-6, "{i} {found:?}");
            assert_eq!(found.pairs_used, chain.len() - 1);
        }
    }

    #[test]
    fn fewer_than_three_usable_pairs_are_none() {
        let two = [pair(600.0), pair(605.0)];
        assert_eq!(parity_forward(&two, YEARS, RATE), None);
        assert_eq!(box_rate(&two, YEARS), None);
        let broken = [pair(600.0), pair(605.0), ParityPair { put_mid: f64::NAN, ..pair(610.0) }];
        assert_eq!(parity_forward(&broken, YEARS, RATE), None);
        assert_eq!(box_rate(&broken, YEARS), None);
        assert_eq!(box_rate(&[pair(600.0); 5], YEARS), None);
    }

    #[test]
    fn no_time_or_no_rate_is_none() {
        for years in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(parity_forward(&chain(), years, RATE), None);
            assert_eq!(box_rate(&chain(), years), None);
        }
        assert_eq!(parity_forward(&chain(), YEARS, f64::NAN), None);
    }

    proptest! {
        /// Mids anywhere inside their spreads: both stay within four stated errors.
        #[test]
        fn errors_cover_noise(noise in prop::collection::vec(-1.0..1.0_f64, 42)) {
            let mut chain = chain();
            for (pair, noise) in chain.iter_mut().zip(noise.chunks(2)) {
                pair.call_mid += noise[0] * pair.call_half_spread;
                pair.put_mid += noise[1] * pair.put_half_spread;
            }
            let forward = parity_forward(&chain, YEARS, RATE).unwrap();
            prop_assert!((forward.forward - FORWARD).abs() <= 4.0 * forward.error);
            let found = box_rate(&chain, YEARS).unwrap();
            prop_assert!((found.rate - RATE).abs() <= 4.0 * found.rate_error);
            prop_assert!((found.forward - FORWARD).abs() <= 4.0 * found.forward_error);
        }

        #[test]
        fn the_median_is_among_the_values(
            values in prop::collection::vec((-9.0..9.0_f64, 0.1..5.0_f64), 1..30)
        ) {
            let median = weighted_median(&values).unwrap();
            let below: f64 = values.iter().filter(|v| v.0 < median).map(|v| v.1).sum();
            let above: f64 = values.iter().filter(|v| v.0 > median).map(|v| v.1).sum();
            let half: f64 = 0.5 * values.iter().map(|v| v.1).sum::<f64>();
            prop_assert!(below <= half * (1.0 + 1e-9) && above <= half * (1.0 + 1e-9));
        }
    }
}
