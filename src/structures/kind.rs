//! Legs, the structure that they form, and between which net prices it can trade.
//!
//! A structure is recognised from its legs as held; the legs of an order that closes it are the
//! opposite. Net prices are USD a share of the combo bought as its legs stand, credit negative: an
//! order that opens a credit structure trades between -W and 0, one that opens a debit structure
//! between 0 and W, and closing is the mirror image.
//!
//! What it deliberately does not do: guess. Legs that form nothing known are `Other`.

use std::collections::BTreeMap;
use std::fmt;

use chrono::NaiveDate;
use rust_decimal::Decimal;

use super::order::OrderLeg;
use super::payoff::{Extremes, extremes};
use crate::market::{Instrument, OptionContract, OptionRight, Price, Usd};

/// One leg with its contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leg {
    pub instrument: Instrument,
    /// Contracts or shares a combo: long (or bought) positive; never 0.
    pub ratio: i64,
}

impl Leg {
    pub fn as_order_leg(&self) -> OrderLeg {
        OrderLeg { conid: self.instrument.conid(), ratio: self.ratio }
    }
}

/// What a set of legs is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StructureKind {
    IronCondor,
    PutCreditSpread,
    CallCreditSpread,
    PutDebitSpread,
    CallDebitSpread,
    Calendar,
    Diagonal,
    Butterfly,
    CoveredCall,
    LongOption,
    ShortOption,
    Stock,
    Future,
    Other,
}

impl StructureKind {
    pub const ALL: [Self; 14] = [
        Self::IronCondor,
        Self::PutCreditSpread,
        Self::CallCreditSpread,
        Self::PutDebitSpread,
        Self::CallDebitSpread,
        Self::Calendar,
        Self::Diagonal,
        Self::Butterfly,
        Self::CoveredCall,
        Self::LongOption,
        Self::ShortOption,
        Self::Stock,
        Self::Future,
        Self::Other,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::IronCondor => "iron_condor",
            Self::PutCreditSpread => "put_credit_spread",
            Self::CallCreditSpread => "call_credit_spread",
            Self::PutDebitSpread => "put_debit_spread",
            Self::CallDebitSpread => "call_debit_spread",
            Self::Calendar => "calendar",
            Self::Diagonal => "diagonal",
            Self::Butterfly => "butterfly",
            Self::CoveredCall => "covered_call",
            Self::LongOption => "long_option",
            Self::ShortOption => "short_option",
            Self::Stock => "stock",
            Self::Future => "future",
            Self::Other => "other",
        }
    }

    /// The structure of that name, as `ops.strategies` stores it.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Whether opening it brings cash in.
    pub fn is_credit(self) -> bool {
        match self {
            Self::IronCondor
            | Self::PutCreditSpread
            | Self::CallCreditSpread
            | Self::ShortOption => true,
            Self::PutDebitSpread
            | Self::CallDebitSpread
            | Self::Calendar
            | Self::Diagonal
            | Self::Butterfly
            | Self::CoveredCall
            | Self::LongOption
            | Self::Stock
            | Self::Future
            | Self::Other => false,
        }
    }

    /// Whether its legs expire on different days.
    pub fn is_time_spread(self) -> bool {
        matches!(self, Self::Calendar | Self::Diagonal)
    }

    /// Whether it sells premium on both sides of the market.
    pub fn is_two_sided_credit(self) -> bool {
        self == Self::IronCondor
    }
}

