//! What comes of orders, told to whom it concerns, and told again to those who ask.

use chrono::{Datelike as _, NaiveDate};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;
use serde::{Deserialize, Serialize};

use crate::exchange::ExchangeEvent;
use crate::market::{ConId, Timestamp};
use crate::structures::{BrokerStatus, Execution, ExecutionKind, OrderEvent};

use super::by_hand::HAND;
use super::closes::day_of;
use super::event::{Event, OrderView};
use super::held::Said;
use super::house::{House, SeatId};
use super::listing::{SMART, describe, wire_id};
use super::orders::{ClientOrder, Stage};
use super::request::Origin;
use super::script::Happening;
use super::terms::instant_of;
use super::unasked::first_version;
use super::words::{WireContract, WireExecution, WireExecutionFilter, WireOrderState};

/// Looks at the held orders within one report: a fill frees a child, whose sending is news again.
/// What is left after that many waits for the next report.
const ROUNDS_MAX: usize = 16;

/// Executions are told for so many days, today included. That TWS keeps them for a week is known of
/// its trade log; that this is the most that a client gets is an assumption.
const DAYS_TOLD: i64 = 7;

/// One reported fill, for those who ask later.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Fill {
    pub(super) at: Timestamp,
    pub(super) contract: WireContract,
    pub(super) execution: WireExecution,
    /// USD; a combo as a whole has none of its own.
    pub(super) commission: Option<f64>,
    /// USD; of what only opens there is none.
    #[serde(default)]
    pub(super) realised: Option<f64>,
}

/// A trade of one contract.
pub(super) struct Traded {
    /// Bought positive.
    pub quantity: i64,
    /// USD a share or index points.
    pub price: f64,
    /// USD.
    pub commission: f64,
}

impl Fill {
    /// What was traded of a contract, if it was after an instant.
    pub fn traded_since(&self, since: Timestamp, conid: ConId) -> Option<Traded> {
        let is_of = self.at > since && i64::from(self.contract.con_id) == conid.0;
        let shares = is_of.then(|| self.execution.shares.to_i64()).flatten()?;
        Some(Traded {
            quantity: if self.execution.side == "BOT" { shares } else { -shares },
            price: self.execution.price,
            commission: self.commission.unwrap_or_default(),
        })
    }

    /// Whether it happened on one of the days that a client asks for, in New York: today, unless
    /// it asks for more.
    fn is_of_days(&self, filter: &WireExecutionFilter, today: NaiveDate) -> bool {
        let day = day_of(self.at);
        let number = day.year() * 10_000 + (day.month() * 100 + day.day()) as i32;
        let age = (today - day).num_days();
        let last_days = match filter.last_days {
            i32::MAX | ..1 => 1,
            days => i64::from(days),
        };
        if age >= DAYS_TOLD {
            return false;
        }
        if filter.dates.is_empty() { age < last_days } else { filter.dates.contains(&number) }
    }
}

