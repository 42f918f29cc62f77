//! The journal on disk and in memory.

use std::sync::Arc;

use chrono::{DateTime, Duration, NaiveDate};
use proptest::prelude::*;

use super::*;
use crate::market::{
    ConId, ExerciseStyle, Instrument, OptionContract, OptionRight, Price, Settlement,
    StockContract, occ_symbol,
};
use crate::structures::{
    BrokerStatus, Execution, ExecutionKind, OrderEvent, OrderLeg, OrderRef, OrderRequest,
    OrderState, OrderType, Purpose,
};

pub fn at(minute: i64) -> Timestamp {
    DateTime::from_timestamp(1_772_463_600, 0).unwrap() + Duration::minutes(minute)
}

pub fn usd(amount: f64) -> Usd {
    Usd::from_f64(amount).unwrap()
}

fn price(amount: f64) -> Price {
    Price::from_f64(amount).unwrap()
}

pub fn put(conid: i64, strike: f64) -> Instrument {
    let expiry_date = NaiveDate::from_ymd_opt(2026, 4, 17).unwrap();
    Instrument::Option(Arc::new(OptionContract {
        conid: ConId(conid),
        occ_symbol: occ_symbol(&"SPY".into(), expiry_date, OptionRight::Put, price(strike)),
        symbol: "SPY".into(),
        expiry_date,
        strike: price(strike),
        right: OptionRight::Put,
        style: ExerciseStyle::American,
        settlement: Settlement::Physical,
        multiplier: 100,
        min_tick: price(0.01),
        last_trade_at: at(60_000),
        expires_at: at(60_000),
    }))
}

fn stock() -> Instrument {
    Instrument::Stock(StockContract { conid: ConId(1), symbol: "SPY".into() })
}

/// A put vertical: sells 20, buys 10.
pub fn intent(decision: &str, purpose: Purpose, quantity: i64) -> Intent {
    let sign = if purpose == Purpose::Open { 1 } else { -1 };
    Intent {
        request: OrderRequest {
            order_ref: OrderRef::new(decision, purpose, 0).unwrap(),
            legs: vec![
                OrderLeg { conid: ConId(10), ratio: sign },
                OrderLeg { conid: ConId(20), ratio: -sign },
            ],
            quantity,
            order_type: OrderType::Limit(price(-1.5 * sign as f64)),
        },
        decision_id: decision.to_owned(),
        strategy_id: "s1".to_owned(),
        symbol: "SPY".to_owned(),
        structure: "put_vertical".to_owned(),
        worst: Some(price(-1.4)),
        arrival_mid: Some(price(-1.55)),
        max_loss_each: usd(350.0),
        margin_each: usd(500.0),
        rule: (purpose == Purpose::Close).then(|| "take_profit".to_owned()),
    }
}

pub fn trade(exec_id: &str, order: &Intent, conid: i64, fill: (i64, f64)) -> Execution {
    let (quantity, each) = fill;
    let commission = usd(0.65).times(quantity.abs());
    Execution {
        exec_id: exec_id.to_owned(),
        order_ref: Some(order.request.order_ref.clone()),
        perm_id: Some(77),
        group_id: exec_id.split('-').next().unwrap().to_owned(),
        kind: ExecutionKind::Trade,
        conid: ConId(conid),
        quantity,
        price: Some(price(each)),
        multiplier: 100,
        commission,
        cash: price(each).value(-quantity, 100) - commission,
        at: at(5),
    }
}

fn event(order: &Intent, status: BrokerStatus, filled: i64) -> OrderEvent {
    OrderEvent {
        order_ref: order.request.order_ref.clone(),
        perm_id: 77,
        status,
        filled,
        remaining: order.request.quantity - filled,
        limit: None,
        reason: String::new(),
        at: at(4),
    }
}

pub fn opened(journal: &mut Journal) -> Intent {
    let open = intent("d1", Purpose::Open, 2);
    let verdict = Verdict { ruling: &Ruling::Approved, checks: "[{\"check\":1}]" };
    journal.record_verdict(&open, verdict, at(0)).unwrap();
    journal.mark_sent(&open.request.order_ref, 77, at(1)).unwrap();
    journal.apply_event(&event(&open, BrokerStatus::Working, 0)).unwrap();
    journal.apply_execution(&trade("g1-1", &open, 10, (2, 1.0)), &put(10, 600.0)).unwrap();
    journal.apply_execution(&trade("g1-2", &open, 20, (-2, 2.5)), &put(20, 605.0)).unwrap();
    journal.apply_event(&event(&open, BrokerStatus::Filled, 2)).unwrap();
    open
}

