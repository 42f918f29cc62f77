//! Which options are listed: expiries and strikes, and the numbers of all contracts.
//!
//! Strikes are chosen around the spot on the morning of each session and stay listed until the
//! expiry. A contract id says what it names (underlying, expiry, strike, right), so the same
//! contract has the same id in every market and every run; ids are positive 32-bit numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{Days, NaiveDate};

use crate::market::sessions::{
    Calendar, CalendarError, ExpiryKind, expiry_instant, last_trade_instant,
};
use crate::market::{
    ConId, ExerciseStyle, OptionContract, OptionRight, Price, Settlement, Symbol, Timestamp,
    occ_symbol,
};

use super::etf::{Etf, PerEtf};
use super::expiries::expiries;
use super::futures::Root;

/// As IB numbers it.
pub(super) const VIX_CONID: ConId = ConId(13_455_763);
/// Days after its expiry for which a contract is still known.
const KEPT_DAYS: Days = Days::new(40);

/// What options are written on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Underlying {
    Etf(Etf),
    Vix,
}

impl Underlying {
    pub const ALL: [Self; 4] =
        [Self::Etf(Etf::Spy), Self::Etf(Etf::Qqq), Self::Etf(Etf::Iwm), Self::Vix];

    pub fn of(symbol: &Symbol) -> Option<Self> {
        Self::ALL.into_iter().find(|underlying| underlying.name() == symbol.as_str())
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Etf(etf) => etf.name(),
            Self::Vix => "VIX",
        }
    }

    fn number(self) -> i64 {
        match self {
            Self::Etf(Etf::Spy) => 0,
            Self::Etf(Etf::Qqq) => 1,
            Self::Etf(Etf::Iwm) => 2,
            Self::Vix => 3,
        }
    }

    const fn expiry_kind(self) -> ExpiryKind {
        match self {
            Self::Etf(_) => ExpiryKind::EtfPm,
            Self::Vix => ExpiryKind::VixAm,
        }
    }
}

/// Expiry, strike in half dollars, right: the order of a chain.
type Place = (NaiveDate, i64, OptionRight);

/// An option and the instants of its life, seconds.
#[derive(Debug, Clone)]
pub(super) struct ListedOption {
    pub underlying: Underlying,
    pub contract: Arc<OptionContract>,
    pub strike: f64,
    pub expires_at: i64,
    pub last_trade_at: i64,
}

/// All options listed and those that expired lately.
#[derive(Debug, Clone, Default)]
pub(super) struct Listing {
    chains: BTreeMap<Underlying, BTreeMap<Place, ListedOption>>,
}

impl Listing {
    /// Adds what is missing on the morning of a session and forgets what expired long ago.
    pub fn list(
        &mut self,
        calendar: &Calendar,
        today: NaiveDate,
        spots: &PerEtf<f64>,
    ) -> Result<(), CalendarError> {
        for underlying in Underlying::ALL {
            let chain = self.chains.entry(underlying).or_default();
            chain.retain(|(expiry, _, _), _| *expiry + KEPT_DAYS >= today);
            for expiry in expiries(calendar, underlying, today)? {
                let days = (expiry - today).num_days() as f64;
                let wanted = strikes(underlying, spots, days);
                let missing: Vec<i64> = wanted
                    .into_iter()
                    .filter(|half| !chain.contains_key(&(expiry, *half, OptionRight::Call)))
                    .collect();
                if missing.is_empty() {
                    continue;
                }
                let series = Series::new(calendar, underlying, expiry)?;
                for half in missing {
                    for right in [OptionRight::Call, OptionRight::Put] {
                        chain.insert((expiry, half, right), series.option(half, right));
                    }
                }
            }
        }
        Ok(())
    }

    pub fn get(&self, conid: ConId) -> Option<&ListedOption> {
        let (underlying, place) = place_of(conid)?;
        self.chains.get(&underlying)?.get(&place)
    }

