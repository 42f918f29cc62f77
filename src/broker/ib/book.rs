//! Our orders and executions as the broker's messages show them, turned into events of the desk.
//!
//! Pure: it is told messages and gives events, and knows no socket. Invariants: an execution is
//! given once, whatever comes twice, and only with its commission; a state of an order is given
//! only after the executions that led to it; no message that merely informs ends an order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use chrono::{NaiveDateTime, TimeZone as _};
use ibapi::contracts::Contract;
use ibapi::orders::{
    Action, CommissionReport, ExecutionData, ExecutionSide, OrderData, OrderStatus, OrderStatusKind,
};
use ibapi::prelude::SecurityType;

use crate::broker::BrokerEvent;
use crate::market::{ConId, Price, Timestamp, Usd};
use crate::structures::{
    BrokerStatus, Execution, ExecutionKind, OpenOrder, OrderEvent, OrderRef, OrderRequest,
    OrderType, version_of,
};

use super::contracts::legs_of;

/// What the desk has been told of one order.
#[derive(Debug, Clone, PartialEq)]
struct Known {
    request: OrderRequest,
    order_id: i32,
    perm_id: i64,
    /// The newest state of the broker's.
    state: Option<State>,
    /// The state that the desk was told last.
    told: Option<State>,
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
type Awaiting = Execution;

/// The mirror of our orders.
#[derive(Debug, Default)]
pub struct Book {
    orders: BTreeMap<OrderRef, Known>,
    /// Order ids of our own client.
    refs: BTreeMap<i32, OrderRef>,
    /// Executions of a contract so far, by the broker's permanent id: contracts, unsigned.
    shares: BTreeMap<(i64, ConId), i64>,
    seen: BTreeSet<String>,
    /// The newest version heard of an execution, with its shares, by the name without the version.
    versions: BTreeMap<String, (u32, i64)>,
    awaiting: BTreeMap<String, Awaiting>,
    /// Commissions that came before their execution.
    commissions: BTreeMap<String, Usd>,
    events: VecDeque<BrokerEvent>,
}

impl Book {
    /// An order is about to be written to the socket under this id.
    pub fn sending(&mut self, order_id: i32, request: OrderRequest) {
        let order_ref = request.order_ref.clone();
        self.refs.insert(order_id, order_ref.clone());
        let known = Known { request, order_id, perm_id: 0, state: None, told: None };
        self.orders.insert(order_ref, known);
    }

    /// The broker shows an order. One of ours that this process has not sent (an earlier one has)
    /// is known from now on.
    pub fn hear_open(&mut self, data: &OrderData) {
        let Ok(order_ref) = data.order.order_ref.parse::<OrderRef>() else { return };
        let limit = limit_of(data);
        self.refs.insert(data.order_id, order_ref.clone());
        let known = self.orders.entry(order_ref.clone()).or_insert_with(|| Known {
            request: request_of(order_ref, data),
            order_id: data.order_id,
            perm_id: 0,
            state: None,
            told: None,
        });
        known.order_id = data.order_id;
        if data.order.perm_id > 0 {
            known.perm_id = data.order.perm_id;
        }
        if let Some(limit) = limit {
            known.request.order_type = OrderType::Limit(limit);
        }
    }

