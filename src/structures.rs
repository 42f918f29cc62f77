//! Option structures and the words of orders: legs, payoff, coverage, tick rules, Reg-T margin;
//! request, event, execution, ids and states. Pure: nothing here reads a clock or a table.

pub mod order;

pub use order::{
    AccountSnapshot, BrokerPosition, BrokerStatus, Execution, ExecutionKind, OpenOrder, OrderEvent,
    OrderLeg, OrderRef, OrderRequest, OrderState, OrderType, Purpose, Reject, WhatIf,
};