impl House {
    pub(super) fn open_orders(&mut self, seat: SeatId, of_client: Option<i32>) {
        if of_client == Some(HAND) {
            self.bind_all(seat);
        }
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

    /// The orders that have ended today, in New York: that TWS forgets them at midnight is an
    /// assumption.
    pub(super) fn completed_orders(&mut self, seat: SeatId, from: Origin) {
        let today = self.today();
        let is_asked = |order: &&ClientOrder| match from {
            Origin::Anybody => true,
            Origin::Clients => !order.is_by_hand(),
        };
        let is_of_today = |order: &&ClientOrder| order.ended_on() == Some(today);
        let ended = self.orders.ended().filter(is_of_today).filter(is_asked);
        let views: Vec<OrderView> = ended.map(view).collect();
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
        let today = self.today();
        let any = |wanted: &str, has: &str| wanted.is_empty() || wanted == has;
        let found: Vec<Fill> = self
            .fills
            .iter()
            .filter(|fill| since.is_none_or(|since| fill.at >= since))
            .filter(|fill| filter.client_id == 0 || fill.execution.client_id == filter.client_id)
            .filter(|fill| any(&filter.symbol, &fill.contract.symbol))
            .filter(|fill| any(&filter.security_type, &fill.contract.security_type))
            .filter(|fill| any(side, &fill.execution.side))
            .filter(|fill| any(&filter.account, &fill.execution.account))
            .filter(|fill| any(&filter.exchange, &fill.execution.exchange))
            .filter(|fill| fill.is_of_days(filter, today))
            .cloned()
            .collect();
        for fill in found {
            for event in fill_events(req_id, &fill) {
                self.send(seat, event);
            }
        }
        self.send(seat, Event::ExecutionsEnd { req_id });
    }

    /// Tells everybody what the exchange has reported since the last time, and what came of it to
    /// the orders that it does not have. Nothing is told before it is kept.
    pub(super) fn report(&mut self) {
        self.held = Some(Vec::new());
        let mut anything = false;
        for _ in 0..ROUNDS_MAX {
            self.realised_news = self.exchange.take_realised();
            let news = self.exchange.take_events();
            anything |= !news.is_empty();
            self.take_news(news);
            let acted = self.tend();
            anything |= self.take_own_news() || acted;
            if !acted {
                break;
            }
        }
        if anything {
            self.keep();
        }
        let held = self.held.take().unwrap_or_default();
        for (seat, event) in self.distorted(held) {
            self.send(seat, event);
        }
    }

    /// In the order in which it happened: the legs of a fill together, and the state that they led
    /// to after them.
    fn take_news(&mut self, news: Vec<ExchangeEvent>) {
        let mut legs: Vec<Execution> = Vec::new();
        let mut moved = false;
        for event in news {
            let is_next_leg = matches!(&event, ExchangeEvent::Execution(next)
                if legs.first().is_some_and(|first| first.group_id == next.group_id));
            if !is_next_leg {
                self.take_fill(&std::mem::take(&mut legs));
            }
            match event {
                ExchangeEvent::Order(event) => self.report_order(&event),
                ExchangeEvent::Execution(execution) => {
                    moved = true;
                    self.note_realised(&execution);
                    if execution.kind == ExecutionKind::Trade {
                        legs.push(execution);
                    } else {
                        self.report_unasked(&execution);
                    }
                }
            }
        }
        self.take_fill(&legs);
        if moved {
            self.report_account();
        }
    }

    fn take_fill(&mut self, legs: &[Execution]) {
        if !legs.is_empty() {
            self.happens(Happening::Fill);
            self.report_fill(legs);
        }
    }

    fn report_order(&mut self, event: &OrderEvent) {
        let Some(place) = self.orders.place_of_ref(&event.order_ref) else { return };
        let Some(order) = self.orders.at_mut(place) else { return };
        order.filled = order.course.filled_before + event.filled;
        if order.quantity != order.filled + event.remaining {
            order.quantity = order.filled + event.remaining;
            order.order.quantity = order.quantity.into();
        }
        let fresh = order.filled - order.course.counted;
        order.course.counted = order.filled;
        if fresh > 0 {
            self.tell_group(place, (fresh, fresh + event.remaining));
        }
        if self.outlives(place, event) {
            return self.tell_order(place, &None);
        }
        let Some(order) = self.orders.at_mut(place) else { return };
        order.stage = match event.status {
            BrokerStatus::Working => Stage::Submitted,
            BrokerStatus::Filled => Stage::Filled,
            BrokerStatus::Cancelled => Stage::Cancelled,
            BrokerStatus::Rejected => Stage::Inactive,
        };
        if order.is_final() {
            order.ended_at = Some(event.at);
        }
        let said = match event.status {
            BrokerStatus::Cancelled => Some((202, "Order Canceled - reason:")),
            BrokerStatus::Rejected => Some((201, "Order rejected - reason:")),
            BrokerStatus::Working | BrokerStatus::Filled => None,
        };
        let said = said.map(|(code, said)| (code, format!("{said}{}", event.reason)));
        self.tell_order(place, &said);
    }

    /// Tells an order's state to whom it concerns, and its client what there is to say of it. One
    /// that its client has not sent yet is not told of, and one placed by hand, while it is not
    /// bound, to the master client alone.
    fn tell_order(&mut self, place: usize, said: &Said) {
        let Some(order) = self.orders.at(place).filter(|order| !order.is_withheld()) else {
            return;
        };
        let (client_id, order_id) = (order.order.client_id, order.order.order_id);
        let events = both(order);
        let master = self.rules.master_client;
        let is_unbound = order.is_unbound();
        for seat in self.watchers(client_id) {
            if is_unbound && self.client_of(seat) != master {
                continue;
            }
            for event in events.clone() {
                self.send(seat, event);
            }
            if let Some((code, said)) = said
                && self.client_of(seat) == Some(client_id)
            {
                self.error(seat, (order_id, *code), said);
            }
        }
    }

    /// What has happened to orders that the exchange does not have; whether there was anything.
    fn take_own_news(&mut self) -> bool {
        let news = std::mem::take(&mut self.own_news);
        let anything = news.changed || !news.told.is_empty();
        for (place, said) in news.told {
            self.tell_order(place, &said);
        }
        anything
    }

    /// Who is told what happens to the orders of a client: itself, and the master client.
    fn watchers(&self, client_id: i32) -> Vec<SeatId> {
        let master = self.rules.master_client;
        self.seats_that(|seat| {
            seat.client_id.is_some_and(|id| id == client_id || Some(id) == master)
        })
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
            let named =
                Named { exec_id: first_version(&format!("{}.00", first.group_id)), side, price };
            fills.push(Fill {
                at: first.at,
                contract: order.contract.clone(),
                execution: wire_execution(&order, named, whole.quantity, first.at),
                commission: None,
                realised: None,
            });
        }
        for execution in executions {
            let Some(instrument) = self.instrument(execution.conid) else { continue };
            let side = if execution.quantity > 0 { "BOT" } else { "SLD" };
            let price = execution.price.map(crate::market::Price::to_f64).unwrap_or_default();
            let exec_id = first_version(&execution.exec_id);
            let named = Named { exec_id, side, price };
            fills.push(Fill {
                at: execution.at,
                contract: describe(&instrument),
                execution: wire_execution(&order, named, execution.quantity.abs(), execution.at),
                commission: Some(execution.commission.to_f64()),
                realised: self.realised_by(execution),
            });
        }
        let client_id = order.order.client_id;
        self.tell_fills(client_id, fills);
    }

