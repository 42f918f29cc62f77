//! The standing book: strategies with what they hold, and working orders, with the sums that the
//! gate asks for at every order. Built again when a fill, an order or a strategy changes, not for
//! every order.
//!
//! What it deliberately does not do: value anything.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

use crate::market::{ConId, Instrument, Price, Symbol, Usd};
use crate::structures::{
    CoveragePolicy, Holding, Leg, OrderRef, StrategyHoldings, StructureKind, Uncovered,
    uncovered_in_account, uncovered_in_strategy,
};

/// One strategy as held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookStrategy {
    pub strategy_id: String,
    pub symbol: Symbol,
    pub structure: StructureKind,
    /// Whole quantities, long positive, one entry a contract.
    pub holdings: Vec<Holding>,
    pub reserved_cash: Usd,
    pub policy: CoveragePolicy,
    /// What its open quantity can still lose from its basis, fees included, USD.
    pub max_loss: Usd,
    /// The nearest expiry of its legs.
    pub expiry_date: Option<NaiveDate>,
    pub opened_on: NaiveDate,
}

impl BookStrategy {
    pub fn as_holdings(&self) -> StrategyHoldings<'_> {
        StrategyHoldings {
            holdings: &self.holdings,
            reserved_cash: self.reserved_cash,
            policy: self.policy,
        }
    }
}

/// An order that may still fill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkingOrder {
    pub order_ref: OrderRef,
    pub strategy_id: String,
    pub symbol: Symbol,
    pub legs: Vec<Leg>,
    /// Combos not yet filled.
    pub remaining: i64,
    pub worst_price: Price,
    /// Maximum loss that it adds if it fills, at its worst price; 0 for one that reduces risk.
    pub max_loss: Usd,
    /// Capital that it ties up if it fills; 0 for one that reduces risk.
    pub capital: Usd,
    /// The nearest expiry of its legs, for one that opens a structure.
    pub opens_expiry: Option<NaiveDate>,
}

/// What all strategies hold of one contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ContractSums {
    pub long: i64,
    /// Positive.
    pub short: i64,
    /// Contracts that working orders may still buy and sell.
    pub working_buy: i64,
    pub working_sell: i64,
    pub buy_orders: i64,
    pub sell_orders: i64,
}

/// The book and its sums.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Book {
    strategies: BTreeMap<String, BookStrategy>,
    working: Vec<WorkingOrder>,
    sums: BTreeMap<ConId, ContractSums>,
    uncovered_strategies: BTreeSet<String>,
    uncovered_in_account: Vec<Uncovered>,
    working_capital: Usd,
    max_loss_by_symbol: BTreeMap<Symbol, Usd>,
}

impl Book {
    pub fn new(strategies: Vec<BookStrategy>, working: Vec<WorkingOrder>) -> Self {
        let mut book = Self {
            working_capital: working.iter().map(|order| order.capital).sum(),
            ..Self::default()
        };
        for strategy in &strategies {
            for holding in &strategy.holdings {
                let sums = book.sums.entry(holding.instrument.conid()).or_default();
                sums.long += holding.quantity.max(0);
                sums.short += (-holding.quantity).max(0);
            }
            *book.max_loss_by_symbol.entry(strategy.symbol.clone()).or_default() +=
                strategy.max_loss;
            if !uncovered_in_strategy(&strategy.as_holdings()).is_empty() {
                book.uncovered_strategies.insert(strategy.strategy_id.clone());
            }
        }
        for order in &working {
            *book.max_loss_by_symbol.entry(order.symbol.clone()).or_default() += order.max_loss;
            for leg in &order.legs {
                let sums = book.sums.entry(leg.instrument.conid()).or_default();
                sums.working_buy += (leg.ratio * order.remaining).max(0);
                sums.working_sell += (-leg.ratio * order.remaining).max(0);
                sums.buy_orders += i64::from(leg.ratio > 0);
                sums.sell_orders += i64::from(leg.ratio < 0);
            }
        }
        let all: Vec<_> = strategies.iter().map(BookStrategy::as_holdings).collect();
        book.uncovered_in_account = uncovered_in_account(&all);
        book.strategies =
            strategies.into_iter().map(|each| (each.strategy_id.clone(), each)).collect();
        book.working = working;
        book
    }

    pub fn strategy(&self, strategy_id: &str) -> Option<&BookStrategy> {
        self.strategies.get(strategy_id)
    }

    pub fn strategies(&self) -> impl Iterator<Item = &BookStrategy> {
        self.strategies.values()
    }

    pub fn working(&self) -> &[WorkingOrder] {
        &self.working
    }

    pub fn working_of(&self, strategy_id: &str) -> impl Iterator<Item = &WorkingOrder> {
        self.working.iter().filter(move |order| order.strategy_id == strategy_id)
    }

    pub fn sums(&self, conid: ConId) -> ContractSums {
        self.sums.get(&conid).copied().unwrap_or_default()
    }

    /// Capital that all working orders tie up if they fill.
    pub fn working_capital(&self) -> Usd {
        self.working_capital
    }

    /// Maximum loss held and working in an underlying.
    pub fn max_loss_of(&self, symbol: &Symbol) -> Usd {
        self.max_loss_by_symbol.get(symbol).copied().unwrap_or(Usd::ZERO)
    }

    /// Whether a strategy other than this one is uncovered as it stands.
    pub fn another_is_uncovered(&self, strategy_id: &str) -> bool {
        self.uncovered_strategies.iter().any(|id| id != strategy_id)
    }

    /// The account's uncovered legs as they stand.
    pub fn uncovered(&self) -> &[Uncovered] {
        &self.uncovered_in_account
    }

    /// What strategies other than this one hold of a contract, long positive, each sign apart.
    pub fn held_by_others(&self, strategy_id: &str, conid: ConId) -> (i64, i64) {
        let own = self.strategies.get(strategy_id).map_or(0, |strategy| {
            strategy
                .holdings
                .iter()
                .filter(|holding| holding.instrument.conid() == conid)
                .map(|holding| holding.quantity)
                .sum()
        });
        let sums = self.sums(conid);
        (sums.long - own.max(0), sums.short - (-own).max(0))
    }
}

/// Holdings after `combos` of `legs` filled on top of them; what becomes 0 is gone.
pub fn after_fill(holdings: &[Holding], legs: &[Leg], combos: i64) -> Vec<Holding> {
    let mut after: Vec<Holding> = holdings.to_vec();
    for leg in legs {
        let conid = leg.instrument.conid();
        let change = leg.ratio * combos;
        match after.iter_mut().find(|holding| holding.instrument.conid() == conid) {
            Some(holding) => holding.quantity += change,
            None => {
                after.push(Holding { instrument: leg.instrument.clone(), quantity: change });
            }
        }
    }
    after.retain(|holding| holding.quantity != 0);
    after
}

/// The nearest expiry among instruments.
pub fn nearest_expiry<'a>(
    instruments: impl IntoIterator<Item = &'a Instrument>,
) -> Option<NaiveDate> {
    instruments
        .into_iter()
        .filter_map(|instrument| match instrument {
            Instrument::Option(option) => Some(option.expiry_date),
            Instrument::Future(future) => Some(future.expiry_date),
            Instrument::Stock(_) | Instrument::Index(_) => None,
        })
        .min()
}
