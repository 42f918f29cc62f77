//! The path: state, and one step of it along the time grid.
//!
//! Each step draws the same count of numbers from each stream whatever happens in it, except that
//! a jump draws its size from a stream of its own: the path is a function of seed and grid.

use super::etf::{Etf, PerEtf};
use super::model::{
    FAST, Factor, JUMPS, Loading, MEAN_VARIANCE, SLOW, Variances, jump_compensator, loading,
    stationary,
};
use super::streams::{Purpose, Stream};

/// Seconds in which the strain of a jump falls to a third.
const STRAIN_SECONDS: f64 = 2_400.0;
/// Strain a jump of mean size leaves.
const STRAIN_OF_JUMP: f64 = 4.0;
/// Strain for a volatility of twice its mean.
const STRAIN_OF_VOLATILITY: f64 = 1.5;
/// Spreads are at most 20 times their ordinary width.
const STRESS_MAX: f64 = 19.0;

/// Everything that moves. Variances may be slightly below 0; read them through
/// [`State::variances`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct State {
    /// Seconds of the Unix epoch.
    pub at: i64,
    /// USD a share, between ticks.
    pub spots: PerEtf<f64>,
    fast: f64,
    slow: f64,
    own: PerEtf<f64>,
    /// What recent jumps add to stress.
    strain: f64,
}

impl State {
    pub fn variances(&self, etf: Etf) -> Variances {
        Variances {
            fast: self.fast.max(0.0),
            slow: self.slow.max(0.0),
            own: self.own.get(etf).max(0.0),
        }
    }

    /// By how much spreads exceed their ordinary width, as a multiple of it.
    pub fn stress(&self) -> f64 {
        let level = libm::sqrt((self.fast.max(0.0) + self.slow.max(0.0)) / MEAN_VARIANCE);
        let of_volatility = STRAIN_OF_VOLATILITY * (level - 1.0).max(0.0);
        (of_volatility + self.strain).min(STRESS_MAX)
    }
}

/// What a scenario lays over the ordinary path.
#[derive(Debug, Clone, Copy)]
pub(super) struct Overlay {
    /// Multiple of the ordinary random returns.
    pub shocks: f64,
    /// Added log return a variance year.
    pub drift: f64,
    /// Added at once in this step.
    pub jump: Option<Jump>,
}

impl Overlay {
    pub const NONE: Self = Self { shocks: 1.0, drift: 0.0, jump: None };
}

/// A move of the market and of its fast variance.
#[derive(Debug, Clone, Copy)]
pub(super) struct Jump {
    pub log_return: f64,
    pub variance: f64,
}

/// The time of a step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lapse {
    /// The instant after it.
    pub to: i64,
    /// Variance years.
    pub variance_years: f64,
    /// Log growth at the risk-free rate.
    pub growth: f64,
}

/// State and the streams that move it.
#[derive(Debug, Clone)]
pub(super) struct Process {
    pub state: State,
    market: Stream,
    jump_times: Stream,
    jump_sizes: Stream,
    qqq: Stream,
    iwm: Stream,
    compensators: PerEtf<f64>,
}

impl Process {
    /// Starts at the given prices with variances drawn from about their long-run distribution.
    pub fn new(seed: u64, at: i64, spots: PerEtf<f64>) -> Self {
        let mut start = Stream::new(seed, Purpose::Start);
        let [fast, slow] = stationary().map(|moments| lognormal(&mut start, moments));
        let own = PerEtf::from_fn(|etf| {
            let moments = loading(etf).own.map_or((0.0, 0.0), |factor| {
                let Factor { kappa, theta, sigma, rho: _ } = factor;
                (theta, theta * sigma * sigma / (2.0 * kappa))
            });
            lognormal(&mut start, moments)
        });
        Self {
            state: State { at, spots, fast, slow, own, strain: 0.0 },
            market: Stream::new(seed, Purpose::Market),
            jump_times: Stream::new(seed, Purpose::JumpTimes),
            jump_sizes: Stream::new(seed, Purpose::JumpSizes),
            qqq: Stream::new(seed, Purpose::Qqq),
            iwm: Stream::new(seed, Purpose::Iwm),
            compensators: PerEtf::from_fn(|etf| jump_compensator(loading(etf).beta)),
        }
    }

