//! Orders in, and what comes of them.

use std::collections::BTreeMap;

use chrono::NaiveDateTime;
use rust_decimal::Decimal;

use crate::exchange::ExchangeEvent;
use crate::market::Timestamp;
use crate::structures::{
    BrokerStatus, Execution, ExecutionKind, OrderEvent, OrderRef, OrderRequest, Reject, WhatIf,
};

use super::event::{Event, OrderView};
use super::house::{House, SeatId};
use super::listing::{SMART, describe};
use super::orders::{ClientOrder, request_of, sign_of};
use super::words::{
    WireContract, WireExecution, WireExecutionFilter, WireMargin, WireOrder, WireOrderState,
};

/// One reported fill, for those who ask later.
#[derive(Debug, Clone)]
pub(super) struct Fill {
    at: Timestamp,
    contract: WireContract,
    execution: WireExecution,
    /// USD; a combo as a whole has none of its own.
    commission: Option<f64>,
}

impl House {
    pub(super) fn place(
        &mut self,
        seat: SeatId,
        (client_id, order_id): (i32, i32),
        (contract, mut order): (WireContract, WireOrder),
    ) {
        order.client_id = client_id;
        if order.what_if {
            self.orders.spend(client_id, order_id);
            let answer = self.what_if(&contract, &order);
            return self.told(seat, order_id, answer);
        }
        let answer = if self.orders.of_client(client_id, order_id).is_some() {
            self.modify((client_id, order_id), &contract, &order)
        } else if self.orders.is_spent(client_id, order_id) {
            refuse(103, "Duplicate order id")
        } else {
            self.submit(&contract, order)
        };
        self.told(seat, order_id, answer.map(|()| None));
    }

    fn told(&mut self, seat: SeatId, id: i32, answer: Result<Option<Event>, Reject>) {
        match answer {
            Ok(Some(event)) => self.send(seat, event),
            Ok(None) => {}
            Err(reject) => self.error(seat, (id, reject.code), &reject.reason),
        }
    }

    fn what_if(
        &mut self,
        contract: &WireContract,
        order: &WireOrder,
    ) -> Result<Option<Event>, Reject> {
        let order_ref = self.orders.new_ref()?;
        let request = request_of(self.exchange.source(), contract, order, order_ref)?;
        let answer = self.exchange.what_if(&request)?;
        let account = self.exchange.account().map_err(|error| Reject {
            code: 201,
            reason: format!("Order rejected - reason:{error}"),
        })?;
        let state = WireOrderState {
            status: "PreSubmitted".to_owned(),
            margin: Some(margin_of(
                &answer,
                account.maintenance_margin.to_f64(),
                account.net_liquidation.to_f64(),
            )),
            ..WireOrderState::default()
        };
        let order = WireOrder { account: self.account.clone(), ..order.clone() };
        let view = OrderView { contract: contract.clone(), order, state };
        Ok(Some(Event::OpenOrder(Box::new(view))))
    }

    fn submit(&mut self, contract: &WireContract, mut order: WireOrder) -> Result<(), Reject> {
        let sign = sign_of(&order.action)?;
        let order_ref = self.orders.new_ref()?;
        let request = request_of(self.exchange.source(), contract, &order, order_ref.clone())?;
        let described = self.described(contract, &request);
        let quantity = request.quantity;
        order.perm_id = self.exchange.submit(request)?;
        order.account.clone_from(&self.account);
        "DAY".clone_into(&mut order.time_in_force);
        self.orders.add(ClientOrder {
            contract: described,
            order,
            order_ref,
            status: "PendingSubmit",
            filled: 0,
            quantity,
            paid: Decimal::ZERO,
            last_price: Decimal::ZERO,
            sign,
            ended_at: None,
        });
        Ok(())
    }

    /// The contract with what the client left out of it.
    fn described(&self, contract: &WireContract, request: &OrderRequest) -> WireContract {
        match request.legs.as_slice() {
            [leg] if contract.security_type != "BAG" => {
                self.instrument(leg.conid).map_or_else(|| contract.clone(), |one| describe(&one))
            }
            _ => contract.clone(),
        }
    }

