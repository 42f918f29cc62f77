//! IB out of reach, and farms that are broken: what waits until they are back.
//!
//! While IB is away the exchange stands still before the house's eyes, and goes over the gap when
//! it is back: what has filled meanwhile is told after 1102, with the times at which it happened. A
//! new order waits as `PendingSubmit`; cancels and changes of orders that IB has go to it then.
//!
//! Assumptions about TWS: that it takes orders meanwhile; that history answers 162, and contract
//! details come once the farms are back. What waits is not kept over a restart but for new orders.

use super::faults::Fault;
use super::house::{House, SeatId};
use super::orders::{ClientOrder, Stage};
use super::terms::Reach;
use super::words::{WireContract, WireOrder};

/// Requests that may wait; more are dropped.
const WAITING_MAX: usize = 1_000;

/// What is answered once IB or its farms are back.
pub(super) enum Waits {
    /// An order by its place in the book.
    Cancel(usize),
    Change(SeatId, (i32, i32), Box<(WireContract, WireOrder)>),
    Details(SeatId, i32, Box<WireContract>),
}

/// What history answers meanwhile.
pub(super) const NO_HISTORY: (i32, &str) =
    (162, "Historical Market Data Service error message:HMDS data farm connection is broken");

impl House {
    /// Whether IB is out of reach.
    pub(super) fn is_away(&self) -> bool {
        let lost = [Fault::ConnectivityLost, Fault::ConnectivityAndDataLost];
        lost.iter().any(|fault| self.faults.contains(fault))
    }

    /// Whether neither bars nor contracts can be had.
    pub(super) fn has_no_farms(&self) -> bool {
        self.is_away() || self.faults.contains(&Fault::FarmsDown)
    }

    /// Whether an order is with IB and IB is away.
    pub(super) fn is_beyond_reach(&self, place: usize) -> bool {
        let has = |order: &ClientOrder| match order.stage {
            Stage::Pending | Stage::Submitted => true,
            Stage::Held => !order.course.withheld && !order.course.is_unsent(),
            Stage::Filled | Stage::Cancelled | Stage::Inactive => false,
        };
        self.is_away() && self.orders.at(place).is_some_and(has)
    }

    pub(super) fn wait(&mut self, what: Waits) {
        if self.waiting.len() < WAITING_MAX {
            self.waiting.push(what);
        } else {
            tracing::warn!("{WAITING_MAX} requests wait for IB; one more is dropped");
        }
    }

    /// What has waited goes on, where nothing keeps it any more.
    pub(super) fn catch_up(&mut self) {
        let waits = || self.orders.perhaps_live().any(|order| order.course.is_unsent());
        if self.is_away() || (self.waiting.is_empty() && !waits()) {
            return;
        }
        for place in self.orders.live() {
            let order = self.orders.at_mut(place).filter(|order| order.course.is_unsent());
            if let Some(order) = order {
                order.course.reach = Reach::Reached;
                self.tell_later(place, None);
            }
        }
        for what in std::mem::take(&mut self.waiting) {
            match what {
                // What has ended in the meantime needs no cancelling.
                Waits::Cancel(place) => drop(self.cancel_at(place)),
                Waits::Change(seat, key, to) => {
                    let answer = self.modify(key, &to.0, &to.1);
                    self.told(seat, key.1, answer.map(|()| None));
                }
                what @ Waits::Details(..) if self.has_no_farms() => self.wait(what),
                Waits::Details(seat, req_id, wanted) => {
                    self.contract_details(seat, req_id, &wanted);
                }
            }
        }
        self.report();
    }
}

#[cfg(test)]
mod tests {
    use crate::exchange::testing::Scripted;
    use crate::gateway::event::Event;
    use crate::gateway::request::{HistoryRequest, Request};
    use crate::gateway::script::Script;
    use crate::gateway::scripted::{Desk, limit, order};
    use crate::gateway::weather::Weather;
    use crate::structures::testing::{monday, stock};

    use super::*;

    /// A fault from the second 10 to 20.
    fn desk(kind: &str) -> Desk {
        let mut desk = Desk::new();
        let script = format!("[[fault]]\nkind = '{kind}'\nat_seconds = 10.0\nfor_seconds = 10.0\n");
        desk.house.weather = Weather::under(Script::parse(&script).unwrap());
        desk
    }

    /// The wall's second is the market's minute: SPY a cent wide around a price.
    fn at(desk: &mut Desk, second: i64, middle: f64) {
        let at = monday() + chrono::TimeDelta::minutes(second);
        let quote = Scripted { at, bid: middle - 0.01, ask: middle + 0.01, size: 100 };
        let conid = stock("SPY").conid();
        desk.script.lock().unwrap().quotes.entry(conid).or_default().push(quote);
        desk.house.turn(second as f64);
        desk.house.advance_to(at).unwrap();
    }

