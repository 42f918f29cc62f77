//! The trader against a broker that answers as it is told: unknown fates, exits with a worthless
//! wing, reconciliation after a fill, two entries of one sweep, price steps.

#![cfg(test)]

use deltadesk::market::OptionRight;
use deltadesk::structures::{OrderState, OrderType};
use serde_json::Value;

use crate::double::{Answer, Reading, condor, option, price, usd};
use crate::double_desk::{Desk, close};

const FIRST: &str = "1111111111111111";
const SECOND: &str = "2222222222222222";
const THIRD: &str = "3333333333333333";

fn contracts() -> Vec<deltadesk::market::OptionContract> {
    let all = [condor(610.0, 670.0), condor(605.0, 675.0)].concat();
    all.into_iter().map(|(option, _)| option).collect()
}

fn desk() -> Desk {
    Desk::new(contracts(), |_| {})
}

/// A desk that holds a condor, opened by [`FIRST`].
pub fn holding() -> Desk {
    let mut desk = desk();
    let decision = desk.open(FIRST, &condor(610.0, 670.0));
    let said = desk.act(&[decision]);
    assert!(said[0].contains("sent"), "{said:?}");
    desk.broker.borrow_mut().fill_last();
    assert_eq!(desk.observe(), Vec::<String>::new());
    desk
}

fn state_of(desk: &Desk, order: &str) -> OrderState {
    let order_ref = order.parse().unwrap();
    desk.journal.borrow().order(&order_ref).unwrap().unwrap().state
}

#[test]
fn a_broker_that_is_away_leaves_no_snapshot_behind_and_stops_no_sweep() {
    let mut desk = holding();
    assert_eq!(desk.read_account(), Vec::<String>::new());
    let rows = |desk: &Desk| {
        let count = |name: &str| desk.rows("bronze", name).iter().count();
        (count("positions"), count("account"))
    };
    assert_eq!(rows(&desk), (4, 1));
    desk.broker.borrow_mut().reading = Reading::Away;
    let said = desk.read_account();
    assert_eq!(said, ["account and positions: not read: connection lost"]);
    assert_eq!(rows(&desk), (4, 1), "no snapshot of an account that nobody read");
    let decision = desk.open(SECOND, &condor(605.0, 675.0));
    desk.act(&[decision]);
    assert_eq!(desk.broker.borrow().placed.len(), 1, "and nothing is entered");
}

#[test]
fn an_order_whose_answer_is_lost_is_never_sent_again_until_it_is_found() {
    let mut desk = desk();
    desk.broker.borrow_mut().answer = Answer::Silent;
    let decision = desk.open(FIRST, &condor(610.0, 670.0));
    let said = desk.act(&[decision]);
    assert!(said[0].contains("unknown"), "{said:?}");
    let order = format!("{FIRST}.open.0");
    assert_eq!(state_of(&desk, &order), OrderState::Unknown);
    assert!(desk.alerts().contains(&"an order of unknown fate".to_owned()));
    assert_eq!(desk.trader.borrow().next_work_at(), None);
    // Nothing else is entered in its underlying, and it counts in the book.
    desk.broker.borrow_mut().answer = Answer::Takes;
    let decision = desk.open(SECOND, &condor(605.0, 675.0));
    desk.act(&[decision]);
    let refused = desk.refused_by(&format!("{SECOND}.open.0"));
    assert!(refused.contains("R44") && refused.contains("D6N"), "{refused:?}");
    assert_eq!(desk.broker.borrow().placed.len(), 1);
    // The broker lists it: it works, and is stepped again.
    desk.observe();
    assert_eq!(state_of(&desk, &order), OrderState::Working);
    assert!(desk.trader.borrow().next_work_at().is_some());
}

