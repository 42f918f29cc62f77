//! What a broker does not report and its books show: options that expired or were assigned, and
//! cash that a person has named. A real journal and lake, a broker that does as it is told.

#![cfg(test)]

use deltadesk::market::{OptionRight, Timestamp, Usd};

use crate::double::{monday, option, stock, usd};
use crate::double_desk::Desk;
use crate::trader::holding;

const AFTER_EXPIRY_SECONDS: i64 = 60 * 86_400;

/// Kinds of executions in bronze, in the order of their coming.
fn kinds(desk: &Desk) -> Vec<String> {
    let rows = desk.rows("bronze", "executions");
    rows.iter().map(|row| row.text("execution_kind").unwrap().to_owned()).collect()
}

fn held(desk: &Desk) -> Vec<(i64, i64)> {
    let legs = desk.journal.borrow().held_legs().unwrap();
    legs.into_iter().map(|leg| (leg.conid.0, leg.quantity)).collect()
}

fn is_clean(said: &[String]) -> bool {
    said.is_empty()
}

#[test]
fn what_expired_worthless_is_booked_once() {
    let mut desk = holding();
    desk.wait(AFTER_EXPIRY_SECONDS);
    desk.broker.borrow_mut().positions.clear();
    let said = desk.reconcile();
    assert_eq!(said.iter().filter(|line| line.contains("booked expiry")).count(), 4, "{said:?}");
    assert_eq!(said.len(), 4, "{said:?}");
    assert_eq!(held(&desk), []);
    assert_eq!(kinds(&desk).iter().filter(|kind| *kind == "expiry").count(), 4);
    assert!(is_clean(&desk.reconcile()));
    assert_eq!(kinds(&desk).iter().filter(|kind| *kind == "expiry").count(), 4);
    assert!(desk.alerts().contains(&"booked from the broker's books".to_owned()));
}

#[test]
fn an_assigned_short_becomes_its_stock() {
    let mut desk = holding();
    let short = option(OptionRight::Put, 610.0).conid;
    {
        let mut broker = desk.broker.borrow_mut();
        let contracts = -broker.positions.remove(&short).unwrap();
        broker.positions.insert(stock().conid(), 100 * contracts);
        broker.cash -= usd(61_000.0).times(contracts);
    }
    let said = desk.reconcile();
    assert!(said.iter().any(|line| line.contains("booked assignment")), "{said:?}");
    assert!(said.iter().any(|line| line.contains("booked delivery")), "{said:?}");
    assert_eq!(said.len(), 2, "nothing is left: {said:?}");
    let stock = stock().conid().0;
    assert!(held(&desk).iter().any(|(conid, shares)| *conid == stock && *shares > 0));
    assert!(held(&desk).iter().all(|(conid, _)| *conid != short.0));
    assert!(is_clean(&desk.reconcile()));
}

#[test]
fn a_position_that_is_gone_for_no_reason_stays_a_difference() {
    let mut desk = holding();
    let short = option(OptionRight::Put, 610.0).conid;
    desk.broker.borrow_mut().positions.remove(&short);
    let said = desk.reconcile();
    assert!(said.iter().any(|line| line.contains("not explained")), "{said:?}");
    assert!(said.iter().any(|line| line.contains("missing")), "{said:?}");
    assert!(held(&desk).iter().any(|(conid, _)| *conid == short.0), "the desk still counts it");
}

#[test]
fn cash_is_booked_where_a_person_named_exactly_that_amount() {
    let mut desk = holding();
    desk.broker.borrow_mut().cash += usd(12.34);
    let said = desk.reconcile();
    assert!(said.iter().any(|line| line.contains("12.34")), "{said:?}");
    let confirm = |desk: &Desk, amount: Usd, at: Timestamp| {
        desk.journal.borrow_mut().confirm_cash(amount, "interest of February", at).unwrap();
    };
    confirm(&desk, usd(12.35), monday());
    let said = desk.reconcile();
    assert!(said.iter().any(|line| line.contains("not explained")), "{said:?}");
    confirm(&desk, usd(12.34), monday() + chrono::Duration::seconds(1));
    let said = desk.reconcile();
    assert!(said.iter().any(|line| line.contains("booked interest, 12.34")), "{said:?}");
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(is_clean(&desk.reconcile()));
    let waiting = desk.journal.borrow().unbooked_cash().unwrap();
    assert_eq!(waiting.len(), 1, "the amount that never moved still waits");
}