    /// Only the price of a working order can be changed.
    fn modify(
        &mut self,
        (client_id, order_id): (i32, i32),
        contract: &WireContract,
        order: &WireOrder,
    ) -> Result<(), Reject> {
        let Some(known) = self.orders.of_client(client_id, order_id) else {
            return refuse(103, "Duplicate order id");
        };
        let (order_ref, quantity, status) = (known.order_ref.clone(), known.quantity, known.status);
        match status {
            "Filled" => return refuse(104, "Cannot modify a filled order."),
            "Cancelled" | "Inactive" => return refuse(103, "Duplicate order id"),
            _ => {}
        }
        let contract = if contract.security_type == "BAG" || contract.con_id != 0 {
            contract.clone()
        } else {
            known.contract.clone()
        };
        let old_type = known.order.order_type.clone();
        let request = request_of(self.exchange.source(), &contract, order, order_ref.clone())?;
        if request.quantity != quantity || order.order_type != old_type {
            return refuse(105, "Order being modified does not match original order");
        }
        self.exchange.amend(&order_ref, request.order_type)?;
        if let Some(known) = self.orders.of_ref(&order_ref) {
            known.order.limit = order.limit;
        }
        Ok(())
    }

    pub(super) fn cancel(&mut self, seat: SeatId, client_id: i32, order_id: i32) {
        let known = self.orders.of_client(client_id, order_id);
        let answer = match known.map(|known| (known.is_final(), known.order_ref.clone())) {
            None => refuse(
                10147,
                format!("OrderId {order_id} that needs to be cancelled is not found."),
            ),
            Some((true, _)) => refuse(
                10148,
                format!("OrderId {order_id} that needs to be cancelled can not be cancelled."),
            ),
            Some((false, order_ref)) => self.exchange.cancel(&order_ref),
        };
        self.told(seat, order_id, answer.map(|()| None));
    }

    pub(super) fn cancel_all(&mut self) {
        let working: Vec<OrderRef> =
            self.orders.working().map(|order| order.order_ref.clone()).collect();
        for order_ref in working {
            // What ended in the meantime needs no cancelling.
            let _ = self.exchange.cancel(&order_ref);
        }
    }

    pub(super) fn open_orders(&mut self, seat: SeatId, of_client: Option<i32>) {
        let events: Vec<[Event; 2]> = self
            .orders
            .working()
            .filter(|order| of_client.is_none_or(|client| client == order.order.client_id))
            .map(both)
            .collect();
        for event in events.into_iter().flatten() {
            self.send(seat, event);
        }
        self.send(seat, Event::OpenOrderEnd);
    }

    pub(super) fn completed_orders(&mut self, seat: SeatId) {
        let views: Vec<OrderView> = self.orders.ended().map(view).collect();
        for view in views {
            self.send(seat, Event::CompletedOrder(Box::new(view)));
        }
        self.send(seat, Event::CompletedOrdersEnd);
    }

    pub(super) fn executions(&mut self, seat: SeatId, req_id: i32, filter: &WireExecutionFilter) {
        let side = match filter.side.as_str() {
            "BUY" => "BOT",
            "SELL" => "SLD",
            other => other,
        };
        let since = instant_of(&filter.time);
        if since.is_none() && !filter.time.is_empty() {
            let said = format!("Error validating request: `{}` is no time", filter.time);
            return self.error(seat, (req_id, 321), &said);
        }
        let any = |wanted: &str, has: &str| wanted.is_empty() || wanted == has;
        let found: Vec<Fill> = self
            .fills
            .iter()
            .filter(|fill| since.is_none_or(|since| fill.at >= since))
            .filter(|fill| filter.client_id == 0 || fill.execution.client_id == filter.client_id)
            .filter(|fill| any(&filter.symbol, &fill.contract.symbol))
            .filter(|fill| any(&filter.security_type, &fill.contract.security_type))
            .filter(|fill| any(side, fill.execution.side))
            .cloned()
            .collect();
        for fill in found {
            for event in fill_events(req_id, &fill) {
                self.send(seat, event);
            }
        }
        self.send(seat, Event::ExecutionsEnd { req_id });
    }

