//! Orders that somebody places in TWS by hand, here on a script's word, and their binding to client
//! 0.
//!
//! Such an order has no id before it is bound: who asks for all open orders reads 0. Bound, it has
//! a negative one, under which client 0 changes and cancels it. Assumptions: client 0 hears of an
//! order itself only once it is bound, but of its executions at once; a binding outlives the
//! connection.

use serde::Deserialize;

use super::event::Event;
use super::house::{House, SeatId};
use super::listing::named;
use super::request::Subscription;
use super::words::WireOrder;

/// The client that such orders are bound to.
pub(super) const HAND: i32 = 0;

/// An order as a script has it. USD a share or index points; without a limit it is a market order.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ByHand {
    /// A local symbol, as `SPY`, `ESH6` or `SPY   260417P00580000`.
    pub contract: String,
    pub action: String,
    pub quantity: i64,
    pub limit: Option<f64>,
}

impl House {
    pub(super) fn place_by_hand(&mut self, wanted: &ByHand) {
        let Some(contract) = named(self.exchange.source(), &wanted.contract) else {
            tracing::warn!(contract = wanted.contract, "no contract of the order by hand");
            return;
        };
        let order_type = if wanted.limit.is_some() { "LMT" } else { "MKT" };
        let order = WireOrder {
            action: wanted.action.clone(),
            quantity: wanted.quantity.into(),
            order_type: order_type.to_owned(),
            limit: wanted.limit,
            transmit: true,
            client_id: HAND,
            ..WireOrder::default()
        };
        let place = self.orders.next_place();
        if let Err(reject) = self.submit(&contract, order) {
            let (code, reason) = (reject.code, reject.reason);
            tracing::warn!(code, reason, "the order by hand was refused");
            return;
        }
        for seat in self.seats_that(|seat| seat.binds) {
            self.bind(seat, place);
        }
    }

    /// Only client 0 may have orders bound to it as they come.
    pub(super) fn bind_from_now(&mut self, seat: SeatId, client_id: i32, binding: Subscription) {
        if client_id != HAND {
            let said = "Only the client with id 0 may set the auto bind property.";
            return self.error(seat, (-1, 327), said);
        }
        self.change(seat, |seat| seat.binds = binding == Subscription::Begin);
    }

    /// All that wait for it.
    pub(super) fn bind_all(&mut self, seat: SeatId) {
        for place in self.orders.unbound() {
            self.bind(seat, place);
        }
    }

    fn bind(&mut self, seat: SeatId, place: usize) {
        let Some((perm_id, order_id)) = self.orders.bind(place) else { return };
        self.keep();
        self.send(seat, Event::OrderBound { perm_id, client_id: HAND, order_id });
    }
}

#[cfg(test)]
mod tests {
    use crate::gateway::keeping::Keeper;
    use crate::gateway::request::{Origin, Request};
    use crate::gateway::script::Script;
    use crate::gateway::scripted::{Desk, Told, again};
    use crate::gateway::weather::Weather;
    use crate::gateway::words::WireExecutionFilter;

    use super::*;

    /// Buys 2 SPY at 641 by hand after a second, and 3 after three.
    fn desk() -> Desk {
        let script: String = [(1, 2), (3, 3)]
            .map(|(at, quantity)| {
                format!(
                    "[[fault]]\nkind = 'manual_order'\nat_seconds = {at}\n[fault.order]\n\
                     contract = 'SPY'\naction = 'BUY'\nquantity = {quantity}\nlimit = 641.0\n"
                )
            })
            .concat();
        let mut desk = Desk::new();
        desk.house.weather = Weather::under(Script::parse(&script).unwrap());
        desk.minute(650.0);
        desk
    }

    fn ids(told: &[Told]) -> Vec<i32> {
        let mut ids: Vec<i32> = told.iter().map(|(id, _, _)| *id).collect();
        ids.dedup();
        ids
    }

    fn bound(events: &[Event]) -> Vec<i32> {
        let ids = events.iter().filter_map(|event| {
            let Event::OrderBound { order_id, client_id: HAND, .. } = event else { return None };
            Some(*order_id)
        });
        ids.collect()
    }