impl fmt::Display for StructureKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// Recognises legs as held (or as bought by the order that opens them).
pub fn recognise(legs: &[Leg]) -> StructureKind {
    let mut options: Vec<(&OptionContract, i64)> = Vec::new();
    let mut shares = 0;
    let mut futures = 0;
    for leg in legs {
        match &leg.instrument {
            Instrument::Option(option) => options.push((option, leg.ratio)),
            Instrument::Stock(_) => shares += leg.ratio,
            Instrument::Future(_) => futures += 1,
            Instrument::Index(_) => return StructureKind::Other,
        }
    }
    let one_symbol = legs.iter().all(|leg| {
        legs.first().is_some_and(|first| first.instrument.symbol() == leg.instrument.symbol())
    });
    if !one_symbol || legs.iter().any(|leg| leg.ratio == 0) {
        return StructureKind::Other;
    }
    options.sort_by_key(|(option, _)| (option.right, option.strike, option.expiry_date));
    match (options.as_slice(), shares, futures) {
        ([], _, 0) if shares != 0 => StructureKind::Stock,
        ([], 0, 1) => StructureKind::Future,
        ([(option, ratio)], held, 0) if held != 0 => covered_call(option, *ratio, held),
        ([(_, ratio)], 0, 0) if *ratio > 0 => StructureKind::LongOption,
        ([_], 0, 0) => StructureKind::ShortOption,
        ([low, high], 0, 0) => two_legs(*low, *high),
        ([low, middle, high], 0, 0) => butterfly(*low, *middle, *high),
        ([a, b, c, d], 0, 0) => four_legs([*a, *b, *c, *d]),
        _ => StructureKind::Other,
    }
}

type OptionLeg<'a> = (&'a OptionContract, i64);

fn covered_call(option: &OptionContract, ratio: i64, shares: i64) -> StructureKind {
    let covers =
        option.right == OptionRight::Call && ratio < 0 && shares >= -ratio * option.multiplier;
    if covers { StructureKind::CoveredCall } else { StructureKind::Other }
}

/// Two options, the lower strike first (or the earlier expiry at one strike).
fn two_legs(low: OptionLeg<'_>, high: OptionLeg<'_>) -> StructureKind {
    let ((first, first_ratio), (second, second_ratio)) = (low, high);
    if first.right != second.right || first_ratio != -second_ratio {
        return StructureKind::Other;
    }
    if first.expiry_date == second.expiry_date {
        return vertical(first.right, first_ratio);
    }
    let (near_ratio, far_ratio) = if first.expiry_date < second.expiry_date {
        (first_ratio, second_ratio)
    } else {
        (second_ratio, first_ratio)
    };
    match (near_ratio < 0 && far_ratio > 0, first.strike == second.strike) {
        (true, true) => StructureKind::Calendar,
        (true, false) => StructureKind::Diagonal,
        (false, _) => StructureKind::Other,
    }
}

fn vertical(right: OptionRight, low_ratio: i64) -> StructureKind {
    match (right, low_ratio > 0) {
        (OptionRight::Call, true) => StructureKind::CallDebitSpread,
        (OptionRight::Call, false) => StructureKind::CallCreditSpread,
        (OptionRight::Put, true) => StructureKind::PutCreditSpread,
        (OptionRight::Put, false) => StructureKind::PutDebitSpread,
    }
}

fn butterfly(low: OptionLeg<'_>, middle: OptionLeg<'_>, high: OptionLeg<'_>) -> StructureKind {
    let one_expiry =
        low.0.expiry_date == middle.0.expiry_date && middle.0.expiry_date == high.0.expiry_date;
    let one_right = low.0.right == middle.0.right && middle.0.right == high.0.right;
    let weights = low.1 > 0 && low.1 == high.1 && middle.1 == -2 * low.1;
    let wings = middle.0.strike - low.0.strike == high.0.strike - middle.0.strike;
    if one_expiry && one_right && weights && wings {
        StructureKind::Butterfly
    } else {
        StructureKind::Other
    }
}

/// Four options, calls before puts, each by rising strike.
fn four_legs([a, b, c, d]: [OptionLeg<'_>; 4]) -> StructureKind {
    let one_expiry = [b, c, d].iter().all(|leg| leg.0.expiry_date == a.0.expiry_date);
    let rights = a.0.right == OptionRight::Call
        && b.0.right == OptionRight::Call
        && c.0.right == OptionRight::Put
        && d.0.right == OptionRight::Put;
    let (short_call, long_call, long_put, short_put) = (a, b, c, d);
    let weights = long_call.1 > 0
        && short_call.1 == -long_call.1
        && long_put.1 == long_call.1
        && short_put.1 == -long_call.1;
    if one_expiry && rights && weights && short_put.0.strike <= short_call.0.strike {
        StructureKind::IronCondor
    } else {
        StructureKind::Other
    }
}

/// Between which net prices legs can trade, both ends excluded. `None` is no bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetBounds {
    pub above: Option<Price>,
    pub below: Option<Price>,
}