    /// Tells everybody what the exchange has reported since the last time: fills before the states
    /// that they led to.
    pub(super) fn report(&mut self) {
        let mut groups: BTreeMap<String, Vec<Execution>> = BTreeMap::new();
        let mut states: Vec<OrderEvent> = Vec::new();
        let mut moved = false;
        for event in self.exchange.take_events() {
            match event {
                ExchangeEvent::Order(event) => states.push(event),
                ExchangeEvent::Execution(execution) => {
                    moved = true;
                    if execution.kind == ExecutionKind::Trade {
                        let group = groups.entry(execution.group_id.clone()).or_default();
                        group.push(execution);
                    }
                }
            }
        }
        for executions in groups.into_values() {
            self.report_fill(&executions);
        }
        for event in states {
            self.report_order(&event);
        }
        if moved {
            self.report_account();
        }
    }

    fn report_order(&mut self, event: &OrderEvent) {
        let Some(order) = self.orders.of_ref(&event.order_ref) else { return };
        order.filled = event.filled;
        order.status = match event.status {
            BrokerStatus::Working => "Submitted",
            BrokerStatus::Filled => "Filled",
            BrokerStatus::Cancelled => "Cancelled",
            BrokerStatus::Rejected => "Inactive",
        };
        if order.is_final() {
            order.ended_at = Some(event.at);
        }
        let (client_id, order_id) = (order.order.client_id, order.order.order_id);
        let events = both(order);
        for seat in self.seats_that(|seat| seat.client_id == Some(client_id)) {
            for event in events.clone() {
                self.send(seat, event);
            }
            let (code, said) = match event.status {
                BrokerStatus::Cancelled => (202, "Order Canceled - reason:"),
                BrokerStatus::Rejected => (201, "Order rejected - reason:"),
                BrokerStatus::Working | BrokerStatus::Filled => continue,
            };
            self.error(seat, (order_id, code), &format!("{said}{}", event.reason));
        }
    }

    /// One fill of an order: an execution a leg, of a combo also one of the whole. That TWS reports
    /// the whole first is an assumption.
    fn report_fill(&mut self, executions: &[Execution]) {
        let Some(first) = executions.first() else { return };
        let Some(order_ref) = first.order_ref.as_ref() else { return };
        let Some(order) = self.orders.of_ref(order_ref) else { return };
        let whole = whole_of(order, executions);
        order.filled += whole.quantity;
        order.paid += whole.price * Decimal::from(whole.quantity);
        order.last_price = whole.price;
        let order = order.clone();
        let mut fills = Vec::new();
        if order.contract.security_type == "BAG" {
            let side = if order.sign > 0 { "BOT" } else { "SLD" };
            let price = order.shown(whole.price);
            let named = Named { exec_id: format!("{}.00", first.group_id), side, price };
            fills.push(Fill {
                at: first.at,
                contract: order.contract.clone(),
                execution: wire_execution(&order, named, whole.quantity, first.at),
                commission: None,
            });
        }
        for execution in executions {
            let Some(instrument) = self.instrument(execution.conid) else { continue };
            let side = if execution.quantity > 0 { "BOT" } else { "SLD" };
            let price = execution.price.map(crate::market::Price::to_f64).unwrap_or_default();
            let named = Named { exec_id: execution.exec_id.clone(), side, price };
            fills.push(Fill {
                at: execution.at,
                contract: describe(&instrument),
                execution: wire_execution(&order, named, execution.quantity.abs(), execution.at),
                commission: Some(execution.commission.to_f64()),
            });
        }
        let client_id = order.order.client_id;
        let seats = self.seats_that(|seat| seat.client_id == Some(client_id));
        for fill in fills {
            for seat in &seats {
                for event in fill_events(-1, &fill) {
                    self.send(*seat, event);
                }
            }
            self.fills.push(fill);
        }
    }

    fn report_account(&mut self) {
        for seat in self.seats_that(|seat| seat.wants_positions) {
            for held in self.exchange.positions() {
                if let Some(position) = self.position_of(&held) {
                    self.send(seat, Event::Position(Box::new(position)));
                }
            }
        }
        for seat in self.seats_that(|seat| seat.wants_account) {
            self.account_values(seat);
        }
    }
}

fn refuse<T>(code: i32, reason: impl Into<String>) -> Result<T, Reject> {
    Err(Reject { code, reason: reason.into() })
}

