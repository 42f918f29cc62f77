//! Option structures and the words of orders: legs, payoff, coverage, tick rules, Reg-T margin;
//! request, event, execution, ids and states. Pure: nothing here reads a clock or a table.

pub mod margin;
pub mod order;
pub mod pairing;
#[cfg(test)]
pub mod testing;

pub use margin::{
    FutureMargin, Holding, MarginError, MarginHours, MarginParameters, MarginPrices,
    MarginRequirement, capital_tied_up, cash_secured,
};
pub use order::{
    AccountSnapshot, BrokerPosition, BrokerStatus, Execution, ExecutionKind, OpenOrder, OrderEvent,
    OrderLeg, OrderRef, OrderRequest, OrderState, OrderType, Purpose, Reject, WhatIf,
};