    /// The broker tells an order's state. `Inactive` alone ends nothing: it is looked up first.
    pub fn hear_status(&mut self, status: &OrderStatus, at: Timestamp) -> Heard {
        let Some(order_ref) = self.refs.get(&status.order_id) else { return Heard::Understood };
        let Some(known) = self.orders.get_mut(order_ref) else { return Heard::Understood };
        if status.perm_id > 0 {
            known.perm_id = status.perm_id;
        }
        let told = match &status.status {
            OrderStatusKind::Filled => BrokerStatus::Filled,
            OrderStatusKind::Cancelled | OrderStatusKind::ApiCancelled => BrokerStatus::Cancelled,
            OrderStatusKind::Inactive | OrderStatusKind::Unknown(_) => {
                return Heard::Doubtful(status.order_id);
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

    /// An execution, told once however often it comes. The whole of a combo is no position and is
    /// passed over: its legs come by themselves.
    pub fn hear_execution(&mut self, data: &ExecutionData, at: Timestamp) {
        if data.contract.security_type == SecurityType::Spread {
            return;
        }
        let execution = &data.execution;
        let id = execution.execution_id.clone();
        if id.is_empty() || !self.seen.insert(id.clone()) {
            return;
        }
        let conid = ConId(i64::from(data.contract.contract_id));
        let shares = whole(execution.shares);
        let order_ref = execution.order_reference.parse::<OrderRef>().ok();
        if let Some(known) = order_ref.as_ref().and_then(|found| self.orders.get_mut(found))
            && known.perm_id == 0
        {
            // Nothing else of the order may ever be told.
            known.perm_id = execution.perm_id;
        }
        let Some(news) = self.news_of(&id, shares) else { return };
        let total = self.shares.entry((execution.perm_id, conid)).or_default();
        *total += news;
        let ratio =
            order_ref.as_ref().and_then(|found| self.orders.get(found)).map_or(1, |known| {
                let leg = known.request.legs.iter().find(|leg| leg.conid == conid);
                leg.map_or(1, |leg| leg.ratio.abs().max(1))
            });
        // The legs of one fill of a guaranteed combo reach the same number of combos.
        let combos = (*total + ratio - 1) / ratio;
        let sign = match execution.side {
            ExecutionSide::Bought => 1,
            ExecutionSide::Sold => -1,
        };
        let awaiting = Execution {
            exec_id: id.clone(),
            order_ref,
            perm_id: Some(execution.perm_id),
            group_id: format!("{}-{combos}", execution.perm_id),
            kind: match execution.liquidation {
                0 => ExecutionKind::Trade,
                _ => ExecutionKind::Liquidation,
            },
            conid,
            quantity: sign * shares,
            price: Price::from_f64(execution.price),
            multiplier: multiplier_of(&data.contract),
            commission: Usd::ZERO,
            cash: Price::from_f64(execution.price)
                // A future changes no cash but by its commission and its daily variation.
                .filter(|_| data.contract.security_type != SecurityType::Future)
                .map_or(Usd::ZERO, |price| {
                    -price.value(sign * shares, multiplier_of(&data.contract))
                }),
            at: instant_of(&execution.time).unwrap_or(at),
        };
        self.awaiting.insert(id.clone(), awaiting);
        if shares == 0 {
            // A trade that was broken costs nothing, and nothing may be told of that.
            self.commissions.entry(id.clone()).or_insert(Usd::ZERO);
        }
        if let Some(commission) = self.commissions.remove(&id) {
            self.complete(&id, commission, at);
        }
    }

    /// How many of an execution's shares have not been heard of under an older version of it;
    /// `None` where a newer one has been heard already. Shares once heard of stay counted here,
    /// though they are corrected: the order's own states count them too.
    fn news_of(&mut self, exec_id: &str, shares: i64) -> Option<i64> {
        let Some((name, version)) = version_of(exec_id) else { return Some(shares) };
        let heard = self.versions.get(name).copied();
        if heard.is_some_and(|(newest, _)| newest > version) {
            return None;
        }
        let most = heard.map_or(shares, |(_, before)| before.max(shares));
        self.versions.insert(name.to_owned(), (version, most));
        Some(most - heard.map_or(0, |(_, before)| before))
    }

    /// The commission of an execution, which TWS sends after it.
    pub fn hear_commission(&mut self, report: &CommissionReport, at: Timestamp) {
        let Some(commission) = Usd::from_f64(report.commission) else { return };
        self.complete(&report.execution_id, commission, at);
    }

    fn complete(&mut self, id: &str, commission: Usd, at: Timestamp) {
        let Some(mut execution) = self.awaiting.remove(id) else {
            if !self.seen.contains(id) {
                self.commissions.insert(id.to_owned(), commission);
            }
            return;
        };
        execution.commission = commission;
        execution.cash -= commission;
        self.events.push_back(BrokerEvent::Execution(execution));
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
            let waits = self.awaiting.values().any(|one| one.perm_id == Some(perm_id));
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
            known.told = Some(state.clone());
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
        self.seen.len()
    }

    /// What can be told, in order.
    pub fn take_events(&mut self) -> Vec<BrokerEvent> {
        self.events.drain(..).collect()
    }

    /// Whether something is owed: executions without their commission, or a state without its
    /// executions. What is owed for long is asked for.
    pub fn is_owed(&self) -> bool {
        !self.awaiting.is_empty()
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
    /// of them, or more was executed than their state says.
    pub fn doubtful(&self) -> BTreeSet<i32> {
        let doubtful = self.orders.values().filter(|known| match &known.state {
            None => true,
            Some(state) => !is_final(state.status) && executed(known, &self.shares) > state.filled,
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

fn is_final(status: BrokerStatus) -> bool {
    match status {
        BrokerStatus::Filled | BrokerStatus::Cancelled | BrokerStatus::Rejected => true,
        BrokerStatus::Working => false,
    }
}

fn whole(quantity: f64) -> i64 {
    quantity.round() as i64
}

fn multiplier_of(contract: &Contract) -> i64 {
    contract.multiplier.parse().unwrap_or(1)
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

/// `20260302 09:31:05 US/Eastern`, or in UTC `20260302-14:31:05`.
fn instant_of(text: &str) -> Option<Timestamp> {
    if let Ok(utc) = NaiveDateTime::parse_from_str(text, "%Y%m%d-%H:%M:%S") {
        return Some(utc.and_utc());
    }
    let (local, zone) = text.rsplit_once(' ')?;
    let local = NaiveDateTime::parse_from_str(local.trim(), "%Y%m%d %H:%M:%S").ok()?;
    let zone: chrono_tz::Tz = zone.parse().ok()?;
    // An hour that comes twice is taken for its first coming; one that never comes is none.
    Some(zone.from_local_datetime(&local).earliest()?.to_utc())
}

#[cfg(test)]
mod tests;
