//! The desk after the broker was away: its books are compared before anything is entered, and what
//! differs again is told again.

#![cfg(test)]

use std::sync::Arc;

use chrono::Duration;
use deltadesk::broker::{BrokerEvent, Gap, Stream};
use deltadesk::desk::World;
use deltadesk::desk::files::shipped;
use deltadesk::desk::world::{Pace, Plans, WorldParts};
use deltadesk::journal::Journal;
use deltadesk::lake::{Durability, Lake, LakeOptions};
use deltadesk::market::{Clock as _, OptionRight};
use deltadesk::structures::{Execution, ExecutionKind, OrderRef, Purpose};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::double::{Double, Reading, condor, monday, option, price, usd};
use crate::double_desk::Desk;

const FIRST: &str = "1111111111111111";
const SECOND: &str = "2222222222222222";
const THIRD: &str = "3333333333333333";

fn desk() -> Desk {
    let all = [condor(610.0, 670.0), condor(605.0, 675.0)].concat();
    let contracts = all.into_iter().map(|(option, _)| option).collect();
    // What was refused is asked for again at once.
    Desk::new(contracts, |settings| settings.work.refused_entry_rest = Duration::zero())
}

fn gap() -> BrokerEvent {
    gap_of(Stream::All)
}

fn gap_of(stream: Stream) -> BrokerEvent {
    BrokerEvent::Gap(Gap {
        stream,
        from: monday(),
        until: monday() + Duration::seconds(30),
        reason: "connection lost".to_owned(),
    })
}

/// What reconciliations found, in order.
fn found(desk: &Desk) -> Vec<String> {
    let rows = desk.rows("ops", "reconciliation");
    rows.iter().map(|row| row.text("difference").unwrap().to_owned()).collect()
}

fn blocked(desk: &mut Desk, id: &str) -> bool {
    let decision = desk.open(id, &condor(605.0, 675.0));
    desk.act(&[decision]);
    desk.refused_by(&format!("{id}.open.0")).contains("R44")
}

#[test]
fn a_gap_is_followed_by_a_reconciliation_though_nothing_was_filled() {
    let mut desk = desk();
    assert_eq!(found(&desk), Vec::<String>::new());
    desk.broker.borrow_mut().events.push(gap());
    assert_eq!(desk.observe(), Vec::<String>::new());
    assert_eq!(found(&desk), ["clean"]);
    assert!(!blocked(&mut desk, FIRST));
    assert_eq!(desk.broker.borrow().placed.len(), 1);
    // What happened meanwhile and is told by nothing but the positions is found.
    let wing = option(OptionRight::Put, 600.0).conid;
    desk.broker.borrow_mut().positions.insert(wing, 1);
    desk.broker.borrow_mut().events.push(gap());
    let said = desk.observe();
    assert!(said.iter().any(|line| line.contains("extra")), "{said:?}");
    assert!(blocked(&mut desk, SECOND));
}

#[test]
fn a_time_without_quotes_is_told_and_leaves_the_books_alone() {
    let mut desk = desk();
    desk.broker.borrow_mut().events.push(gap_of(Stream::Quotes));
    assert_eq!(desk.observe(), Vec::<String>::new());
    assert_eq!(found(&desk), Vec::<String>::new());
    let alerts = desk.journal.borrow().undelivered_alerts().unwrap();
    let said: Vec<&str> = alerts.iter().map(|(alert, _)| alert.subject.as_str()).collect();
    assert_eq!(said, ["quotes were not heard"]);
    assert!(!blocked(&mut desk, FIRST));
}

#[test]
fn after_a_gap_nothing_is_entered_until_the_books_agree() {
    let mut desk = desk();
    desk.broker.borrow_mut().events.push(gap());
    desk.broker.borrow_mut().reading = Reading::Away;
    let said = desk.observe();
    assert!(said.iter().any(|line| line.contains("not made")), "{said:?}");
    // The account can be read again, and nothing has compared the books yet.
    desk.broker.borrow_mut().reading = Reading::Answers;
    assert!(blocked(&mut desk, FIRST));
    assert_eq!(desk.broker.borrow().placed.len(), 0);
    // The next look compares them, without another gap.
    desk.wait(600);
    desk.quote();
    desk.observe();
    assert_eq!(found(&desk), ["clean"]);
    assert!(!blocked(&mut desk, THIRD));
    assert_eq!(desk.broker.borrow().placed.len(), 1);
}

