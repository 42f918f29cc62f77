//! Reg-T margin of an account's positions, by recognising structures.
//!
//! The requirement stands beside cash: equity here is cash and stock, without the market value of
//! options, as Interactive Brokers counts equity with loan value for US options. So a premium
//! received is cash, a premium paid is gone, and a long option needs nothing more (paid in full).
//! The capital that a trade ties up is requirement - cash received: [`capital_tied_up`].
//!
//! Rules: shorts are paired with longs and shares (`pairing`). Paired options of one expiry need
//! the greatest loss at expiry over their strikes: a vertical its width, a condor its wider side,
//! a butterfly or debit vertical nothing; a long that expires later counts at intrinsic value, so a
//! calendar needs nothing beside its debit. A short call on shares needs its in-the-money amount.
//! What is left is naked: mark + max(20 % of the underlying - out-of-the-money amount, 10 % of the
//! underlying for calls or of the strike for puts). Stock by ratio of value; futures a contract.
//!
//! What it deliberately does not do: portfolio margin, offsets between futures or between futures
//! and options, the strangle offset of two naked shorts, short stock covering puts.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use rust_decimal::Decimal;
use rust_decimal::prelude::FromPrimitive;
use serde::Deserialize;

use super::pairing::{Cover, Lot, Pair, Pairing, pair};
use crate::market::{ConId, Instrument, OptionContract, OptionRight, Price, Symbol, Usd};

/// A position in one instrument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    pub instrument: Instrument,
    /// Contracts or shares, long positive.
    pub quantity: i64,
}

/// The prices that margin needs: of stock and underlyings by symbol, of naked short options by
/// contract. USD a share.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MarginPrices {
    pub spots: BTreeMap<Symbol, Price>,
    pub marks: BTreeMap<ConId, Price>,
}

/// Where margin finds its prices.
pub trait PriceSource {
    /// Of stock and of underlyings, USD a share.
    fn spot(&self, symbol: &Symbol) -> Option<Price>;
    /// Of an option, USD a share.
    fn mark(&self, conid: ConId) -> Option<Price>;
}

impl PriceSource for MarginPrices {
    fn spot(&self, symbol: &Symbol) -> Option<Price> {
        self.spots.get(symbol).copied()
    }

    fn mark(&self, conid: ConId) -> Option<Price> {
        self.marks.get(&conid).copied()
    }
}

/// Which of the two futures margins stands now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarginHours {
    Intraday,
    Overnight,
}

/// USD a contract, by time of day.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FutureMargin {
    pub intraday_initial_usd: f64,
    pub intraday_maintenance_usd: f64,
    pub overnight_initial_usd: f64,
    pub overnight_maintenance_usd: f64,
}

/// The numbers of the rules, from `[margin]` of the settings. None has a default.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MarginParameters {
    /// Fractions of market value.
    pub long_stock_initial_ratio: f64,
    pub long_stock_maintenance_ratio: f64,
    pub short_stock_initial_ratio: f64,
    pub short_stock_maintenance_ratio: f64,
    /// Fraction of the underlying, less the out-of-the-money amount.
    pub naked_underlying_ratio: f64,
    /// Floor: fraction of the underlying (calls) or of the strike (puts).
    pub naked_minimum_ratio: f64,
    /// By root.
    pub futures: BTreeMap<Symbol, FutureMargin>,
}

/// What the positions require, USD, never negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MarginRequirement {
    pub initial: Usd,
    pub maintenance: Usd,
    /// Maintenance at the overnight rates.
    pub look_ahead: Usd,
    /// The part of `initial` that the commodities segment must hold.
    pub commodities_initial: Usd,
    /// The part of `maintenance` that the commodities segment must hold.
    pub commodities_maintenance: Usd,
}

impl MarginRequirement {
    fn add_securities(&mut self, initial: Usd, maintenance: Usd) {
        self.initial += initial;
        self.maintenance += maintenance;
        self.look_ahead += maintenance;
    }
}