    /// One step. Dividends are the caller's.
    pub fn step(&mut self, lapse: Lapse, overlay: &Overlay) {
        let years = lapse.variance_years;
        let (with_fast, beside_fast) = self.market.normals();
        let (with_slow, beside_slow) = self.market.normals();
        let jump = self.jump(years);
        let scripted = overlay.jump.unwrap_or(Jump { log_return: 0.0, variance: 0.0 });
        let now = self.state.variances(Etf::Spy);
        let common =
            libm::sqrt(now.fast * years) * with_fast + libm::sqrt(now.slow * years) * with_slow;
        for etf in Etf::ALL {
            let Loading { beta, own } = loading(etf);
            let apart = own.map_or(0.0, |factor| self.own_return(etf, &factor, years));
            let variance = overlay.shocks * overlay.shocks * beta * beta * (now.fast + now.slow);
            let log_return = overlay.shocks * (beta * common + apart) - 0.5 * variance * years
                + beta * (jump.log_return + scripted.log_return)
                - JUMPS.rate * years * self.compensators.get(etf)
                + overlay.drift * years
                + lapse.growth;
            *self.state.spots.get_mut(etf) *= libm::exp(log_return);
        }
        let state = &mut self.state;
        state.fast += moved(&FAST, now.fast, (years, with_fast, beside_fast));
        state.fast += jump.variance + scripted.variance;
        state.slow += moved(&SLOW, now.slow, (years, with_slow, beside_slow));
        state.strain *= libm::exp((state.at - lapse.to) as f64 / STRAIN_SECONDS);
        state.strain += STRAIN_OF_JUMP * (jump.variance + scripted.variance) / JUMPS.variance_mean;
        state.at = lapse.to;
    }

    fn jump(&mut self, years: f64) -> Jump {
        if self.jump_times.uniform() >= JUMPS.rate * years {
            return Jump { log_return: 0.0, variance: 0.0 };
        }
        let variance = JUMPS.variance_mean * self.jump_sizes.exponential();
        let (noise, _) = self.jump_sizes.normals();
        let log_return =
            JUMPS.size_mean + JUMPS.size_per_variance * variance + JUMPS.size_sd * noise;
        Jump { log_return, variance }
    }

    /// The ETF's own log return, compensated, and its own variance moved.
    fn own_return(&mut self, etf: Etf, factor: &Factor, years: f64) -> f64 {
        let (on_price, on_variance) = match etf {
            Etf::Spy => return 0.0,
            Etf::Qqq => self.qqq.normals(),
            Etf::Iwm => self.iwm.normals(),
        };
        let own = self.state.own.get_mut(etf);
        let now = own.max(0.0);
        *own += moved(factor, now, (years, on_price, on_variance));
        libm::sqrt(now * years) * on_price - 0.5 * now * years
    }
}

/// Change of a variance in a step: time, the price's noise, the noise beside it.
fn moved(factor: &Factor, now: f64, (years, with, beside): (f64, f64, f64)) -> f64 {
    let Factor { kappa, theta, sigma, rho } = *factor;
    let noise = rho * with + libm::sqrt(1.0 - rho * rho) * beside;
    kappa * (theta - now) * years + sigma * libm::sqrt(now * years) * noise
}

/// A lognormal number of a mean and variance.
fn lognormal(stream: &mut Stream, (mean, variance): (f64, f64)) -> f64 {
    let (normal, _) = stream.normals();
    if mean <= 0.0 {
        return 0.0;
    }
    let log_variance = libm::log1p(variance / (mean * mean));
    mean * libm::exp(libm::sqrt(log_variance) * normal - 0.5 * log_variance)
}
