//! Laws that hold for every option: bounds, parity, monotonicity, round trips, and Greeks that are
//! the derivatives of prices.

use proptest::prelude::*;

use crate::pricing::{
    Black76, Black76Quote, Bsm, BsmQuote, EARLY_EXERCISE_TOLERANCE_USD, Right, Valuation, american,
    american_slice, black76, bsm, bsm_slice, early_exercise_bound, implied_vol,
    implied_vol_american, implied_vol_black76, invert_american, invert_american_slice, invert_bsm,
    invert_bsm_slice,
};

fn right() -> impl Strategy<Value = Right> {
    prop_oneof![Just(Right::Call), Just(Right::Put)]
}

/// Options on a spot of 100, strikes within three standard deviations.
fn option() -> impl Strategy<Value = Bsm> {
    let rates = (-0.01..0.10_f64, -0.01..0.10_f64);
    (right(), 0.003..2.5_f64, rates, 0.05..0.9_f64, -3.0..3.0_f64).prop_map(
        |(right, years, (rate, dividend_yield), vol, deviations)| {
            let spot = 100.0;
            let strike = spot * (deviations * vol * years.sqrt()).exp();
            Bsm { right, spot, strike, years, rate, dividend_yield, vol }
        },
    )
}

fn quote(input: &Bsm, price: f64) -> BsmQuote {
    BsmQuote {
        right: input.right,
        price,
        spot: input.spot,
        strike: input.strike,
        years: input.years,
        rate: input.rate,
        dividend_yield: input.dividend_yield,
    }
}

fn intrinsic(input: &Bsm) -> f64 {
    match input.right {
        Right::Call => (input.spot - input.strike).max(0.0),
        Right::Put => (input.strike - input.spot).max(0.0),
    }
}

/// Greeks by central differences of a price, in the units of [`Valuation`].
fn differences(of: impl Fn(&Bsm) -> Option<Valuation>, at: &Bsm) -> Option<Valuation> {
    let price = |input: Bsm| of(&input).map(|value| value.price);
    let slope = |up: Bsm, down: Bsm, width: f64| Some((price(up)? - price(down)?) / width);
    let Bsm { spot, years, rate, vol, .. } = *at;
    let step = 1e-3 * spot * vol * years.sqrt();
    let (up, down) = (Bsm { spot: spot + step, ..*at }, Bsm { spot: spot - step, ..*at });
    let middle = price(*at)?;
    let (v, t, r) = (1e-4 * vol, 1e-4 * years, 1e-5);
    Some(Valuation {
        price: middle,
        delta: slope(up, down, 2.0 * step)?,
        gamma: (price(up)? - 2.0 * middle + price(down)?) / (step * step),
        vega: slope(Bsm { vol: vol + v, ..*at }, Bsm { vol: vol - v, ..*at }, 2.0 * v)? / 100.0,
        theta: -slope(Bsm { years: years + t, ..*at }, Bsm { years: years - t, ..*at }, 2.0 * t)?
            / 365.0,
        rho: slope(Bsm { rate: rate + r, ..*at }, Bsm { rate: rate - r, ..*at }, 2.0 * r)? / 100.0,
    })
}