/// Margin cannot be computed: something that it needs is missing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MarginError {
    #[error("no price of {0}; margin needs the underlying")]
    NoSpot(Symbol),
    #[error("no mark of short option {0}; naked margin needs it")]
    NoMark(ConId),
    #[error("no futures margin for root {0}; add it to [margin.futures]")]
    NoFutureMargin(Symbol),
    #[error("margin setting {0} is not a number")]
    BadParameter(&'static str),
    #[error("{0} is an index and cannot be held")]
    NotHoldable(Symbol),
}

/// Margin of all `holdings` together.
pub fn requirement(
    holdings: &[Holding],
    prices: &impl PriceSource,
    parameters: &MarginParameters,
    hours: MarginHours,
) -> Result<MarginRequirement, MarginError> {
    let mut total = MarginRequirement::default();
    let mut by_symbol: BTreeMap<&Symbol, Underlying<'_>> = BTreeMap::new();
    for holding in holdings {
        let symbol = holding.instrument.symbol();
        match &holding.instrument {
            Instrument::Stock(_) => by_symbol.entry(symbol).or_default().shares += holding.quantity,
            Instrument::Option(option) => {
                by_symbol.entry(symbol).or_default().options.push((option, holding.quantity));
            }
            Instrument::Future(_) => add_future(&mut total, holding, parameters, hours)?,
            Instrument::Index(_) => return Err(MarginError::NotHoldable(symbol.clone())),
        }
    }
    for (symbol, underlying) in by_symbol {
        let spot = prices.spot(symbol);
        let spot = || spot.ok_or_else(|| MarginError::NoSpot(symbol.clone()));
        if underlying.shares != 0 {
            let value = spot()?.value(underlying.shares, 1);
            let (initial, maintenance) = Numbers::read(parameters)?.stock(value);
            total.add_securities(initial, maintenance);
        }
        let pairing = pair(underlying.options, underlying.shares);
        let covered = covered_requirement(&pairing);
        total.add_securities(covered, covered);
        for pair in &pairing.pairs {
            let usd = match pair.cover {
                Cover::Long(_) => Usd::ZERO,
                Cover::Shares => in_the_money(pair, spot()?),
                Cover::Nothing => {
                    let mark = prices.mark(pair.short.conid);
                    let mark = mark.ok_or(MarginError::NoMark(pair.short.conid))?;
                    Numbers::read(parameters)?.naked(pair, spot()?, mark)
                }
            };
            total.add_securities(usd, usd);
        }
    }
    Ok(total)
}

/// What a trade takes out of the account's excess: requirement less the cash it brought (a debit
/// is negative cash).
pub fn capital_tied_up(requirement: &MarginRequirement, cash: Usd) -> Usd {
    requirement.initial - cash
}

/// The cash that secures short puts in full: strike x multiplier x contracts.
pub fn cash_secured(put: &OptionContract, quantity: i64) -> Usd {
    put.strike.value(quantity.abs(), put.multiplier)
}

#[derive(Default)]
struct Underlying<'a> {
    shares: i64,
    options: Vec<(&'a OptionContract, i64)>,
}

fn add_future(
    total: &mut MarginRequirement,
    holding: &Holding,
    parameters: &MarginParameters,
    hours: MarginHours,
) -> Result<(), MarginError> {
    let root = holding.instrument.symbol();
    let margin =
        parameters.futures.get(root).ok_or_else(|| MarginError::NoFutureMargin(root.clone()))?;
    let contracts = |usd: f64| {
        Usd::from_f64(usd)
            .map(|usd| usd.times(holding.quantity.abs()))
            .ok_or(MarginError::BadParameter("futures"))
    };
    let overnight = contracts(margin.overnight_maintenance_usd)?;
    let (initial, maintenance) = match hours {
        MarginHours::Intraday => {
            (contracts(margin.intraday_initial_usd)?, contracts(margin.intraday_maintenance_usd)?)
        }
        MarginHours::Overnight => (contracts(margin.overnight_initial_usd)?, overnight),
    };
    total.initial += initial;
    total.maintenance += maintenance;
    total.look_ahead += overnight;
    total.commodities_initial += initial;
    total.commodities_maintenance += maintenance;
    Ok(())
}

