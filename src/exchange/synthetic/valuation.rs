//! What everything is worth under the law: the fair values behind the quotes.
//!
//! An ETF option is worth its European value under the law plus what early exercise adds: the right
//! to exercise at a dividend, a call just before it and a put just after it (Black's approximation
//! from below), or for a put, if more, American less European price of the formula with one
//! volatility, left out where a bound shows it to be worth less than the pricing's own tolerance.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::market::OptionRight;
use crate::pricing::{
    Black76, Black76Quote, Bsm, EARLY_EXERCISE_TOLERANCE_USD, Right, Valuation, american, black76,
    bsm, early_exercise_bound, implied_vol_black76,
};

use super::carry::Carry;
use super::etf::Etf;
use super::listing::{ListedOption, Underlying};
use super::model::Scaled;
use super::process::State;
use super::smile::Smile;
use super::variance_time::VarianceTime;
use super::vix::{self, Vix};

const YEAR_SECONDS: f64 = 31_536_000.0;
const THIRTY_DAYS_SECONDS: i64 = 30 * 86_400;

/// Clock, carry and the square root of the variance premium: what turns a state into values.
#[derive(Debug)]
pub(super) struct Law {
    pub time: VarianceTime,
    pub carry: Carry,
    pub scale: f64,
}

impl Law {
    pub fn vix_index(&self, state: &State) -> f64 {
        vix::index(state, &self.time, self.scale)
    }

    pub fn smile(&self, etf: Etf, state: &State, to: i64) -> Smile {
        let ahead = Scaled { scale: self.scale, time: self.time.between(state.at, to) };
        let forward = self.carry.forward(etf, *state.spots.get(etf), (state.at, to));
        Smile::new(etf, &state.variances(etf), ahead, forward)
    }

    /// At-the-money volatility of an option of exactly 30 days, a fraction a year.
    pub fn thirty_day_vol(&self, etf: Etf, state: &State) -> Option<f64> {
        let smile = self.smile(etf, state, state.at + THIRTY_DAYS_SECONDS);
        implied_vol_black76(&Black76Quote {
            right: Right::Call,
            price: smile.call(smile.forward()),
            forward: smile.forward(),
            strike: smile.forward(),
            years: THIRTY_DAYS_SECONDS as f64 / YEAR_SECONDS,
            rate: 0.0,
        })
    }
}

/// The worth of an option before its expiry.
#[derive(Debug, Clone, Copy)]
pub(super) struct OptionValue {
    /// USD a share.
    pub fair: f64,
    /// Volatility of the European value and the Greeks at it; `None` where the value says nothing
    /// about volatility.
    pub theory: Option<(f64, Valuation)>,
    /// Logarithm of strike over forward, in standard deviations to the expiry.
    pub distance: f64,
    /// Years to the expiry.
    pub years: f64,
}

/// Smiles of an instant, computed when first asked for. What is remembered follows from the key
/// alone, so remembering changes no value.
#[derive(Debug, Default)]
pub(super) struct Smiles {
    known: RefCell<BTreeMap<(i64, Etf, i64), Arc<Smile>>>,
}

impl Smiles {
    pub fn forget(&mut self) {
        self.known.get_mut().clear();
    }

    fn get(&self, law: &Law, state: &State, (etf, to): (Etf, i64)) -> Arc<Smile> {
        let mut known = self.known.borrow_mut();
        let entry = known.entry((state.at, etf, to));
        Arc::clone(entry.or_insert_with(|| Arc::new(law.smile(etf, state, to))))
    }

    /// The worth of an option; `None` from its expiry on.
    pub fn value(&self, law: &Law, state: &State, option: &ListedOption) -> Option<OptionValue> {
        if state.at >= option.expires_at {
            return None;
        }
        match option.underlying {
            Underlying::Etf(etf) => Some(self.etf_option(law, state, (etf, option))),
            Underlying::Vix => Some(vix_option(law, state, option)),
        }
    }

