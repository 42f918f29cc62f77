//! What holds of orders that wait, whatever clients and the market do.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::keeping::Keeper;
use super::orders::{ClientOrder, Stage};
use super::request::Request;
use super::scripted::{Desk, again, child, in_group, limit, order, stop, withheld};
use super::words::WireOrder;

/// What happens next.
#[derive(Debug, Clone)]
enum Op {
    Place {
        shape: Shape,
        place: Place,
        price: i64,
        quantity: i64,
    },
    /// The price of the n-th order, moved by some cents; and it is to be sent.
    Move(usize, i64),
    Cancel(usize),
    CancelAll,
    /// A minute passes, to a price and a size.
    Minute(i64, i64),
    /// The market closes, and opens the next day.
    Night,
    Kill,
}

#[derive(Debug, Clone, Copy)]
enum Shape {
    Limit,
    Market,
    Stop,
    StopLimit,
    Trail,
}

/// Where an order stands among others.
#[derive(Debug, Clone, Copy)]
enum Place {
    Alone,
    Lasting,
    Withheld,
    Cancels,
    Reduces,
    /// A whole bracket around it.
    Bracket,
    /// A child of the n-th order.
    Child(usize),
}

fn op() -> impl Strategy<Value = Op> {
    let shape = prop_oneof![
        3 => Just(Shape::Limit),
        1 => Just(Shape::Market),
        2 => Just(Shape::Stop),
        1 => Just(Shape::StopLimit),
        1 => Just(Shape::Trail),
    ];
    let place = prop_oneof![
        2 => Just(Place::Alone),
        1 => Just(Place::Lasting),
        1 => Just(Place::Withheld),
        2 => Just(Place::Cancels),
        1 => Just(Place::Reduces),
        2 => Just(Place::Bracket),
        1 => (0_usize..12).prop_map(Place::Child),
    ];
    prop_oneof![
        5 => (shape, place, -300_i64..300, 1_i64..6).prop_map(|(shape, place, price, quantity)| {
            Op::Place { shape, place, price, quantity }
        }),
        1 => (0_usize..20, -100_i64..100).prop_map(|(nth, by)| Op::Move(nth, by)),
        1 => (0_usize..20).prop_map(Op::Cancel),
        1 => Just(Op::CancelAll),
        9 => (-300_i64..300, 0_i64..8).prop_map(|(price, size)| Op::Minute(price, size)),
        1 => Just(Op::Night),
        1 => Just(Op::Kill),
    ]
}

/// The desk, and what was seen of its orders before.
struct Course {
    desk: Desk,
    keeper: Keeper,
    next_id: i32,
    day: u32,
    before: BTreeMap<i32, (Stage, i64)>,
    /// The last state told of each order.
    told: BTreeMap<i32, String>,
}

fn shaped(shape: Shape, price: f64, quantity: i64, action: &str) -> WireOrder {
    match shape {
        Shape::Limit => limit(action, quantity, price),
        Shape::Market => order(action, quantity, "MKT"),
        Shape::Stop => stop(action, quantity, price),
        Shape::StopLimit => {
            WireOrder { limit: Some(price), aux: Some(price), ..order(action, quantity, "STP LMT") }
        }
        Shape::Trail => WireOrder { aux: Some(0.5), ..order(action, quantity, "TRAIL") },
    }
}

impl Course {
    fn place(&mut self, order: WireOrder) -> i32 {
        self.next_id += 1;
        self.desk.place(self.next_id, order);
        self.next_id
    }

    fn bracket(&mut self, parent: WireOrder, quantity: i64) {
        let middle = 640.0;
        let parent = self.place(withheld(parent));
        self.place(withheld(child(parent, limit("SELL", quantity, middle + 1.0))));
        self.place(child(parent, stop("SELL", quantity, middle - 1.0)));
    }

    fn happen(&mut self, op: &Op) {
        match *op {
            Op::Place { shape, place, price, quantity } => {
                let price = 640.0 + price as f64 / 100.0;
                let one = shaped(shape, price, quantity, "BUY");
                match place {
                    Place::Alone => drop(self.place(one)),
                    Place::Lasting => {
                        let lasting = WireOrder { time_in_force: "GTC".to_owned(), ..one };
                        self.place(lasting);
                    }
                    Place::Withheld => drop(self.place(withheld(one))),
                    Place::Cancels => drop(self.place(in_group(1, one))),
                    Place::Reduces => {
                        let group = WireOrder { oca_group: "share".to_owned(), ..one };
                        self.place(group);
                    }
                    Place::Bracket => self.bracket(one, quantity),
                    Place::Child(nth) => {
                        let parent = i32::try_from(nth).unwrap();
                        self.place(child(parent, one));
                    }
                }
            }
            Op::Move(nth, by) => {
                let known = self.desk.house.orders.at(nth).map(|known| known.order.clone());
                if let Some(mut known) = known {
                    let moved = |price: f64| ((price * 100.0).round() + by as f64) / 100.0;
                    known.limit = known.limit.map(moved);
                    known.aux = known.aux.map(|aux| if aux > 100.0 { moved(aux) } else { aux });
                    known.transmit = true;
                    self.desk.place(known.order_id, known);
                }
            }
            Op::Cancel(nth) => {
                let order_id = i32::try_from(nth).unwrap();
                self.desk.ask(Request::CancelOrder { order_id });
            }
            Op::CancelAll => self.desk.ask(Request::GlobalCancel),
            Op::Minute(price, size) => self.desk.minute_of(640.0 + price as f64 / 100.0, size),
            Op::Night => self.night(),
            Op::Kill => {
                self.hear();
                self.desk = again(&self.keeper, &self.desk.script);
            }
        }
        self.hear();
    }