impl NetBounds {
    pub fn admits(&self, price: Price) -> bool {
        self.above.is_none_or(|bound| price > bound) && self.below.is_none_or(|bound| price < bound)
    }
}

/// The bounds of the net price of legs as an order trades them, from what they can pay at expiry:
/// legs of one expiry together, expiries added. A calendar or diagonal, bought or sold, is bounded
/// by zero and by its short strike's shortfall, as a later option is worth at least an earlier one.
/// `None` where the legs have no common multiplier.
pub fn net_bounds(legs: &[Leg]) -> Option<NetBounds> {
    let multiplier = combo_multiplier(legs)?;
    let opposite: Vec<Leg> =
        legs.iter().map(|leg| Leg { ratio: -leg.ratio, ..leg.clone() }).collect();
    let per_share = |usd: Usd| Price::new(usd.decimal() / Decimal::from(multiplier));
    if recognise(legs).is_time_spread() {
        return Some(NetBounds { above: extremes(legs).least.map(per_share), below: None });
    }
    if recognise(&opposite).is_time_spread() {
        let greatest = extremes(&opposite).least.map(|usd| per_share(-usd));
        return Some(NetBounds { above: None, below: greatest });
    }
    let mut sum = Extremes { least: Some(Usd::ZERO), most: Some(Usd::ZERO) };
    for group in by_expiry(legs) {
        let part = extremes(&group);
        sum.least = sum.least.zip(part.least).map(|(a, b)| a + b);
        sum.most = sum.most.zip(part.most).map(|(a, b)| a + b);
    }
    Some(NetBounds { above: sum.least.map(per_share), below: sum.most.map(per_share) })
}

fn by_expiry(legs: &[Leg]) -> Vec<Vec<Leg>> {
    let mut groups: BTreeMap<Option<NaiveDate>, Vec<Leg>> = BTreeMap::new();
    for leg in legs {
        let expiry = match &leg.instrument {
            Instrument::Option(option) => Some(option.expiry_date),
            Instrument::Future(future) => Some(future.expiry_date),
            Instrument::Stock(_) | Instrument::Index(_) => None,
        };
        groups.entry(expiry).or_default().push(leg.clone());
    }
    groups.into_values().collect()
}

/// The multiplier by which a combo's net price turns into USD: that of its legs, where it is one.
pub fn combo_multiplier(legs: &[Leg]) -> Option<i64> {
    let first = legs.first()?.instrument.multiplier();
    legs.iter().all(|leg| leg.instrument.multiplier() == first).then_some(first)
}