/// What the tests ask of a strategy: state, combos, realised, open basis.
pub fn strategy(journal: &Journal) -> (StrategyState, i64, Usd, Usd) {
    let rows = journal.strategies().unwrap();
    let row = rows.iter().find(|row| row.strategy_id == "s1").unwrap();
    (row.state, row.quantity, row.realised, row.open_basis)
}

#[test]
fn a_vertical_is_opened_partly_closed_and_closed() {
    let mut journal = Journal::in_memory().unwrap();
    let open = opened(&mut journal);
    assert_eq!(strategy(&journal), (StrategyState::Open, 2, Usd::ZERO, usd(297.4)));
    let order = journal.order(&open.request.order_ref).unwrap().unwrap();
    assert_eq!((order.state, order.filled_quantity), (OrderState::Filled, 2));
    assert_eq!(order.filled_value, price(-3.0));
    assert_eq!(order.perm_id, Some(77));
    assert_eq!(
        journal.checks_of(&open.request.order_ref).unwrap().as_deref(),
        Some("[{\"check\":1}]")
    );

    let close = intent("d2", Purpose::Close, 2);
    journal.record(&close, &Ruling::Approved, at(6)).unwrap();
    journal.mark_sent(&close.request.order_ref, 78, at(6)).unwrap();
    journal.apply_execution(&trade("g2-1", &close, 10, (-1, 0.4)), &put(10, 600.0)).unwrap();
    journal.apply_execution(&trade("g2-2", &close, 20, (1, 0.9)), &put(20, 605.0)).unwrap();
    let half = strategy(&journal);
    assert_eq!((half.0, half.1, half.3), (StrategyState::Open, 1, usd(148.7)));
    assert_eq!(half.2, usd(148.7 - 50.0 - 1.3));
    journal.apply_execution(&trade("g3-1", &close, 10, (-1, 0.4)), &put(10, 600.0)).unwrap();
    journal.apply_execution(&trade("g3-2", &close, 20, (1, 0.9)), &put(20, 605.0)).unwrap();
    assert_eq!(strategy(&journal), (StrategyState::Closed, 0, usd(194.8), Usd::ZERO));
    let row = journal.strategies().unwrap().pop().unwrap();
    assert_eq!(row.close_rule.as_deref(), Some("take_profit"));
    assert_eq!((row.opened_quantity, row.closed_at), (2, Some(at(5))));
    assert!(journal.held_legs().unwrap().is_empty());
    assert!(journal.open_strategies().unwrap().is_empty());
}

#[test]
fn an_execution_counts_once_and_foreign_or_combo_lines_count_for_nobody() {
    let mut journal = Journal::in_memory().unwrap();
    let open = opened(&mut journal);
    let before = (strategy(&journal), journal.last_change().unwrap());
    let again = trade("g1-1", &open, 10, (2, 1.0));
    assert_eq!(journal.apply_execution(&again, &put(10, 600.0)).unwrap(), Applied::Known);
    let combo = trade("g1-0", &open, 999, (2, -1.5));
    assert_eq!(journal.apply_execution(&combo, &put(999, 600.0)).unwrap(), Applied::Nobody);
    let mut foreign = trade("x-1", &open, 10, (-1, 1.0));
    foreign.order_ref = None;
    assert_eq!(journal.apply_execution(&foreign, &put(10, 600.0)).unwrap(), Applied::Nobody);
    assert_eq!((strategy(&journal), journal.last_change().unwrap()), before);
}