/// Largest difference of Greeks, each on the scale that it has at the money.
fn distance(a: &Valuation, b: &Valuation, at: &Bsm) -> f64 {
    let deviation = at.vol * at.years.sqrt();
    let vega = at.spot * at.years.sqrt() / 100.0;
    [
        (a.delta - b.delta).abs(),
        (a.gamma - b.gamma).abs() * at.spot * deviation,
        (a.vega - b.vega).abs() / vega,
        (a.theta - b.theta).abs() / (100.0 * vega * at.vol / at.years / 365.0),
        (a.rho - b.rho).abs() / (at.spot * at.years / 100.0),
    ]
    .into_iter()
    .fold(0.0, f64::max)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn european_parity(input in option()) {
        let call = bsm(&Bsm { right: Right::Call, ..input }).unwrap();
        let put = bsm(&Bsm { right: Right::Put, ..input }).unwrap();
        let Bsm { spot, strike, years, rate, dividend_yield, .. } = input;
        let (carry, discount) = ((-dividend_yield * years).exp(), (-rate * years).exp());
        let forward_leg = spot * carry - strike * discount;
        prop_assert!((call.price - put.price - forward_leg).abs() < 1e-11);
        prop_assert!((call.delta - put.delta - carry).abs() < 1e-13);
        prop_assert!((call.gamma - put.gamma).abs() < 1e-14);
        prop_assert!((call.vega - put.vega).abs() < 1e-14);
    }

    #[test]
    fn european_bounds_and_greeks(input in option()) {
        let value = bsm(&input).unwrap();
        let carry = (-input.dividend_yield * input.years).exp();
        let delta = match input.right {
            Right::Call => value.delta,
            Right::Put => -value.delta,
        };
        prop_assert!(value.price >= 0.0 && value.gamma >= 0.0 && value.vega >= 0.0);
        prop_assert!((0.0..=carry).contains(&delta));
        let numeric = differences(bsm, &input).unwrap();
        prop_assert!(distance(&value, &numeric, &input) < 1e-5, "{value:?} {numeric:?}");
    }

    #[test]
    fn black76_is_bsm_on_the_forward(input in option()) {
        let Bsm { right, spot, strike, years, rate, dividend_yield, vol } = input;
        let forward = spot * ((rate - dividend_yield) * years).exp();
        let future = Black76 { right, forward, strike, years, rate, vol };
        let value = black76(&future).unwrap();
        prop_assert!((value.price - bsm(&input).unwrap().price).abs() < 1e-11);
        let quote = Black76Quote { right, price: value.price, forward, strike, years, rate };
        if value.vega > 1e-6 {
            let found = implied_vol_black76(&quote).unwrap();
            prop_assert!((found - vol).abs() < 1e-9_f64.max(1e-14 * spot / value.vega), "{found}");
        }
        let shifted = |forward| black76(&Black76 { forward, ..future }).unwrap().price;
        let step = 1e-3 * vol * years.sqrt() * forward;
        let slope = (shifted(forward + step) - shifted(forward - step)) / (2.0 * step);
        prop_assert!((slope - value.delta).abs() < 1e-6, "{slope}");
        let later = |rate| black76(&Black76 { rate, ..future }).unwrap().price;
        let rho = (later(rate + 1e-5) - later(rate - 1e-5)) / 2e-5 / 100.0;
        prop_assert!((rho - value.rho).abs() < 1e-7, "{rho}");
    }

    #[test]
    fn european_round_trip(input in option()) {
        let value = bsm(&input).unwrap();
        // Vega is per volatility point here: 1e-6 is 1e-4 for 1.00.
        if value.vega > 1e-6 {
            let quote = quote(&input, value.price);
            let vol = implied_vol(&quote).unwrap();
            let tolerance = 1e-9_f64.max(1e-14 * input.spot / value.vega);
            prop_assert!((vol - input.vol).abs() < tolerance, "{vol}");
            let both = invert_bsm(&quote).unwrap();
            prop_assert!((both.vol - vol).abs() <= f64::EPSILON);
            prop_assert!((both.valuation.price - value.price).abs() < 1e-11);
        }
    }

    #[test]
    fn american_is_worth_at_least_european_and_intrinsic(input in option()) {
        let two = american(&input);
        let negative = match input.right {
            Right::Call => input.dividend_yield < 0.0 && input.rate < input.dividend_yield,
            Right::Put => input.rate < 0.0 && input.dividend_yield < input.rate,
        };
        prop_assert_eq!(two.is_none(), negative);
        if let Some(value) = two {
            let european = bsm(&input).unwrap().price;
            prop_assert!(value.price >= european - 1e-12 && value.price >= intrinsic(&input));
            prop_assert!(european >= 0.0);
            let delta = match input.right {
                Right::Call => value.delta,
                Right::Put => -value.delta,
            };
            // A call never exercised early has the European delta, exp(-yield years) at most.
            let most = (-input.dividend_yield * input.years).exp().max(1.0);
            prop_assert!((0.0..=most).contains(&delta));
            prop_assert!(value.gamma >= 0.0 && value.vega >= 0.0);
        }
    }

    #[test]
    fn american_rises_with_volatility(input in option(), more in 1.001..1.5_f64) {
        if let Some(value) = american(&input) {
            let wilder = Bsm { vol: input.vol * more, ..input };
            let higher = american(&wilder).unwrap();
            prop_assert!(higher.price >= value.price - 1e-5, "{} {}", value.price, higher.price);
            let (european, higher) = (bsm(&input).unwrap(), bsm(&wilder).unwrap());
            prop_assert!(higher.price >= european.price - 1e-12);
        }
    }

    #[test]
    fn american_call_is_the_mirrored_put(input in option()) {
        let mirrored = Bsm {
            right: match input.right { Right::Call => Right::Put, Right::Put => Right::Call },
            spot: input.strike,
            strike: input.spot,
            rate: input.dividend_yield,
            dividend_yield: input.rate,
            ..input
        };
        let (a, b) = (american(&input), american(&mirrored));
        prop_assert_eq!(a.is_some(), b.is_some());
        if let (Some(a), Some(b)) = (a, b) {
            prop_assert!((a.price - b.price).abs() < 1e-10);
            prop_assert!((a.vega - b.vega).abs() < 1e-8);
        }
    }

    #[test]
    fn american_round_trip(input in option()) {
        let Some(value) = american(&input) else { return Ok(()) };
        let quote = quote(&input, value.price);
        if value.price <= intrinsic(&input) + 1e-6 {
            return Ok(());
        }
        let Some(found) = invert_american(&quote) else {
            // Worth so little that rounding decides whether there is a solution.
            prop_assert!(value.vega < 1e-7, "{value:?}");
            return Ok(());
        };
        let again = american(&Bsm { vol: found.vol, ..input }).unwrap();
        let tolerance = match early_exercise_bound(&Bsm { vol: found.vol, ..input }) {
            Some(bound) if bound < EARLY_EXERCISE_TOLERANCE_USD => EARLY_EXERCISE_TOLERANCE_USD,
            _ => 1e-6 * input.strike.max(input.spot) / 100.0,
        };
        prop_assert!((again.price - value.price).abs() <= tolerance, "{found:?} {again:?}");
        prop_assert!((found.valuation.price - value.price).abs() <= tolerance);
        prop_assert_eq!(implied_vol_american(&quote), Some(found.vol));
    }

    /// The bound is proved in the text of its module; here it is held against prices.
    #[test]
    fn early_exercise_is_worth_at_most_its_bound(input in option()) {
        if let Some(value) = american(&input) {
            let worth = value.price - bsm(&input).unwrap().price;
            let bound = early_exercise_bound(&input).unwrap();
            prop_assert!(worth <= bound + 1e-5 * bound.max(1e-4), "{worth} {bound}");
        }
    }

    #[test]
    fn american_greeks_are_the_derivatives(input in option()) {
        let Some(value) = american(&input) else { return Ok(()) };
        // Next to the boundary gamma jumps, and differences straddle it.
        if value.price <= intrinsic(&input) * 1.003 {
            return Ok(());
        }
        if let Some(numeric) = differences(american, &input) {
            prop_assert!(distance(&value, &numeric, &input) < 5e-3, "{value:?} {numeric:?}");
        }
    }

    #[test]
    fn slices_are_their_rows(inputs in prop::collection::vec(option(), 0..5)) {
        let mut values = vec![None];
        bsm_slice(&inputs, &mut values);
        prop_assert_eq!(&values, &inputs.iter().map(bsm).collect::<Vec<_>>());
        american_slice(&inputs, &mut values);
        prop_assert_eq!(&values, &inputs.iter().map(american).collect::<Vec<_>>());
        let quotes: Vec<BsmQuote> = inputs.iter().map(|i| quote(i, 5.0)).collect();
        let mut implied = Vec::new();
        invert_bsm_slice(&quotes, &mut implied);
        prop_assert_eq!(&implied, &quotes.iter().map(invert_bsm).collect::<Vec<_>>());
        invert_american_slice(&quotes, &mut implied);
        prop_assert_eq!(&implied, &quotes.iter().map(invert_american).collect::<Vec<_>>());
    }

    /// Whatever the numbers, an answer is finite and a panic does not happen.
    #[test]
    fn any_numbers(n in prop::array::uniform7(prop_oneof![
        prop::num::f64::ANY, -1.0..1.0_f64, 0.0..1000.0_f64, Just(0.0), Just(f64::NAN),
    ]), right in right()) {
        let [spot, strike, years, rate, dividend_yield, vol, price] = n;
        let input = Bsm { right, spot, strike, years, rate, dividend_yield, vol };
        for value in [bsm(&input), american(&input)].into_iter().flatten() {
            let Valuation { price, delta, gamma, vega, theta, rho } = value;
            prop_assert!([price, delta, gamma, vega, theta, rho].iter().all(|x| x.is_finite()));
        }
        let quote = quote(&input, price);
        for vol in [implied_vol(&quote), implied_vol_american(&quote)].into_iter().flatten() {
            prop_assert!(vol.is_finite() && vol > 0.0);
        }
    }
}