    fn codes(told: &[Event]) -> Vec<i32> {
        let code = |event: &Event| {
            let Event::Error { code, .. } = event else { return None };
            Some(*code)
        };
        told.iter().filter_map(code).collect()
    }

    #[test]
    fn what_fills_while_ib_is_away_is_told_when_it_is_back_with_its_own_time() {
        for kind in ["connectivity_lost", "connectivity_and_data_lost"] {
            let mut desk = desk(kind);
            at(&mut desk, 1, 650.0);
            desk.place(1, limit("BUY", 3, 640.0));
            at(&mut desk, 5, 650.0);
            desk.heard(1);
            at(&mut desk, 10, 650.0);
            assert_eq!(codes(&desk.heard(1)), [1100], "{kind}");
            at(&mut desk, 12, 639.0);
            at(&mut desk, 15, 655.0);
            desk.ask(Request::Positions);
            let told = desk.heard(1);
            assert!(matches!(told.as_slice(), [Event::PositionEnd]), "{kind}: {told:?}");
            at(&mut desk, 20, 655.0);
            let told = desk.heard(1);
            assert!(matches!(told[0], Event::Error { code: 1101 | 1102, .. }), "{told:?}");
            let times: Vec<&str> = told
                .iter()
                .filter_map(|event| {
                    let Event::Execution { execution, .. } = event else { return None };
                    Some(&*execution.time)
                })
                .collect();
            assert!(times.len() == 1 && times[0].starts_with("20260302 10:12"), "{times:?}");
            assert_eq!(desk.filled(1), 3);
        }
    }

    #[test]
    fn an_order_that_is_placed_meanwhile_waits_for_ib_and_is_not_filled_in_the_gap() {
        let mut desk = desk("connectivity_lost");
        at(&mut desk, 1, 650.0);
        at(&mut desk, 10, 650.0);
        desk.heard(1);
        desk.place(1, limit("BUY", 1, 640.0));
        desk.place(2, order("BUY", 1, "MKT"));
        let pending = |id| (id, "PendingSubmit".to_owned());
        assert_eq!(desk.states(), [pending(1), pending(2)]);
        desk.ask(Request::CancelOrder { order_id: 2 });
        assert_eq!(desk.states(), [(2, "Cancelled".to_owned())], "IB never had it");
        at(&mut desk, 12, 630.0);
        at(&mut desk, 15, 650.0);
        assert_eq!(desk.house.exchange.open_orders().len(), 0);
        at(&mut desk, 20, 650.0);
        assert_eq!(desk.states().last(), Some(&(1, "Submitted".to_owned())));
        assert_eq!(desk.filled(1), 0, "the gap is not its own");
        at(&mut desk, 22, 639.0);
        at(&mut desk, 23, 639.0);
        assert_eq!((desk.filled(1), desk.filled(2)), (1, 0));
    }

    #[test]
    fn what_ib_has_is_changed_and_cancelled_when_it_is_back() {
        let mut desk = desk("connectivity_lost");
        at(&mut desk, 1, 650.0);
        for order_id in 1..4 {
            desk.place(order_id, limit("BUY", 1, 640.0));
        }
        at(&mut desk, 10, 650.0);
        desk.heard(1);
        desk.ask(Request::CancelOrder { order_id: 1 });
        desk.place(2, limit("BUY", 1, 645.0));
        desk.ask(Request::CancelOrder { order_id: 9 });
        assert_eq!(desk.codes(), [(9, 10_147)], "what is not known need not be asked");
        assert_eq!(desk.stages(), [(1, "Submitted"), (2, "Submitted"), (3, "Submitted")]);
        at(&mut desk, 20, 650.0);
        at(&mut desk, 21, 644.0);
        at(&mut desk, 22, 644.0);
        assert_eq!(desk.stages(), [(1, "Cancelled"), (2, "Filled"), (3, "Submitted")]);
    }

    #[test]
    fn without_farms_history_fails_and_contract_details_wait() {
        for kind in ["farms_down", "connectivity_lost"] {
            let mut desk = desk(kind);
            let spy = WireContract {
                symbol: "SPY".to_owned(),
                security_type: "STK".to_owned(),
                ..WireContract::default()
            };
            at(&mut desk, 10, 650.0);
            desk.heard(1);
            let wanted = HistoryRequest { contract: spy.clone(), ..HistoryRequest::default() };
            desk.ask(Request::History { req_id: 4, wanted: Box::new(wanted) });
            assert_eq!(codes(&desk.heard(1)), [162], "{kind}");
            desk.ask(Request::ContractDetails { req_id: 5, contract: Box::new(spy) });
            at(&mut desk, 15, 650.0);
            assert!(desk.heard(1).is_empty(), "{kind}");
            at(&mut desk, 20, 650.0);
            let told = desk.heard(1);
            let has = |event: &Event| matches!(event, Event::ContractDetailsEnd { req_id: 5 });
            assert!(told.iter().any(has), "{kind}: {told:?}");
        }
    }
}
