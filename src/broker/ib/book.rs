//! Our orders and executions as the broker's messages show them, turned into events of the desk.
//!
//! Pure: it is told messages and gives events, and knows no socket. Invariants: an execution is
//! given once, whatever comes twice, and with its commission, unless that does not come within a
//! bound; a state of an order is given only after the executions that led to it; no message that
//! merely informs ends an order.

mod executions;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use chrono::TimeDelta;
use ibapi::orders::{Action, OrderData, OrderStatus, OrderStatusKind};

use crate::broker::BrokerEvent;
use crate::market::clock::Stopwatch;
use crate::market::{ConId, Price, Timestamp, Usd};
use crate::structures::{
    BrokerStatus, Execution, OpenOrder, OrderEvent, OrderRef, OrderRequest, OrderType, version_of,
};

use super::contracts::legs_of;

/// What has ended is remembered for so many days; executions are never asked for further back.
const REMEMBERED_DAYS: i64 = 14;

/// What the desk has been told of one order.
#[derive(Debug, Clone, PartialEq)]
struct Known {
    request: OrderRequest,
    order_id: i32,
    perm_id: i64,
    /// The newest state of the broker's.
    state: Option<State>,
    /// The state that the desk was told last, and when.
    told: Option<State>,
    told_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq)]
struct State {
    status: BrokerStatus,
    filled: i64,
    remaining: i64,
    limit: Option<Price>,
    reason: String,
}

/// An execution that waits for its commission.
#[derive(Debug)]
struct Awaiting {
    execution: Execution,
    since: Stopwatch,
}

/// The mirror of our orders.
#[derive(Debug, Default)]
pub struct Book {
    client_id: i32,
    orders: BTreeMap<OrderRef, Known>,
    /// Order ids of our own client, and numbers that stand for orders of ours at another's.
    refs: BTreeMap<i32, OrderRef>,
    /// Ids under which was asked what an order would do.
    questions: BTreeSet<i32>,
    /// Executions of a contract so far, by the broker's permanent id: contracts, unsigned.
    shares: BTreeMap<(i64, ConId), i64>,
    /// Executions that were heard of: when, and the permanent id of their order.
    seen: BTreeMap<String, (Timestamp, i64)>,
    /// How many executions were ever heard of.
    heard: usize,
    /// The newest version heard of an execution, with its shares, by the name without the version.
    versions: BTreeMap<String, (u32, i64)>,
    awaiting: BTreeMap<String, Awaiting>,
    /// Executions that were given without their commission.
    unpaid: BTreeMap<String, Execution>,
    /// Executions that say nothing of their contract's size, which nobody has said yet.
    held_back: BTreeMap<String, ConId>,
    /// What one contract is of, as the listing has it.
    multipliers: BTreeMap<ConId, i64>,
    /// Commissions that came before their execution.
    commissions: BTreeMap<String, Usd>,
    events: VecDeque<BrokerEvent>,
}

impl Book {
    /// Of the client under whose id orders are sent.
    pub fn of_client(client_id: i32) -> Self {
        Self { client_id, ..Self::default() }
    }

    /// An order is about to be written to the socket under this id.
    pub fn sending(&mut self, order_id: i32, request: OrderRequest) {
        let order_ref = request.order_ref.clone();
        self.refs.insert(order_id, order_ref.clone());
        let known = Known { request, order_id, perm_id: 0, state: None, told: None, told_at: None };
        self.orders.insert(order_ref, known);
    }

    /// What an order would do is about to be asked under this id.
    pub fn asking(&mut self, order_id: i32) {
        self.questions.insert(order_id);
    }