const PLAIN: Bsm = Bsm {
    right: Right::Put,
    spot: 100.0,
    strike: 100.0,
    years: 0.5,
    rate: 0.04,
    dividend_yield: 0.01,
    vol: 0.2,
};

#[test]
fn unusable_inputs_are_none() {
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let inputs = [
            Bsm { spot: bad, ..PLAIN },
            Bsm { strike: bad, ..PLAIN },
            Bsm { years: bad, ..PLAIN },
            Bsm { vol: bad, ..PLAIN },
        ];
        for input in inputs {
            assert_eq!(bsm(&input), None, "{input:?}");
            assert_eq!(american(&input), None, "{input:?}");
            assert_eq!(early_exercise_bound(&input), None, "{input:?}");
        }
        for input in inputs.iter().take(3) {
            assert_eq!(implied_vol(&quote(input, 5.0)), None, "{input:?}");
            assert_eq!(implied_vol_american(&quote(input, 5.0)), None, "{input:?}");
        }
        assert_eq!(implied_vol(&quote(&PLAIN, bad)), None);
        assert_eq!(implied_vol_american(&quote(&PLAIN, bad)), None);
    }
    for bad in [f64::NAN, f64::INFINITY] {
        for input in [Bsm { rate: bad, ..PLAIN }, Bsm { dividend_yield: bad, ..PLAIN }] {
            assert_eq!(bsm(&input), None);
            assert_eq!(american(&input), None);
            assert_eq!(implied_vol_american(&quote(&input, 5.0)), None);
        }
    }
}

