//! Option structures and the words of orders: legs, payoff, coverage, tick rules, Reg-T margin;
//! request, event, execution, ids and states. Pure: nothing here reads a clock or a table.

pub mod coverage;
pub mod kind;
pub mod margin;
pub mod order;
pub mod pairing;
pub mod payoff;
#[cfg(test)]
pub mod testing;
pub mod ticks;

pub use coverage::{
    CoveragePolicy, StrategyHoldings, Uncovered, uncovered, uncovered_in_account,
    uncovered_in_strategy,
};
pub use kind::{Leg, NetBounds, StructureKind, combo_multiplier, net_bounds, recognise, width};
pub use margin::{
    FutureMargin, Holding, MarginError, MarginHours, MarginParameters, MarginPrices,
    MarginRequirement, PriceSource, capital_tied_up, cash_secured,
};
pub use order::{
    AccountSnapshot, BrokerPosition, BrokerStatus, Execution, ExecutionKind, OpenOrder, OrderEvent,
    OrderLeg, OrderRef, OrderRequest, OrderState, OrderType, Purpose, Reject, VOID, WhatIf,
    version_of,
};
pub use payoff::{Extremes, break_evens, expiry_payoff, extremes, maximum_loss, maximum_profit};
pub use ticks::{TickBand, TickError, TickGrid, TickRules};
