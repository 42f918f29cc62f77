//! Tick rules: the price grid of single instruments and, apart from them, of combos, by price band.
//!
//! Prices are net prices of a BUY order, credit negative, so rounding down always pays less or
//! receives more. The band is that of the price's magnitude. A single option without a rule for
//! its underlying has the one tick of its own contract details; a combo without a rule has none.
//!
//! What it deliberately does not do: choose a price.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::kind::Leg;
use crate::market::{Instrument, Price, Symbol};

/// From this magnitude of the price on, this is the step. Both USD a share or index points.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TickBand {
    pub from: f64,
    pub tick: f64,
}

/// The rules of the settings, `[ticks.single]` and `[ticks.combo]`, by underlying or root; options
/// share the rule of their underlying.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TickRules {
    pub single: BTreeMap<Symbol, Vec<TickBand>>,
    pub combo: BTreeMap<Symbol, Vec<TickBand>>,
}

/// The grid of one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TickGrid {
    /// Millionths: magnitude from which on, and step; ascending, first from 0.
    bands: Vec<(i64, i64)>,
}

/// There is no usable grid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TickError {
    #[error("no tick rule for combos of {0}; add it to [ticks.combo]")]
    NoComboRule(Symbol),
    #[error("the tick bands of {0} do not start at 0, do not ascend, or hold a step of 0 or less")]
    BadBands(Symbol),
    #[error("an order without legs has no tick rule")]
    NoLegs,
}

impl TickRules {
    /// The grid of an order for `legs`.
    pub fn grid(&self, legs: &[Leg]) -> Result<TickGrid, TickError> {
        let first = &legs.first().ok_or(TickError::NoLegs)?.instrument;
        let symbol = first.symbol();
        let bands = if legs.len() > 1 {
            self.combo.get(symbol).ok_or_else(|| TickError::NoComboRule(symbol.clone()))?
        } else if let Some(bands) = self.single.get(symbol) {
            bands
        } else {
            return match first {
                Instrument::Option(option) => TickGrid::even(option.min_tick, symbol),
                Instrument::Future(future) => TickGrid::even(future.min_tick, symbol),
                Instrument::Stock(_) | Instrument::Index(_) => {
                    Err(TickError::BadBands(symbol.clone()))
                }
            };
        };
        TickGrid::new(bands, symbol)
    }
}

impl TickGrid {
    pub fn new(bands: &[TickBand], symbol: &Symbol) -> Result<Self, TickError> {
        let bad = || TickError::BadBands(symbol.clone());
        let bands: Vec<(i64, i64)> = bands
            .iter()
            .map(|band| {
                let from = Price::from_f64(band.from).ok_or_else(bad)?;
                let tick = Price::from_f64(band.tick).ok_or_else(bad)?;
                Ok((from.micros(), tick.micros()))
            })
            .collect::<Result<_, TickError>>()?;
        let ascends = bands.iter().zip(bands.iter().skip(1)).all(|(low, high)| low.0 < high.0);
        let starts = bands.first().is_some_and(|band| band.0 == 0);
        if ascends && starts && bands.iter().all(|band| band.1 > 0) {
            Ok(Self { bands })
        } else {
            Err(bad())
        }
    }

    fn even(tick: Price, symbol: &Symbol) -> Result<Self, TickError> {
        if tick > Price::ZERO {
            Ok(Self { bands: vec![(0, tick.micros())] })
        } else {
            Err(TickError::BadBands(symbol.clone()))
        }
    }

    /// The step at a price.
    pub fn tick_at(&self, price: Price) -> Price {
        Price::from_micros(self.step(price.micros().abs()))
    }

    fn step(&self, magnitude: i64) -> i64 {
        self.bands
            .iter()
            .rev()
            .find(|band| band.0 <= magnitude)
            .map(|band| band.1)
            .expect("the first band starts at 0 and a magnitude is not negative")
    }

    pub fn holds(&self, price: Price) -> bool {
        let micros = price.micros();
        micros % self.step(micros.abs()) == 0
    }