#[test]
fn prices_outside_the_bounds_have_no_volatility() {
    let deep = Bsm { strike: 130.0, ..PLAIN };
    let discounted = 130.0 * (-0.02_f64).exp() - 100.0 * (-0.005_f64).exp();
    assert_eq!(implied_vol(&quote(&deep, discounted - 1e-9)), None);
    assert_eq!(implied_vol(&quote(&deep, 130.0 * (-0.02_f64).exp())), None);
    assert_eq!(implied_vol_american(&quote(&deep, 30.0)), None);
    assert_eq!(implied_vol_american(&quote(&deep, 29.0)), None);
    assert_eq!(implied_vol_american(&quote(&deep, 130.0)), None);
}

#[test]
fn an_american_price_above_every_european_one_has_a_volatility() {
    let wild = Bsm { vol: 5.0, years: 1.0, rate: 0.08, dividend_yield: 0.0, ..PLAIN };
    let price = american(&wild).unwrap().price;
    assert_eq!(implied_vol(&quote(&wild, price)), None);
    let vol = implied_vol_american(&quote(&wild, price)).unwrap();
    assert!((vol - 5.0).abs() < 1e-4, "{vol}");
}

#[test]
fn exercise_at_once_is_intrinsic_with_flat_greeks() {
    let (put, call) = (
        Bsm { spot: 60.0, ..PLAIN },
        Bsm { right: Right::Call, spot: 180.0, dividend_yield: 0.08, rate: 0.01, ..PLAIN },
    );
    for (input, delta) in [(put, -1.0), (call, 1.0)] {
        let price = intrinsic(&input);
        let flat = Valuation { price, delta, gamma: 0.0, vega: 0.0, theta: 0.0, rho: 0.0 };
        assert_eq!(american(&input), Some(flat));
    }
}

