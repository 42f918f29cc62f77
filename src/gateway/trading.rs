//! Orders in: what is placed, changed, cancelled, and what a what-if answers.

use rust_decimal::Decimal;

use crate::market::SecurityKind;
use crate::structures::{OrderRef, OrderRequest, Reject, WhatIf};

use super::event::{Event, OrderView};
use super::faults::Fault;
use super::house::{House, SeatId};
use super::listing::describe;
use super::orders::{ClientOrder, Stage, refuse, request_of, sign_of};
use super::words::{WireContract, WireMargin, WireOrder, WireOrderState};

/// Active orders that IB takes a contract, side and account (TWS API reference, order limitations).
const ACTIVE_A_SIDE: usize = 20;

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
            self.keep();
            let answer = self.what_if(&contract, &order);
            return self.told(seat, order_id, answer);
        }
        if self.forgetful.is_some() {
            self.keep();
        }
        let answer = if self.faults.contains(&Fault::OrdersRefused) {
            refuse(201, "Order rejected - reason:the script of faults refuses every order")
        } else if let Some(why) = &self.forgetful {
            refuse(201, format!("Order rejected - reason:{why}"))
        } else if self.orders.of_client(client_id, order_id).is_some() {
            self.modify((client_id, order_id), &contract, &order)
        } else if self.orders.is_spent(client_id, order_id) {
            refuse(103, "Duplicate order id")
        } else {
            let taken = self.submit(&contract, order);
            if taken.is_ok() && self.faults.contains(&Fault::AlarmingCodes) {
                self.alarm(seat, order_id);
            }
            taken
        };
        self.told(seat, order_id, answer.map(|()| None));
    }

    /// Codes that a client may take for the order's end, though it lives.
    fn alarm(&mut self, seat: SeatId, order_id: i32) {
        for (code, said) in [
            (10_349, "Order TIF was set to DAY based on order preset."),
            (404, "Order held while securities are located."),
            (399, "Order Message:\nWarning: your order will be looked at by a person."),
        ] {
            self.error(seat, (order_id, code), said);
        }
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
            margin: Some(margin_of(&answer, account.maintenance_margin.to_f64())),
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
        self.check_room(&request)?;
        let described = self.described(contract, &request);
        let (quantity, legs) = (request.quantity, request.legs.clone());
        order.perm_id = self.exchange.submit(request)?;
        order.account.clone_from(&self.account);
        "DAY".clone_into(&mut order.time_in_force);
        self.orders.add(ClientOrder {
            contract: described,
            order,
            order_ref,
            legs,
            stage: Stage::Pending,
            filled: 0,
            quantity,
            paid: Decimal::ZERO,
            last_price: Decimal::ZERO,
            sign,
            ended_at: None,
        });
        Ok(())
    }

    /// IB's two rules about orders on the same contract.
    fn check_room(&self, request: &OrderRequest) -> Result<(), Reject> {
        if self.orders.beside(&request.legs) >= ACTIVE_A_SIDE {
            let reason = format!("{ACTIVE_A_SIDE} orders work on this side of the contract");
            return refuse(201, format!("Order rejected - reason:{reason}"));
        }
        if let &[leg] = request.legs.as_slice()
            && self.instrument(leg.conid).is_some_and(|one| one.kind() == SecurityKind::Option)
            && self.orders.opposes(leg)
        {
            let reason = "open orders on both sides of the same US option contract";
            return refuse(201, format!("Order rejected - reason:{reason}"));
        }
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

    /// Only the price of a working order can be changed: other legs, or the other side, would move
    /// the price of what nobody meant.
    fn modify(
        &mut self,
        (client_id, order_id): (i32, i32),
        contract: &WireContract,
        order: &WireOrder,
    ) -> Result<(), Reject> {
        let Some(known) = self.orders.of_client(client_id, order_id) else {
            return refuse(103, "Duplicate order id");
        };
        let (order_ref, quantity, status) = (known.order_ref.clone(), known.quantity, known.stage);
        let legs = known.legs.clone();
        match status {
            Stage::Filled => return refuse(104, "Cannot modify a filled order."),
            Stage::Cancelled | Stage::Inactive => return refuse(103, "Duplicate order id"),
            Stage::Pending | Stage::Submitted => {}
        }
        let old_type = known.order.order_type.clone();
        let request = request_of(self.exchange.source(), contract, order, order_ref.clone())?;
        let same = (request.quantity, &request.legs) == (quantity, &legs);
        if !same || order.order_type != old_type {
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
}

fn margin_of(answer: &WhatIf, maintenance_before: f64) -> WireMargin {
    WireMargin {
        initial_before: answer.initial_margin_before.to_f64(),
        maintenance_before,
        initial_after: answer.initial_margin_after.to_f64(),
        maintenance_after: answer.maintenance_margin_after.to_f64(),
        equity_after: answer.equity_with_loan_after.to_f64(),
        commission: answer.commission.to_f64(),
    }
}
