//! Profit and loss on a grid of 13 spot moves x 5 volatilities x 2 dates.
//!
//! Spot moves are fractions of the reference underlying; every other underlying moves by its stress
//! beta times as much, all at once and in the same direction. Volatility moves by a factor. Options
//! are priced as European with a continuous yield and never below intrinsic value; a node's profit
//! is measured from the model's own value at the unmoved node, so a worst loss is never negative.
//!
//! [`ContractGrid`] is one unit long of one contract; the caller keeps the grids current as quotes
//! arrive ([`ScenarioGrid::update`]), so that the gate only multiplies and adds. What cannot be
//! priced is not in the grid, and whoever needs it has no answer.
//!
//! What it deliberately does not do: skew or term structure moves, discrete dividends, American
//! exercise beyond intrinsic value.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::inputs::LegMarket;
use crate::market::{ConId, Instrument, OptionContract, OptionRight, Symbol, Timestamp};
use crate::pricing::{Bsm, Right, bsm};
use crate::structures::Holding;

pub const SPOT_MOVES: usize = 13;
pub const VOL_FACTORS: usize = 5;
pub const DATES: usize = 2;
/// Nodes of the grid.
pub const NODES: usize = SPOT_MOVES * VOL_FACTORS * DATES;

const SECONDS_PER_YEAR: f64 = 31_536_000.0;
const YEARS_PER_DAY: f64 = 1.0 / 365.0;

/// `[risk.scenario]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScenarioParameters {
    /// Fractions of the reference's price; one of them must be 0.
    pub spot_moves_ratio: [f64; SPOT_MOVES],
    /// Factors on each option's volatility.
    pub vol_factors: [f64; VOL_FACTORS],
    /// Calendar days from now.
    pub horizon_days: [f64; DATES],
    /// Move of each underlying for a move of 1 of the reference.
    pub stress_beta: BTreeMap<Symbol, f64>,
}

/// Profit at each node, USD; spot move outermost, then volatility, then date.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeProfits([f64; NODES]);

impl Default for NodeProfits {
    fn default() -> Self {
        Self([0.0; NODES])
    }
}

impl NodeProfits {
    /// Adds `units` of a contract's grid.
    pub fn add(&mut self, grid: &ContractGrid, units: f64) {
        for (sum, profit) in self.0.iter_mut().zip(&grid.0.0) {
            *sum += units * profit;
        }
    }

    /// Adds another position only at the nodes that it makes worse.
    pub fn add_where_worse(&mut self, other: &Self) {
        for (sum, profit) in self.0.iter_mut().zip(&other.0) {
            if *profit < 0.0 || profit.is_nan() {
                *sum += profit;
            }
        }
    }

    /// The greatest loss over the nodes, USD, never negative. NaN if any node is not a number.
    pub fn worst_loss(&self) -> f64 {
        let mut worst = 0.0_f64;
        for profit in self.0 {
            if profit.is_nan() {
                return f64::NAN;
            }
            worst = worst.max(-profit);
        }
        worst
    }

    pub fn values(&self) -> &[f64; NODES] {
        &self.0
    }
}

/// Profit of one long contract, share or future at each node, USD (multiplier included).
#[derive(Debug, Clone, PartialEq)]
pub struct ContractGrid(NodeProfits);

impl ContractGrid {
    /// `None` where a price, volatility, rate, yield or stress beta is missing.
    pub fn price(
        instrument: &Instrument,
        market: &LegMarket,
        parameters: &ScenarioParameters,
        now: Timestamp,
    ) -> Option<Self> {
        let beta_of = |symbol: &Symbol| parameters.stress_beta.get(symbol).copied();
        match instrument {
            Instrument::Option(option) => {
                let beta = beta_of(&option.symbol)?;
                let state = OptionState::read(option, market, now)?;
                let base = state.value(0.0, 1.0, 0.0)?;
                let multiplier = option.multiplier as f64;
                fill(parameters, |spot, vol, days| {
                    Some((state.value(spot * beta, vol, days)? - base) * multiplier)
                })
            }
            Instrument::Stock(stock) => {
                let (beta, price) = (beta_of(&stock.symbol)?, market.mid()?);
                fill(parameters, |spot, _, _| Some(price * (spot * beta).max(-1.0)))
            }
            Instrument::Future(future) => {
                let (beta, price) = (beta_of(&future.tracks)?, market.mid()?);
                let multiplier = future.multiplier as f64;
                fill(parameters, |spot, _, _| Some(price * (spot * beta).max(-1.0) * multiplier))
            }
            Instrument::Index(_) => None,
        }
    }