    /// Tells a client what was executed, and keeps it for those who ask.
    pub(super) fn tell_fills(&mut self, client_id: i32, fills: Vec<Fill>) {
        let seats = self.watchers(client_id);
        for fill in fills {
            for seat in &seats {
                for event in fill_events(-1, &fill) {
                    self.send(*seat, event);
                }
            }
            self.fills.push(fill);
        }
    }
}

fn view(order: &ClientOrder) -> OrderView {
    let ended = order.ended_at.map(local_time).unwrap_or_default();
    let completed_status =
        if order.is_final() { order.stage.as_str().to_owned() } else { String::new() };
    OrderView {
        contract: order.contract.clone(),
        order: order.order.clone(),
        state: WireOrderState {
            status: order.status().to_owned(),
            margin: None,
            completed_time: ended,
            completed_status,
        },
        filled: order.filled.into(),
    }
}

/// TWS tells an order and its status together.
fn both(order: &ClientOrder) -> [Event; 2] {
    [Event::OpenOrder(Box::new(view(order))), Event::OrderStatus(Box::new(order.wire_status()))]
}

/// `20260302 09:45:10 US/Eastern`.
pub(super) fn local_time(at: Timestamp) -> String {
    let local = at.with_timezone(&chrono_tz::America::New_York);
    local.format("%Y%m%d %H:%M:%S US/Eastern").to_string()
}

/// Combos of one fill and their net price, in the exchange's sign.
struct Whole {
    quantity: i64,
    price: Decimal,
}

fn whole_of(order: &ClientOrder, executions: &[Execution]) -> Whole {
    let ratio_of = |execution: &Execution| {
        let con_id = i64::from(wire_id(execution.conid).unwrap_or_default());
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
        side: named.side.to_owned(),
        shares: shares.into(),
        price: named.price,
        perm_id: order.order.perm_id,
        client_id: order.order.client_id,
        cumulative: order.filled.into(),
        average_price: order.shown(order.paid / Decimal::from(order.filled.max(1))),
        order_ref: order.order.order_ref.clone(),
        liquidation: false,
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
        events.push(Event::Commission { exec_id, amount, realised: fill.realised });
    }
    events
}
