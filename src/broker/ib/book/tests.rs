//! What the book must never do, whatever TWS sends: duplicated, late, out of order, or not at all.

use ibapi::contracts::{ComboLeg, LegAction};
use ibapi::orders::{Order, OrderState};
use proptest::prelude::*;

use ibapi::contracts::Contract;
use ibapi::orders::{CommissionReport, ExecutionData, ExecutionSide};
use ibapi::prelude::SecurityType;

use super::executions::instant_of;
use super::*;
use crate::structures::{ExecutionKind, OrderLeg, Purpose};

pub(super) const ORDER: i32 = 7;
pub(super) const PERM: i64 = 4_711;

pub(super) fn now() -> Timestamp {
    chrono::DateTime::from_timestamp(1_772_463_600, 0).unwrap()
}

pub(super) fn order_ref() -> OrderRef {
    OrderRef::new("0123456789abcdef", Purpose::Open, 0).unwrap()
}

/// Two puts: 3 combos of a spread whose long leg is traded twice.
fn request() -> OrderRequest {
    OrderRequest {
        order_ref: order_ref(),
        legs: vec![
            OrderLeg { conid: ConId(11), ratio: -1 },
            OrderLeg { conid: ConId(12), ratio: 2 },
        ],
        quantity: 3,
        order_type: OrderType::Limit(Price::from_f64(-0.5).unwrap()),
    }
}

pub(super) fn status(kind: OrderStatusKind, filled: f64) -> OrderStatus {
    OrderStatus {
        order_id: ORDER,
        status: kind,
        filled,
        remaining: 3.0 - filled,
        perm_id: PERM,
        ..OrderStatus::default()
    }
}

pub(super) fn execution(conid: i32, n: i32, shares: f64) -> ExecutionData {
    let contract = Contract {
        contract_id: conid,
        security_type: SecurityType::Option,
        multiplier: "100".to_owned(),
        ..Contract::default()
    };
    let execution = ibapi::orders::Execution {
        order_id: ORDER,
        execution_id: format!("0000.{conid}.{n:02}"),
        time: "20260302 10:31:05 US/Eastern".to_owned(),
        side: if conid == 11 { ExecutionSide::Sold } else { ExecutionSide::Bought },
        shares,
        price: 1.25,
        perm_id: PERM,
        order_reference: order_ref().to_string(),
        ..ibapi::orders::Execution::default()
    };
    ExecutionData { request_id: -1, contract, execution }
}

pub(super) fn commission(conid: i32, n: i32) -> CommissionReport {
    CommissionReport {
        execution_id: format!("0000.{conid}.{n:02}"),
        commission: 0.65,
        ..CommissionReport::default()
    }
}

pub(super) fn sent() -> Book {
    let mut book = Book::default();
    book.sending(ORDER, request());
    book
}

pub(super) fn states(events: &[BrokerEvent]) -> Vec<(BrokerStatus, i64)> {
    let states = events.iter().filter_map(|event| match event {
        BrokerEvent::Order(event) => Some((event.status, event.filled)),
        BrokerEvent::Execution(_) | BrokerEvent::Gap(_) => None,
    });
    states.collect()
}

pub(super) fn executions(events: &[BrokerEvent]) -> Vec<&Execution> {
    let found = events.iter().filter_map(|event| match event {
        BrokerEvent::Execution(execution) => Some(execution),
        BrokerEvent::Order(_) | BrokerEvent::Gap(_) => None,
    });
    found.collect()
}

#[test]
fn a_fill_is_told_after_all_its_executions_and_their_commissions() {
    let mut book = sent();
    book.hear_status(&status(OrderStatusKind::Submitted, 0.0), now());
    assert_eq!(states(&book.take_events()), [(BrokerStatus::Working, 0)]);
    book.hear_status(&status(OrderStatusKind::Filled, 3.0), now());
    book.hear_execution(&execution(11, 1, 3.0), now());
    book.hear_commission(&commission(11, 1), now());
    let events = book.take_events();
    assert_eq!((executions(&events).len(), states(&events).len()), (1, 0));
    assert!(book.is_owed(), "the second leg has not come");
    book.hear_execution(&execution(12, 1, 6.0), now());
    assert!(book.take_events().is_empty(), "no execution without its commission");
    book.hear_commission(&commission(12, 1), now());
    let events = book.take_events();
    assert_eq!(states(&events), [(BrokerStatus::Filled, 3)]);
    assert!(matches!(events.last(), Some(BrokerEvent::Order(_))), "the state comes last");
    assert!(!book.is_owed() && book.open_orders().is_empty());
}

