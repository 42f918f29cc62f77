//! The early-exercise boundary of an American put: an integral equation solved by collocation and
//! Newton's method.
//!
//! The equation is FP-A of Andersen, Lake and Offengenden, "High-performance American option
//! pricing" (2016): the delta at the boundary is -1. Time runs backwards from expiry: B(t) is the
//! boundary t years before it. It is carried as its depth below its top, ln(B(0) / B(t)), a
//! function of sqrt(t) interpolated at Chebyshev nodes. Three changes to the paper: the depth is
//! interpolated and not its square, which goes wrong where the yield is just above the rate; inside
//! an integral the two parts of a time are t sin^2 and t cos^2 of one angle, which keeps the square
//! roots of both smooth; and the nodes are solved together by Newton's method, because the
//! fixed-point iteration of the paper diverges where the drift outweighs the volatility.
//!
//! Invariants: depths at the nodes are within [0, depth of the perpetual boundary] and finite;
//! where Newton's method does not converge there is no curve, except that a shallow boundary may be
//! approximate. Not here: calls (by symmetry a call is the put with spot and strike exchanged and
//! rate and yield exchanged), puts never exercised early, and those with two boundaries; callers
//! sort these out.

use core::array;
use core::f64::consts::FRAC_PI_2;

use super::boundary_guess::guess;
use super::matrix::{apply, inverse};
use super::normal::{INV_SQRT_2PI, fast_cdf, fast_exp};
use super::quadrature::{cardinals, chebyshev_node, gauss_legendre};

/// A put with every number checked: finite; spot, strike, years and volatility positive; rate at
/// least 0; and rate positive or yield negative, so that there is one boundary.
#[derive(Debug, Clone, Copy)]
pub(super) struct Put {
    pub(super) spot: f64,
    pub(super) strike: f64,
    pub(super) years: f64,
    pub(super) rate: f64,
    pub(super) dividend_yield: f64,
    pub(super) vol: f64,
}

/// A put and what follows from it once for all times.
#[derive(Debug, Clone, Copy)]
pub(super) struct Problem {
    pub(super) put: Put,
    /// ln(B(0) / strike): the boundary just before expiry, which is its highest point.
    pub(super) log_top: f64,
    /// ln(B(0) / B(infinity)), from the put that never expires.
    pub(super) depth_max: f64,
    /// Drift of the logarithm of the spot, a year.
    pub(super) drift: f64,
}

impl Problem {
    pub(super) fn new(put: Put) -> Self {
        let Put { rate, dividend_yield, vol, .. } = put;
        let log_top = if dividend_yield > rate { libm::log(rate / dividend_yield) } else { 0.0 };
        let variance = vol * vol;
        let drift = rate - dividend_yield - 0.5 * variance;
        let pull = -drift / variance;
        let power = pull - libm::sqrt(pull * pull + 2.0 * rate / variance);
        let log_perpetual = libm::log(power / (power - 1.0));
        let depth_max = (log_top - log_perpetual).clamp(0.0, DEPTH_LIMIT);
        Self { put, log_top, depth_max, drift }
    }

    /// Value of the put that never expires, where it is kept: no put of finite life is worth more.
    pub(super) fn perpetual(&self) -> f64 {
        let log_boundary = self.log_top - self.depth_max;
        let gain = -libm::expm1(log_boundary);
        let power = -libm::exp(log_boundary) / gain;
        let over = libm::log(self.put.spot / self.put.strike) - log_boundary;
        self.put.strike * gain * libm::exp(power * over)
    }
}

/// A boundary at exp(-200) of the strike is never reached; without a rate the perpetual one is 0.
const DEPTH_LIMIT: f64 = 200.0;
/// A boundary that never falls deeper than this below its top is taken to stay there.
const DEPTH_FLAT: f64 = 1e-10;
/// An approximate boundary will do if it never falls deeper than this: the price moves with the
/// square of its error.
const DEPTH_SHALLOW: f64 = 0.005;
/// Newton stops at a step below this share of the depth: the step after it would be far smaller.
const STEP_TOLERANCE: f64 = 1e-6;
/// Steps of one solution at most.
const STEPS_MAX: usize = 30;
/// A step with the old Jacobian must be below this share of the step before, else a new one.
const CHORD_CONTRACTION: f64 = 0.1;