/// Greatest loss at expiry of the options that are covered by options, expiry by expiry of the
/// shorts, over their strikes and a worthless underlying. Above the highest strike nothing is left
/// to lose, since every short call has a long one behind it.
fn covered_requirement(pairing: &Pairing<'_>) -> Usd {
    let mut groups: BTreeMap<NaiveDate, Vec<Lot<'_>>> = BTreeMap::new();
    for pair in &pairing.pairs {
        if let Cover::Long(long) = pair.cover {
            let group = groups.entry(pair.short.expiry_date).or_default();
            group.push(Lot { contract: pair.short, quantity: -pair.quantity });
            group.push(Lot { contract: long, quantity: pair.quantity });
        }
    }
    for lot in &pairing.spare_longs {
        if let Some(group) = groups.get_mut(&lot.contract.expiry_date) {
            group.push(*lot);
        }
    }
    groups.values().map(|group| worst_expiry_loss(group)).sum()
}

fn worst_expiry_loss(group: &[Lot<'_>]) -> Usd {
    let loss_at = |spot: i64| -> i128 {
        group
            .iter()
            .map(|lot| {
                let strike = lot.contract.strike.micros();
                let intrinsic = match lot.contract.right {
                    OptionRight::Call => (spot - strike).max(0),
                    OptionRight::Put => (strike - spot).max(0),
                };
                let contracts = i128::from(lot.quantity) * i128::from(lot.contract.multiplier);
                -i128::from(intrinsic) * contracts
            })
            .sum()
    };
    let strikes = group.iter().map(|lot| lot.contract.strike.micros());
    let worst = strikes.chain([0]).map(loss_at).fold(0, i128::max);
    // Nine billion dollars a thousand times over: no account has as much.
    Usd::from_micros(i64::try_from(worst).unwrap_or(i64::MAX))
}

fn intrinsic(contract: &OptionContract, spot: Price) -> Price {
    match contract.right {
        OptionRight::Call => (spot - contract.strike).max(Price::ZERO),
        OptionRight::Put => (contract.strike - spot).max(Price::ZERO),
    }
}

fn in_the_money(pair: &Pair<'_>, spot: Price) -> Usd {
    intrinsic(pair.short, spot).value(pair.quantity, pair.short.multiplier)
}

/// The ratios as decimals.
struct Numbers {
    long_stock: (Decimal, Decimal),
    short_stock: (Decimal, Decimal),
    naked: Decimal,
    naked_minimum: Decimal,
}

impl Numbers {
    fn read(parameters: &MarginParameters) -> Result<Self, MarginError> {
        let ratio =
            |value: f64, name| Decimal::from_f64(value).ok_or(MarginError::BadParameter(name));
        let p = parameters;
        Ok(Self {
            long_stock: (
                ratio(p.long_stock_initial_ratio, "long_stock_initial_ratio")?,
                ratio(p.long_stock_maintenance_ratio, "long_stock_maintenance_ratio")?,
            ),
            short_stock: (
                ratio(p.short_stock_initial_ratio, "short_stock_initial_ratio")?,
                ratio(p.short_stock_maintenance_ratio, "short_stock_maintenance_ratio")?,
            ),
            naked: ratio(p.naked_underlying_ratio, "naked_underlying_ratio")?,
            naked_minimum: ratio(p.naked_minimum_ratio, "naked_minimum_ratio")?,
        })
    }

    fn stock(&self, value: Usd) -> (Usd, Usd) {
        let (initial, maintenance) =
            if value.is_negative() { self.short_stock } else { self.long_stock };
        let value = value.abs().decimal();
        (Usd::new(value * initial), Usd::new(value * maintenance))
    }

    fn naked(&self, pair: &Pair<'_>, spot: Price, mark: Price) -> Usd {
        let strike = pair.short.strike;
        let (out_of_the_money, floor_base) = match pair.short.right {
            OptionRight::Call => ((strike - spot).max(Price::ZERO), spot),
            OptionRight::Put => ((spot - strike).max(Price::ZERO), strike),
        };
        let share = (spot.decimal() * self.naked - out_of_the_money.decimal())
            .max(floor_base.decimal() * self.naked_minimum);
        Price::new(mark.decimal() + share).value(pair.quantity, pair.short.multiplier)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::structures::testing::{call, future, instrument, price, put, stock, usd};

    fn parameters() -> MarginParameters {
        let es = FutureMargin {
            intraday_initial_usd: 12_650.0,
            intraday_maintenance_usd: 11_500.0,
            overnight_initial_usd: 25_300.0,
            overnight_maintenance_usd: 23_000.0,
        };
        MarginParameters {
            long_stock_initial_ratio: 0.50,
            long_stock_maintenance_ratio: 0.25,
            short_stock_initial_ratio: 0.50,
            short_stock_maintenance_ratio: 0.30,
            naked_underlying_ratio: 0.20,
            naked_minimum_ratio: 0.10,
            futures: BTreeMap::from([(Symbol::new("ES"), es)]),
        }
    }

    fn initial_of(legs: &[(OptionContract, i64)], shares: i64, spot: f64) -> Usd {
        let mut holdings: Vec<Holding> = legs
            .iter()
            .map(|(leg, quantity)| Holding { instrument: instrument(leg), quantity: *quantity })
            .collect();
        if shares != 0 {
            holdings.push(Holding { instrument: stock("SPY"), quantity: shares });
        }
        let prices = MarginPrices {
            spots: BTreeMap::from([(Symbol::new("SPY"), price(spot))]),
            marks: legs
                .iter()
                .map(|(leg, _)| (leg.conid, intrinsic(leg, price(spot)) + price(3.0)))
                .collect(),
        };
        let hours = MarginHours::Intraday;
        requirement(&holdings, &prices, &parameters(), hours).unwrap().initial
    }

    #[test]
    fn a_vertical_needs_its_width_and_the_credit_is_cash() {
        let legs = [(put(600.0, 20), 3), (put(610.0, 20), -3)];
        assert_eq!(initial_of(&legs, 0, 640.0), usd(3_000.0));
        let needed = MarginRequirement { initial: usd(3_000.0), ..MarginRequirement::default() };
        assert_eq!(capital_tied_up(&needed, usd(3.0 * 250.0)), usd(2_250.0));
        assert_eq!(initial_of(&[(call(640.0, 20), 1), (call(650.0, 20), -1)], 0, 640.0), Usd::ZERO);
    }

    #[test]
    fn a_condor_needs_its_wider_side_once() {
        let condor = [
            (put(600.0, 20), 2),
            (put(610.0, 20), -2),
            (call(660.0, 20), -2),
            (call(665.0, 20), 2),
        ];
        assert_eq!(initial_of(&condor, 0, 640.0), usd(2_000.0));
    }

    #[test]
    fn sides_that_can_both_lose_are_both_needed() {
        let inverted = [
            (put(645.0, 20), 1),
            (put(650.0, 20), -1),
            (call(630.0, 20), -1),
            (call(635.0, 20), 1),
        ];
        assert_eq!(initial_of(&inverted, 0, 640.0), usd(1_000.0));
        let two_expiries = [
            (put(600.0, 20), 1),
            (put(610.0, 20), -1),
            (call(660.0, 27), -1),
            (call(670.0, 27), 1),
        ];
        assert_eq!(initial_of(&two_expiries, 0, 640.0), usd(2_000.0));
    }

    #[test]
    fn long_options_butterflies_and_calendars_need_only_what_was_paid() {
        assert_eq!(initial_of(&[(call(640.0, 20), 5), (put(640.0, 20), 5)], 0, 640.0), Usd::ZERO);
        let butterfly = [(call(630.0, 20), 1), (call(640.0, 20), -2), (call(650.0, 20), 1)];
        assert_eq!(initial_of(&butterfly, 0, 640.0), Usd::ZERO);
        let calendar = [(call(640.0, 20), -1), (call(640.0, 50), 1)];
        assert_eq!(initial_of(&calendar, 0, 640.0), Usd::ZERO);
        let debit = usd(-410.0);
        assert_eq!(capital_tied_up(&MarginRequirement::default(), debit), usd(410.0));
    }

    #[test]
    fn a_calendar_without_its_long_leg_is_naked() {
        let naked = initial_of(&[(call(640.0, 20), -1)], 0, 640.0);
        assert_eq!(naked, usd((0.20 * 640.0 + 3.0) * 100.0));
        let reversed = [(call(640.0, 20), 1), (call(640.0, 50), -1)];
        assert_eq!(initial_of(&reversed, 0, 640.0), naked);
    }

    #[test]
    fn a_naked_put_is_twenty_percent_less_what_it_is_out_of_the_money() {
        assert_eq!(initial_of(&[(put(600.0, 20), -1)], 0, 640.0), usd(9_100.0));
        assert_eq!(initial_of(&[(put(500.0, 20), -1)], 0, 640.0), usd(5_300.0));
        assert_eq!(cash_secured(&put(600.0, 20), -2), usd(120_000.0));
    }

    #[test]
    fn a_covered_call_needs_the_stock_and_its_in_the_money_amount() {
        assert_eq!(initial_of(&[(call(650.0, 20), -1)], 100, 640.0), usd(32_000.0));
        assert_eq!(initial_of(&[(call(630.0, 20), -1)], 100, 640.0), usd(33_000.0));
        assert_eq!(initial_of(&[], -100, 640.0), usd(32_000.0));
    }

    #[test]
    fn futures_are_counted_by_contract_and_look_ahead_overnight() {
        let holdings = [Holding { instrument: future("ES", "SPY", 50), quantity: -2 }];
        let prices = MarginPrices::default();
        let day = requirement(&holdings, &prices, &parameters(), MarginHours::Intraday).unwrap();
        assert_eq!((day.initial, day.maintenance), (usd(25_300.0), usd(23_000.0)));
        assert_eq!((day.look_ahead, day.commodities_initial), (usd(46_000.0), usd(25_300.0)));
        let night = requirement(&holdings, &prices, &parameters(), MarginHours::Overnight).unwrap();
        assert_eq!((night.initial, night.maintenance), (usd(50_600.0), usd(46_000.0)));
        let unknown = [Holding { instrument: future("YM", "DIA", 5), quantity: 1 }];
        assert!(requirement(&unknown, &prices, &parameters(), MarginHours::Intraday).is_err());
    }

    #[test]
    fn what_is_missing_is_an_error_only_where_it_is_needed() {
        let covered = [
            Holding { instrument: instrument(&put(600.0, 20)), quantity: 1 },
            Holding { instrument: instrument(&put(610.0, 20)), quantity: -1 },
        ];
        let (short, long) = (covered.get(1).cloned().unwrap(), covered);
        let none = MarginPrices::default();
        let hours = MarginHours::Intraday;
        assert!(requirement(&long, &none, &parameters(), hours).is_ok());
        assert!(requirement(&[short], &none, &parameters(), hours).is_err());
    }

    proptest! {
        #[test]
        fn margin_scales_with_quantity_and_a_long_never_adds_any(
            strikes in prop::collection::vec(600_i64..670, 1..6),
            signs in prop::collection::vec(-2_i64..3, 6),
            factor in 1_i64..5,
            extra in 600_i64..670,
        ) {
            let legs: Vec<(OptionContract, i64)> = strikes
                .iter()
                .zip(&signs)
                .enumerate()
                .map(|(n, (strike, sign))| {
                    let strike = *strike as f64;
                    (if n % 2 == 0 { call(strike, 20) } else { put(strike, 20) }, *sign)
                })
                .collect();
            let scaled: Vec<_> =
                legs.iter().map(|(leg, sign)| (leg.clone(), sign * factor)).collect();
            let one = initial_of(&legs, 0, 640.0);
            prop_assert!(!one.is_negative());
            prop_assert_eq!(initial_of(&scaled, 0, 640.0), one.times(factor));
            let mut with_long = legs;
            with_long.push((call(extra as f64, 20), 1));
            prop_assert!(initial_of(&with_long, 0, 640.0) <= one);
        }
    }
}
