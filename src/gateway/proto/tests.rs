//! What is told of orders and profit, read back from its protobuf.

#![cfg(test)]

use prost::Message as _;

use super::super::event::{Event, OrderView};
use super::super::request::{Origin, Request};
use super::super::words::{WireContract, WireMargin, WireOrder, WireOrderState};
use super::{decode, encode, schema};

fn view(quantity: i64, filled: i64, margin: Option<WireMargin>) -> Box<OrderView> {
    Box::new(OrderView {
        contract: WireContract::default(),
        order: WireOrder { quantity: quantity.into(), ..WireOrder::default() },
        state: WireOrderState { margin, ..WireOrderState::default() },
        filled: filled.into(),
    })
}

fn read<M: prost::Message + Default>(event: &Event) -> M {
    M::decode(&encode(event)[4..]).unwrap()
}

#[test]
fn a_completed_order_says_what_is_left_where_an_open_one_says_its_size() {
    for (filled, left) in [(5, "0"), (2, "3"), (0, "5")] {
        let told: schema::CompletedOrder = read(&Event::CompletedOrder(view(5, filled, None)));
        let order = told.order.unwrap();
        assert_eq!(order.total_quantity.as_deref(), Some(left));
        assert_eq!(order.filled_quantity, Some(filled.to_string()));
        let told: schema::OpenOrder = read(&Event::OpenOrder(view(5, filled, None)));
        let order = told.order.unwrap();
        assert_eq!((order.total_quantity.as_deref(), order.filled_quantity), (Some("5"), None));
    }
}

#[test]
fn a_what_if_fills_every_figure() {
    let margin = WireMargin {
        initial_before: 1.0,
        maintenance_before: 2.0,
        equity_before: 30.0,
        initial_after: 11.0,
        maintenance_after: 22.0,
        equity_after: 25.0,
        commission: 1.5,
    };
    let told: schema::OpenOrder = read(&Event::OpenOrder(view(1, 0, Some(margin))));
    let state = told.order_state.unwrap();
    let before =
        [state.init_margin_before, state.maint_margin_before, state.equity_with_loan_before];
    assert_eq!(before, [1.0, 2.0, 30.0].map(Some));
    let change =
        [state.init_margin_change, state.maint_margin_change, state.equity_with_loan_change];
    assert_eq!(change, [10.0, 20.0, -5.0].map(Some));
    let after = [state.init_margin_after, state.maint_margin_after, state.equity_with_loan_after];
    assert_eq!(after, [11.0, 22.0, 25.0].map(Some));
    let commission =
        [state.commission_and_fees, state.min_commission_and_fees, state.max_commission_and_fees];
    assert_eq!(commission, [Some(1.5); 3]);
}

#[test]
fn realised_profit_has_its_place() {
    let told: schema::PnlSingle = read(&Event::PnlSingle {
        req_id: 1,
        position: 2.into(),
        daily: None,
        unrealised: 3.0,
        realised: 4.0,
        value: 5.0,
    });
    let profits = (told.unrealized_pnl, told.realized_pnl, told.value);
    assert_eq!(profits, (Some(3.0), Some(4.0), Some(5.0)));
}

#[test]
fn completed_orders_are_asked_for_with_and_without_those_by_hand() {
    let asked = |api_only| {
        let body = schema::CompletedOrdersRequest { api_only }.encode_to_vec();
        decode(&[&299_u32.to_be_bytes()[..], &body].concat()).unwrap()
    };
    assert_eq!(asked(Some(true)), Request::CompletedOrders { from: Origin::Clients });
    for api_only in [Some(false), None] {
        assert_eq!(asked(api_only), Request::CompletedOrders { from: Origin::Anybody });
    }
}