    pub fn profits(&self) -> &NodeProfits {
        &self.0
    }
}

fn fill(
    parameters: &ScenarioParameters,
    profit: impl Fn(f64, f64, f64) -> Option<f64>,
) -> Option<ContractGrid> {
    let mut nodes = [0.0; NODES];
    let mut place = nodes.iter_mut();
    for spot in parameters.spot_moves_ratio {
        for vol in parameters.vol_factors {
            for days in parameters.horizon_days {
                *place.next()? = profit(spot, vol, days).filter(|usd| usd.is_finite())?;
            }
        }
    }
    Some(ContractGrid(NodeProfits(nodes)))
}

/// An option's market, ready to be moved.
#[derive(Debug, Clone, Copy)]
pub(super) struct OptionState {
    right: OptionRight,
    strike: f64,
    spot: f64,
    years: f64,
    rate: f64,
    dividend_yield: f64,
    vol: f64,
}

impl OptionState {
    pub(super) fn read(
        option: &OptionContract,
        market: &LegMarket,
        now: Timestamp,
    ) -> Option<Self> {
        let seconds = (option.expires_at - now).num_seconds() as f64;
        Some(Self {
            right: option.right,
            strike: option.strike.to_f64(),
            spot: market.spot?,
            years: seconds / SECONDS_PER_YEAR,
            rate: market.rate?,
            dividend_yield: market.dividend_yield?,
            vol: market.vol?,
        })
    }

    pub(super) fn spot(&self) -> f64 {
        self.spot
    }

    pub(super) fn vol(&self) -> f64 {
        self.vol
    }

    pub(super) fn intrinsic(&self, spot: f64) -> f64 {
        self.right.intrinsic(spot, self.strike)
    }

    /// USD a share after a move of the underlying by a fraction, of volatility by a factor, and
    /// after days passed.
    pub(super) fn value(&self, spot_move: f64, vol_factor: f64, days: f64) -> Option<f64> {
        let spot = self.spot * (1.0 + spot_move);
        let years = self.years - days * YEARS_PER_DAY;
        if spot.is_nan() {
            return None;
        }
        if spot <= 0.0 {
            return Some(self.intrinsic(0.0));
        }
        let intrinsic = self.intrinsic(spot);
        if years <= 0.0 {
            return Some(intrinsic);
        }
        let right = match self.right {
            OptionRight::Call => Right::Call,
            OptionRight::Put => Right::Put,
        };
        let model = bsm(&Bsm {
            right,
            spot,
            strike: self.strike,
            years,
            rate: self.rate,
            dividend_yield: self.dividend_yield,
            vol: self.vol * vol_factor,
        })?;
        Some(model.price.max(intrinsic))
    }
}

/// The grids of all contracts that are held, working or proposed.
#[derive(Debug, Clone, PartialEq)]
pub struct ScenarioGrid {
    parameters: ScenarioParameters,
    by_conid: BTreeMap<ConId, ContractGrid>,
}

impl ScenarioGrid {
    /// Empty: nothing is priced yet.
    pub fn new(parameters: ScenarioParameters) -> Self {
        Self { parameters, by_conid: BTreeMap::new() }
    }

    /// Prices one contract again; what cannot be priced leaves the grid.
    pub fn update(&mut self, instrument: &Instrument, market: &LegMarket, now: Timestamp) {
        match ContractGrid::price(instrument, market, &self.parameters, now) {
            Some(grid) => self.by_conid.insert(instrument.conid(), grid),
            None => self.by_conid.remove(&instrument.conid()),
        };
    }