    /// The highest price on the grid that is not above `price`: a buyer never pays more for it.
    pub fn round_down(&self, price: Price) -> Price {
        let micros = price.micros();
        let rounded = micros.div_euclid(self.step(micros.abs())) * self.step(micros.abs());
        let again = self.step(rounded.abs());
        Price::from_micros(rounded.div_euclid(again) * again)
    }

    /// The lowest price on the grid that is not below `price`.
    pub fn round_up(&self, price: Price) -> Price {
        -self.round_down(-price)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::structures::testing::{call, future, instrument, price, put, stock};

    fn bands(parts: &[(f64, f64)]) -> Vec<TickBand> {
        parts.iter().map(|(from, tick)| TickBand { from: *from, tick: *tick }).collect()
    }

    fn rules() -> TickRules {
        let cent = bands(&[(0.0, 0.01)]);
        let etfs = ["SPY", "QQQ", "IWM"].map(|name| (Symbol::new(name), cent.clone()));
        let mut single = BTreeMap::from(etfs.clone());
        let mut combo = BTreeMap::from(etfs);
        for (root, tick) in [("ES", 0.25), ("NQ", 0.25), ("MES", 0.25), ("RTY", 0.1), ("M2K", 0.1)]
        {
            single.insert(Symbol::new(root), bands(&[(0.0, tick)]));
        }
        combo.insert(Symbol::new("ES"), bands(&[(0.0, 0.05)]));
        single.insert(Symbol::new("SPX"), bands(&[(0.0, 0.05), (3.0, 0.10)]));
        TickRules { single, combo }
    }

    #[test]
    fn the_golden_ticks() {
        let rules = rules();
        let single = |instrument: Instrument, at: f64| {
            rules.grid(&[Leg { instrument, ratio: 1 }]).unwrap().tick_at(price(at))
        };
        assert_eq!(single(instrument(&call(640.0, 20)), 4.0), price(0.01));
        assert_eq!(single(stock("QQQ"), 580.0), price(0.01));
        assert_eq!(single(future("ES", "SPY", 50), 6_900.0), price(0.25));
        assert_eq!(single(future("RTY", "IWM", 50), 2_400.0), price(0.1));
        let calendar = |root: &str| {
            let leg = |ratio| Leg { instrument: future(root, "SPY", 50), ratio };
            rules.grid(&[leg(-1), leg(1)])
        };
        assert_eq!(calendar("ES").unwrap().tick_at(price(55.0)), price(0.05));
        assert_eq!(calendar("NQ"), Err(TickError::NoComboRule(Symbol::new("NQ"))));
        let spread = [
            Leg { instrument: instrument(&put(600.0, 20)), ratio: 1 },
            Leg { instrument: instrument(&put(610.0, 20)), ratio: -1 },
        ];
        assert_eq!(rules.grid(&spread).unwrap().tick_at(price(-1.5)), price(0.01));
    }

    #[test]
    fn bands_turn_where_they_should() {
        let grid = TickGrid::new(&bands(&[(0.0, 0.05), (3.0, 0.10)]), &Symbol::new("SPX")).unwrap();
        assert!(grid.holds(price(2.95)) && !grid.holds(price(3.05)) && grid.holds(price(-3.1)));
        assert_eq!(grid.round_down(price(3.07)), price(3.0));
        assert_eq!(grid.round_down(price(-2.97)), price(-3.0));
        assert_eq!(grid.round_up(price(2.97)), price(3.0));
        assert!(TickGrid::new(&bands(&[(1.0, 0.05)]), &Symbol::new("X")).is_err());
        assert!(TickGrid::new(&bands(&[(0.0, 0.0)]), &Symbol::new("X")).is_err());
    }

    proptest! {
        #[test]
        fn rounding_down_never_pays_more(
            micros in -9_000_000_i64..9_000_000,
            low in 1_i64..10,
            high in 1_i64..10,
        ) {
            let parts = bands(&[(0.0, low as f64 / 100.0), (3.0, high as f64 / 100.0)]);
            let grid = TickGrid::new(&parts, &Symbol::new("X")).unwrap();
            let price = Price::from_micros(micros);
            prop_assert!(grid.round_down(price) <= price);
            prop_assert!(grid.round_up(price) >= price);
            prop_assert!(grid.holds(grid.round_down(price)));
        }
    }
}