/// The order as the broker lists it among the ended ones, where its own id is gone.
fn completed(permanent: i64) -> OrderData {
    OrderData {
        order_id: -1,
        order: Order { perm_id: permanent, order_ref: order_ref().to_string(), ..Order::default() },
        ..OrderData::default()
    }
}

#[test]
fn an_order_that_filled_before_it_was_acknowledged_is_told_once_its_executions_have_come() {
    let mut book = sent();
    book.hear_execution(&execution(11, 1, 3.0), now());
    book.hear_commission(&commission(11, 1), now());
    assert_eq!(book.perm_id(ORDER), Some(PERM), "the execution names it");
    book.hear_completed(&completed(PERM), (BrokerStatus::Filled, "Filled"), now());
    assert_eq!(states(&book.take_events()), []);
    assert!(book.is_owed());
    book.hear_execution(&execution(12, 1, 6.0), now());
    book.hear_commission(&commission(12, 1), now());
    assert_eq!(states(&book.take_events()), [(BrokerStatus::Filled, 3)]);
}

#[test]
fn an_order_that_ended_unseen_ends_as_the_broker_lists_it_with_what_was_filled() {
    let mut book = sent();
    book.hear_completed(&completed(PERM), (BrokerStatus::Cancelled, "Cancelled"), now());
    assert_eq!(states(&book.take_events()), [(BrokerStatus::Cancelled, 0)]);
    let mut book = sent();
    for (conid, shares) in [(11, 1.0), (12, 2.0)] {
        book.hear_execution(&execution(conid, 1, shares), now());
        book.hear_commission(&commission(conid, 1), now());
    }
    book.hear_completed(&completed(PERM), (BrokerStatus::Cancelled, "Cancelled"), now());
    assert_eq!(states(&book.take_events()), [(BrokerStatus::Cancelled, 1)]);
    book.hear_completed(&completed(PERM), (BrokerStatus::Filled, "Filled"), now());
    assert!(book.take_events().is_empty(), "over is over");
}

#[test]
fn an_order_of_which_nothing_is_told_is_doubtful_until_it_is_looked_for() {
    let mut book = sent();
    assert_eq!(book.doubtful(), [ORDER].into(), "written, and nothing heard");
    book.hear_execution(&execution(11, 1, 3.0), now());
    book.hear_execution(&execution(12, 1, 6.0), now());
    assert_eq!((book.executed(ORDER), book.perm_id(ORDER)), (3, Some(PERM)));
    for conid in [11, 12] {
        book.hear_commission(&commission(conid, 1), now());
    }
    assert_eq!(book.doubtful(), [ORDER].into(), "its executions say no state");
    book.hear_refusal(ORDER, "no longer at the broker", now());
    assert_eq!(states(&book.take_events()), [(BrokerStatus::Filled, 3)]);
    assert!(book.doubtful().is_empty());
}

#[test]
fn a_working_order_that_was_filled_unheard_is_doubtful() {
    let mut book = sent();
    book.hear_status(&status(OrderStatusKind::Submitted, 0.0), now());
    assert!(book.doubtful().is_empty());
    book.hear_execution(&execution(11, 1, 3.0), now());
    assert!(book.doubtful().is_empty(), "one leg is no combo");
    book.hear_execution(&execution(12, 1, 6.0), now());
    assert_eq!(book.doubtful(), [ORDER].into());
    book.hear_status(&status(OrderStatusKind::Filled, 3.0), now());
    assert!(book.doubtful().is_empty());
}

/// An execution in IB's own naming, of a version.
fn version(n: u32, shares: f64) -> ExecutionData {
    let mut data = execution(11, 1, shares);
    data.execution.execution_id = format!("0000e0d5.65e2a1b7.01.{n:02}");
    data
}

fn paid(n: u32) -> CommissionReport {
    CommissionReport { execution_id: format!("0000e0d5.65e2a1b7.01.{n:02}"), ..commission(11, 1) }
}

#[test]
fn a_correction_is_given_as_it_comes_and_counts_no_shares_twice() {
    let mut book = sent();
    book.hear_execution(&version(1, 3.0), now());
    book.hear_commission(&paid(1), now());
    book.hear_execution(&version(2, 3.0), now());
    book.hear_commission(&paid(2), now());
    let events = book.take_events();
    let told: Vec<i64> = executions(&events).iter().map(|one| one.quantity).collect();
    assert_eq!(told, [-3, -3], "both as they are: the journal knows what was counted");
    book.hear_status(&status(OrderStatusKind::Filled, 3.0), now());
    assert!(states(&book.take_events()).is_empty(), "the second leg is owed, not the first twice");
    book.hear_execution(&execution(12, 1, 6.0), now());
    book.hear_commission(&commission(12, 1), now());
    assert_eq!(states(&book.take_events()), [(BrokerStatus::Filled, 3)]);
}