    /// Forgets contracts that nobody holds, works or proposes any more.
    pub fn retain(&mut self, keep: impl Fn(ConId) -> bool) {
        self.by_conid.retain(|conid, _| keep(*conid));
    }

    pub fn contract(&self, conid: ConId) -> Option<&ContractGrid> {
        self.by_conid.get(&conid)
    }

    /// The holdings' profits, or the first contract that has no grid.
    pub fn profits<'a>(
        &self,
        holdings: impl IntoIterator<Item = &'a Holding>,
    ) -> Result<NodeProfits, ConId> {
        let mut sum = NodeProfits::default();
        for holding in holdings {
            let conid = holding.instrument.conid();
            if holding.quantity != 0 {
                sum.add(self.contract(conid).ok_or(conid)?, holding.quantity as f64);
            }
        }
        Ok(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::risk::testing::{market_of, scenario_parameters};
    use crate::structures::testing::{call, future, instrument, monday, put, stock};

    fn grid_of(instruments: &[Instrument]) -> ScenarioGrid {
        let mut grid = ScenarioGrid::new(scenario_parameters());
        for instrument in instruments {
            grid.update(instrument, &market_of(instrument), monday());
        }
        grid
    }

    fn held(instrument: &Instrument, quantity: i64) -> Holding {
        Holding { instrument: instrument.clone(), quantity }
    }

    #[test]
    fn a_spread_loses_less_than_its_width_and_nothing_stands_still() {
        let (short, long) = (instrument(&put(620.0, 30)), instrument(&put(610.0, 30)));
        let grid = grid_of(&[short.clone(), long.clone()]);
        let profits = grid.profits(&[held(&short, -2), held(&long, 2)]).unwrap();
        let worst = profits.worst_loss();
        assert!(worst > 500.0 && worst < 2_000.0, "{worst}");
        let alone = grid.profits(&[held(&short, -2)]).unwrap().worst_loss();
        assert!(alone > worst);
    }

    #[test]
    fn linear_instruments_move_with_their_beta() {
        let (shares, hedge) = (stock("SPY"), future("ES", "SPY", 50));
        let grid = grid_of(&[shares.clone(), hedge.clone()]);
        let lowest = scenario_parameters().spot_moves_ratio.into_iter().fold(0.0, f64::min);
        let loss = grid.profits(&[held(&shares, 100)]).unwrap().worst_loss();
        assert!((loss + 64_000.0 * lowest).abs() < 1.0, "{loss}");
        let hedged = grid.profits(&[held(&shares, 500), held(&hedge, -1)]).unwrap().worst_loss();
        assert!(hedged < grid.profits(&[held(&shares, 500)]).unwrap().worst_loss());
    }

    #[test]
    fn what_cannot_be_priced_has_no_answer() {
        let option = instrument(&call(650.0, 30));
        let mut grid = grid_of(std::slice::from_ref(&option));
        assert!(grid.profits(&[held(&option, 1)]).is_ok());
        let blind = LegMarket { vol: None, ..market_of(&option) };
        grid.update(&option, &blind, monday());
        assert_eq!(grid.profits(&[held(&option, 1)]), Err(option.conid()));
        let nan = LegMarket { vol: Some(f64::NAN), ..market_of(&option) };
        grid.update(&option, &nan, monday());
        assert!(grid.contract(option.conid()).is_none());
    }

    #[test]
    fn working_orders_count_only_where_they_hurt() {
        let shares = stock("SPY");
        let grid = grid_of(std::slice::from_ref(&shares));
        let mut book = grid.profits(&[held(&shares, 100)]).unwrap();
        let before = book.worst_loss();
        book.add_where_worse(&grid.profits(&[held(&shares, -100)]).unwrap());
        assert!((book.worst_loss() - before).abs() < 1e-9);
    }
}