    /// The options that still trade at an instant, in the order of the chain.
    pub fn trading(&self, underlying: Underlying, at: i64) -> impl Iterator<Item = &ListedOption> {
        self.chains
            .get(&underlying)
            .into_iter()
            .flat_map(BTreeMap::values)
            .filter(move |option| at < option.last_trade_at)
    }
}

/// What the contracts of one expiry share.
struct Series {
    underlying: Underlying,
    symbol: Symbol,
    expiry: NaiveDate,
    last_trade_at: Timestamp,
    expires_at: Timestamp,
}

impl Series {
    fn new(
        calendar: &Calendar,
        underlying: Underlying,
        expiry: NaiveDate,
    ) -> Result<Self, CalendarError> {
        let kind = underlying.expiry_kind();
        Ok(Self {
            underlying,
            symbol: Symbol::new(underlying.name()),
            expiry,
            last_trade_at: last_trade_instant(calendar, kind, expiry)?,
            expires_at: expiry_instant(calendar, kind, expiry)?,
        })
    }

    fn option(&self, half: i64, right: OptionRight) -> ListedOption {
        let strike = Price::from_micros(half * 500_000);
        let (style, settlement) = match self.underlying {
            Underlying::Etf(_) => (ExerciseStyle::American, Settlement::Physical),
            Underlying::Vix => (ExerciseStyle::European, Settlement::Cash),
        };
        let contract = OptionContract {
            conid: option_conid(self.underlying, (self.expiry, half, right)),
            occ_symbol: occ_symbol(&self.symbol, self.expiry, right, strike),
            symbol: self.symbol.clone(),
            expiry_date: self.expiry,
            strike,
            right,
            style,
            settlement,
            multiplier: 100,
            min_tick: Price::from_micros(10_000),
            last_trade_at: self.last_trade_at,
            expires_at: self.expires_at,
        };
        ListedOption {
            underlying: self.underlying,
            contract: Arc::new(contract),
            strike: half as f64 * 0.5,
            expires_at: self.expires_at.timestamp(),
            last_trade_at: self.last_trade_at.timestamp(),
        }
    }
}

/// Strikes wanted around the spot, in half dollars.
fn strikes(underlying: Underlying, spots: &PerEtf<f64>, days: f64) -> BTreeSet<i64> {
    match underlying {
        Underlying::Etf(etf) => etf_strikes(*spots.get(etf), days),
        Underlying::Vix => {
            let halves = (10..20).map(|point| 2 * point + 1);
            let points = (8..=40).chain((42..=60).step_by(2)).chain((65..=100).step_by(5));
            halves.chain(points.map(|point| 2 * point)).collect()
        }
    }
}

/// Each dollar near the spot in the first hundred days, else each five; wider for later expiries,
/// and lower down farther than up.
fn etf_strikes(spot: f64, days: f64) -> BTreeSet<i64> {
    let months = libm::sqrt(days / 30.0);
    let near = if days <= 100.0 { (0.03 + 0.07 * months).min(0.12) } else { 0.0 };
    let (down, up) = ((0.07 + 0.12 * months).min(0.45), (0.05 + 0.07 * months).min(0.25));
    let dollars = |from: f64, to: f64, step: i64| {
        let first = (libm::ceil(from / step as f64) as i64).max(1);
        let last = libm::floor(to / step as f64) as i64;
        (first..=last).map(move |number| 2 * number * step)
    };
    dollars(spot * (1.0 - near), spot * (1.0 + near), 1)
        .chain(dollars(spot * (1.0 - down), spot * (1.0 + up), 5))
        .collect()
}

const OPTION_RANGE: i64 = 1 << 30;
const FUTURE_RANGE: i64 = 1 << 29;
const DAY_BITS: i64 = 14;
const HALF_BITS: i64 = 13;

/// The day from which expiries are counted in contract ids.
const fn epoch() -> NaiveDate {
    match NaiveDate::from_ymd_opt(2010, 1, 1) {
        Some(date) => date,
        None => NaiveDate::MIN,
    }
}