    /// The broker shows an order. One of ours that this process has not sent (an earlier one has)
    /// is known from now on.
    /// The number that it is known by here; none for what is no working order of ours.
    pub fn hear_open(&mut self, data: &OrderData) -> Option<i32> {
        let order_ref = data.order.order_ref.parse::<OrderRef>().ok()?;
        let order_id = self.id_of((data.order.client_id, data.order_id), data.order.perm_id)?;
        if data.order.what_if || self.questions.contains(&order_id) {
            // The late answer to a question, and no order.
            return None;
        }
        let limit = limit_of(data);
        self.refs.insert(order_id, order_ref.clone());
        let known = self.orders.entry(order_ref.clone()).or_insert_with(|| Known {
            request: request_of(order_ref, data),
            order_id,
            perm_id: 0,
            state: None,
            told: None,
            told_at: None,
        });
        known.order_id = order_id;
        if data.order.perm_id > 0 {
            known.perm_id = data.order.perm_id;
        }
        if let Some(limit) = limit {
            known.request.order_type = OrderType::Limit(limit);
        }
        Some(order_id)
    }

    /// Order ids are each client's own: an order of ours that another client id has sent is known
    /// by its permanent id, below zero.
    fn id_of(&self, (client_id, order_id): (i32, i32), perm_id: i64) -> Option<i32> {
        if client_id == self.client_id {
            return Some(order_id);
        }
        i32::try_from(perm_id).ok().filter(|perm_id| *perm_id > 0).map(|perm_id| -perm_id)
    }

    /// The broker tells an order's state. `Inactive` alone ends nothing: it is looked up first.
    pub fn hear_status(&mut self, status: &OrderStatus, at: Timestamp) -> Heard {
        let order_id = self.id_of((status.client_id, status.order_id), status.perm_id);
        let Some(order_id) = order_id else { return Heard::Understood };
        let Some(order_ref) = self.refs.get(&order_id) else { return Heard::Understood };
        let Some(known) = self.orders.get_mut(order_ref) else { return Heard::Understood };
        if status.perm_id > 0 {
            known.perm_id = status.perm_id;
        }
        let told = match &status.status {
            OrderStatusKind::Filled => BrokerStatus::Filled,
            OrderStatusKind::Cancelled | OrderStatusKind::ApiCancelled => BrokerStatus::Cancelled,
            OrderStatusKind::Inactive | OrderStatusKind::Unknown(_) => {
                return Heard::Doubtful(order_id);
            }
            OrderStatusKind::ApiPending
            | OrderStatusKind::PendingSubmit
            | OrderStatusKind::PendingCancel
            | OrderStatusKind::PreSubmitted
            | OrderStatusKind::Submitted => BrokerStatus::Working,
        };
        let ended = known.state.as_ref().is_some_and(|state| is_final(state.status));
        if ended && !is_final(told) {
            // Late news of an order that has ended.
            return Heard::Understood;
        }
        let filled = whole(status.filled);
        known.state = Some(State {
            status: told,
            filled,
            remaining: whole(status.remaining),
            limit: known.request.order_type.limit(),
            reason: match told {
                BrokerStatus::Cancelled => "cancelled at the broker".to_owned(),
                BrokerStatus::Working | BrokerStatus::Filled | BrokerStatus::Rejected => {
                    String::new()
                }
            },
        });
        self.release(at);
        Heard::Understood
    }

    /// The broker refused the order or a change of it, and its open orders do not hold it. What was
    /// executed decides whether it ended refused, cancelled or filled.
    pub fn hear_refusal(&mut self, order_id: i32, reason: &str, at: Timestamp) {
        self.end(order_id, (BrokerStatus::Rejected, reason), at);
    }

    /// The broker lists an order as ended. One that it says was filled waits for its executions.
    pub fn hear_completed(
        &mut self,
        data: &OrderData,
        (ended, reason): (BrokerStatus, &str),
        at: Timestamp,
    ) {
        let order_ref = data.order.order_ref.parse::<OrderRef>();
        let Some(known) = order_ref.ok().and_then(|found| self.orders.get_mut(&found)) else {
            return;
        };
        if data.order.perm_id > 0 {
            known.perm_id = data.order.perm_id;
        }
        let order_id = known.order_id;
        self.end(order_id, (ended, reason), at);
    }