    #[test]
    fn an_order_by_hand_is_seen_by_all_who_ask_and_bound_by_client_0_alone() {
        let mut desk = desk();
        desk.house.turn(1.0);
        assert_eq!(desk.told_to(0), (vec![], vec![]), "it belongs to no client yet");
        assert_eq!(ids(&desk.told_to(2).0), [0], "the master client hears of all");
        desk.ask(Request::OpenOrders);
        assert!(ids(&desk.told().0).is_empty());
        desk.ask(Request::AllOpenOrders);
        assert_eq!(ids(&desk.told().0), [0]);
        desk.ask_as(0, Request::CancelOrder { order_id: 0 });
        assert_eq!(desk.told_to(0).1, [(0, 10_149)]);

        desk.ask_as(0, Request::OpenOrders);
        let heard = desk.heard(0);
        assert_eq!(bound(&heard), [-1]);
        desk.ask_as(0, Request::OpenOrders);
        assert_eq!(ids(&desk.told_to(0).0), [-1], "bound once");
        desk.house.turn(3.0);
        assert_eq!(desk.house.orders.unbound().len(), 1, "only what there was is bound");

        desk.ask(Request::CancelOrder { order_id: -1 });
        assert_eq!(desk.codes(), [(-1, 10_149)], "not an order of client 1");
        desk.ask_as(0, Request::CancelOrder { order_id: -1 });
        desk.minute(650.0);
        let (states, codes) = desk.told_to(0);
        let cancelled = states.iter().any(|(id, state, _)| *id == -1 && state == "Cancelled");
        assert!(cancelled && codes == [(-1, 202)], "{states:?} {codes:?}");
        for (from, count) in [(Origin::Anybody, 1), (Origin::Clients, 0)] {
            desk.ask(Request::CompletedOrders { from });
            let heard = desk.heard(1);
            let is_one = |event: &&Event| matches!(event, Event::CompletedOrder(_));
            assert_eq!(heard.iter().filter(is_one).count(), count, "{from:?}");
        }
    }

    #[test]
    fn client_0_may_have_orders_bound_as_they_come_and_hears_of_their_fills() {
        let mut desk = desk();
        desk.ask_as(0, Request::AutoOpenOrders { binding: Subscription::Begin });
        desk.house.turn(1.0);
        assert_eq!(bound(&desk.heard(0)), [-1]);
        desk.ask_as(0, Request::AutoOpenOrders { binding: Subscription::End });
        desk.house.turn(3.0);
        assert!(bound(&desk.heard(0)).is_empty());
        desk.minute(640.0);
        let executed = |events: &[Event]| {
            let ids = events.iter().filter_map(|event| {
                let Event::Execution { execution, .. } = event else { return None };
                Some(execution.order_id)
            });
            ids.collect::<Vec<_>>()
        };
        let mut heard = executed(&desk.heard(0));
        heard.sort_unstable();
        assert_eq!(heard, [-1, 0]);
        assert!(executed(&desk.heard(1)).is_empty(), "whose order was it?");
        let filter = Box::new(WireExecutionFilter::default());
        desk.ask(Request::Executions { req_id: 5, filter });
        assert_eq!(executed(&desk.heard(1)).len(), 2, "who asks is told");
    }

    #[test]
    fn a_binding_outlives_the_gateway() {
        let folder = tempfile::tempdir().unwrap();
        let keeper = Keeper::of(folder.path(), "scripted").unwrap();
        let mut desk = desk();
        desk.house.keeper = Some(keeper.clone());
        desk.house.turn(3.0);
        desk.ask_as(0, Request::OpenOrders);
        assert_eq!(bound(&desk.heard(0)), [-1, -2]);
        let mut later = again(&keeper, &desk.script);
        later.ask_as(0, Request::OpenOrders);
        assert_eq!(ids(&later.told_to(0).0), [-1, -2]);
    }

    #[test]
    fn a_script_names_the_order_and_nothing_that_is_no_order() {
        let text = |order: &str, kind: &str| {
            format!("[[fault]]\nkind = '{kind}'\nat_seconds = 1\nfor_seconds = 1\n{order}")
        };
        let order = "order = { contract = 'SPY', action = 'BUY', quantity = 1 }";
        assert!(Script::parse(&text(order, "manual_order")).is_ok());
        for (order, kind, said) in [
            ("", "manual_order", "order is missing"),
            (order, "drop", "belongs to manual_order"),
            ("order = { contract = 'SPY' }", "manual_order", "missing field"),
        ] {
            let fault = Script::parse(&text(order, kind)).unwrap_err().to_string();
            assert!(fault.contains(said), "{fault}");
        }
    }

    #[test]
    fn what_the_exchange_refuses_by_hand_is_no_order() {
        let mut desk = Desk::new();
        for (contract, quantity) in [("NONE", 1), ("SPY", 0)] {
            let contract = contract.to_owned();
            let action = "BUY".to_owned();
            desk.house.place_by_hand(&ByHand { contract, action, quantity, limit: None });
        }
        assert!(desk.stages().is_empty());
    }
}