/// Where an integral over the time since now is sampled, and how the boundary is read there.
#[derive(Debug)]
pub(super) struct Samples<const N: usize, const L: usize> {
    /// Square root of the share of the time that has passed.
    pub(super) sines: [f64; L],
    /// Weights of an integral over a time of 1.
    pub(super) areas: [f64; L],
    /// The same weights divided by the sine.
    slopes: [f64; L],
    /// Squares and inverses of the sines.
    shares: [f64; L],
    inverses: [f64; L],
    /// A row a node: what its depth contributes at each sample.
    cardinals: [[f64; L]; N],
}

impl<const N: usize, const L: usize> Samples<N, L> {
    /// `rule` is a quadrature over angles in [0, pi / 2]; the integral ends, at expiry, `reach`^2
    /// of the whole life of the option from now.
    pub(super) fn new(reach: f64, rule: &[(f64, f64); L]) -> Self {
        let trigonometry = rule.map(|(angle, _)| libm::sincos(angle));
        let rows = trigonometry.map(|(_, cosine)| cardinals::<N>(2.0 * reach * cosine - 1.0));
        let mut columns = [[0.0; L]; N];
        for (l, row) in rows.iter().enumerate() {
            for (column, cardinal) in columns.iter_mut().zip(row) {
                column.iter_mut().skip(l).take(1).for_each(|slot| *slot = *cardinal);
            }
        }
        let mut slopes = [0.0; L];
        for ((slope, (_, weight)), (_, cosine)) in slopes.iter_mut().zip(rule).zip(&trigonometry) {
            *slope = 2.0 * cosine * weight;
        }
        let sines = trigonometry.map(|(sine, _)| sine);
        let mut areas = slopes;
        areas.iter_mut().zip(&sines).for_each(|(area, sine)| *area *= sine);
        let (shares, inverses) = (sines.map(|x| x * x), sines.map(|x| 1.0 / x));
        Self { sines, areas, slopes, shares, inverses, cardinals: columns }
    }

    /// Depth of the boundary at each sample.
    #[inline]
    pub(super) fn depths(&self, nodes: &[f64; N]) -> [f64; L] {
        let mut depths = [0.0; L];
        for (row, node) in self.cardinals.iter().zip(nodes) {
            for (depth, cardinal) in depths.iter_mut().zip(row) {
                *depth += cardinal * node;
            }
        }
        depths
    }
}

#[derive(Debug)]
struct Node<const N: usize, const L: usize> {
    /// Square root of this node's share of the life of the option.
    reach: f64,
    samples: Samples<N, L>,
}

/// N collocation nodes, the longest time first, with L samples in each integral.
#[derive(Debug)]
pub(super) struct Grid<const N: usize, const L: usize> {
    nodes: [Node<N, L>; N],
}

/// A boundary: the depth at each node, and the inverse Jacobian of the equations near it where it
/// solves them (a flat or an approximate boundary has none, and stays where it is).
#[derive(Debug, Clone, Copy)]
pub(super) struct Curve<const N: usize> {
    pub(super) depths: [f64; N],
    inverse: Option<[[f64; N]; N]>,
}

impl<const N: usize> Curve<N> {
    /// Depth when the whole life of the option is left.
    pub(super) fn depth_now(&self) -> f64 {
        let [now, ..] = self.depths.as_slice() else { return 0.0 };
        *now
    }

    /// The curve of another volatility, to start from: depths scale with it to first order.
    pub(super) fn stretched(&self, factor: f64) -> Self {
        Self { depths: self.depths.map(|depth| depth * factor), inverse: self.inverse }
    }
}

impl<const N: usize, const L: usize> Grid<N, L> {
    pub(super) fn new() -> Self {
        let rule = gauss_legendre(FRAC_PI_2);
        Self {
            nodes: array::from_fn(|i| {
                let reach = 0.5 * (1.0 + chebyshev_node(i, N));
                Node { reach, samples: Samples::new(reach, &rule) }
            }),
        }
    }

