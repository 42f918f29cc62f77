//! The generator's law: its parameters, and what follows from them in closed form.
//!
//! The market's return has a variance in two parts, fast and slow, each mean-reverting with a
//! square-root noise that is negatively correlated with the return, and jumps that lower the price
//! and raise the fast variance at once. An ETF's return is a multiple of the market's plus its own
//! noise, whose variance mean-reverts too. When the common variance rises the own noise matters
//! less: correlations go to 1 in a crash.
//!
//! Time is in variance years ([`super::variance_time`]). Prices drift at the risk-free rate: under
//! this law every discounted price is a martingale, so an option is fair at the law's own
//! expectation. A variance premium `c` prices options as if each return were sqrt(c) times as
//! large, which multiplies each expected variance by `c` and stays free of arbitrage.

use super::etf::Etf;

/// A mean-reverting variance with square-root noise.
#[derive(Debug, Clone, Copy)]
pub(super) struct Factor {
    /// Speed of reversion, a year.
    pub kappa: f64,
    /// Level without jumps, a year.
    pub theta: f64,
    /// Volatility of variance.
    pub sigma: f64,
    /// Correlation of its noise with the return's.
    pub rho: f64,
}

/// Jumps of the market: the return is `size_mean + size_per_variance z + size_sd N`, the fast
/// variance rises by `z`, exponential with mean `variance_mean`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Jumps {
    /// A year.
    pub rate: f64,
    pub variance_mean: f64,
    pub size_mean: f64,
    pub size_per_variance: f64,
    pub size_sd: f64,
}

/// How an ETF hangs on the market.
#[derive(Debug, Clone, Copy)]
pub(super) struct Loading {
    /// Multiple of the market's return.
    pub beta: f64,
    /// Its own variance; `None` where it is the market.
    pub own: Option<Factor>,
}

pub(super) const FAST: Factor = Factor { kappa: 8.0, theta: 0.006, sigma: 0.36, rho: -0.9 };
pub(super) const SLOW: Factor = Factor { kappa: 1.0, theta: 0.011, sigma: 0.15, rho: -0.8 };
pub(super) const JUMPS: Jumps = Jumps {
    rate: 1.5,
    variance_mean: 0.06,
    size_mean: -0.005,
    size_per_variance: -0.3,
    size_sd: 0.012,
};

/// SPY is the market.
pub(super) const fn loading(etf: Etf) -> Loading {
    match etf {
        Etf::Spy => Loading { beta: 1.0, own: None },
        Etf::Qqq => Loading {
            beta: 1.18,
            own: Some(Factor { kappa: 4.0, theta: 0.0055, sigma: 0.18, rho: 0.0 }),
        },
        Etf::Iwm => Loading {
            beta: 1.12,
            own: Some(Factor { kappa: 4.0, theta: 0.0125, sigma: 0.26, rho: 0.0 }),
        },
    }
}

/// The variances at an instant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Variances {
    pub fast: f64,
    pub slow: f64,
    /// Of the ETF's own noise.
    pub own: f64,
}

impl Factor {
    /// Expected average of the variance over a time from its value now, where jumps raise it to
    /// `level` in the long run.
    fn mean_integral(&self, now: f64, level: f64, time: f64) -> f64 {
        let decayed = -libm::expm1(-self.kappa * time) / self.kappa;
        level * time + (now - level) * decayed
    }

    /// Expected value and variance of the factor after a time; jumps add `jump_square` a year
    /// (rate times mean square).
    fn moments(&self, now: f64, long_run: LongRun, time: f64) -> (f64, f64) {
        let once = libm::exp(-self.kappa * time);
        let twice = once * once;
        let mean = long_run.level + (now - long_run.level) * once;
        let from_noise = self.sigma
            * self.sigma
            * (long_run.level * (1.0 - twice) / (2.0 * self.kappa)
                + (now - long_run.level) * (once - twice) / self.kappa);
        let from_jumps = long_run.jump_square * (1.0 - twice) / (2.0 * self.kappa);
        (mean, from_noise + from_jumps)
    }
}

