//! Orders that the exchange does not have: what they wait for, and what becomes of them.
//!
//! Invariants: an order is sent on only where it has been transmitted, its parent has filled
//! completely, its stop has been reached and its market is open; it is sent once, and again only
//! after the exchange has ended it at a close; one that has ended is never looked at again. What
//! happens here is told and kept together with the exchange's own news.
//!
//! Assumptions about TWS: a parent must have filled completely, and one that ended with a part
//! filled takes its children with it; a child's own life counts from the day on which it came. An
//! immediate-or-cancel order is recalled once it was held against a first quote, and may fill until
//! that has arrived.

use crate::exchange::{GROUP_FILLED, OnFill, OrderGroup, SESSION_ENDED, reduced};
use crate::market::{Price, SecurityKind, Timestamp};
use crate::structures::{BrokerStatus, OrderEvent, OrderRequest, Reject};

use super::house::House;
use super::orders::{ClientOrder, Stage, order_type_of, refuse};
use super::stops::{Look, Stop, limit_beyond, offset_of};
use super::terms::{Course, Life, Reach, group_of, spoken};
use super::words::WireOrder;

/// What the client of an order is told beside its state: a code and a text.
pub(super) type Said = Option<(i32, String)>;

/// Changes that the exchange knows nothing of, to be told with its next news.
#[derive(Debug, Default)]
pub(super) struct OwnNews {
    /// Orders by their place in the book.
    pub told: Vec<(usize, Said)>,
    /// Something is to be kept, told or not.
    pub changed: bool,
}

/// What becomes of an order now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Waits,
    /// It waits for less than before.
    Freed,
    Send,
    End(&'static str),
    /// To be taken back from the exchange.
    Recall,
}

const PARENT_ENDED: &str = "its parent order has ended";
const TIME_PASSED: &str = "its good-till date has passed";

impl House {
    /// One look at every order that lives; whether anything came of it.
    pub(super) fn tend(&mut self) -> bool {
        let mut acted = false;
        for place in self.orders.live() {
            let step = self.step_of(place);
            acted |= step != Step::Waits;
            match step {
                Step::Waits => {}
                Step::Freed => self.free(place),
                Step::Send => self.send_on(place),
                Step::End(reason) => self.end_held(place, reason),
                Step::Recall => self.recall(place),
            }
        }
        acted
    }

    fn step_of(&mut self, place: usize) -> Step {
        let now = self.now();
        let Some(order) = self.orders.at(place) else { return Step::Waits };
        let due = order.course.ends_at.is_some_and(|end| end <= now);
        match order.stage {
            Stage::Filled | Stage::Cancelled | Stage::Inactive => Step::Waits,
            Stage::Pending | Stage::Submitted => {
                let over = due && order.renews();
                let tried = order.is_immediate() && self.exchange.has_been_tried(&order.order_ref);
                let recalled = (over || tried) && !order.course.cancelling;
                if recalled { Step::Recall } else { Step::Waits }
            }
            Stage::Held if due && order.renews() => Step::End(TIME_PASSED),
            Stage::Held if due => Step::End(SESSION_ENDED),
            Stage::Held => self.step_of_held(place),
        }
    }

    fn step_of_held(&mut self, place: usize) -> Step {
        let Some(order) = self.orders.at(place) else { return Step::Waits };
        let bound = order.is_bound();
        let key = (order.order.client_id, order.order.parent_id);
        let parent = self.orders.place_of(key.0, key.1).and_then(|place| self.orders.at(place));
        match parent.map(|parent| parent.stage).filter(|_| bound) {
            Some(Stage::Cancelled | Stage::Inactive) => return Step::End(PARENT_ENDED),
            Some(Stage::Held | Stage::Pending | Stage::Submitted) => return Step::Waits,
            Some(Stage::Filled) => {
                return if order.course.withheld { Step::Waits } else { Step::Freed };
            }
            None => {}
        }
        if order.course.withheld
            || order.course.is_unsent()
            || self.is_away()
            || !self.is_open(order)
        {
            return Step::Waits;
        }
        if self.look(place) == Look::Reached { Step::Send } else { Step::Waits }
    }