    /// The boundary, from an approximate formula. Where the volatility is so small beside the drift
    /// that the samples cannot resolve the equations, and the boundary is shallow, the approximate
    /// one itself.
    pub(super) fn solve(&self, problem: &Problem) -> Option<Curve<N>> {
        if problem.depth_max <= DEPTH_FLAT {
            return Some(Curve { depths: [0.0; N], inverse: None });
        }
        let depths = self
            .nodes
            .each_ref()
            .map(|node| guess(problem, problem.put.years * node.reach.powi(2)));
        let solved = inverse(self.jacobian(problem, &depths))
            .and_then(|inverse| self.newton(problem, Curve { depths, inverse: Some(inverse) }));
        let shallow = problem.depth_max <= DEPTH_SHALLOW;
        solved.or_else(|| shallow.then_some(Curve { depths, inverse: None }))
    }

    /// The boundary, from that of a put with nearly the same parameters.
    pub(super) fn refine(&self, problem: &Problem, start: Curve<N>) -> Option<Curve<N>> {
        if problem.depth_max <= DEPTH_FLAT || start.inverse.is_none() {
            return self.solve(problem);
        }
        self.newton(problem, start).or_else(|| self.solve(problem))
    }

    fn newton(&self, problem: &Problem, start: Curve<N>) -> Option<Curve<N>> {
        let mut curve = start;
        let mut last = f64::INFINITY;
        for _ in 0..STEPS_MAX {
            let (next, step) = self.step(problem, &curve);
            curve = next;
            if !step.is_finite() {
                return None;
            }
            if step < STEP_TOLERANCE {
                return Some(curve);
            }
            if step > CHORD_CONTRACTION * last {
                curve.inverse = Some(inverse(self.jacobian(problem, &curve.depths))?);
            }
            last = step;
        }
        None
    }

    /// One step with the Jacobian of the curve, and the largest relative change of a depth.
    pub(super) fn step(&self, problem: &Problem, curve: &Curve<N>) -> (Curve<N>, f64) {
        let Some(inverse) = &curve.inverse else { return (*curve, 0.0) };
        let depth_max = problem.depth_max;
        let mut residuals = curve.depths;
        for (node, residual) in self.nodes.iter().zip(&mut residuals) {
            *residual = node.equation(problem, &curve.depths, *residual).residual;
        }
        let mut next = *curve;
        let mut largest = 0.0_f64;
        for (depth, change) in next.depths.iter_mut().zip(apply(inverse, &residuals)) {
            let old = *depth;
            // Halved or doubled at most: outside, the linear model says nothing.
            let bounded = (old - change).max(0.5 * old).min(2.0 * old).min(depth_max);
            if change.is_finite() {
                *depth = bounded;
                largest = largest.max((bounded - old).abs() / old);
            } else {
                largest = f64::INFINITY;
            }
        }
        (next, largest)
    }

    fn jacobian(&self, problem: &Problem, depths: &[f64; N]) -> [[f64; N]; N] {
        let mut rows = [[0.0; N]; N];
        for (i, ((node, depth), row)) in self.nodes.iter().zip(depths).zip(&mut rows).enumerate() {
            let equation = node.equation(problem, depths, *depth);
            for (slot, cardinals) in row.iter_mut().zip(&node.samples.cardinals) {
                *slot = cardinals.iter().zip(&equation.pulls).map(|(c, pull)| c * pull).sum();
            }
            row.iter_mut().skip(i).take(1).for_each(|slot| *slot += equation.own);
        }
        rows
    }
}

/// The equation of one node at a trial boundary: ln(B / strike) = ln(numerator / denominator).
struct Equation<const L: usize> {
    /// Left side minus right side.
    residual: f64,
    /// Derivative in the depth of the node itself, the boundary inside the integrals held.
    own: f64,
    /// Derivative in the depth at each sample.
    pulls: [f64; L],
}

/// What the integrals of a node are made of, a lane a sample.
struct Lanes<const L: usize> {
    d1: [f64; L],
    d2: [f64; L],
    /// Discounted density of the strike's part.
    earned: [f64; L],
    /// Density and distribution of the spot's part, carried.
    forgone: [f64; L],
    forgone_cdf: [f64; L],
}