#[test]
fn a_broken_trade_needs_no_commission_and_an_older_version_comes_too_late() {
    let mut book = sent();
    book.hear_execution(&version(2, 0.0), now());
    let events = book.take_events();
    assert_eq!(executions(&events).len(), 1);
    book.hear_execution(&version(1, 3.0), now());
    book.hear_commission(&paid(1), now());
    book.hear_commission(&paid(2), now());
    assert!(book.take_events().is_empty() && !book.is_owed());
}

#[test]
fn what_ib_closes_by_force_is_nobodys_order() {
    let mut book = sent();
    let mut forced = execution(11, 1, 3.0);
    forced.execution.liquidation = 1;
    forced.execution.perm_id = 0;
    forced.execution.order_reference = String::new();
    book.hear_execution(&forced, now());
    book.hear_commission(&commission(11, 1), now());
    let events = book.take_events();
    let [one] = executions(&events)[..] else { panic!("one execution") };
    assert_eq!((one.kind, &one.order_ref), (ExecutionKind::Liquidation, &None));
}

#[test]
fn money_of_an_execution_is_that_of_its_contract() {
    let mut book = sent();
    book.hear_execution(&execution(12, 1, 6.0), now());
    book.hear_commission(&commission(12, 1), now());
    let events = book.take_events();
    let found = executions(&events)[0];
    assert_eq!((found.quantity, found.multiplier), (6, 100));
    assert_eq!(found.cash, Usd::from_f64(-6.0 * 1.25 * 100.0 - 0.65).unwrap());
    assert_eq!(found.at.to_rfc3339(), "2026-03-02T15:31:05+00:00");
    assert_eq!(found.order_ref, Some(order_ref()));
    let mut future = execution(13, 1, 1.0);
    future.contract.security_type = SecurityType::Future;
    book.hear_execution(&future, now());
    book.hear_commission(&commission(13, 1), now());
    let events = book.take_events();
    assert_eq!(executions(&events)[0].cash, Usd::from_f64(-0.65).unwrap());
}

#[test]
fn the_whole_of_a_combo_moves_no_position() {
    let mut book = sent();
    let mut whole = execution(0, 1, 3.0);
    whole.contract.security_type = SecurityType::Spread;
    book.hear_execution(&whole, now());
    book.hear_commission(&commission(0, 1), now());
    assert!(book.take_events().is_empty());
}

#[test]
fn legs_of_one_fill_form_one_group_and_those_of_the_next_another() {
    let mut book = sent();
    for (conid, n, shares) in [(11, 1, 1.0), (12, 1, 2.0), (11, 2, 2.0), (12, 2, 4.0)] {
        book.hear_execution(&execution(conid, n, shares), now());
        book.hear_commission(&commission(conid, n), now());
    }
    let events = book.take_events();
    let groups: Vec<&str> = executions(&events).iter().map(|one| one.group_id.as_str()).collect();
    assert_eq!(groups, ["4711-1", "4711-1", "4711-3", "4711-3"]);
}

#[test]
fn inactive_is_looked_up_and_a_refusal_is_told_once() {
    let mut book = sent();
    book.hear_status(&status(OrderStatusKind::Submitted, 0.0), now());
    book.take_events();
    let heard = book.hear_status(&status(OrderStatusKind::Inactive, 0.0), now());
    assert_eq!(heard, Heard::Doubtful(ORDER));
    assert!(book.take_events().is_empty(), "nothing has ended");
    book.hear_refusal(ORDER, "201 no margin", now());
    book.hear_refusal(ORDER, "201 no margin", now());
    assert_eq!(states(&book.take_events()), [(BrokerStatus::Rejected, 0)]);
}

#[test]
fn an_order_that_is_gone_and_was_executed_is_filled_whatever_the_code_says() {
    for (combos, ended) in [(3, BrokerStatus::Filled), (1, BrokerStatus::Cancelled)] {
        let mut book = sent();
        book.hear_status(&status(OrderStatusKind::Submitted, 0.0), now());
        for (conid, ratio) in [(11, 1), (12, 2)] {
            book.hear_execution(&execution(conid, 1, f64::from(combos * ratio)), now());
            book.hear_commission(&commission(conid, 1), now());
        }
        book.hear_refusal(ORDER, "104 Cannot modify a filled order.", now());
        let last = states(&book.take_events()).last().copied();
        assert_eq!(last, Some((ended, i64::from(combos))));
    }
}

