//! The orders at the exchange: what works, what was ever accepted, what is about to change.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::market::Timestamp;
use crate::structures::{BrokerStatus, OpenOrder, OrderEvent, OrderRef, OrderRequest, OrderType};

use super::fills::{Stance, Worth};
use super::groups::OrderGroup;

/// First permanent id that the exchange gives.
const FIRST_PERM_ID: i64 = 1_000_000_001;

/// A change that acts after the latency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Change {
    Price(OrderType),
    /// Its price, and its size: combos.
    Terms(OrderType, i64),
    Cancel,
}

/// The market when an order was last tried, or sent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct LastLook {
    /// Receipt of the newest leg quote; the instant of sending at first.
    pub at: Timestamp,
    pub worth: Option<Worth>,
}

/// An order that works.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct WorkingOrder {
    pub request: OrderRequest,
    pub perm_id: i64,
    /// Combos.
    pub filled: i64,
    /// Fills so far; numbers the execution groups.
    pub fill_count: u32,
    /// Only quotes received from here on can fill it.
    pub active_from: Timestamp,
    pub stance: Stance,
    pub last_look: LastLook,
    /// In order of effect.
    pub changes: Vec<(Timestamp, Change)>,
    #[serde(default)]
    pub group: Option<OrderGroup>,
}

impl WorkingOrder {
    pub fn remaining(&self) -> i64 {
        self.request.quantity - self.filled
    }

    pub fn event(&self, status: BrokerStatus, at: Timestamp) -> OrderEvent {
        OrderEvent {
            order_ref: self.request.order_ref.clone(),
            perm_id: self.perm_id,
            status,
            filled: self.filled,
            remaining: self.remaining(),
            limit: self.request.order_type.limit(),
            reason: String::new(),
            at,
        }
    }

    pub fn cancelled(&self, reason: &str, at: Timestamp) -> OrderEvent {
        OrderEvent { reason: reason.to_owned(), ..self.event(BrokerStatus::Cancelled, at) }
    }

    /// The earliest change, if it has come into effect.
    pub fn take_change(&mut self, at: Timestamp) -> Option<(Timestamp, Change)> {
        let due = self.changes.first().is_some_and(|(effective, _)| *effective <= at);
        due.then(|| self.changes.remove(0))
    }
}

/// All orders, in the order of their permanent ids.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Book {
    working: BTreeMap<i64, WorkingOrder>,
    /// Every reference ever accepted: none is accepted twice.
    accepted: BTreeMap<OrderRef, i64>,
}

impl Book {
    /// Takes an order in and gives it its permanent id.
    pub fn accept(
        &mut self,
        request: OrderRequest,
        sent: LastLook,
        active_from: Timestamp,
    ) -> &WorkingOrder {
        let perm_id = FIRST_PERM_ID + self.accepted.len() as i64;
        self.accepted.insert(request.order_ref.clone(), perm_id);
        self.working.entry(perm_id).or_insert(WorkingOrder {
            request,
            perm_id,
            filled: 0,
            fill_count: 0,
            active_from,
            stance: Stance::Entering,
            last_look: sent,
            changes: Vec::new(),
            group: None,
        })
    }

    /// The permanent id under which a reference was accepted, however the order ended.
    pub fn accepted(&self, order_ref: &OrderRef) -> Option<i64> {
        self.accepted.get(order_ref).copied()
    }

    pub fn working(&self) -> impl Iterator<Item = &WorkingOrder> {
        self.working.values()
    }

    pub fn working_by_ref(&mut self, order_ref: &OrderRef) -> Option<&mut WorkingOrder> {
        let perm_id = self.accepted.get(order_ref)?;
        self.working.get_mut(perm_id)
    }

    pub fn perm_ids(&self) -> Vec<i64> {
        self.working.keys().copied().collect()
    }

    pub fn get_mut(&mut self, perm_id: i64) -> Option<&mut WorkingOrder> {
        self.working.get_mut(&perm_id)
    }

    pub fn get(&self, perm_id: i64) -> Option<&WorkingOrder> {
        self.working.get(&perm_id)
    }

    /// Takes an order that has ended out of the book.
    pub fn end(&mut self, perm_id: i64) -> Option<WorkingOrder> {
        self.working.remove(&perm_id)
    }

    /// The earliest instant after `now` at which an order or a change comes into effect.
    pub fn next_effect(&self, now: Timestamp) -> Option<Timestamp> {
        self.working
            .values()
            .flat_map(|order| {
                let changes = order.changes.iter().map(|(effective, _)| *effective);
                changes.chain([order.active_from])
            })
            .filter(|effective| *effective > now)
            .min()
    }

    pub fn open_orders(&self) -> Vec<OpenOrder> {
        self.working
            .values()
            .map(|order| OpenOrder {
                request: order.request.clone(),
                perm_id: order.perm_id,
                filled: order.filled,
            })
            .collect()
    }
}
