//! An option's volatility from its price, and its price from a volatility, as the desk computes
//! them: American options on what pays dividends as a yield, options on the VIX on a forward.
//!
//! The client's underlying price stands for the spot; of the VIX it stands for the forward of the
//! expiry, which IB's own way with it is an assumption. Rates and dividends are the published ones.

use chrono::NaiveDate;

use crate::exchange::{DividendRow, RateRow};
use crate::market::{ExerciseStyle, Instrument, OptionContract, OptionRight, Price, Timestamp};
use crate::pricing::{
    Black76, Black76Quote, Bsm, BsmQuote, Right, Valuation, american, black76, bsm,
    invert_american, invert_black76, invert_bsm,
};

use super::data_request::Calculation;
use super::event::{Computation, Event};
use super::house::{House, SeatId};

/// Tick type of what was computed on request.
const CUSTOM: i32 = 53;
const YEAR_SECONDS: f64 = 31_536_000.0;
/// Prices and volatilities beyond these are taken for mistakes.
const PRICE_MAX: f64 = 1e6;
const VOL_MAX: f64 = 100.0;

/// Rates and dividends as a day has them: a market may look through all its contracts for them.
#[derive(Debug, Default)]
pub(super) struct Published {
    day: Option<NaiveDate>,
    rates: Vec<RateRow>,
    dividends: Vec<DividendRow>,
}

/// What is given of the option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    Price,
    Vol,
}

/// What a valuation needs beside the given value.
struct Terms<'a> {
    option: &'a OptionContract,
    right: Right,
    underlying: f64,
    strike: f64,
    years: f64,
    rate: f64,
    dividend_yield: f64,
}

impl House {
    /// Reads what is published today, once a day.
    pub(super) fn read_published(&mut self) {
        let day = Some(self.today());
        if self.published.day != day {
            let source = self.exchange.source();
            let (rates, dividends) = (source.rates(), source.dividends());
            self.published = Published { day, rates, dividends };
        }
    }

    pub(super) fn calculate(
        &mut self,
        seat: SeatId,
        req_id: i32,
        (known, wanted): (Known, &Calculation),
    ) {
        self.read_published();
        match self.calculated(known, wanted) {
            Ok(values) => {
                self.send(seat, Event::TickOptionComputation { req_id, field: CUSTOM, values });
            }
            Err((code, said)) => self.error(seat, (req_id, code), &said),
        }
    }

    /// What a price of an option implies at an instant and a price of its underlying. `None` for
    /// anything else, and for options on the VIX, whose forward this market does not quote.
    pub(super) fn implied_by(
        &self,
        instrument: &Instrument,
        (price, underlying): (Option<Price>, Option<f64>),
        at: Timestamp,
    ) -> Option<Computation> {
        let Instrument::Option(option) = instrument else { return None };
        let price = price?.to_f64();
        let terms = terms(&self.published, (option, underlying?), at)?;
        if terms.is_on_a_forward() {
            return None;
        }
        let nothing = Computation { price: Some(price), underlying, ..Computation::default() };
        // A price below what exercise brings has no volatility, which IB tells as such.
        Some(terms.invert(price).map_or(nothing, |(vol, value)| Computation {
            implied_vol: Some(vol),
            delta: Some(value.delta),
            gamma: Some(value.gamma),
            vega: Some(value.vega),
            theta: Some(value.theta),
            ..nothing
        }))
    }