fn margin_of(answer: &WhatIf, maintenance_before: f64, equity_before: f64) -> WireMargin {
    WireMargin {
        initial_before: answer.initial_margin_before.to_f64(),
        maintenance_before,
        equity_before,
        initial_after: answer.initial_margin_after.to_f64(),
        maintenance_after: answer.maintenance_margin_after.to_f64(),
        equity_after: answer.equity_with_loan_after.to_f64(),
        commission: answer.commission.to_f64(),
    }
}

fn view(order: &ClientOrder) -> OrderView {
    let ended = order.ended_at.map(local_time).unwrap_or_default();
    let completed_status = if order.is_final() { order.status.to_owned() } else { String::new() };
    OrderView {
        contract: order.contract.clone(),
        order: order.order.clone(),
        state: WireOrderState {
            status: order.status.to_owned(),
            margin: None,
            completed_time: ended,
            completed_status,
        },
    }
}

/// TWS tells an order and its status together.
fn both(order: &ClientOrder) -> [Event; 2] {
    [Event::OpenOrder(Box::new(view(order))), Event::OrderStatus(Box::new(order.wire_status()))]
}

/// `20260302 09:45:10 US/Eastern`.
fn local_time(at: Timestamp) -> String {
    let local = at.with_timezone(&chrono_tz::America::New_York);
    local.format("%Y%m%d %H:%M:%S US/Eastern").to_string()
}

/// `20260302 09:30:00`, in New York, with or without a zone's name, or `20260302-14:30:00` in UTC.
fn instant_of(text: &str) -> Option<Timestamp> {
    if let Ok(utc) = NaiveDateTime::parse_from_str(text, "%Y%m%d-%H:%M:%S") {
        return Some(utc.and_utc());
    }
    let local = text.get(..17)?;
    let local = NaiveDateTime::parse_from_str(local, "%Y%m%d %H:%M:%S").ok()?;
    let local = local.and_local_timezone(chrono_tz::America::New_York).earliest()?;
    Some(local.to_utc())
}

/// Combos of one fill and their net price, in the exchange's sign.
struct Whole {
    quantity: i64,
    price: Decimal,
}

fn whole_of(order: &ClientOrder, executions: &[Execution]) -> Whole {
    let ratio_of = |execution: &Execution| {
        let con_id = i64::from(super::listing::wire_id(execution.conid).unwrap_or_default());
        let leg = order.contract.legs.iter().find(|leg| i64::from(leg.con_id) == con_id);
        leg.map_or(1, |leg| i64::from(leg.ratio.max(1)))
    };
    let quantity =
        executions.first().map_or(0, |execution| execution.quantity.abs() / ratio_of(execution));
    let paid: Decimal = executions
        .iter()
        .filter_map(|execution| {
            Some(execution.price?.decimal() * Decimal::from(execution.quantity))
        })
        .sum();
    let price = if quantity > 0 { paid / Decimal::from(quantity) } else { Decimal::ZERO };
    Whole { quantity, price }
}

/// What tells one execution of an order from another.
struct Named {
    exec_id: String,
    side: &'static str,
    price: f64,
}

fn wire_execution(order: &ClientOrder, named: Named, shares: i64, at: Timestamp) -> WireExecution {
    WireExecution {
        order_id: order.order.order_id,
        exec_id: named.exec_id,
        time: local_time(at),
        account: order.order.account.clone(),
        exchange: SMART.to_owned(),
        side: named.side,
        shares: shares.into(),
        price: named.price,
        perm_id: order.order.perm_id,
        client_id: order.order.client_id,
        cumulative: order.filled.into(),
        average_price: order.shown(order.paid / Decimal::from(order.filled.max(1))),
        order_ref: order.order.order_ref.clone(),
    }
}

fn fill_events(req_id: i32, fill: &Fill) -> Vec<Event> {
    let mut events = vec![Event::Execution {
        req_id,
        contract: Box::new(fill.contract.clone()),
        execution: Box::new(fill.execution.clone()),
    }];
    if let Some(amount) = fill.commission {
        let exec_id = fill.execution.exec_id.clone();
        events.push(Event::Commission { exec_id, amount, realised: None });
    }
    events
}