#[test]
fn an_order_that_the_broker_never_had_ends_after_a_clean_reconciliation_and_a_wait() {
    let mut desk = desk();
    desk.broker.borrow_mut().answer = Answer::Silent;
    let decision = desk.open(FIRST, &condor(610.0, 670.0));
    desk.act(&[decision]);
    desk.broker.borrow_mut().open.clear();
    let order = format!("{FIRST}.open.0");
    desk.wait(60);
    desk.observe();
    assert_eq!(state_of(&desk, &order), OrderState::Unknown);
    desk.wait(600);
    desk.observe();
    assert_eq!(state_of(&desk, &order), OrderState::Cancelled);
}

#[test]
fn an_order_of_unknown_fate_that_its_executions_make_up_was_filled() {
    let mut desk = desk();
    desk.broker.borrow_mut().answer = Answer::Silent;
    let decision = desk.open(FIRST, &condor(610.0, 670.0));
    desk.act(&[decision]);
    desk.broker.borrow_mut().fill_last();
    // Its end is never told, as of an order that was filled while the desk was away.
    desk.broker.borrow_mut().events.pop();
    desk.observe();
    assert_eq!(state_of(&desk, &format!("{FIRST}.open.0")), OrderState::Filled);
}

#[test]
fn an_order_that_is_refused_at_once_is_over() {
    let mut desk = desk();
    desk.broker.borrow_mut().answer = Answer::Refuses;
    let decision = desk.open(FIRST, &condor(610.0, 670.0));
    let said = desk.act(&[decision]);
    assert!(said[0].contains("rejected"), "{said:?}");
    assert_eq!(state_of(&desk, &format!("{FIRST}.open.0")), OrderState::Rejected);
    assert_eq!(desk.trader.borrow().next_work_at(), None);
}

#[test]
fn a_verdict_is_in_the_journal_with_its_order_and_the_gates_own_loss() {
    let desk = holding();
    let order_ref = format!("{FIRST}.open.0").parse().unwrap();
    let checks = desk.journal.borrow().checks_of(&order_ref).unwrap().unwrap();
    let checks: Value = serde_json::from_str(&checks).unwrap();
    let checks = checks.as_array().unwrap();
    assert_eq!(checks.len(), deltadesk::risk::check_ids().count());
    assert!(checks.iter().all(|check| check["result"] != "fail"));
    let strategies = desk.journal.borrow().strategies().unwrap();
    assert!(strategies[0].max_loss_each > usd(500.0));
}

#[test]
fn after_a_fill_the_broker_is_reconciled_and_a_difference_blocks_and_alerts() {
    let mut desk = holding();
    let rows = desk.rows("ops", "reconciliation");
    let last = rows.iter().last().unwrap();
    assert_eq!(last.text("difference").unwrap(), "clean");
    // Somebody takes a wing away: the next news finds it.
    let wing = option(OptionRight::Put, 600.0).conid;
    let decision = close(SECOND, FIRST, &condor(610.0, 670.0));
    desk.act(&[decision]);
    desk.broker.borrow_mut().fill_last();
    *desk.broker.borrow_mut().positions.entry(wing).or_default() += 1;
    let said = desk.observe();
    assert!(said.iter().any(|line| line.contains("extra")), "{said:?}");
    assert!(desk.alerts().contains(&"broker and desk differ".to_owned()));
    let decision = desk.open(THIRD, &condor(605.0, 675.0));
    desk.act(&[decision]);
    assert!(desk.refused_by(&format!("{THIRD}.open.0")).contains("R44"));
}

#[test]
fn a_wing_that_nobody_bids_for_stays_and_the_rest_is_closed() {
    let mut desk = holding();
    let wing = option(OptionRight::Put, 600.0).conid;
    desk.broker.borrow_mut().quotes.insert(wing, (None, Some(price(0.05))));
    desk.quote();
    desk.wait(60);
    let decision = close(SECOND, FIRST, &condor(610.0, 670.0));
    let said = desk.act(&[decision]);
    assert!(said[0].contains("sent"), "{said:?}");
    let placed = desk.broker.borrow().placed.last().unwrap().clone();
    assert_eq!(placed.legs.len(), 3);
    assert!(placed.legs.iter().all(|leg| leg.conid != wing));
    desk.broker.borrow_mut().fill_last();
    assert_eq!(desk.observe(), Vec::<String>::new());
    let held = desk.journal.borrow().held_legs().unwrap();
    assert_eq!(held.iter().map(|leg| leg.conid).collect::<Vec<_>>(), [wing]);
    // The wing alone cannot be sold: that is said once a session.
    let left = vec![(option(OptionRight::Put, 600.0), 1)];
    for id in [THIRD, "4444444444444444"] {
        let said = desk.act(&[close(id, FIRST, &left)]);
        assert!(said[0].contains("nobody bids"), "{said:?}");
    }
    let alerts = desk.alerts();
    assert_eq!(alerts.iter().filter(|one| *one == "an exit did not go").count(), 1, "{alerts:?}");
}