/// The width W of a structure of one expiry, USD a share: how far apart its greatest and least
/// value at expiry lie; for a condor its wider side. `None` where it is not bounded.
pub fn width(legs: &[Leg]) -> Option<Price> {
    let multiplier = combo_multiplier(legs)?;
    let Extremes { least, most } = extremes(legs);
    let span = (most? - least?).decimal();
    Some(Price::new(span / Decimal::from(multiplier)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::structures::testing::{call, future, instrument, price, put, stock};

    fn legs(parts: &[(OptionContract, i64)]) -> Vec<Leg> {
        parts
            .iter()
            .map(|(option, ratio)| Leg { instrument: instrument(option), ratio: *ratio })
            .collect()
    }

    fn every_structure() -> Vec<(StructureKind, Vec<Leg>, f64)> {
        let (p1, p2) = (put(600.0, 20), put(610.0, 20));
        let (c1, c2) = (call(660.0, 20), call(665.0, 20));
        let condor = [(p1.clone(), 1), (p2.clone(), -1), (c1.clone(), -1), (c2.clone(), 1)];
        let fly = [(call(630.0, 20), 1), (call(640.0, 20), -2), (call(650.0, 20), 1)];
        vec![
            (StructureKind::IronCondor, legs(&condor), 10.0),
            (StructureKind::PutCreditSpread, legs(&[(p1.clone(), 1), (p2.clone(), -1)]), 10.0),
            (StructureKind::CallCreditSpread, legs(&[(c1.clone(), -1), (c2.clone(), 1)]), 5.0),
            (StructureKind::PutDebitSpread, legs(&[(p1, -1), (p2.clone(), 1)]), 10.0),
            (StructureKind::CallDebitSpread, legs(&[(c1, 1), (c2.clone(), -1)]), 5.0),
            (StructureKind::Butterfly, legs(&fly), 10.0),
        ]
    }

    #[test]
    fn structures_are_recognised_in_any_order_of_legs() {
        for (kind, mut legs, _) in every_structure() {
            assert_eq!(recognise(&legs), kind);
            legs.reverse();
            assert_eq!(recognise(&legs), kind);
        }
        let calendar = legs(&[(call(640.0, 20), -1), (call(640.0, 50), 1)]);
        assert_eq!(recognise(&calendar), StructureKind::Calendar);
        let diagonal = legs(&[(call(645.0, 20), -1), (call(640.0, 50), 1)]);
        assert_eq!(recognise(&diagonal), StructureKind::Diagonal);
        assert_eq!(recognise(&legs(&[(put(600.0, 9), -1)])), StructureKind::ShortOption);
        let shares = |ratio| Leg { instrument: stock("SPY"), ratio };
        assert_eq!(recognise(&[shares(-50)]), StructureKind::Stock);
        let mut covered = legs(&[(call(660.0, 20), -1)]);
        covered.push(shares(100));
        assert_eq!(recognise(&covered), StructureKind::CoveredCall);
        let hedge = [Leg { instrument: future("ES", "SPY", 50), ratio: -1 }];
        assert_eq!(recognise(&hedge), StructureKind::Future);
        assert_eq!(recognise(&[]), StructureKind::Other);
        for kind in StructureKind::ALL {
            assert_eq!(StructureKind::from_name(kind.as_str()), Some(kind));
        }
    }

    #[test]
    fn opening_and_closing_prices_have_the_sign_and_the_bound_of_the_structure() {
        let step = price(0.01);
        for (kind, opening, w) in every_structure() {
            let closing: Vec<Leg> =
                opening.iter().map(|leg| Leg { ratio: -leg.ratio, ..leg.clone() }).collect();
            let (open, close) = (net_bounds(&opening).unwrap(), net_bounds(&closing).unwrap());
            let w = price(w);
            let (credit, debit) = if kind.is_credit() { (open, close) } else { (close, open) };
            assert_eq!((credit.above, credit.below), (Some(-w), Some(Price::ZERO)), "{kind}");
            assert_eq!((debit.above, debit.below), (Some(Price::ZERO), Some(w)), "{kind}");
            assert!(credit.admits(-step) && !credit.admits(Price::ZERO) && !credit.admits(-w));
            assert!(debit.admits(step) && !debit.admits(w) && !debit.admits(-step));
            assert_eq!(width(&opening), Some(w));
        }
    }

    #[test]
    fn a_calendar_is_never_sold_for_a_debit_and_a_roll_lies_between_its_two_parts() {
        let calendar = legs(&[(call(640.0, 20), -1), (call(640.0, 50), 1)]);
        assert_eq!(net_bounds(&calendar).unwrap().above, Some(Price::ZERO));
        let closing = legs(&[(call(640.0, 20), 1), (call(640.0, 50), -1)]);
        assert_eq!(net_bounds(&closing).unwrap().below, Some(Price::ZERO));
        let roll = legs(&[
            (put(600.0, 20), -1),
            (put(610.0, 20), 1),
            (put(595.0, 50), 1),
            (put(600.0, 50), -1),
        ]);
        let bounds = net_bounds(&roll).unwrap();
        assert_eq!((bounds.above, bounds.below), (Some(price(-5.0)), Some(price(10.0))));
    }
}
