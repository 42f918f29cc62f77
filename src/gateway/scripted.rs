//! A house over a market of scripted quotes, with clients who place orders on SPY: for tests.

use std::sync::Arc;

use chrono::TimeDelta;
use tokio::sync::mpsc::Receiver;

use crate::exchange::testing::{Bench, FixedMarket, Scripted, Shared};
use crate::exchange::{Exchange, ExchangeConfig};
use crate::market::Timestamp;
use crate::market::sessions::Calendar;
use crate::structures::testing::{monday, stock};

use super::event::Event;
use super::house::{House, SeatId};
use super::keeping::Keeper;
use super::request::Request;
use super::traffic::Rules;
use super::words::{WireContract, WireOrder};

/// A house on a script, with clients 0, 1 and 2, of whom 2 is the master.
pub struct Desk {
    pub house: House,
    pub script: Shared,
    pub seats: Vec<(SeatId, Receiver<Event>)>,
}

/// What a client was told of an order: its id, its status, and why it is held.
pub type Told = (i32, String, String);

pub fn order(action: &str, quantity: i64, order_type: &str) -> WireOrder {
    WireOrder {
        action: action.to_owned(),
        quantity: quantity.into(),
        order_type: order_type.to_owned(),
        transmit: true,
        ..WireOrder::default()
    }
}

pub fn limit(action: &str, quantity: i64, price: f64) -> WireOrder {
    WireOrder { limit: Some(price), ..order(action, quantity, "LMT") }
}

pub fn stop(action: &str, quantity: i64, price: f64) -> WireOrder {
    WireOrder { aux: Some(price), ..order(action, quantity, "STP") }
}

fn spy() -> WireContract {
    WireContract {
        symbol: "SPY".to_owned(),
        security_type: "STK".to_owned(),
        ..WireContract::default()
    }
}

impl Desk {
    pub fn new() -> Self {
        let bench = Bench::at(monday(), 1);
        let rules = Rules { master_client: Some(2), ..Rules::unpaced() };
        Self::over(House::new(bench.exchange, rules), bench.script)
    }

    fn over(house: House, script: Shared) -> Self {
        let mut desk = Self { house, script, seats: Vec::new() };
        for client_id in 0..3 {
            let (seat, inbox) = desk.house.seat();
            desk.seats.push((seat, inbox));
            desk.house.handle(seat, Request::StartApi { client_id }).unwrap();
            desk.heard(client_id as usize);
        }
        desk
    }

    /// Client 1 asks.
    pub fn ask(&mut self, request: Request) {
        self.ask_as(1, request);
    }

    pub fn ask_as(&mut self, client: usize, request: Request) {
        let seat = self.seats[client].0;
        self.house.handle(seat, request).unwrap();
    }

    pub fn place(&mut self, order_id: i32, order: WireOrder) {
        let order = Box::new(WireOrder { order_id, ..order });
        self.ask(Request::PlaceOrder { order_id, contract: Box::new(spy()), order });
    }

    pub fn heard(&mut self, client: usize) -> Vec<Event> {
        let inbox = &mut self.seats[client].1;
        std::iter::from_fn(|| inbox.try_recv().ok()).collect()
    }

    /// What client 1 has been told: states, and the codes of errors by order.
    pub fn told(&mut self) -> (Vec<Told>, Vec<(i32, i32)>) {
        self.told_to(1)
    }

    pub fn told_to(&mut self, client: usize) -> (Vec<Told>, Vec<(i32, i32)>) {
        let (mut states, mut codes) = (Vec::new(), Vec::new());
        for event in self.heard(client) {
            if let Event::OrderStatus(status) = &event {
                let status = status.clone();
                states.push((status.order_id, status.status, status.why_held));
            } else if let Event::Error { id, code, .. } = event {
                codes.push((id, code));
            }
        }
        (states, codes)
    }

    /// The states told, without why.
    pub fn states(&mut self) -> Vec<(i32, String)> {
        self.told().0.into_iter().map(|(id, status, _)| (id, status)).collect()
    }

    pub fn codes(&mut self) -> Vec<(i32, i32)> {
        self.told().1
    }

    /// A minute later SPY is quoted a cent wide around a price, a hundred on each side.
    pub fn minute(&mut self, middle: f64) {
        self.minute_of(middle, 100);
    }

    pub fn minute_of(&mut self, middle: f64, size: i64) {
        let at = self.house.now() + TimeDelta::minutes(1);
        let quote = Scripted { at, bid: middle - 0.01, ask: middle + 0.01, size };
        let conid = stock("SPY").conid();
        self.script.lock().unwrap().quotes.entry(conid).or_default().push(quote);
        self.house.advance_to(at).unwrap();
    }

    pub fn stages(&self) -> Vec<(i32, &'static str)> {
        self.house.orders.all().map(|order| (order.order.order_id, order.status())).collect()
    }

    pub fn filled(&self, order_id: i32) -> i64 {
        let mut all = self.house.orders.all();
        all.find(|order| order.order.order_id == order_id).map_or(0, |order| order.filled)
    }

    pub fn perm_id(&self, order_id: i32) -> i64 {
        let mut all = self.house.orders.all();
        all.find(|order| order.order.order_id == order_id).map_or(0, |order| order.order.perm_id)
    }

    /// From now on the market is open between two instants only.
    pub fn open_between(&mut self, open: &str, close: &str) {
        let at = |text: &str| -> Timestamp { text.parse().unwrap() };
        self.script.lock().unwrap().open = Some((at(open), at(close)));
    }
}

/// A house that goes on where one in a folder stood, as after a kill.
pub fn again(keeper: &Keeper, script: &Shared) -> Desk {
    let kept = keeper.read().unwrap().unwrap();
    let source = Box::new(FixedMarket::new(Arc::clone(script), monday()));
    let calendar = Arc::new(Calendar::shipped().unwrap());
    let config = ExchangeConfig::shipped(1);
    let exchange = Exchange::resumed(source, config, calendar, kept.exchange.clone()).unwrap();
    let mut house = House::new(exchange, Rules::unpaced());
    house.keeper = Some(keeper.clone());
    house.take_over(kept);
    Desk::over(house, Arc::clone(script))
}

pub fn child(parent_id: i32, order: WireOrder) -> WireOrder {
    WireOrder { parent_id, ..order }
}

pub fn withheld(order: WireOrder) -> WireOrder {
    WireOrder { transmit: false, ..order }
}

pub fn in_group(oca_type: i32, order: WireOrder) -> WireOrder {
    WireOrder { oca_group: "pair".to_owned(), oca_type, ..order }
}
