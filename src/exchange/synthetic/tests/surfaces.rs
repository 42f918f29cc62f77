//! Option values against each other: parity, no static arbitrage, the VIX from its strip.

use super::super::etf::Etf;
use super::super::listing::Underlying;
use super::super::vix::Vix;
use super::*;
use crate::market::OptionRight;

fn states() -> Vec<SyntheticMarket> {
    [(4, "2026-03-03T15:00:00Z"), (5, "2026-03-19T19:30:00Z"), (6, "2026-03-11T19:50:00Z")]
        .map(|(seed, instant)| {
            let mut market = market_of(seed, 1.25, Scenario::VolatilitySpike);
            market.advance_to(at(instant));
            market
        })
        .into()
}

fn expiries(market: &SyntheticMarket, underlying: Underlying) -> Vec<i64> {
    let now = market.path.state().at;
    let trading = market.listing.trading(underlying, now);
    let mut all: Vec<i64> = trading.map(|option| option.expires_at).collect();
    all.dedup();
    all.retain(|expires_at| *expires_at > now);
    all
}

#[test]
fn calls_fall_and_bend_upwards_over_strikes_and_rise_with_time() {
    for market in states() {
        let state = market.path.state();
        for etf in Etf::ALL {
            let mut before: Option<Vec<f64>> = None;
            for expires_at in expiries(&market, Underlying::Etf(etf)) {
                let smile = market.law.smile(etf, state, expires_at);
                let calls: Vec<f64> = (0..=160)
                    .map(|i| smile.call(smile.forward() * (0.55 + 0.005 * f64::from(i))))
                    .map(|call| call / smile.forward())
                    .collect();
                for three in calls.windows(3) {
                    let slope = (three[1] - three[0]) / 0.005;
                    assert!((-1.0 - 1e-7..=1e-7).contains(&slope), "{etf:?} {slope}");
                    let bend = three[0] - 2.0 * three[1] + three[2];
                    assert!(bend > -1e-9, "{etf:?} butterfly {bend}");
                }
                if let Some(before) = before {
                    for (earlier, later) in before.iter().zip(&calls) {
                        assert!(later - earlier > -1e-9, "{etf:?} calendar {earlier} {later}");
                    }
                }
                before = Some(calls);
            }
        }
    }
}

#[test]
fn volatility_falls_over_strikes_near_the_money() {
    for market in states() {
        for conid in near(&market, "SPY", "2026-04-17", 0.04).windows(3).step_by(2) {
            let vol = |conid| market.option_quote(conid).unwrap().vendor.vol.unwrap();
            assert!(vol(conid[2]) < vol(conid[0]));
        }
    }
}

/// American values keep to parity's two inequalities; European ones are equal to it.
#[test]
fn parity_holds_with_dividends() {
    for market in states() {
        let state = market.path.state();
        for etf in Etf::ALL {
            let options: Vec<_> =
                market.listing.trading(Underlying::Etf(etf), state.at).step_by(2 * 17).collect();
            for call in options {
                assert_eq!(call.contract.right, OptionRight::Call);
                let smile = market.law.smile(etf, state, call.expires_at);
                let european = smile.call(call.strike) - smile.put(call.strike);
                assert!((european - (smile.forward() - call.strike)).abs() < 1e-8);
                let put = market.fair_value(ConId(call.contract.conid.0 + 1)).unwrap();
                let call_value = market.fair_value(call.contract.conid).unwrap();
                let spot = *state.spots.get(etf);
                let discount = libm::exp(-market.law.carry.log_growth(state.at, call.expires_at));
                let paid = spot - discount * smile.forward();
                let difference = call_value - put;
                let name = &call.contract.occ_symbol;
                assert!(difference >= spot - paid - call.strike - 2e-3, "{name} {difference}");
                assert!(difference <= spot - discount * call.strike + 2e-3, "{name} {difference}");
            }
        }
    }
}

/// The index is Cboe's sum over a dense, far-reaching strip of its own options.
#[test]
fn the_vix_is_its_strip() {
    for market in states() {
        let state = market.path.state();
        let smile = market.law.smile(Etf::Spy, state, state.at + 30 * 86_400);
        let forward = smile.forward();
        let step = forward * 0.0005;
        let sum: f64 = (1..6_000)
            .map(|i| step * f64::from(i))
            .map(|strike| {
                let value = if strike < forward { smile.put(strike) } else { smile.call(strike) };
                2.0 * step * value / (strike * strike)
            })
            .sum();
        let strip = 100.0 * libm::sqrt(sum * 365.0 / 30.0);
        let index = market.law.vix_index(state);
        assert!((strip / index - 1.0).abs() < 1e-3, "{strip} {index}");
    }
}