    /// Whether every leg's market is in its session.
    pub(super) fn is_open(&self, order: &ClientOrder) -> bool {
        order.legs.iter().all(|leg| self.exchange.source().is_open(leg.conid))
    }

    /// Looks at the market for an order's stop; one without a stop has nothing to wait for.
    fn look(&mut self, place: usize) -> Look {
        let Some(order) = self.orders.at(place) else { return Look::Waits };
        let (Some(mut stop), [leg]) = (order.course.stop, order.legs.as_slice()) else {
            return Look::Reached;
        };
        let look = stop.look(&self.exchange.quoted(leg.conid), order.sign);
        if let Some(order) = self.orders.at_mut(place) {
            if stop.trail.is_some() {
                order.order.trail_stop = stop.at.map(Price::to_f64);
            }
            order.course.stop = Some(stop);
        }
        look
    }

    fn free(&mut self, place: usize) {
        if let Some(order) = self.orders.at_mut(place) {
            order.course.freed = true;
        }
        self.tell_later(place, None);
    }

    /// Sends an order to the exchange. One that it refuses has ended.
    fn send_on(&mut self, place: usize) {
        let sent = self.request_from(place).and_then(|request| {
            let order_ref = request.order_ref.clone();
            self.exchange.submit(request)?;
            Ok(order_ref)
        });
        match sent {
            Ok(order_ref) => {
                let Some(order) = self.orders.at_mut(place) else { return };
                order.stage = Stage::Pending;
                order.course.stop = None;
                let group = group_of(&order.order).ok().flatten();
                if let Some(group) = group {
                    self.exchange.join_group(&order_ref, group);
                }
            }
            Err(reject) => {
                let said = format!("Order rejected - reason:{}", reject.reason);
                self.end(place, Stage::Inactive, Some((201, said)));
            }
        }
    }

    /// What is left of an order, as the exchange takes it.
    fn request_from(&mut self, place: usize) -> Result<OrderRequest, Reject> {
        let gone = || Reject { code: 201, reason: "the order is gone".to_owned() };
        let order = self.orders.at(place).ok_or_else(gone)?;
        let limit = self.limit_of(order)?;
        let order = self.orders.at_mut(place).ok_or_else(gone)?;
        order.order.limit = limit;
        Ok(OrderRequest {
            order_ref: order.order_ref.clone(),
            legs: order.legs.clone(),
            quantity: order.quantity - order.filled,
            order_type: order_type_of(&order.order, order.sign)?,
        })
    }

    /// An order's limit; that of a trailing one follows from where its stop stood.
    fn limit_of(&self, order: &ClientOrder) -> Result<Option<f64>, Reject> {
        let stop = order.course.stop.and_then(|stop| stop.at);
        let ("TRAIL LIMIT", Some(stop), [leg]) =
            (order.order.order_type.as_str(), stop, order.legs.as_slice())
        else {
            return Ok(order.order.limit);
        };
        let offset = offset_of(&order.order)?;
        let step = self.exchange.price_step(leg.conid, stop);
        let limit = step.and_then(|step| limit_beyond(stop, offset, (step, order.sign)));
        match limit {
            Some(limit) => Ok(Some(limit.to_f64())),
            None => refuse(201, "its limit has no price step"),
        }
    }

    fn recall(&mut self, place: usize) {
        let Some(order) = self.orders.at_mut(place) else { return };
        order.course.cancelling = true;
        let order_ref = order.order_ref.clone();
        self.own_news.changed = true;
        // What ended in the meantime needs no recalling.
        let _ = self.exchange.cancel(&order_ref);
    }

    /// Ends an order that the exchange does not have.
    pub(super) fn end_held(&mut self, place: usize, reason: &str) {
        let said = format!("Order Canceled - reason:{reason}");
        self.end(place, Stage::Cancelled, Some((202, said)));
    }