    /// Monday to Friday.
    fn night(&mut self) {
        if self.day >= 6 {
            return;
        }
        let close = format!("2026-03-0{}T21:00:00Z", self.day);
        self.desk.house.advance_to(close.parse().unwrap()).unwrap();
        self.day += 1;
        let at = |time| format!("2026-03-0{}T{time}:00Z", self.day);
        self.desk.open_between(&at("14:30"), &at("21:00"));
        self.desk.house.advance_to(at("14:30").parse().unwrap()).unwrap();
    }

    /// Nothing else is told of an order after its end.
    fn hear(&mut self) {
        for (order_id, status) in self.desk.states() {
            let last = self.told.insert(order_id, status.clone());
            let ended = |last: &String| ["Filled", "Cancelled", "Inactive"].contains(&&**last);
            if let Some(last) = last.filter(ended) {
                assert_eq!(last, status, "order {order_id} has ended");
            }
        }
    }

    fn all(&self) -> Vec<ClientOrder> {
        self.desk.house.orders.all().cloned().collect()
    }

    fn check(&mut self) {
        let all = self.all();
        let at_exchange = self.desk.house.exchange.open_orders();
        let refs: BTreeSet<_> =
            at_exchange.iter().map(|open| open.request.order_ref.clone()).collect();
        assert_eq!(refs.len(), at_exchange.len());
        let sent = |order: &&ClientOrder| matches!(order.stage, Stage::Pending | Stage::Submitted);
        let known: BTreeSet<_> =
            all.iter().filter(sent).map(|order| order.order_ref.clone()).collect();
        assert_eq!(known, refs, "what is sent is at the exchange, once, and nothing else is");

        let held: i64 = all.iter().map(|order| order.sign * order.filled).sum();
        let positions = self.desk.house.exchange.positions();
        assert_eq!(held, positions.iter().map(|position| position.quantity).sum::<i64>());
        let perm_ids: BTreeSet<i64> = all.iter().map(|order| order.order.perm_id).collect();
        assert_eq!(perm_ids.len(), all.len(), "no permanent id is given twice");
        for order in &all {
            assert!((0..=order.quantity).contains(&order.filled), "{order:?}");
            self.check_one(order, &all);
        }
        let group = self.desk.house.orders.of_group("pair");
        let filled = group.iter().filter(|order| order.filled > 0);
        assert!(filled.count() <= 1, "of a group that cancels one order fills");
    }

    fn check_one(&mut self, order: &ClientOrder, all: &[ClientOrder]) {
        let id = order.order.order_id;
        let now = (order.stage, order.order.perm_id);
        if let Some((stage, perm_id)) = self.before.insert(id, now) {
            assert_eq!(perm_id, now.1, "order {id} keeps its permanent id");
            let ended = matches!(stage, Stage::Filled | Stage::Cancelled | Stage::Inactive);
            assert!(!ended || stage == now.0, "order {id} was {stage:?}, is {:?}", now.0);
        }
        let children = || all.iter().filter(|other| other.order.parent_id == id);
        if order.stage != Stage::Filled {
            let acts = |child: &ClientOrder| {
                child.filled > 0 || matches!(child.stage, Stage::Pending | Stage::Submitted)
            };
            assert!(!children().any(acts), "a child acts before order {id} has filled");
        }
        let sells = || children().filter(|child| child.sign < 0);
        let undone: i64 = sells().map(|child| child.filled).sum();
        assert!(undone <= order.filled, "a bracket undoes no more than was done");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn orders_that_wait_keep_their_laws(ops in prop::collection::vec(op(), 1..45)) {
        let folder = tempfile::tempdir().unwrap();
        let keeper = Keeper::of(folder.path(), "scripted").unwrap();
        let mut desk = Desk::new();
        desk.house.keeper = Some(keeper.clone());
        desk.open_between("2026-03-02T14:30:00Z", "2026-03-02T21:00:00Z");
        desk.house.keep();
        let (before, told) = (BTreeMap::new(), BTreeMap::new());
        let mut course = Course { desk, keeper, next_id: 0, day: 2, before, told };
        for op in &ops {
            course.happen(op);
            course.check();
        }
    }
}