#[test]
fn an_assignment_and_its_delivery_stay_with_the_strategy() {
    let mut journal = Journal::in_memory().unwrap();
    let open = opened(&mut journal);
    let mut assigned = trade("a1-1", &open, 20, (2, 0.0));
    assigned.order_ref = None;
    assigned.kind = ExecutionKind::Assignment;
    assigned.commission = Usd::ZERO;
    assigned.cash = Usd::ZERO;
    journal.apply_execution(&assigned, &put(20, 605.0)).unwrap();
    let mut delivery = trade("a1-2", &open, 1, (200, 605.0));
    delivery.order_ref = None;
    delivery.kind = ExecutionKind::Delivery;
    delivery.multiplier = 1;
    delivery.commission = Usd::ZERO;
    delivery.cash = usd(-121_000.0);
    let applied = journal.apply_execution(&delivery, &stock()).unwrap();
    assert_eq!(applied, Applied::Strategies(vec!["s1".to_owned()]));
    let legs: Vec<(i64, i64)> =
        journal.held_legs().unwrap().iter().map(|leg| (leg.conid.0, leg.quantity)).collect();
    assert_eq!(legs, [(1, 200), (10, 2)]);
    let (state, quantity, realised, basis) = strategy(&journal);
    assert_eq!((state, quantity), (StrategyState::Open, 2));
    assert_eq!(realised + basis, usd(297.4 - 121_000.0));
    let stray = Execution { exec_id: "b-1".into(), group_id: "b".into(), ..delivery };
    assert_eq!(journal.apply_execution(&stray, &stock()).unwrap(), Applied::Nobody);
}

#[test]
fn a_dividend_goes_to_those_who_hold_the_stock() {
    let mut journal = Journal::in_memory().unwrap();
    let mut hedge = intent("h1", Purpose::Hedge, 100);
    hedge.request.legs = vec![OrderLeg { conid: ConId(1), ratio: -1 }];
    journal.record(&hedge, &Ruling::Approved, at(0)).unwrap();
    journal.mark_sent(&hedge.request.order_ref, 5, at(0)).unwrap();
    journal.apply_execution(&trade("h-1", &hedge, 1, (-100, 6.0)), &stock()).unwrap();
    let basis = strategy(&journal).3;
    let mut dividend = trade("div-1", &hedge, 1, (0, 0.0));
    dividend.order_ref = None;
    dividend.kind = ExecutionKind::Dividend;
    dividend.price = None;
    dividend.cash = usd(-172.0);
    journal.apply_execution(&dividend, &stock()).unwrap();
    assert_eq!(strategy(&journal), (StrategyState::Open, 100, usd(-172.0), basis));
}

#[test]
fn an_order_leaves_once_and_what_is_final_or_unknown_is_never_sent() {
    let mut journal = Journal::in_memory().unwrap();
    let open = intent("d1", Purpose::Open, 2);
    let order_ref = &open.request.order_ref;
    let missing = journal.mark_sent(order_ref, 1, at(0)).unwrap_err();
    assert!(matches!(missing, JournalError::NoOrder(_)));
    journal.record(&open, &Ruling::Approved, at(0)).unwrap();
    let twice = journal.record(&open, &Ruling::Approved, at(0)).unwrap_err();
    assert!(matches!(twice, JournalError::Duplicate(_)));
    journal.mark_sent(order_ref, 1, at(1)).unwrap();
    let resent = journal.mark_sent(order_ref, 1, at(2)).unwrap_err();
    assert!(resent.to_string().contains("is sent and cannot become sent"), "{resent}");
    assert_eq!(journal.doubt_open_orders(at(3)).unwrap(), std::slice::from_ref(order_ref));
    assert!(journal.doubt_open_orders(at(3)).unwrap().is_empty());
    let unknown = journal.mark_sent(order_ref, 1, at(4)).unwrap_err();
    assert!(matches!(unknown, JournalError::IllegalMove { .. }));
    journal.apply_event(&event(&open, BrokerStatus::Cancelled, 0)).unwrap();
    let late = journal.mark_unknown(order_ref, "", at(5)).unwrap_err();
    assert!(matches!(late, JournalError::IllegalMove { .. }));
    let change = journal.last_change().unwrap();
    journal.apply_event(&event(&open, BrokerStatus::Working, 0)).unwrap();
    let contrary = journal.apply_event(&event(&open, BrokerStatus::Filled, 2)).unwrap_err();
    assert!(matches!(contrary, JournalError::Impossible { .. }), "{contrary}");
    assert_eq!(journal.last_change().unwrap(), change);
    assert_eq!(journal.order(order_ref).unwrap().unwrap().state, OrderState::Cancelled);
    assert_eq!(strategy(&journal).0, StrategyState::Dropped);
}

