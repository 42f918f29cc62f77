//! The path's statistics, pooled over many seeds, and options against the path's own expectation.

use super::super::etf::{Etf, PerEtf};
use super::super::model::{Scaled, log_contract};
use super::super::process::{Jump, Lapse, Overlay, Process};
use super::super::smile::Smile;
use super::super::variance_time::DAYS;

/// Steps of a day in these tests.
const STEPS: u32 = 16;
const START: PerEtf<f64> = PerEtf { spy: 100.0, qqq: 100.0, iwm: 100.0 };

fn day(process: &mut Process, overlay: &Overlay) {
    for _ in 0..STEPS {
        let to = process.state.at + 5_400;
        let variance_years = 1.0 / (DAYS * f64::from(STEPS));
        process.step(Lapse { to, variance_years, growth: 0.0 }, overlay);
    }
}

/// Daily log returns of the three and daily VIX-like volatilities of one seed.
fn history(seed: u64, days: usize) -> (Vec<PerEtf<f64>>, Vec<f64>) {
    let mut process = Process::new(seed, 0, START);
    let ahead = Scaled { scale: 1.0, time: 21.0 / DAYS };
    let mut returns = Vec::new();
    let mut vols = Vec::new();
    for _ in 0..days {
        let before = process.state.spots;
        day(&mut process, &Overlay::NONE);
        let after = process.state.spots;
        returns.push(PerEtf::from_fn(|etf| libm::log(after.get(etf) / before.get(etf))));
        let strip = log_contract(Etf::Spy, &process.state.variances(Etf::Spy), ahead);
        vols.push(libm::sqrt(strip * DAYS / 21.0));
    }
    (returns, vols)
}

fn mean(numbers: &[f64]) -> f64 {
    numbers.iter().sum::<f64>() / numbers.len() as f64
}

fn standard_error(numbers: &[f64]) -> f64 {
    let centre = mean(numbers);
    let square = numbers.iter().map(|x| (x - centre) * (x - centre)).sum::<f64>();
    let count = numbers.len() as f64;
    libm::sqrt(square / (count * (count - 1.0)))
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let (ma, mb) = (mean(a), mean(b));
    let product = |x: &[f64], mx: f64, y: &[f64], my: f64| -> f64 {
        x.iter().zip(y).map(|(x, y)| (x - mx) * (y - my)).sum()
    };
    product(a, ma, b, mb) / libm::sqrt(product(a, ma, a, ma) * product(b, mb, b, mb))
}

fn moment(numbers: &[f64], power: i32) -> f64 {
    numbers.iter().map(|x| x.powi(power)).sum::<f64>() / numbers.len() as f64
}

fn column(returns: &[PerEtf<f64>], etf: Etf) -> Vec<f64> {
    returns.iter().map(|one| *one.get(etf)).collect()
}

/// The bands hold SPY's values of 2005 to 2015 and of 2016 to 2025, calm years apart.
#[test]
fn daily_returns_behave_like_an_equity_index() {
    let mut pooled = Vec::new();
    let (mut clustering, mut leverage) = (Vec::new(), Vec::new());
    let (mut with_qqq, mut with_iwm) = (Vec::new(), Vec::new());
    for seed in 0..150 {
        let (returns, vols) = history(seed, 252);
        let spy = column(&returns, Etf::Spy);
        let sizes: Vec<f64> = spy.iter().map(|x| x.abs()).collect();
        let changes: Vec<f64> = vols.windows(2).map(|pair| pair[1] - pair[0]).collect();
        clustering.push(correlation(&sizes[1..], &sizes[..251]));
        leverage.push(correlation(&spy[1..], &changes));
        with_qqq.push(correlation(&spy, &column(&returns, Etf::Qqq)));
        with_iwm.push(correlation(&spy, &column(&returns, Etf::Iwm)));
        pooled.extend(spy);
    }
    let square = moment(&pooled, 2);
    let vol = libm::sqrt(square * DAYS);
    assert!((0.155..0.195).contains(&vol), "volatility {vol}");
    let kurtosis = moment(&pooled, 4) / (square * square);
    assert!((5.0..18.0).contains(&kurtosis), "kurtosis {kurtosis}");
    let skew = moment(&pooled, 3) / (square * libm::sqrt(square));
    assert!((-1.5..-0.1).contains(&skew), "skew {skew}");
    let clustering = mean(&clustering);
    assert!((0.1..0.35).contains(&clustering), "autocorrelation of sizes {clustering}");
    let leverage = mean(&leverage);
    assert!((-0.85..-0.6).contains(&leverage), "correlation with volatility {leverage}");
    let (with_qqq, with_iwm) = (mean(&with_qqq), mean(&with_iwm));
    assert!((0.90..0.95).contains(&with_qqq), "SPY and QQQ {with_qqq}");
    assert!((0.81..0.88).contains(&with_iwm), "SPY and IWM {with_iwm}");
}