    fn end(&mut self, place: usize, stage: Stage, said: Said) {
        let now = self.now();
        if let Some(order) = self.orders.at_mut(place) {
            order.stage = stage;
            order.ended_at = Some(now);
        }
        self.tell_later(place, said);
    }

    pub(super) fn tell_later(&mut self, place: usize, said: Said) {
        self.own_news.changed = true;
        self.own_news.told.push((place, said));
    }

    /// A close has ended an order at the exchange that outlives closes: it is held until the next
    /// session. `false` where it ends with it.
    pub(super) fn outlives(&mut self, place: usize, event: &OrderEvent) -> bool {
        let closed = event.status == BrokerStatus::Cancelled && event.reason == SESSION_ENDED;
        let Some(order) = self.orders.at(place).filter(|_| closed) else { return false };
        let course = &order.course;
        let over = course.ends_at.is_some_and(|end| end <= event.at);
        if !order.renews() || course.cancelling || over || self.orders.rename(place).is_err() {
            return false;
        }
        // A contract that has traded for the last time has no next session.
        let Ok(request) = self.request_from(place) else { return false };
        if self.exchange.check(&request).is_err() {
            return false;
        }
        if let Some(order) = self.orders.at_mut(place) {
            order.stage = Stage::Held;
            order.course.filled_before = order.filled;
        }
        true
    }

    /// Tells the held orders of a group of a fill of another: `filled` of the `of` that it had
    /// left. The exchange does the same to those that it has.
    pub(super) fn tell_group(&mut self, place: usize, (filled, of): (i64, i64)) {
        let Some(Ok(Some(group))) = self.orders.at(place).map(|one| group_of(&one.order)) else {
            return;
        };
        for other in self.orders.live().into_iter().filter(|other| *other != place) {
            let Some(held) = self.orders.at_mut(other).filter(|one| one.stage == Stage::Held)
            else {
                continue;
            };
            if held.order.oca_group != group.name {
                continue;
            }
            let remaining = held.quantity - held.filled;
            let left = match group.on_fill {
                OnFill::Cancel => 0,
                OnFill::Reduce => reduced(remaining, filled, of),
            };
            if left == 0 {
                self.end_held(other, GROUP_FILLED);
            } else if left < remaining {
                held.quantity = held.filled + left;
                held.order.quantity = held.quantity.into();
                self.tell_later(other, None);
            }
        }
    }

    /// A group of which an order has filled takes no more orders, until it is over: an assumption.
    pub(super) fn check_group(&self, group: Option<&OrderGroup>) -> Result<(), Reject> {
        let Some(group) = group.filter(|group| !self.is_group_over(&group.name)) else {
            return Ok(());
        };
        let done = |order: &&ClientOrder| match group.on_fill {
            OnFill::Cancel => order.filled > 0,
            OnFill::Reduce => order.stage == Stage::Filled,
        };
        if self.orders.of_group(&group.name).iter().any(done) {
            let reason = format!("an order of the group {} has filled", group.name);
            return refuse(201, format!("Order rejected - reason:{reason}"));
        }
        Ok(())
    }

    /// Whether a group's name is free: that it is once none of its orders lives and the day has
    /// changed is an assumption.
    pub(super) fn is_group_over(&self, name: &str) -> bool {
        let today = self.today();
        let over = |order: &ClientOrder| order.ended_on().is_some_and(|ended| ended < today);
        self.orders.of_group(name).into_iter().all(over)
    }

