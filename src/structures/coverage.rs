//! Which short options nothing stands behind.
//!
//! A short option is covered, contract for contract, by a long option of the same right and
//! underlying expiring no earlier, by shares (calls), by reserved cash (puts), or by belonging to a
//! strategy that is allowed to be uncovered. It must hold twice: inside each strategy, and for the
//! account's net position. Both are judged at the grain of a whole combo fill.
//!
//! What it deliberately does not do: count working orders (the caller adds them where it asks what
//! would be after they fill).

use std::collections::BTreeMap;

use super::margin::{Holding, cash_secured};
use super::pairing::{Cover, pair};
use crate::market::{ConId, Instrument, OptionContract, OptionRight, Symbol, Usd};

/// Short contracts that nothing covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uncovered {
    pub conid: ConId,
    pub symbol: Symbol,
    /// Contracts, positive.
    pub quantity: i64,
}

/// Whether a strategy may hold uncovered shorts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CoveragePolicy {
    Required,
    UncoveredAllowed,
}

/// One strategy's positions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StrategyHoldings<'a> {
    pub holdings: &'a [Holding],
    /// Cash set aside for its short puts.
    pub reserved_cash: Usd,
    pub policy: CoveragePolicy,
}

/// The uncovered legs of one strategy, by contract id. Empty for one that is allowed them.
pub fn uncovered_in_strategy(strategy: &StrategyHoldings<'_>) -> Vec<Uncovered> {
    match strategy.policy {
        CoveragePolicy::Required => uncovered(strategy.holdings, strategy.reserved_cash),
        CoveragePolicy::UncoveredAllowed => Vec::new(),
    }
}

/// The uncovered legs of the account's net position, less what strategies are allowed.
pub fn uncovered_in_account(strategies: &[StrategyHoldings<'_>]) -> Vec<Uncovered> {
    let all: Vec<Holding> =
        strategies.iter().flat_map(|strategy| strategy.holdings.iter().cloned()).collect();
    let cash = strategies.iter().map(|strategy| strategy.reserved_cash).sum();
    let mut allowed: BTreeMap<ConId, i64> = BTreeMap::new();
    for strategy in strategies.iter().filter(|s| s.policy == CoveragePolicy::UncoveredAllowed) {
        for leg in uncovered(strategy.holdings, strategy.reserved_cash) {
            *allowed.entry(leg.conid).or_insert(0) += leg.quantity;
        }
    }
    uncovered(&all, cash)
        .into_iter()
        .map(|leg| Uncovered {
            quantity: leg.quantity - allowed.get(&leg.conid).copied().unwrap_or(0),
            ..leg
        })
        .filter(|leg| leg.quantity > 0)
        .collect()
}

/// Shares and options of one underlying.
type Position<'a> = (i64, Vec<(&'a OptionContract, i64)>);

/// The uncovered legs of `holdings` taken together. Cash is given to the puts with the highest
/// strike first, and only for whole contracts.
pub fn uncovered(holdings: &[Holding], reserved_cash: Usd) -> Vec<Uncovered> {
    let mut by_symbol: BTreeMap<&Symbol, Position<'_>> = BTreeMap::new();
    for holding in holdings {
        let (shares, options) = by_symbol.entry(holding.instrument.symbol()).or_default();
        match &holding.instrument {
            Instrument::Stock(_) => *shares += holding.quantity,
            Instrument::Option(option) => options.push((option, holding.quantity)),
            Instrument::Index(_) | Instrument::Future(_) => {}
        }
    }
    let mut cash = reserved_cash;
    let mut found = BTreeMap::new();
    for (symbol, (shares, options)) in by_symbol {
        for open in pair(options, shares).pairs {
            if open.cover != Cover::Nothing {
                continue;
            }
            let secured = match open.short.right {
                OptionRight::Put => secured_contracts(open.short, open.quantity, &mut cash),
                OptionRight::Call => 0,
            };
            if open.quantity > secured {
                let quantity = open.quantity - secured;
                let conid = open.short.conid;
                found.insert(conid, Uncovered { conid, symbol: symbol.clone(), quantity });
            }
        }
    }
    found.into_values().collect()
}

fn secured_contracts(put: &OptionContract, quantity: i64, cash: &mut Usd) -> i64 {
    let mut secured = 0;
    let each = cash_secured(put, 1);
    while secured < quantity && each <= *cash {
        *cash -= each;
        secured += 1;
    }
    secured
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::structures::testing::{call, instrument, put, stock, usd};

    fn holding(option: &OptionContract, quantity: i64) -> Holding {
        Holding { instrument: instrument(option), quantity }
    }

    fn required(holdings: &[Holding]) -> StrategyHoldings<'_> {
        let policy = CoveragePolicy::Required;
        StrategyHoldings { holdings, reserved_cash: Usd::ZERO, policy }
    }

    #[test]
    fn wings_shares_and_cash_cover() {
        let spread = [holding(&put(610.0, 20), -2), holding(&put(600.0, 20), 2)];
        assert!(uncovered_in_strategy(&required(&spread)).is_empty());
        let shares = Holding { instrument: stock("SPY"), quantity: 100 };
        let written = [holding(&call(660.0, 20), -1), shares];
        assert!(uncovered_in_strategy(&required(&written)).is_empty());
        let short_put = [holding(&put(600.0, 20), -2)];
        assert!(uncovered(&short_put, usd(120_000.0)).is_empty());
        assert_eq!(uncovered(&short_put, usd(119_000.0)).first().unwrap().quantity, 1);
    }

    #[test]
    fn a_strategy_is_not_covered_by_another_ones_legs() {
        let short = [holding(&call(660.0, 20), -1)];
        let long = [holding(&call(670.0, 20), 1)];
        assert_eq!(uncovered_in_strategy(&required(&short)).len(), 1);
        assert!(uncovered_in_account(&[required(&short), required(&long)]).is_empty());
    }

    #[test]
    fn what_is_allowed_is_not_reported_but_allows_nothing_else() {
        let naked = [holding(&put(600.0, 20), -1)];
        let allowed =
            StrategyHoldings { policy: CoveragePolicy::UncoveredAllowed, ..required(&naked) };
        assert!(uncovered_in_account(std::slice::from_ref(&allowed)).is_empty());
        let other = [holding(&put(605.0, 20), -1)];
        let found = uncovered_in_account(&[allowed, required(&other)]);
        assert_eq!(found.len(), 1);
        assert_eq!(found.first().unwrap().conid, put(605.0, 20).conid);
    }
}