#[test]
fn a_denied_intent_is_kept_and_makes_no_strategy() {
    let mut journal = Journal::in_memory().unwrap();
    let open = intent("d1", Purpose::Open, 2);
    let ruling = Ruling::Denied { reason: "margin".to_owned() };
    journal.record(&open, &ruling, at(0)).unwrap();
    let order = journal.order(&open.request.order_ref).unwrap().unwrap();
    assert_eq!((order.state, order.reason.as_str()), (OrderState::Denied, "margin"));
    assert!(journal.strategies().unwrap().is_empty());
    assert!(journal.mark_sent(&open.request.order_ref, 1, at(1)).is_err());
    let close = intent("d2", Purpose::Close, 1);
    let nothing = journal.record(&close, &Ruling::Approved, at(2)).unwrap_err();
    assert!(matches!(nothing, JournalError::NoStrategy(_)));
    assert!(journal.order(&close.request.order_ref).unwrap().is_none());
}

#[test]
fn what_was_committed_is_there_after_a_kill() {
    let home = tempfile::TempDir::new().unwrap();
    let path = home.path().join("state.db");
    let open = intent("d1", Purpose::Open, 2);
    let mut journal = Journal::open(&path).unwrap();
    journal.record(&open, &Ruling::Approved, at(0)).unwrap();
    journal.set_watermark("ingest_seq", "42").unwrap();
    // A kill closes nothing: the first connection is leaked, and its files are read as they are.
    std::mem::forget(journal);
    let mut journal = Journal::open(&path).unwrap();
    assert_eq!(
        journal.doubt_open_orders(at(1)).unwrap(),
        std::slice::from_ref(&open.request.order_ref)
    );
    assert!(journal.mark_sent(&open.request.order_ref, 1, at(2)).is_err());
    assert_eq!(journal.watermark("ingest_seq").unwrap().as_deref(), Some("42"));
    journal.apply_event(&event(&open, BrokerStatus::Filled, 2)).unwrap();
    journal.apply_execution(&trade("g1-1", &open, 10, (2, 1.0)), &put(10, 600.0)).unwrap();
    drop(journal);
    let mut journal = Journal::open(&path).unwrap();
    let again = trade("g1-1", &open, 10, (2, 1.0));
    assert_eq!(journal.apply_execution(&again, &put(10, 600.0)).unwrap(), Applied::Known);
    drop(journal);
    let journal = Journal::create(&path).unwrap();
    assert_eq!((journal.orders().unwrap().len(), journal.last_change().unwrap()), (0, 0));
}

#[test]
fn every_change_is_kept_in_order() {
    let mut journal = Journal::in_memory().unwrap();
    opened(&mut journal);
    let changes = journal.changes_since(0).unwrap();
    let states: Vec<&str> = changes.orders.iter().map(|order| order.state.as_str()).collect();
    assert_eq!(states, ["approved", "sent", "working", "working", "working", "filled"]);
    assert!(changes.orders.iter().map(|order| order.change_seq).is_sorted());
    let basis: Vec<Usd> = changes.strategies.iter().map(|row| row.open_basis).collect();
    assert_eq!(basis, [Usd::ZERO, usd(-201.3), usd(297.4)]);
    assert_eq!(changes.legs.len(), 2);
    let last = journal.last_change().unwrap();
    assert!(journal.changes_since(last).unwrap().orders.is_empty());
}

#[test]
fn peaks_only_rise() {
    let mut journal = Journal::in_memory().unwrap();
    for (ratio, minute) in [(0.1, 1), (0.3, 2), (0.2, 3), (0.3, 4)] {
        let pnl = usd(ratio * 100.0);
        let peak = Peak { strategy_id: "s1".into(), pnl, pnl_ratio: ratio, at: at(minute) };
        journal.raise_peak(&peak).unwrap();
    }
    let peaks = journal.changes_since(0).unwrap().peaks;
    assert_eq!(peaks.iter().map(|p| p.peaked_at).collect::<Vec<_>>(), [at(1), at(2)]);
}