#[test]
fn an_exit_without_a_fraction_is_not_guessed() {
    let mut desk = holding();
    let mut decision = close(SECOND, FIRST, &condor(610.0, 670.0));
    decision["fraction"] = Value::Null;
    let said = desk.act(&[decision]);
    assert!(said[0].contains("skipped"), "{said:?}");
    assert_eq!(desk.broker.borrow().placed.len(), 1);
    assert!(desk.alerts().contains(&"an exit did not go".to_owned()));
}

#[test]
fn two_entries_of_one_sweep_share_the_limit_of_vega() {
    let alone = {
        let mut desk = desk();
        let decision = desk.open(FIRST, &condor(610.0, 670.0));
        desk.act(&[decision]);
        let checks = desk.rows("ops", "risk_checks");
        let row = checks.iter().find(|row| row.text("check_id").unwrap() == "R26").unwrap();
        row.maybe_double("measured").unwrap().unwrap()
    };
    assert!(alone > 0.0);
    // One condor fits, two do not.
    let mut desk = Desk::new(contracts(), |settings| {
        settings.limits.exposure.cluster_short_vega_ratio = 1.2 * alone;
        settings.limits.exposure.new_structures_per_expiry_max = 5;
    });
    let decisions =
        [desk.open(FIRST, &condor(610.0, 670.0)), desk.open(SECOND, &condor(605.0, 675.0))];
    let said = desk.act(&decisions);
    assert!(said[0].contains("sent") && said[1].contains("refused"), "{said:?}");
    let refused = desk.refused_by(&format!("{SECOND}.open.0"));
    assert_eq!(refused.into_iter().collect::<Vec<_>>(), ["R26"]);
}

#[test]
fn a_step_starts_from_the_mid_of_its_moment_and_its_checks_are_kept() {
    let mut desk = desk();
    let legs = condor(610.0, 670.0);
    let decision = desk.open(FIRST, &legs);
    desk.act(&[decision]);
    let first = desk.broker.borrow().placed[0].order_type;
    let before = desk.rows("ops", "risk_checks").len();
    // The shorts gain fifteen cents: so much more credit is there to be had, and the worst price
    // of the order lies far beyond natural now, its step does not.
    for (option, ratio) in &legs {
        if *ratio < 0 {
            let mut broker = desk.broker.borrow_mut();
            let (bid, ask) = broker.quotes[&option.conid];
            let up = |side: Option<deltadesk::market::Price>| side.map(|side| side + price(0.15));
            broker.quotes.insert(option.conid, (up(bid), up(ask)));
        }
    }
    desk.wait(30);
    desk.work();
    let steps = desk.broker.borrow().steps.clone();
    assert_eq!(steps.len(), 1);
    let OrderType::Limit(first) = first else { panic!("an order has a limit") };
    assert!(steps[0].1 < first - price(0.15), "{} after {first}", steps[0].1);
    let rows = desk.rows("ops", "risk_checks");
    assert!(rows.len() > before);
    assert_eq!(rows.iter().last().unwrap().int("attempt").unwrap(), 2);
    // The end of the ladder is said.
    for _ in 0..4 {
        desk.wait(30);
        desk.work();
    }
    let order_ref = format!("{FIRST}.open.0").parse().unwrap();
    let order = desk.journal.borrow().order(&order_ref).unwrap().unwrap();
    assert_eq!(order.reason, "the price ladder is at its end");
}