#[test]
fn an_execution_of_an_order_that_the_journal_never_had_is_told_and_blocks() {
    let mut desk = desk();
    let leg = option(OptionRight::Put, 600.0).conid;
    let stranger = OrderRef::new(SECOND, Purpose::Open, 0).unwrap();
    desk.broker.borrow_mut().positions.insert(leg, 1);
    desk.broker.borrow_mut().cash = usd(250_000.0 - 100.65);
    desk.broker.borrow_mut().events.push(BrokerEvent::Execution(Execution {
        exec_id: "x.1".to_owned(),
        order_ref: Some(stranger.clone()),
        perm_id: Some(9),
        group_id: "x".to_owned(),
        kind: ExecutionKind::Trade,
        conid: leg,
        quantity: 1,
        price: Some(price(1.0)),
        multiplier: 100,
        commission: usd(0.65),
        cash: usd(-100.65),
        at: monday(),
    }));
    let said = desk.observe();
    assert!(said.iter().any(|line| line.contains("extra")), "{said:?}");
    assert_eq!(found(&desk), ["extra"], "its cash counts, its contract is nobody's");
    let alerts = desk.journal.borrow().undelivered_alerts().unwrap();
    let alert = alerts.iter().map(|(alert, _)| alert);
    let alert = alert.clone().find(|one| one.subject.contains("belongs to no strategy")).unwrap();
    assert_eq!(alert.severity, "critical");
    assert!(alert.message.contains(stranger.as_str()), "{}", alert.message);
    assert!(blocked(&mut desk, THIRD));
}

#[test]
fn a_difference_that_comes_again_is_told_again() {
    let runtime = Runtime::new().unwrap();
    let home = TempDir::new().unwrap();
    let options = LakeOptions::local(Durability::Buffered);
    let lake = runtime.block_on(Lake::open(&home.path().join("lake"), options)).unwrap();
    let plans = Plans::read(&shipped()).map_err(|_| "faults").unwrap();
    let calendar = Arc::clone(&plans.calendar);
    let contracts = condor(610.0, 670.0).into_iter().map(|(option, _)| option).collect();
    let parts = WorldParts {
        plans,
        files: shipped(),
        lake,
        journal: Journal::in_memory().unwrap(),
        broker: Double::new(contracts),
        calendar,
        start: monday(),
        reports: home.path().join("reports"),
        opening_cash: usd(250_000.0),
        pace: Pace::Served,
    };
    let mut world = World::new(parts, runtime).unwrap();
    let wing = option(OptionRight::Put, 600.0).conid;
    for held in [1, 0, 1] {
        world.clock.advance_to(world.clock.now() + Duration::seconds(60));
        world.broker.borrow_mut().positions.insert(wing, held);
        world.broker.borrow_mut().events.push(gap());
        world.hear_out().unwrap();
    }
    let alerts = world.journal.borrow().undelivered_alerts().unwrap();
    let differ = alerts.iter().filter(|(alert, _)| alert.subject == "broker and desk differ");
    assert_eq!(differ.count(), 2, "{alerts:?}");
}

#[test]
fn what_was_executed_before_today_and_is_told_again_is_no_part_of_today() {
    let mut desk = desk();
    let leg = option(OptionRight::Put, 600.0).conid;
    let told = |exec_id: &str, at| {
        BrokerEvent::Execution(Execution {
            exec_id: exec_id.to_owned(),
            order_ref: None,
            perm_id: Some(9),
            group_id: "x".to_owned(),
            kind: ExecutionKind::Trade,
            conid: leg,
            quantity: 1,
            price: Some(price(1.0)),
            multiplier: 100,
            commission: usd(0.65),
            cash: usd(-100.65),
            at,
        })
    };
    let executed = |desk: &Desk| {
        let rows = desk.rows("bronze", "executions");
        rows.iter().map(|row| row.text("exec_id").unwrap().to_owned()).collect::<Vec<_>>()
    };
    let yesterday = monday() - Duration::days(1);
    // News of the night counts, once; that of today is told again for the live tables.
    for expected in [vec!["night", "today"], vec!["night", "today", "today"]] {
        let news = [told("night", yesterday), told("today", monday())];
        desk.broker.borrow_mut().events.extend(news);
        desk.observe();
        assert_eq!(executed(&desk), expected);
    }
}