impl<const N: usize, const L: usize> Node<N, L> {
    /// Derivatives take numerator / denominator for B / strike, which holds at the solution.
    #[inline]
    fn equation(&self, problem: &Problem, depths: &[f64; N], depth: f64) -> Equation<L> {
        let Put { years, rate, dividend_yield, vol, .. } = problem.put;
        let time = years * self.reach * self.reach;
        let total = vol * libm::sqrt(time);
        let inverse_total = 1.0 / total;
        let drift_time = problem.drift * time;
        let log_boundary = problem.log_top - depth;
        let boundary = fast_exp(log_boundary);
        let d2 = (log_boundary + drift_time) * inverse_total;
        let d1 = d2 + total;
        let pdf1 = INV_SQRT_2PI * fast_exp(-0.5 * d1 * d1);
        let carry = fast_exp(-dividend_yield * time);
        let density1 = carry * pdf1 * inverse_total;
        let density2 = INV_SQRT_2PI * fast_exp(-rate * time - 0.5 * d2 * d2) * inverse_total;
        let mut numerator = density2;
        let mut denominator = density1 + carry * fast_cdf(d1, pdf1);
        // Derivatives of numerator - boundary * denominator in the depth.
        let mut own =
            d2 * inverse_total * density2 - boundary * density1 * (d1 * inverse_total - 1.0);
        let Lanes { d1, d2, earned, forgone, forgone_cdf } =
            self.lanes(problem, self.samples.depths(depths).map(|other| other - depth));
        let rate_weight = rate * time * inverse_total;
        let yield_weight = dividend_yield * time;
        let Samples { areas, slopes, inverses, .. } = &self.samples;
        let weights = areas.iter().zip(slopes).zip(inverses);
        let points = d1.iter().zip(&d2).zip(&earned).zip(forgone.iter().zip(&forgone_cdf));
        let mut pulls = [0.0; L];
        for ((pull, point), ((area, slope), inverse)) in pulls.iter_mut().zip(points).zip(weights) {
            let (((d1, d2), earned), (forgone, forgone_cdf)) = point;
            let k3 = rate_weight * slope * earned;
            let k2 = yield_weight * inverse_total * slope * forgone;
            numerator += k3;
            denominator += k2 + yield_weight * area * forgone_cdf;
            let below = yield_weight * area * forgone - k2 * d1;
            *pull = (-k3 * d2 - boundary * below) * (inverse * inverse_total);
            own -= *pull;
        }
        let scale = -1.0 / numerator;
        Equation {
            residual: log_boundary - libm::log(numerator / denominator),
            own: own * scale - 1.0,
            pulls: pulls.map(|pull| pull * scale),
        }
    }

    /// The samples of the integrals; `depths` are relative to that of the node. Each step is a loop
    /// of its own so that it runs on vector registers.
    #[inline]
    fn lanes(&self, problem: &Problem, depths: [f64; L]) -> Lanes<L> {
        let Put { years, rate, dividend_yield, vol, .. } = problem.put;
        let time = years * self.reach * self.reach;
        let total = vol * libm::sqrt(time);
        let inverse_total = 1.0 / total;
        let drift_time = problem.drift * time;
        let Samples { sines, shares, inverses, .. } = &self.samples;
        let mut d2 = depths;
        for ((d2, share), inverse) in d2.iter_mut().zip(shares).zip(inverses) {
            *d2 = (*d2 + drift_time * share) * (inverse * inverse_total);
        }
        let mut d1 = d2;
        d1.iter_mut().zip(sines).for_each(|(d1, sine)| *d1 += total * sine);
        let mut earned = d2;
        for (earned, share) in earned.iter_mut().zip(shares) {
            *earned = INV_SQRT_2PI * fast_exp(-rate * time * share - 0.5 * *earned * *earned);
        }
        let densities = d1.map(|d1| INV_SQRT_2PI * fast_exp(-0.5 * d1 * d1));
        let carries = shares.map(|share| fast_exp(-dividend_yield * time * share));
        let mut forgone_cdf = d1;
        for ((cdf, density), carry) in forgone_cdf.iter_mut().zip(&densities).zip(&carries) {
            *cdf = carry * fast_cdf(*cdf, *density);
        }
        let mut forgone = densities;
        forgone.iter_mut().zip(&carries).for_each(|(density, carry)| *density *= carry);
        Lanes { d1, d2, earned, forgone, forgone_cdf }
    }
}
