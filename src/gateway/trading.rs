//! Orders in: what is placed and cancelled, and what a what-if answers.

use rust_decimal::Decimal;

use crate::exchange::AccountError;
use crate::market::{SecurityKind, Usd};
use crate::structures::{OrderRequest, Reject, WhatIf};

use super::away::Waits;
use super::event::{Event, OrderView};
use super::faults::Fault;
use super::house::{House, SeatId};
use super::listing::describe;
use super::orders::{ClientOrder, Stage, refuse, request_of, sign_of};
use super::profit::no_account;
use super::script::Happening;
use super::terms::{Life, group_of};
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
        if order_id < 1 && self.orders.place_of(client_id, order_id).is_none() {
            return self.error(seat, (order_id, 10_149), &format!("Invalid order id: {order_id}"));
        }
        if !order.account.is_empty() && order.account != self.account {
            return self.error(seat, (order_id, 321), &no_account(&order.account));
        }
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
        } else if let Err(reject) = self.check_not_over() {
            Err(reject)
        } else if let Some(place) = self.orders.place_of(client_id, order_id)
            && self.is_beyond_reach(place)
        {
            let to = Box::new((contract, order));
            return self.wait(Waits::Change(seat, (client_id, order_id), to));
        } else if self.orders.of_client(client_id, order_id).is_some() {
            self.modify((client_id, order_id), &contract, &order)
        } else if self.orders.is_spent(client_id, order_id) {
            refuse(103, "Duplicate order id")
        } else {
            let taken = self.submit(&contract, order);
            if taken.is_ok() {
                self.happens(Happening::OrderTaken);
            }
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

    pub(super) fn told(&mut self, seat: SeatId, id: i32, answer: Result<Option<Event>, Reject>) {
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
        let request = request_of(self.exchange.source(), contract, &formal(order), order_ref)?;
        let answer = self.exchange.what_if(&request)?;
        let unknown = |error: AccountError| Reject {
            code: 201,
            reason: format!("Order rejected - reason:{error}"),
        };
        let maintenance_before = self.exchange.account().map_err(unknown)?.maintenance_margin;
        let equity_before = self.exchange.funds().map_err(unknown)?.equity_with_loan;
        let state = WireOrderState {
            status: "PreSubmitted".to_owned(),
            margin: Some(margin_of(&answer, (maintenance_before, equity_before))),
            ..WireOrderState::default()
        };
        let order = WireOrder { account: self.account.clone(), ..order.clone() };
        let view = OrderView { contract: contract.clone(), order, state, filled: Decimal::ZERO };
        Ok(Some(Event::OpenOrder(Box::new(view))))
    }

    /// Takes a new order: at the exchange where it may go there at once, else held back here.
    pub(super) fn submit(
        &mut self,
        contract: &WireContract,
        mut order: WireOrder,
    ) -> Result<(), Reject> {
        let sign = sign_of(&order.action)?;
        self.take_into_bracket(&mut order)?;
        let group = group_of(&order)?;
        self.check_group(group.as_ref())?;
        let order_ref = self.orders.new_ref()?;
        let request = request_of(self.exchange.source(), contract, &formal(&order), order_ref)?;
        let course = self.course_of(&order, &request)?;
        self.check_room(&request, &order)?;
        order.account.clone_from(&self.account);
        Life::of(&order, self.now())?.as_str().clone_into(&mut order.time_in_force);
        let mut taken = ClientOrder {
            contract: self.described(contract, &request),
            order,
            order_ref: request.order_ref.clone(),
            legs: request.legs.clone(),
            stage: Stage::Pending,
            filled: 0,
            quantity: request.quantity,
            paid: Decimal::ZERO,
            last_price: Decimal::ZERO,
            sign,
            ended_at: None,
            course,
            opens_group: group.as_ref().is_some_and(|group| self.is_group_over(&group.name)),
        };
        if self.must_wait(&taken) {
            return self.hold(taken, &request);
        }
        let order_ref = request.order_ref.clone();
        taken.order.perm_id = self.exchange.submit(request)?;
        if !taken.renews() {
            // The exchange itself ends it with its session.
            taken.course.ends_at = None;
        }
        self.orders.add(taken);
        if let Some(group) = group {
            self.exchange.join_group(&order_ref, group);
        }
        Ok(())
    }

    /// Whether an order cannot go to the exchange at once. Where its market is closed and the
    /// calendar knows no other session, the exchange may refuse it.
    fn must_wait(&self, order: &ClientOrder) -> bool {
        let course = &order.course;
        let opens = || {
            let leg = order.legs.first();
            leg.is_some_and(|leg| self.exchange.session_of(leg.conid).is_some())
        };
        self.is_away()
            || course.withheld
            || course.stop.is_some()
            || order.order.parent_id != 0
            || (!self.is_open(order) && opens())
    }

    fn hold(&mut self, mut order: ClientOrder, request: &OrderRequest) -> Result<(), Reject> {
        self.check_form(request, order.course.stop)?;
        let place = self.orders.next_place();
        let sent = !order.course.withheld;
        order.order.perm_id = self.orders.new_perm_id();
        order.stage = Stage::Held;
        self.orders.add(order);
        self.own_news.changed = true;
        if sent {
            self.transmit(place);
        }
        Ok(())
    }

    /// A child's parent must be an order of the same client. The ends of a bracket are one group,
    /// named after their parent, of which a fill reduces the others: as TWS shows them.
    fn take_into_bracket(&mut self, order: &mut WireOrder) -> Result<(), Reject> {
        if order.parent_id == 0 {
            return Ok(());
        }
        let Some(parent) = self.orders.of_client(order.client_id, order.parent_id) else {
            return refuse(135, format!("Can't find order with id = {}", order.parent_id));
        };
        match parent.stage {
            Stage::Cancelled | Stage::Inactive => {
                return refuse(201, "Order rejected - reason:its parent order has ended");
            }
            Stage::Held | Stage::Pending | Stage::Submitted | Stage::Filled => {}
        }
        if order.oca_group.is_empty() {
            (order.oca_group, order.oca_type) = (parent.order.perm_id.to_string(), 3);
        }
        Ok(())
    }

    /// IB's two rules about orders on the same contract. A child's side does not count before its
    /// parent has filled.
    fn check_room(&self, request: &OrderRequest, order: &WireOrder) -> Result<(), Reject> {
        if self.orders.beside(&request.legs) >= ACTIVE_A_SIDE {
            let reason = format!("{ACTIVE_A_SIDE} orders work on this side of the contract");
            return refuse(201, format!("Order rejected - reason:{reason}"));
        }
        if let &[leg] = request.legs.as_slice()
            && order.parent_id == 0
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

    pub(super) fn cancel(&mut self, seat: SeatId, client_id: i32, order_id: i32) {
        self.happens(Happening::CancelAsked);
        let answer = match self.orders.place_of(client_id, order_id) {
            None if order_id < 1 => refuse(10149, format!("Invalid order id: {order_id}")),
            None => refuse(
                10147,
                format!("OrderId {order_id} that needs to be cancelled is not found."),
            ),
            Some(place) if self.orders.at(place).is_none_or(ClientOrder::is_final) => refuse(
                10148,
                format!("OrderId {order_id} that needs to be cancelled can not be cancelled."),
            ),
            Some(place) if self.is_beyond_reach(place) => {
                self.wait(Waits::Cancel(place));
                Ok(())
            }
            Some(place) => self.cancel_at(place),
        };
        self.told(seat, order_id, answer.map(|()| None));
    }

    pub(super) fn cancel_all(&mut self) {
        for place in self.orders.live() {
            if self.is_beyond_reach(place) {
                self.wait(Waits::Cancel(place));
                continue;
            }
            // What ended in the meantime needs no cancelling.
            let _ = self.cancel_at(place);
        }
    }

    /// At once where the exchange does not have the order.
    pub(super) fn cancel_at(&mut self, place: usize) -> Result<(), Reject> {
        let Some(order) = self.orders.at_mut(place) else { return Ok(()) };
        if order.stage == Stage::Held {
            self.end_held(place, "cancelled by the account");
            return Ok(());
        }
        let order_ref = order.order_ref.clone();
        self.exchange.cancel(&order_ref)?;
        if let Some(order) = self.orders.at_mut(place) {
            order.course.cancelling = true;
        }
        self.tell_later(place, None);
        Ok(())
    }
}

/// An order as its form is judged: a trailing stop limit order has no limit yet.
pub(super) fn formal(order: &WireOrder) -> WireOrder {
    let mut formal = order.clone();
    if order.order_type == "TRAIL LIMIT" {
        "TRAIL".clone_into(&mut formal.order_type);
    }
    formal
}

fn margin_of(answer: &WhatIf, (maintenance_before, equity_before): (Usd, Usd)) -> WireMargin {
    WireMargin {
        initial_before: answer.initial_margin_before.to_f64(),
        maintenance_before: maintenance_before.to_f64(),
        equity_before: equity_before.to_f64(),
        initial_after: answer.initial_margin_after.to_f64(),
        maintenance_after: answer.maintenance_margin_after.to_f64(),
        equity_after: answer.equity_with_loan_after.to_f64(),
        commission: answer.commission.to_f64(),
    }
}