/// Where a factor tends to, and what jumps add to its variance a year.
#[derive(Debug, Clone, Copy)]
struct LongRun {
    level: f64,
    jump_square: f64,
}

const FAST_LONG_RUN: LongRun = LongRun {
    level: FAST.theta + JUMPS.rate * JUMPS.variance_mean / FAST.kappa,
    jump_square: 2.0 * JUMPS.rate * JUMPS.variance_mean * JUMPS.variance_mean,
};
const SLOW_LONG_RUN: LongRun = LongRun { level: SLOW.theta, jump_square: 0.0 };

/// Long-run mean of the market's variance without its jumps' own squares.
pub(super) const MEAN_VARIANCE: f64 = FAST_LONG_RUN.level + SLOW_LONG_RUN.level;

/// Long-run mean and variance of the fast and of the slow factor.
pub(super) fn stationary() -> [(f64, f64); 2] {
    const LONG: f64 = 100.0;
    [
        FAST.moments(FAST_LONG_RUN.level, FAST_LONG_RUN, LONG),
        SLOW.moments(SLOW_LONG_RUN.level, SLOW_LONG_RUN, LONG),
    ]
}

/// Mean of a jump of the market's return.
const JUMP_MEAN: f64 = JUMPS.size_mean + JUMPS.size_per_variance * JUMPS.variance_mean;

/// What a jump multiplies a price by on average, less 1, for a multiple of the market's return.
pub(super) fn jump_compensator(beta: f64) -> f64 {
    let exponent = beta * JUMPS.size_mean + 0.5 * beta * beta * JUMPS.size_sd * JUMPS.size_sd;
    libm::exp(exponent) / (1.0 - JUMPS.variance_mean * beta * JUMPS.size_per_variance) - 1.0
}

/// Expected integral of an ETF's variance over a time without its jumps.
fn diffusive_variance(etf: Etf, now: &Variances, time: f64) -> f64 {
    let Loading { beta, own } = loading(etf);
    let market = FAST.mean_integral(now.fast, FAST_LONG_RUN.level, time)
        + SLOW.mean_integral(now.slow, SLOW_LONG_RUN.level, time);
    let own = own.map_or(0.0, |factor| factor.mean_integral(now.own, factor.theta, time));
    beta * beta * market + own
}

/// Expected -2 ln(S/F) over a time, with returns `scale` times as large: what a strip of options
/// pays for, and what the VIX is made of.
pub(super) fn log_contract(etf: Etf, now: &Variances, scaled: Scaled) -> f64 {
    let Scaled { scale, time } = scaled;
    let beta = scale * loading(etf).beta;
    let jumps = 2.0 * JUMPS.rate * time * (jump_compensator(beta) - beta * JUMP_MEAN);
    scale * scale * diffusive_variance(etf, now, time) + jumps
}

/// A time ahead, seen with returns `scale` times as large.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scaled {
    pub scale: f64,
    /// Variance years.
    pub time: f64,
}

/// Mean and variance of the market's log contract over `window`, as it will stand after `wait`
/// (both variance years), and the least it can be: for futures and options on the VIX.
#[derive(Debug, Clone, Copy)]
pub(super) struct FutureLogContract {
    pub mean: f64,
    pub variance: f64,
    pub least: f64,
}

pub(super) fn future_log_contract(now: &Variances, wait: f64, window: Scaled) -> FutureLogContract {
    let square = window.scale * window.scale;
    let weight =
        |factor: &Factor| -libm::expm1(-factor.kappa * window.time) / factor.kappa * square;
    let (fast_weight, slow_weight) = (weight(&FAST), weight(&SLOW));
    let (fast, fast_variance) = FAST.moments(now.fast, FAST_LONG_RUN, wait);
    let (slow, slow_variance) = SLOW.moments(now.slow, SLOW_LONG_RUN, wait);
    let at_zero = Variances { fast: 0.0, slow: 0.0, own: 0.0 };
    let least = log_contract(Etf::Spy, &at_zero, window);
    FutureLogContract {
        mean: least + fast_weight * fast + slow_weight * slow,
        variance: fast_weight * fast_weight * fast_variance
            + slow_weight * slow_weight * slow_variance,
        least,
    }
}