#[test]
fn implied_variance_is_the_premium_times_what_follows() {
    for premium in [1.0, 1.25] {
        let ahead = Scaled { scale: libm::sqrt(premium), time: 21.0 / DAYS };
        let (mut implied, mut realised) = (Vec::new(), Vec::new());
        for seed in 0..400 {
            let mut process = Process::new(seed, 0, START);
            let (mut expected, mut squares) = (0.0, 0.0);
            for _ in 0..6 {
                expected += log_contract(Etf::Spy, &process.state.variances(Etf::Spy), ahead);
                for _ in 0..21 {
                    let before = process.state.spots.spy;
                    day(&mut process, &Overlay::NONE);
                    let log_return = libm::log(process.state.spots.spy / before);
                    squares += log_return * log_return;
                }
            }
            implied.push(expected);
            realised.push(squares);
        }
        let edges: Vec<f64> =
            implied.iter().zip(&realised).map(|(one, other)| one - premium * other).collect();
        let (edge, error) = (mean(&edges), standard_error(&edges));
        assert!(edge.abs() < 2.0 * error, "{premium}: {edge} against {error}");
        assert!(error < 0.05 * mean(&implied), "too few seeds to tell: {error}");
    }
}

/// At no premium each structure opened at its value and held to expiry earns nothing.
#[test]
fn options_are_worth_what_the_path_pays() {
    let days = 21;
    let ahead = Scaled { scale: 1.0, time: f64::from(days) / DAYS };
    // Strikes, and shares that hedge a put about: they take noise out and, at a fair price of the
    // shares, no money.
    let strikes =
        [(88.0, 0.03), (93.0, 0.1), (97.0, 0.25), (100.0, 0.45), (103.0, 0.75), (106.0, 0.93)];
    let mut gains = vec![Vec::new(); 2 * strikes.len() + 2];
    for seed in 0..6_000 {
        let mut process = Process::new(10_000 + seed, 0, START);
        let smile = |etf| Smile::new(etf, &process.state.variances(etf), ahead, 100.0);
        let smiles = [smile(Etf::Spy), smile(Etf::Iwm)];
        for _ in 0..days {
            day(&mut process, &Overlay::NONE);
        }
        let spots = [process.state.spots.spy, process.state.spots.iwm];
        let earned: Vec<f64> = smiles
            .iter()
            .zip(spots)
            .flat_map(|(smile, spot)| {
                strikes.map(|(strike, shares)| {
                    (strike - spot).max(0.0) - smile.put(strike) + shares * (spot - 100.0)
                })
            })
            .collect();
        // A put spread sold, and with a call spread sold (puts by parity) a condor.
        let put_spread = earned[0] - earned[1];
        let condor = put_spread + earned[5] - earned[4];
        for (gain, list) in earned.iter().chain([&put_spread, &condor]).zip(&mut gains) {
            list.push(*gain);
        }
    }
    for (number, list) in gains.iter().enumerate() {
        let (gain, error) = (mean(list), standard_error(list));
        assert!(gain.abs() < 2.0 * error, "structure {number}: {gain} against {error}");
    }
}

#[test]
fn in_a_crash_all_move_together() {
    let crash = Jump { log_return: -0.07, variance: 0.5 };
    let minutes = |process: &mut Process| -> Vec<PerEtf<f64>> {
        (0..390)
            .map(|_| {
                let before = process.state.spots;
                let to = process.state.at + 60;
                let lapse = Lapse { to, variance_years: 0.7 / (DAYS * 390.0), growth: 0.0 };
                process.step(lapse, &Overlay::NONE);
                let after = process.state.spots;
                PerEtf::from_fn(|etf| libm::log(after.get(etf) / before.get(etf)))
            })
            .collect()
    };
    for seed in 0..10 {
        let mut process = Process::new(seed, 0, START);
        let calm = minutes(&mut process);
        let calm_stress = process.state.stress();
        let overlay = Overlay { jump: Some(crash), ..Overlay::NONE };
        let to = process.state.at + 1;
        process.step(Lapse { to, variance_years: 0.0, growth: 0.0 }, &overlay);
        let width = (1.0 + process.state.stress()) / (1.0 + calm_stress);
        assert!((5.0..=20.0).contains(&width), "spreads {width} times as wide");
        let wild = minutes(&mut process);
        let pair = |returns: &[PerEtf<f64>], etf| {
            correlation(&column(returns, Etf::Spy), &column(returns, etf))
        };
        for (etf, least) in [(Etf::Qqq, 0.98), (Etf::Iwm, 0.96)] {
            let (before, after) = (pair(&calm, etf), pair(&wild, etf));
            assert!(before < after && after > least, "{etf:?} {before} {after}");
        }
    }
}