#[test]
fn vix_options_are_free_of_arbitrage_and_their_forward_meets_the_index() {
    for market in states() {
        let state = market.path.state();
        let law = (&market.law.time, market.law.scale);
        for expires_at in expiries(&market, Underlying::Vix) {
            let vix = Vix::new(state, expires_at, law);
            let calls: Vec<f64> =
                (8..90).map(|strike| vix.option(OptionRight::Call, f64::from(strike))).collect();
            for three in calls.windows(3) {
                let bend = three[0] - 2.0 * three[1] + three[2];
                assert!(bend > -1e-6, "butterfly {bend}");
                assert!((-1.0 - 1e-6..=1e-6).contains(&(three[1] - three[0])));
            }
            let put = vix.option(OptionRight::Put, 20.0);
            assert!((calls[12] - put - vix.forward() + 20.0).abs() < 1e-9);
        }
        let soon = Vix::new(state, state.at + 1, law);
        assert!((soon.forward() / market.law.vix_index(state) - 1.0).abs() < 1e-3);
    }
}

/// American puts are European ones plus a premium of the formula with one volatility, left out
/// under half a tenth of a cent: so much may bend the wrong way.
const AMERICAN_SLACK: f64 = 2e-3;
/// And that formula spreads a dividend over the time to expiry, which puts of two expiries do
/// differently: far less than what it costs to trade them.
const PUT_CALENDAR_SLACK: f64 = 1.5e-2;

/// Fair values of one expiry and right, by strike.
fn fair_chain(
    market: &SyntheticMarket,
    (etf, expires_at, right): (Etf, i64, OptionRight),
) -> Vec<(f64, f64)> {
    market
        .listing
        .trading(Underlying::Etf(etf), market.path.state().at)
        .filter(|option| option.expires_at == expires_at && option.contract.right == right)
        .map(|option| (option.strike, market.fair_value(option.contract.conid).unwrap()))
        .collect()
}

/// Verticals lie between nothing and their width, butterflies cost nothing at least.
fn assert_no_arbitrage_in(name: &str, right: OptionRight, chain: &[(f64, f64)]) {
    for two in chain.windows(2) {
        let ((low, low_value), (high, high_value)) = (two[0], two[1]);
        let vertical = match right {
            OptionRight::Call => low_value - high_value,
            OptionRight::Put => high_value - low_value,
        };
        let within = -AMERICAN_SLACK..=high - low + AMERICAN_SLACK;
        assert!(within.contains(&vertical), "{name} vertical {low}-{high}: {vertical}");
    }
    for three in chain.windows(3) {
        let ((low, a), (body, b), (high, c)) = (three[0], three[1], three[2]);
        let share = (high - body) / (high - low);
        let butterfly = share * a + (1.0 - share) * c - b;
        assert!(butterfly > -AMERICAN_SLACK, "{name} butterfly {low}-{body}-{high}: {butterfly}");
    }
}

/// What is quoted around, American values of listed strikes, around an ex-date too.
#[test]
fn listed_fair_values_are_free_of_static_arbitrage() {
    let mut least = [0.0_f64; 2];
    for market in states() {
        for etf in Etf::ALL {
            for right in [OptionRight::Call, OptionRight::Put] {
                let mut before: Vec<(f64, f64)> = Vec::new();
                for expires_at in expiries(&market, Underlying::Etf(etf)) {
                    let name = format!("{etf:?} {right:?} {expires_at}");
                    let chain = fair_chain(&market, (etf, expires_at, right));
                    assert_no_arbitrage_in(&name, right, &chain);
                    for (strike, value) in &chain {
                        let known = before.iter().find(|(other, _)| (other - strike).abs() < 1e-9);
                        let Some((_, earlier)) = known else { continue };
                        let place = usize::from(right == OptionRight::Put);
                        if value - earlier < least[place] {
                            println!("{} {name} {strike}: {:.4}", market.now(), value - earlier);
                            least[place] = value - earlier;
                        }
                    }
                    before = chain;
                }
            }
        }
    }
    assert!(least[0] > -AMERICAN_SLACK && least[1] > -PUT_CALENDAR_SLACK, "calendars {least:?}");
}