fn option_conid(underlying: Underlying, (expiry, half, right): Place) -> ConId {
    let days = (expiry - epoch()).num_days();
    let side = match right {
        OptionRight::Call => 0,
        OptionRight::Put => 1,
    };
    let chain = (underlying.number() << DAY_BITS) | days;
    ConId(OPTION_RANGE | (((chain << HALF_BITS) | half) << 1) | side)
}

fn place_of(conid: ConId) -> Option<(Underlying, Place)> {
    let code = conid.0 - OPTION_RANGE;
    if !(0..OPTION_RANGE).contains(&code) {
        return None;
    }
    let low = |value: i64, bits: i64| value & ((1 << bits) - 1);
    let right = if low(code, 1) == 0 { OptionRight::Call } else { OptionRight::Put };
    let half = low(code >> 1, HALF_BITS);
    let days = low(code >> (1 + HALF_BITS), DAY_BITS);
    let number = code >> (1 + HALF_BITS + DAY_BITS);
    let underlying = Underlying::ALL.into_iter().find(|one| one.number() == number)?;
    let expiry = epoch().checked_add_days(Days::new(days.unsigned_abs()))?;
    Some((underlying, (expiry, half, right)))
}

/// The id of a future: its root and expiry.
pub(super) fn future_conid(root: Root, expiry: NaiveDate) -> ConId {
    let number = match root {
        Root::Es => 0,
        Root::Mes => 1,
        Root::Nq => 2,
        Root::Mnq => 3,
        Root::Rty => 4,
        Root::M2k => 5,
    };
    ConId(FUTURE_RANGE | (number << DAY_BITS) | (expiry - epoch()).num_days())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    const SPOTS: PerEtf<f64> = PerEtf { spy: 690.0, qqq: 620.0, iwm: 262.0 };

    proptest! {
        #[test]
        fn an_id_names_its_contract(
            number in 0_usize..4, days in 0_u64..9_400, half in 2_i64..8_000
        ) {
            let underlying = Underlying::ALL[number];
            for right in [OptionRight::Call, OptionRight::Put] {
                let place = (epoch() + Days::new(days), half, right);
                let conid = option_conid(underlying, place);
                prop_assert!(conid.0 > 0 && conid.0 <= i64::from(i32::MAX));
                prop_assert_eq!(place_of(conid), Some((underlying, place)));
            }
        }
    }

    #[test]
    fn chains_are_listed_around_the_spot_and_stay() {
        let calendar = Calendar::shipped().unwrap();
        let mut listing = Listing::default();
        let at = 1_772_000_000;
        listing.list(&calendar, day("2026-03-02"), &SPOTS).unwrap();
        let spy = Underlying::Etf(Etf::Spy);
        let before = listing.trading(spy, at).count();
        assert!((4_000..12_000).contains(&before), "{before}");
        let lower = PerEtf { spy: 640.0, ..SPOTS };
        listing.list(&calendar, day("2026-03-03"), &lower).unwrap();
        let chain: Vec<_> = listing.trading(spy, at).collect();
        assert!(chain.len() > before);
        let ordered = chain.iter().map(|option| {
            let contract = &option.contract;
            (contract.expiry_date, contract.strike, contract.right)
        });
        assert!(ordered.is_sorted());
        let kept = chain
            .iter()
            .any(|option| option.contract.occ_symbol.as_ref() == "SPY   260320C00760000");
        assert!(kept);
    }

    #[test]
    fn vix_options_stop_trading_the_day_before_they_settle() {
        let calendar = Calendar::shipped().unwrap();
        let mut listing = Listing::default();
        listing.list(&calendar, day("2026-03-02"), &SPOTS).unwrap();
        let option = listing
            .trading(Underlying::Vix, 1_772_000_000)
            .find(|option| option.contract.expiry_date == day("2026-03-18"))
            .unwrap();
        assert_eq!(option.contract.last_trade_at.to_rfc3339(), "2026-03-17T20:15:00+00:00");
        assert_eq!(option.contract.expires_at.to_rfc3339(), "2026-03-18T13:30:00+00:00");
        assert_eq!(option.contract.style, ExerciseStyle::European);
    }
}