#[test]
fn the_breaker_remembers_its_causes() {
    let mut journal = Journal::in_memory().unwrap();
    let mut hold = BreakerHold {
        cause: "daily_loss".to_owned(),
        level: "reduce".to_owned(),
        is_latched: false,
        reason: "-2.1 %".to_owned(),
        since: at(1),
    };
    journal.hold_breaker(&hold).unwrap();
    journal.hold_breaker(&BreakerHold { since: at(2), ..hold.clone() }).unwrap();
    assert_eq!(journal.breaker_holds().unwrap(), [hold.clone()]);
    hold.is_latched = true;
    hold.level = "flatten".to_owned();
    journal.hold_breaker(&hold).unwrap();
    assert!(journal.breaker_holds().unwrap()[0].is_latched);
    journal.release_breaker("daily_loss", "reset by the operator", at(9)).unwrap();
    assert!(journal.breaker_holds().unwrap().is_empty());
    let levels: Vec<Option<String>> =
        journal.breaker_changes_since(0).unwrap().into_iter().map(|c| c.level).collect();
    assert_eq!(levels, [Some("reduce".to_owned()), Some("flatten".to_owned()), None]);
}

#[test]
fn alerts_wait_until_a_channel_takes_them() {
    let mut journal = Journal::in_memory().unwrap();
    let alert = AlertRow {
        alert_id: "a1".to_owned(),
        severity: "warning".to_owned(),
        subject: "stale".to_owned(),
        message: "no quotes of SPY for 90 s".to_owned(),
        raised_at: at(1),
    };
    assert!(journal.raise_alert(&alert).unwrap());
    assert!(!journal.raise_alert(&alert).unwrap());
    journal.mark_undelivered("a1").unwrap();
    assert_eq!(journal.undelivered_alerts().unwrap(), [(alert, 1)]);
    journal.mark_delivered("a1", at(2)).unwrap();
    assert!(journal.undelivered_alerts().unwrap().is_empty());
    assert_eq!(journal.changes_since(0).unwrap().alerts.len(), 1);
}

#[test]
fn a_reconciliation_is_kept_once() {
    let mut journal = Journal::in_memory().unwrap();
    let found = ReconciliationRow {
        run_id: "r1".to_owned(),
        reconciliation_seq: 1,
        difference: "quantity".to_owned(),
        conid: Some(ConId(10)),
        symbol: Some("SPY".to_owned()),
        broker_value: Some(1.0),
        desk_value: Some(2.0),
        action: "block".to_owned(),
        detail: String::new(),
        found_at: at(1),
    };
    journal.record_reconciliation(&[found.clone(), found.clone()]).unwrap();
    assert_eq!(journal.reconciliations_since(0).unwrap(), [found]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Realised and open cash always add up to the cash of the executions, and the leg's quantity
    /// to theirs, whatever is bought and sold.
    #[test]
    fn cash_and_quantity_are_conserved(
        fills in proptest::collection::vec((-5_i64..=5, 1_u32..500), 1..12),
    ) {
        let mut journal = Journal::in_memory().unwrap();
        let mut hedge = intent("h1", Purpose::Hedge, 100);
        hedge.request.legs = vec![OrderLeg { conid: ConId(10), ratio: 1 }];
        journal.record(&hedge, &Ruling::Approved, at(0)).unwrap();
        let (mut cash, mut quantity) = (Usd::ZERO, 0);
        for (n, (size, cents)) in fills.into_iter().filter(|(size, _)| *size != 0).enumerate() {
            let each = f64::from(cents) / 100.0;
            let execution = trade(&format!("g-{n}"), &hedge, 10, (size, each));
            cash += execution.cash;
            quantity += size;
            journal.apply_execution(&execution, &put(10, 600.0)).unwrap();
            let (state, combos, realised, basis) = strategy(&journal);
            prop_assert_eq!(realised + basis, cash);
            prop_assert_eq!(combos, quantity.abs());
            prop_assert_eq!(state == StrategyState::Closed, quantity == 0);
            if quantity == 0 {
                prop_assert_eq!(basis, Usd::ZERO);
            }
        }
    }
}

#[test]
fn a_trade_of_an_order_that_the_journal_never_had_is_nobodys_and_its_cash_counts() {
    let mut journal = Journal::in_memory().unwrap();
    opened(&mut journal);
    let before = (strategy(&journal), journal.executed_cash().unwrap());
    let stranger = intent("d9", Purpose::Open, 2);
    let foreign = trade("y-1", &stranger, 10, (1, 1.0));
    assert_eq!(journal.apply_execution(&foreign, &put(10, 600.0)).unwrap(), Applied::Nobody);
    assert_eq!(journal.apply_execution(&foreign, &put(10, 600.0)).unwrap(), Applied::Known);
    assert_eq!((strategy(&journal), journal.executed_cash().unwrap() - foreign.cash), before);
}