    fn etf_option(&self, law: &Law, state: &State, of: (Etf, &ListedOption)) -> OptionValue {
        let (etf, option) = of;
        let ListedOption { strike, expires_at, .. } = *option;
        let smile = self.get(law, state, (etf, expires_at));
        let growth = law.carry.log_growth(state.at, expires_at);
        let discount = libm::exp(-growth);
        let european = discount
            * match option.contract.right {
                OptionRight::Call => smile.call(strike),
                OptionRight::Put => smile.put(strike),
            };
        let spot = *state.spots.get(etf);
        let years = (expires_at - state.at) as f64 / YEAR_SECONDS;
        let rate = growth / years;
        let right = pricing_right(option.contract.right);
        let vol = implied_vol_black76(&Black76Quote {
            right,
            price: european,
            forward: smile.forward(),
            strike,
            years,
            rate,
        });
        let input = vol.map(|vol| Bsm {
            right,
            spot,
            strike,
            years,
            rate,
            dividend_yield: rate - libm::log(smile.forward() / spot) / years,
            vol,
        });
        let early = match option.contract.right {
            OptionRight::Call => 0.0,
            OptionRight::Put => input.and_then(|input| put_premium(&input)).unwrap_or(0.0),
        };
        let intrinsic = option.contract.right.intrinsic(spot, strike);
        let at_dividends = self.at_dividends(law, state, of);
        OptionValue {
            fair: (european + early.max(0.0)).max(at_dividends).max(intrinsic),
            theory: input.and_then(|input| Some((input.vol, bsm(&input)?))),
            distance: distance(strike / smile.forward(), smile.variance()),
            years,
        }
    }

    /// The most that an option is worth if it ends at one of its dividends, a call just before it
    /// and a put just after: at every strike, so that the value is the greater of convex ones and
    /// bends nowhere downwards. A dividend that pays less than the interest on a call's strike is
    /// left out: there the call's European value is the greater one.
    fn at_dividends(&self, law: &Law, state: &State, of: (Etf, &ListedOption)) -> f64 {
        let (etf, option) = of;
        law.carry
            .between(etf, state.at, option.expires_at)
            .filter_map(|dividend| {
                let interest = law.carry.log_growth(dividend.ex_at, option.expires_at);
                let (to, value) = match option.contract.right {
                    OptionRight::Call => {
                        let gains = dividend.amount > -option.strike * libm::expm1(-interest);
                        let to = (dividend.ex_at - 1).max(state.at);
                        (to, gains.then(|| self.get(law, state, (etf, to)).call(option.strike))?)
                    }
                    OptionRight::Put => {
                        let to = dividend.ex_at;
                        (to, self.get(law, state, (etf, to)).put(option.strike))
                    }
                };
                Some(value * libm::exp(-law.carry.log_growth(state.at, to)))
            })
            .fold(0.0, f64::max)
    }
}

/// What early exercise adds to a put; `None` where it is not worth computing.
fn put_premium(input: &Bsm) -> Option<f64> {
    let at_most = input.strike * -libm::expm1(-input.rate * input.years);
    if at_most < EARLY_EXERCISE_TOLERANCE_USD
        || early_exercise_bound(input)? < EARLY_EXERCISE_TOLERANCE_USD
    {
        return None;
    }
    Some(american(input)?.price - bsm(input)?.price)
}

fn vix_option(law: &Law, state: &State, option: &ListedOption) -> OptionValue {
    let ListedOption { strike, expires_at, .. } = *option;
    let vix = Vix::new(state, expires_at, (&law.time, law.scale));
    let growth = law.carry.log_growth(state.at, expires_at);
    let european = libm::exp(-growth) * vix.option(option.contract.right, strike);
    let years = (expires_at - state.at) as f64 / YEAR_SECONDS;
    let rate = growth / years;
    let right = pricing_right(option.contract.right);
    let forward = vix.forward();
    let vol =
        implied_vol_black76(&Black76Quote { right, price: european, forward, strike, years, rate });
    let greeks = |vol| black76(&Black76 { right, forward, strike, years, rate, vol });
    OptionValue {
        fair: european,
        theory: vol.and_then(|vol| Some((vol, greeks(vol)?))),
        distance: distance(strike / forward, vix.log_variance()),
        years,
    }
}

fn distance(moneyness: f64, variance: f64) -> f64 {
    /// A total standard deviation of one basis point: below it nothing is near the money.
    const LEAST_VARIANCE: f64 = 1e-8;
    libm::log(moneyness) / libm::sqrt(variance.max(LEAST_VARIANCE))
}

fn pricing_right(right: OptionRight) -> Right {
    match right {
        OptionRight::Call => Right::Call,
        OptionRight::Put => Right::Put,
    }
}