    fn end(&mut self, order_id: i32, (ended, reason): (BrokerStatus, &str), at: Timestamp) {
        let Some(known) = self.refs.get(&order_id).and_then(|found| self.orders.get_mut(found))
        else {
            return;
        };
        if known.state.as_ref().is_some_and(|state| is_final(state.status)) {
            return;
        }
        let quantity = known.request.quantity;
        let told = known.state.as_ref().map_or(0, |state| state.filled);
        let filled = match ended {
            BrokerStatus::Filled => quantity,
            BrokerStatus::Cancelled | BrokerStatus::Rejected | BrokerStatus::Working => {
                executed(known, &self.shares).max(told)
            }
        };
        let status = match filled {
            0 => ended,
            all if all >= quantity => BrokerStatus::Filled,
            _ => BrokerStatus::Cancelled,
        };
        known.state = Some(State {
            status,
            filled,
            remaining: known.request.quantity - filled,
            limit: known.request.order_type.limit(),
            reason: if status == BrokerStatus::Filled { String::new() } else { reason.to_owned() },
        });
        self.release(at);
    }

    /// Tells the states whose executions have all been told.
    fn release(&mut self, at: Timestamp) {
        for (order_ref, known) in &mut self.orders {
            let Some(state) = known.state.as_ref() else { continue };
            if known.told.as_ref() == Some(state) {
                continue;
            }
            let perm_id = known.perm_id;
            let covered = known.request.legs.iter().all(|leg| {
                let total = self.shares.get(&(perm_id, leg.conid)).copied().unwrap_or_default();
                total >= state.filled * leg.ratio.abs()
            });
            let waits = self.awaiting.values().any(|one| one.execution.perm_id == Some(perm_id));
            if !covered || waits {
                continue;
            }
            self.events.push_back(BrokerEvent::Order(OrderEvent {
                order_ref: order_ref.clone(),
                perm_id,
                status: state.status,
                filled: state.filled,
                remaining: state.remaining,
                limit: state.limit,
                reason: state.reason.clone(),
                at,
            }));
            (known.told, known.told_at) = (Some(state.clone()), Some(at));
        }
    }

    /// Forgets an order that the broker refused before it took it.
    pub fn forget(&mut self, order_id: i32) {
        if let Some(order_ref) = self.refs.remove(&order_id) {
            self.orders.remove(&order_ref);
        }
    }

    /// Executions heard of so far.
    pub fn executions(&self) -> usize {
        self.heard
    }

    /// Forgets what ended long ago.
    pub fn prune(&mut self, now: Timestamp) {
        let since = now - TimeDelta::days(REMEMBERED_DAYS);
        self.orders.retain(|_, known| {
            let ended = known.told.as_ref().is_some_and(|state| is_final(state.status));
            !ended || known.told != known.state || known.told_at.is_none_or(|at| at > since)
        });
        self.refs.retain(|_, order_ref| self.orders.contains_key(order_ref));
        self.seen.retain(|_, (at, _)| *at > since);
        self.unpaid.retain(|id, _| self.seen.contains_key(id));
        let known = self.orders.values().map(|known| known.perm_id);
        let perms: BTreeSet<i64> = known.chain(self.seen.values().map(|(_, perm)| *perm)).collect();
        self.shares.retain(|(perm_id, _), _| perms.contains(perm_id));
        let names: BTreeSet<&str> =
            self.seen.keys().filter_map(|id| version_of(id)).map(|(name, _)| name).collect();
        self.versions.retain(|name, _| names.contains(name.as_str()));
        // Of executions that never came; one that comes yet is asked for with its commission.
        self.commissions.clear();
        self.questions.clear();
    }

    /// What can be told, in order.
    pub fn take_events(&mut self) -> Vec<BrokerEvent> {
        self.events.drain(..).collect()
    }

    /// Whether something is owed: executions without their commission, or a state without its
    /// executions. What is owed for long is asked for.
    pub fn is_owed(&self) -> bool {
        !self.awaiting.is_empty()
            || !self.held_back.is_empty()
            || self.orders.values().any(|known| known.state.is_some() && known.told != known.state)
    }

    /// Orders of which the broker has said nothing final.
    pub fn open_orders(&self) -> Vec<OpenOrder> {
        let alive = self.orders.values().filter(|known| {
            known.perm_id > 0 && !known.state.as_ref().is_some_and(|state| is_final(state.status))
        });
        alive
            .map(|known| OpenOrder {
                request: known.request.clone(),
                perm_id: known.perm_id,
                filled: known.state.as_ref().map_or(0, |state| state.filled),
            })
            .collect()
    }

