//! Prices and Greeks against QuantLib's (`golden.json` of the shared reference data).

use std::path::PathBuf;

use serde_json::Value;

use crate::pricing::{
    Black76, Black76Quote, Bsm, BsmQuote, Right, american, black76, bsm, implied_vol,
    implied_vol_american, implied_vol_black76,
};

/// One reference row: the inputs and the object that holds the values.
struct Row {
    input: Bsm,
    values: Value,
}

impl Row {
    fn number(&self, pointer: &str) -> f64 {
        self.values.pointer(pointer).and_then(Value::as_f64).expect(pointer)
    }
}

#[expect(clippy::disallowed_methods, reason = "where the reference data lies is for the tester")]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The reference rows; without them an explanation and none, an error under CI.
fn rows() -> Vec<Row> {
    let shared = environment("DELTADESK_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let path = shared.join("golden/golden.json");
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => {
            let why = format!("{}: {error}", path.display());
            assert!(environment("CI").as_deref() != Some("true"), "reference data: {why}");
            println!("not run: {why}");
            return Vec::new();
        }
    };
    let golden: Value = serde_json::from_str(&text).expect("golden.json is JSON");
    let options = golden.pointer("/options").and_then(Value::as_array).expect("options");
    options.iter().map(row).collect()
}

fn row(values: &Value) -> Row {
    let number = |name: &str| values.get(name).and_then(Value::as_f64).expect("a number");
    let right = match values.get("cp").and_then(Value::as_str) {
        Some("C") => Right::Call,
        Some("P") => Right::Put,
        other => panic!("cp {other:?}"),
    };
    let input = Bsm {
        right,
        spot: number("S"),
        strike: number("K"),
        years: number("T"),
        rate: number("r"),
        dividend_yield: number("q"),
        vol: number("sigma"),
    };
    Row { input, values: values.clone() }
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

fn assert_near(what: &str, row: &Row, (got, want): (f64, f64), tolerance: f64) {
    assert!((got - want).abs() <= tolerance, "{what} {:?}: {got} against {want}", row.input);
}

#[test]
fn european_values_and_greeks_are_quantlibs() {
    for row in rows() {
        let got = bsm(&row.input).expect("valid");
        let wanted = [
            ("price", got.price, row.number("/eu/npv")),
            ("delta", got.delta, row.number("/eu/delta")),
            ("gamma", got.gamma, row.number("/eu/gamma")),
            ("vega", got.vega * 100.0, row.number("/eu/vega")),
            ("theta", got.theta * 365.0, row.number("/eu/theta")),
            ("rho", got.rho * 100.0, row.number("/eu/rho")),
        ];
        for (what, got, want) in wanted {
            assert_near(what, &row, (got, want), 1e-10 * want.abs());
        }
    }
}

#[test]
fn black76_on_the_forward_is_quantlibs() {
    for row in rows() {
        let forward = row.number("/b76_on_forward/F");
        let Bsm { right, strike, years, rate, vol, .. } = row.input;
        let got = black76(&Black76 { right, forward, strike, years, rate, vol }).expect("valid");
        let want = row.number("/b76_on_forward/npv");
        assert_near("black76", &row, (got.price, want), 1e-10 * want);
        let quote = Black76Quote { right, price: want, forward, strike, years, rate };
        let vol = implied_vol_black76(&quote).expect("solvable");
        assert_near("black76 vol", &row, (vol, row.input.vol), 1e-9);
    }
}

#[test]
fn european_volatility_is_recovered() {
    for row in rows() {
        if row.number("/eu/vega") <= 1e-4 {
            continue;
        }
        let vol = implied_vol(&quote(&row.input, row.number("/eu/npv"))).expect("solvable");
        assert_near("vol", &row, (vol, row.input.vol), 1e-9);
    }
}

#[test]
fn american_values_are_quantlibs_high_precision() {
    for row in rows() {
        let got = american(&row.input).expect("valid");
        let scale = row.input.spot / 100.0;
        assert_near("american", &row, (got.price, row.number("/am/qdfp_high")), 1e-4 * scale);
    }
}

/// QuantLib's tree of 2,001 steps is itself only that good.
#[test]
fn american_greeks_are_near_quantlibs_tree() {
    for row in rows() {
        let got = american(&row.input).expect("valid");
        let greek = |name: &str| row.number(&format!("/am/crr_greeks/{name}"));
        assert_near("delta", &row, (got.delta, greek("delta")), 1e-3);
        assert_near("gamma", &row, (got.gamma, greek("gamma")), 2e-3 * greek("gamma"));
        let theta = greek("theta");
        assert_near("theta", &row, (got.theta * 365.0, theta), 2e-3 * theta.abs());
    }
}

#[test]
fn american_volatility_is_recovered() {
    for row in rows() {
        let price = row.number("/am/qdfp_high");
        let vol = implied_vol_american(&quote(&row.input, price)).expect("solvable");
        let vega = 100.0 * american(&row.input).expect("valid").vega;
        let tolerance = (1e-4 * row.input.spot / 100.0).max(5e-4) / vega;
        assert_near("american vol", &row, (vol, row.input.vol), tolerance);
    }
}