#[test]
fn never_exercised_early_is_european() {
    let call = Bsm { right: Right::Call, dividend_yield: 0.0, ..PLAIN };
    let put = Bsm { rate: 0.0, ..PLAIN };
    let negative = Bsm { right: Right::Call, dividend_yield: -0.02, rate: -0.01, ..PLAIN };
    for input in [call, put, negative] {
        assert_eq!(american(&input), bsm(&input));
        assert_eq!(early_exercise_bound(&input), Some(0.0));
    }
}

#[test]
fn zero_rate_with_negative_yield_is_exercised_early() {
    let input = Bsm { rate: 0.0, dividend_yield: -0.03, ..PLAIN };
    let value = american(&input).unwrap();
    assert!(value.price > bsm(&input).unwrap().price + 0.01);
    assert!((value.price - binomial(&input)).abs() < 2e-3, "{value:?}");
}

/// Cox, Ross and Rubinstein with 2,000 steps: another method altogether.
fn binomial(input: &Bsm) -> f64 {
    const STEPS: usize = 2_000;
    let Bsm { right, spot, strike, years, rate, dividend_yield, vol } = *input;
    let step = years / STEPS as f64;
    let up = (vol * step.sqrt()).exp();
    let discount = (-rate * step).exp();
    let p = (((rate - dividend_yield) * step).exp() - 1.0 / up) / (up - 1.0 / up);
    let payoff = |level: usize, ups: usize| {
        let price = spot * up.powi(2 * ups as i32 - level as i32);
        match right {
            Right::Call => (price - strike).max(0.0),
            Right::Put => (strike - price).max(0.0),
        }
    };
    let mut values: Vec<f64> = (0..=STEPS).map(|ups| payoff(STEPS, ups)).collect();
    for level in (0..STEPS).rev() {
        for ups in 0..=level {
            let kept = discount * (p * values[ups + 1] + (1.0 - p) * values[ups]);
            values[ups] = kept.max(payoff(level, ups));
        }
    }
    values[0]
}

#[test]
fn american_agrees_with_the_binomial_tree() {
    let rates = [(0.05, 0.0), (0.05, 0.05), (0.03, 0.06), (0.0, 0.04), (0.06, -0.01)];
    for (rate, dividend_yield) in rates {
        for (right, strike) in [(Right::Put, 105.0), (Right::Call, 95.0), (Right::Put, 90.0)] {
            let input = Bsm { right, strike, rate, dividend_yield, years: 0.75, ..PLAIN };
            let (got, want) = (american(&input).unwrap().price, binomial(&input));
            assert!((got - want).abs() < 3e-3, "{input:?}: {got} against {want}");
        }
    }
}
