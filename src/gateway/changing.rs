//! Orders placed once more under their id: what may change of them, and what may not.
//!
//! Of an order at the exchange price, size and life may change; of one that is held also its stop,
//! and whether it is to be sent. Side, contract, type, parent and group never change: that would
//! move what nobody meant. A size that has filled already is no size: that IB answers 105 is an
//! assumption.

use crate::structures::{OrderRequest, Reject};

use super::house::House;
use super::orders::{ClientOrder, Stage, order_type_of, refuse, request_of};
use super::script::Happening;
use super::terms::{Course, Life};
use super::trading::formal;
use super::words::{WireContract, WireOrder};

const TOO_SMALL: &str =
    "Order being modified does not match original order: so much of it has filled";

impl House {
    pub(super) fn modify(
        &mut self,
        (client_id, order_id): (i32, i32),
        contract: &WireContract,
        order: &WireOrder,
    ) -> Result<(), Reject> {
        let place = self.orders.place_of(client_id, order_id);
        let Some((place, known)) = place.and_then(|place| Some((place, self.orders.at(place)?)))
        else {
            return refuse(103, "Duplicate order id");
        };
        let known = known.clone();
        match known.stage {
            Stage::Filled => return refuse(104, "Cannot modify a filled order."),
            Stage::Cancelled | Stage::Inactive => return refuse(103, "Duplicate order id"),
            Stage::Held | Stage::Pending | Stage::Submitted => {}
        }
        let order_ref = known.order_ref.clone();
        let request = request_of(self.exchange.source(), contract, &formal(order), order_ref)?;
        if !is_same(&known, order, &request) {
            return refuse(105, "Order being modified does not match original order");
        }
        if known.stage == Stage::Held {
            self.change_held(place, order, &request)
        } else {
            self.change_working(place, order, &request)
        }
    }

    fn change_working(
        &mut self,
        place: usize,
        order: &WireOrder,
        request: &OrderRequest,
    ) -> Result<(), Reject> {
        let life = Life::of(order, self.now())?;
        let Some(known) = self.orders.at(place) else { return Ok(()) };
        if request.quantity <= known.filled {
            return refuse(105, TOO_SMALL);
        }
        // A trailing order's limit was made when its stop was reached.
        let trailed = order.order_type == "TRAIL LIMIT";
        let order_type =
            if trailed { order_type_of(&known.order, known.sign)? } else { request.order_type };
        // The exchange has what was left when it last went there, and tells the new size once it
        // takes effect.
        let left = request.quantity - known.course.filled_before;
        let is_resized = self.exchange.wanted(&request.order_ref) != Some(left);
        if is_resized {
            self.exchange.resize(&request.order_ref, (left, order_type))?;
        } else if !trailed {
            self.exchange.amend(&request.order_ref, order_type)?;
        }
        let Some(known) = self.orders.at_mut(place) else { return Ok(()) };
        if !trailed {
            known.order.limit = order.limit;
        }
        // The exchange itself ends a DAY order with its session.
        known.course.ends_at = life.ends_at(None);
        life.as_str().clone_into(&mut known.order.time_in_force);
        known.order.good_till.clone_from(&order.good_till);
        self.own_news.changed = true;
        self.happens(Happening::OrderChanged);
        Ok(())
    }

    fn change_held(
        &mut self,
        place: usize,
        order: &WireOrder,
        request: &OrderRequest,
    ) -> Result<(), Reject> {
        let new = self.course_of(order, request)?;
        self.check_form(request, new.stop)?;
        let life = Life::of(order, self.now())?;
        let Some(known) = self.orders.at_mut(place) else { return Ok(()) };
        if request.quantity <= known.filled {
            return refuse(105, TOO_SMALL);
        }
        let old = &known.course;
        let sent = old.withheld && !new.withheld;
        // A stop that is left as it was goes on from where it has come to.
        let reached = old.stop.is_none();
        let kept = reached || is_same_stop(&known.order, order);
        known.course = Course {
            stop: if kept { old.stop } else { new.stop },
            ends_at: new.ends_at,
            ..old.clone()
        };
        if !kept {
            known.order.trail_stop = order.trail_stop;
        }
        if !(reached && order.order_type == "TRAIL LIMIT") {
            known.order.limit = order.limit;
        }
        known.order.aux = order.aux;
        known.order.trailing_percent = order.trailing_percent;
        known.order.limit_offset = order.limit_offset;
        known.order.trigger_method = order.trigger_method;
        known.order.outside_rth = order.outside_rth;
        known.order.quantity = order.quantity;
        known.quantity = request.quantity;
        life.as_str().clone_into(&mut known.order.time_in_force);
        known.order.good_till.clone_from(&order.good_till);
        if sent {
            self.transmit(place);
        } else {
            self.tell_later(place, None);
        }
        Ok(())
    }
}

/// Whether an order is the one that is known, but for what may change.
fn is_same(known: &ClientOrder, order: &WireOrder, request: &OrderRequest) -> bool {
    request.legs == known.legs
        && order.order_type == known.order.order_type
        && order.parent_id == known.order.parent_id
        && (order.oca_group.is_empty() || order.oca_group == known.order.oca_group)
}

/// Whether a client leaves the stop of an order as it wrote it before. A client that sends back
/// what it was shown sends a trailing stop where it had come to.
fn is_same_stop(known: &WireOrder, order: &WireOrder) -> bool {
    let stays = order.trail_stop.is_none() || order.trail_stop == known.trail_stop;
    stays
        && (known.aux, known.trailing_percent) == (order.aux, order.trailing_percent)
        && known.trigger_method == order.trigger_method
}