    pub fn order_id(&self, order_ref: &OrderRef) -> Option<i32> {
        self.orders.get(order_ref).map(|known| known.order_id)
    }

    pub fn request(&self, order_ref: &OrderRef) -> Option<&OrderRequest> {
        self.orders.get(order_ref).map(|known| &known.request)
    }

    /// The broker's permanent id, once it has said one.
    pub fn perm_id(&self, order_id: i32) -> Option<i64> {
        let known = self.refs.get(&order_id).and_then(|found| self.orders.get(found))?;
        Some(known.perm_id).filter(|perm_id| *perm_id > 0)
    }

    /// The price at which the broker shows the order.
    pub fn limit(&self, order_id: i32) -> Option<Price> {
        let known = self.refs.get(&order_id).and_then(|found| self.orders.get(found))?;
        known.request.order_type.limit()
    }

    /// The ids of the orders that are not known to have ended.
    pub fn alive(&self) -> BTreeSet<i32> {
        let alive = self
            .orders
            .values()
            .filter(|known| !known.state.as_ref().is_some_and(|state| is_final(state.status)));
        alive.map(|known| known.order_id).collect()
    }

    /// Orders that are not known to have ended and of which news is missing: nothing was ever told
    /// of them, more was executed than their state says, or another client's id has the news.
    pub fn doubtful(&self) -> BTreeSet<i32> {
        let doubtful = self.orders.values().filter(|known| match &known.state {
            None => true,
            Some(state) => {
                let behind = executed(known, &self.shares) > state.filled;
                !is_final(state.status) && (behind || is_elsewhere(known.order_id))
            }
        });
        doubtful.map(|known| known.order_id).collect()
    }

    /// Combos of an order that were executed.
    pub fn executed(&self, order_id: i32) -> i64 {
        let known = self.refs.get(&order_id).and_then(|found| self.orders.get(found));
        known.map_or(0, |known| executed(known, &self.shares))
    }

    /// Whether an order ended; `None` when it is not known.
    pub fn has_ended(&self, order_id: i32) -> Option<bool> {
        let known = self.refs.get(&order_id).and_then(|found| self.orders.get(found))?;
        Some(known.state.as_ref().is_some_and(|state| is_final(state.status)))
    }
}

/// Combos of an order that the executions heard of make up.
fn executed(known: &Known, shares: &BTreeMap<(i64, ConId), i64>) -> i64 {
    let combos = known.request.legs.iter().map(|leg| {
        let total = shares.get(&(known.perm_id, leg.conid)).copied().unwrap_or_default();
        total / leg.ratio.abs().max(1)
    });
    combos.min().unwrap_or_default()
}

/// Whether a message settled something by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    Understood,
    /// The open orders must say whether this order still lives.
    Doubtful(i32),
}

/// Whether a number stands for an order that another client id has sent: it can be seen here, and
/// neither changed nor cancelled.
pub fn is_elsewhere(order_id: i32) -> bool {
    order_id < 0
}

fn is_final(status: BrokerStatus) -> bool {
    match status {
        BrokerStatus::Filled | BrokerStatus::Cancelled | BrokerStatus::Rejected => true,
        BrokerStatus::Working => false,
    }
}

fn whole(quantity: f64) -> i64 {
    quantity.round() as i64
}

/// The limit per combo as the desk counts it: what is sold has a negative one.
fn limit_of(data: &OrderData) -> Option<Price> {
    let limit = data.order.limit_price.and_then(Price::from_f64)?;
    Some(if data.order.action == Action::Buy { limit } else { -limit })
}

fn request_of(order_ref: OrderRef, data: &OrderData) -> OrderRequest {
    let mut legs = legs_of(&data.contract);
    if data.order.action != Action::Buy {
        for leg in &mut legs {
            leg.ratio = -leg.ratio;
        }
    }
    OrderRequest {
        order_ref,
        legs,
        quantity: whole(data.order.total_quantity),
        order_type: limit_of(data).map_or(OrderType::Market, OrderType::Limit),
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod waiting_tests;