#[test]
fn an_order_of_an_earlier_process_is_known_by_its_reference() {
    let leg =
        |contract_id, ratio, action| ComboLeg { contract_id, ratio, action, ..ComboLeg::default() };
    let contract = Contract {
        security_type: SecurityType::Spread,
        combo_legs: vec![leg(12, 2, LegAction::Buy), leg(11, 1, LegAction::Sell)],
        ..Contract::default()
    };
    let order = Order {
        action: Action::Buy,
        total_quantity: 3.0,
        limit_price: Some(-0.5),
        perm_id: PERM,
        order_ref: order_ref().to_string(),
        ..Order::default()
    };
    let state = OrderState::default();
    let mut data = OrderData { order_id: 3, contract, order, order_state: state };
    let mut book = Book::default();
    book.hear_open(&data);
    let open = book.open_orders();
    assert_eq!((open.len(), open[0].request.clone(), open[0].perm_id), (1, request(), PERM));
    data.order.order_ref = "somebody else's".to_owned();
    let mut book = Book::default();
    book.hear_open(&data);
    assert!(book.open_orders().is_empty(), "not ours to touch");
}

#[test]
fn times_are_read_in_the_zone_that_they_name() {
    assert_eq!(instant_of("20260302-14:31:05").unwrap().to_rfc3339(), "2026-03-02T14:31:05+00:00");
    assert_eq!(
        instant_of("20260702 09:31:05 America/New_York").unwrap().to_rfc3339(),
        "2026-07-02T13:31:05+00:00"
    );
    for nonsense in ["", "yesterday", "20260302 09:31:05 Mars/Base", "20260308 02:30:00 US/Eastern"]
    {
        assert_eq!(instant_of(nonsense), None, "{nonsense}");
    }
}

/// One message of the broker about the order.
#[derive(Debug, Clone)]
enum Message {
    Working(i64),
    Filled,
    Execution(i32, i32),
    Commission(i32, i32),
    Refused,
}

fn tell(book: &mut Book, message: &Message) {
    match message {
        Message::Working(filled) => {
            book.hear_status(&status(OrderStatusKind::Submitted, *filled as f64), now());
        }
        Message::Filled => {
            book.hear_status(&status(OrderStatusKind::Filled, 3.0), now());
        }
        Message::Execution(conid, n) => {
            let ratio = if *conid == 11 { 1.0 } else { 2.0 };
            book.hear_execution(&execution(*conid, *n, ratio), now());
        }
        Message::Commission(conid, n) => book.hear_commission(&commission(*conid, *n), now()),
        // An informational code reaches the book in no way at all.
        Message::Refused => {}
    }
}

fn whole_life() -> Vec<Message> {
    let mut messages = vec![Message::Working(0), Message::Filled, Message::Refused];
    for n in 1..=3 {
        messages.push(Message::Working(i64::from(n) - 1));
        for conid in [11, 12] {
            messages.extend([Message::Execution(conid, n), Message::Commission(conid, n)]);
        }
    }
    messages
}

proptest! {
    #[test]
    fn whatever_the_order_and_however_often_each_fill_is_counted_once(
        shuffled in Just(whole_life()).prop_shuffle(),
        repeated in proptest::collection::vec(0..18_usize, 0..40),
    ) {
        let life = whole_life();
        let mut book = sent();
        let mut events = Vec::new();
        let again = repeated.iter().filter_map(|index| life.get(*index));
        for message in shuffled.iter().chain(again) {
            tell(&mut book, message);
            events.extend(book.take_events());
        }
        let moved = |conid| -> i64 {
            let found = executions(&events).into_iter().filter(|one| one.conid == ConId(conid));
            found.map(|one| one.quantity).sum()
        };
        prop_assert_eq!((moved(11), moved(12)), (-3, 6));
        let cost: Usd = executions(&events).into_iter().map(|one| one.commission).sum();
        prop_assert_eq!(cost, Usd::from_f64(0.65 * 6.0).unwrap());
        let told = states(&events);
        prop_assert_eq!(told.last(), Some(&(BrokerStatus::Filled, 3)));
        let filled = told.iter().filter(|one| one.0 == BrokerStatus::Filled).count();
        prop_assert_eq!(filled, 1);
        let after = events.iter().skip_while(|event| {
            !matches!(event, BrokerEvent::Order(one) if one.status == BrokerStatus::Filled)
        });
        prop_assert_eq!(after.count(), 1, "nothing is told after the end");
    }
}