    /// Marks an order and those of its bracket above and beside it as sent by the client.
    pub(super) fn transmit(&mut self, place: usize) {
        let Some(order) = self.orders.at(place) else { return };
        let (client_id, parent_id) = (order.order.client_id, order.order.parent_id);
        let beside = |one: &ClientOrder| {
            let of_bracket = parent_id != 0 && one.order.parent_id == parent_id;
            one.order.client_id == client_id && of_bracket && one.is_withheld()
        };
        let reach = if self.is_away() { Reach::Unsent } else { Reach::Reached };
        let mut family = self.orders.live();
        family.retain(|other| *other == place || self.orders.at(*other).is_some_and(beside));
        for member in family {
            if let Some(order) = self.orders.at_mut(member) {
                order.course.withheld = false;
                order.course.reach = reach;
                order.order.transmit = true;
            }
            let said = self.outside_hours(member);
            self.tell_later(member, said);
        }
        let parent = (parent_id != 0).then(|| self.orders.place_of(client_id, parent_id)).flatten();
        // A parent has come before its child, so that this ends.
        if let Some(parent) = parent.filter(|parent| {
            *parent < place && self.orders.at(*parent).is_some_and(ClientOrder::is_withheld)
        }) {
            self.transmit(parent);
        }
    }

    /// The warning for an order that its market is closed to.
    pub(super) fn outside_hours(&self, place: usize) -> Said {
        let order = self.orders.at(place).filter(|order| !self.is_open(order))?;
        let opens = self.exchange.session_of(order.legs.first()?.conid)?.open;
        let wire = &order.order;
        let said = format!(
            "Order Message:\n{} {} {} {}\nWarning: Your order will not be placed at the exchange \
             until {}.",
            wire.action,
            wire.quantity.normalize(),
            order.contract.symbol,
            order.contract.security_type,
            spoken(opens)
        );
        Some((399, said))
    }

    /// How an order waits and ends, from what the client wrote.
    pub(super) fn course_of(
        &self,
        order: &WireOrder,
        request: &OrderRequest,
    ) -> Result<Course, Reject> {
        let life = Life::of(order, self.now())?;
        let kind = match request.legs.as_slice() {
            [leg] => self.instrument(leg.conid).map(|instrument| instrument.kind()),
            _ => None,
        };
        let stop = Stop::of(order, kind.unwrap_or(SecurityKind::Option))?;
        if stop.is_some() && request.legs.len() != 1 {
            return refuse(201, "Order rejected - reason:stops on combos are not simulated");
        }
        if order.order_type == "TRAIL LIMIT" {
            offset_of(order)?;
        }
        let close = request.legs.first().and_then(|leg| self.exchange.session_of(leg.conid));
        Ok(Course {
            withheld: !order.transmit,
            freed: false,
            stop,
            ends_at: life.ends_at(close.map(|session| session.close)),
            filled_before: 0,
            counted: 0,
            cancelling: false,
            reach: Reach::Reached,
        })
    }

    /// Whether the exchange could take an order at its prices, whatever the hour and the account.
    pub(super) fn check_form(
        &self,
        request: &OrderRequest,
        stop: Option<Stop>,
    ) -> Result<(), Reject> {
        self.exchange.check(request)?;
        let Some(at) = stop.filter(|stop| stop.trail.is_none()).and_then(|stop| stop.at) else {
            return Ok(());
        };
        let order_type = crate::structures::OrderType::Limit(at);
        self.exchange.check(&OrderRequest { order_type, ..request.clone() })
    }

    /// The next instant, up to `at`, at which a held order must be looked at.
    pub(super) fn next_look(&self, at: Timestamp) -> Timestamp {
        let now = self.now();
        let looks = self.orders.perhaps_live().filter(|order| !order.is_final());
        let looks = looks.flat_map(|order| [order.course.ends_at, self.looked_at(order)]);
        looks.flatten().filter(|look| *look > now).fold(at, Timestamp::min)
    }

    /// When the market is next looked at for a held order.
    fn looked_at(&self, order: &ClientOrder) -> Option<Timestamp> {
        let waits = order.course.withheld || order.course.is_unsent() || order.is_bound();
        if order.stage != Stage::Held || waits {
            return None;
        }
        if self.is_open(order) {
            return Some(self.now() + self.exchange.config().step);
        }
        let session = self.exchange.session_of(order.legs.first()?.conid)?;
        Some(if session.open > self.now() { session.open } else { session.close })
    }
}
