//! Speed of pricing on one core: options a second from quote to volatility and Greeks, against the
//! promises. Run with `cargo bench --bench pricing`; chains are drawn from a fixed seed.

use std::hint::black_box;
use std::time::Instant;

use deltadesk::pricing::{
    Bsm, BsmQuote, Implied, Right, american, bsm, early_exercise_bound, invert_american_slice,
    invert_bsm_slice,
};

/// Promised options a second, one core.
const EUROPEAN_PROMISE: f64 = 3_000_000.0;
const AMERICAN_PROMISE: f64 = 20_000.0;
/// The best of this many runs counts: the others measure the machine's other work.
const RUNS: usize = 40;
/// Rows of a run: some milliseconds, too many for a branch predictor to learn by heart.
const EUROPEAN_ROWS: usize = 20_000;
const AMERICAN_ROWS: usize = 2_000;

/// Numbers in [0, 1) from a linear congruential generator (Knuth's MMIX constants).
struct Uniform(u64);

impl Uniform {
    fn next(&mut self) -> f64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// An ETF-like chain: 2 days to a year, strikes within 2 standard deviations, volatility 8 to 45 %,
/// rate 3 to 5 %, yield 0 to 2 %.
fn chain(count: usize) -> Vec<Bsm> {
    let mut uniform = Uniform(2026);
    (0..count)
        .map(|i| {
            let years = 2.0 / 365.0 + uniform.next() * uniform.next() * 363.0 / 365.0;
            let vol = 0.08 + 0.37 * uniform.next();
            let spot = 600.0;
            let deviations = 4.0 * uniform.next() - 2.0;
            Bsm {
                right: if i % 2 == 0 { Right::Call } else { Right::Put },
                spot,
                strike: (spot * (deviations * vol * years.sqrt()).exp()).round(),
                years,
                rate: 0.03 + 0.02 * uniform.next(),
                dividend_yield: 0.02 * uniform.next(),
                vol,
            }
        })
        .collect()
}

fn quote(option: &Bsm, price: f64) -> BsmQuote {
    BsmQuote {
        right: option.right,
        price,
        spot: option.spot,
        strike: option.strike,
        years: option.years,
        rate: option.rate,
        dividend_yield: option.dividend_yield,
    }
}

/// Seconds of the fastest run.
#[expect(clippy::disallowed_methods, reason = "a bench measures wall time")]
fn fastest(mut work: impl FnMut()) -> f64 {
    (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64()
        })
        .fold(f64::INFINITY, f64::min)
}

type Invert = fn(&[BsmQuote], &mut Vec<Option<Implied>>);

#[expect(clippy::print_stdout, reason = "a bench prints its figures")]
fn measure(name: &str, promise: f64, (quotes, invert): (&[BsmQuote], Invert)) {
    let mut out = Vec::with_capacity(quotes.len());
    let seconds = fastest(|| invert(black_box(quotes), &mut out));
    let solved = out.iter().flatten().count();
    let rate = quotes.len() as f64 / seconds;
    println!(
        "{name}: {rate:.0} options/s, {:.2} of the promised {promise:.0} ({solved} of {} solved)",
        rate / promise,
        quotes.len(),
    );
}

fn main() {
    let options = chain(EUROPEAN_ROWS);
    let european: Vec<BsmQuote> = options
        .iter()
        .filter_map(|option| bsm(option).map(|value| quote(option, value.price)))
        .collect();
    measure("European volatility + Greeks", EUROPEAN_PROMISE, (&european, invert_bsm_slice));

    let priced: Vec<(Bsm, BsmQuote)> = options
        .iter()
        .take(AMERICAN_ROWS)
        .filter_map(|option| american(option).map(|value| (*option, quote(option, value.price))))
        .filter(|(_, quote)| quote.price > (quote.strike - quote.spot).max(0.0) + 0.005)
        .collect();
    let all: Vec<BsmQuote> = priced.iter().map(|(_, quote)| *quote).collect();
    measure("American volatility + Greeks, chain", AMERICAN_PROMISE, (&all, invert_american_slice));

    // Only the rows that need the American solver: the promise must hold for these too.
    let hard: Vec<BsmQuote> = priced
        .iter()
        .filter(|(option, _)| early_exercise_bound(option).is_some_and(|bound| bound >= 0.001))
        .map(|(_, quote)| *quote)
        .collect();
    measure("American volatility + Greeks, hard", AMERICAN_PROMISE, (&hard, invert_american_slice));
}