    fn calculated(&self, known: Known, wanted: &Calculation) -> Result<Computation, (i32, String)> {
        let Instrument::Option(option) = self.one_contract(&wanted.contract)? else {
            return Err(invalid("the contract is no option"));
        };
        let name = match known {
            Known::Price => "option price",
            Known::Vol => "volatility",
        };
        let most = match known {
            Known::Price => PRICE_MAX,
            Known::Vol => VOL_MAX,
        };
        let given = positive(wanted.given, most)
            .ok_or_else(|| invalid(&format!("the {name} is not above 0 and at most {most}")))?;
        let underlying = positive(wanted.underlying, PRICE_MAX).ok_or_else(|| {
            invalid(&format!("the underlying price is not above 0 and at most {PRICE_MAX}"))
        })?;
        let terms = terms(&self.published, (&option, underlying), self.now())
            .ok_or_else(|| invalid("the option has expired"))?;
        let (vol, value) = match known {
            Known::Price => terms.invert(given),
            Known::Vol => terms.value(given).map(|value| (given, value)),
        }
        .ok_or_else(|| invalid(&format!("no option of these terms has this {name}")))?;
        Ok(Computation {
            implied_vol: Some(vol),
            delta: Some(value.delta),
            price: Some(value.price),
            dividends: None,
            gamma: Some(value.gamma),
            vega: Some(value.vega),
            theta: Some(value.theta),
            underlying: Some(underlying),
        })
    }
}

fn invalid(cause: &str) -> (i32, String) {
    (321, format!("Error validating request.-'bW' : cause - {cause}"))
}

/// Neither infinite nor no number.
fn positive(value: Option<f64>, most: f64) -> Option<f64> {
    value.filter(|value| *value > 0.0 && *value <= most)
}

/// `None` from the expiry on.
fn terms<'a>(
    published: &Published,
    (option, underlying): (&'a OptionContract, f64),
    now: Timestamp,
) -> Option<Terms<'a>> {
    let seconds = (option.expires_at - now).num_seconds();
    let years = seconds as f64 / YEAR_SECONDS;
    if seconds <= 0 {
        return None;
    }
    let rate = published
        .rates
        .iter()
        .min_by_key(|row| (row.maturity_date - option.expiry_date).num_days().abs())
        .map_or(0.0, |row| row.rate);
    let today = now.with_timezone(&chrono_tz::America::New_York).date_naive();
    let paid: f64 = published
        .dividends
        .iter()
        .filter(|row| row.symbol == option.symbol)
        .filter(|row| row.ex_date > today && row.ex_date <= option.expiry_date)
        .map(|row| row.amount.to_f64())
        .sum();
    let share = 1.0 - paid / underlying;
    let dividend_yield = if share > 0.0 { -libm::log(share) / years } else { 0.0 };
    Some(Terms {
        option,
        right: match option.right {
            OptionRight::Call => Right::Call,
            OptionRight::Put => Right::Put,
        },
        underlying,
        strike: option.strike.to_f64(),
        years,
        rate,
        dividend_yield,
    })
}

impl Terms<'_> {
    fn is_on_a_forward(&self) -> bool {
        self.option.symbol.as_str() == "VIX"
    }

    fn value(&self, vol: f64) -> Option<Valuation> {
        let Self { right, underlying, strike, years, rate, dividend_yield, .. } = *self;
        if self.is_on_a_forward() {
            return black76(&Black76 { right, forward: underlying, strike, years, rate, vol });
        }
        let input = Bsm { right, spot: underlying, strike, years, rate, dividend_yield, vol };
        match self.option.style {
            ExerciseStyle::American => american(&input),
            ExerciseStyle::European => bsm(&input),
        }
    }

    fn invert(&self, price: f64) -> Option<(f64, Valuation)> {
        let Self { right, underlying, strike, years, rate, dividend_yield, .. } = *self;
        if self.is_on_a_forward() {
            let forward = underlying;
            let quote = Black76Quote { right, price, forward, strike, years, rate };
            return invert_black76(&quote).map(|implied| (implied.vol, implied.valuation));
        }
        let spot = underlying;
        let quote = BsmQuote { right, price, spot, strike, years, rate, dividend_yield };
        let implied = match self.option.style {
            ExerciseStyle::American => invert_american(&quote),
            ExerciseStyle::European => invert_bsm(&quote),
        };
        implied.map(|implied| (implied.vol, implied.valuation))
    }
}
