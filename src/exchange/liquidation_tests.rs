//! The broker closes what an account can no longer carry.

use chrono::TimeDelta;

use crate::market::{ConId, Usd};
use crate::structures::testing::{call, future, monday, price, put, stock, usd};
use crate::structures::{BrokerStatus, Execution, ExecutionKind};

use super::testing::Bench;
use super::{ExchangeConfig, MarkQuality};

fn poor(cash: i64) -> ExchangeConfig {
    ExchangeConfig {
        initial_cash: usd(cash as f64),
        initial_commodities_cash: Usd::ZERO,
        ..ExchangeConfig::shipped(1)
    }
}

/// Ten verticals five dollars wide and two of ten, in an account that can just carry them.
fn two_spreads() -> (Bench, [ConId; 4]) {
    let mut bench = Bench::with(monday(), poor(7_200));
    let conids = [
        bench.option(&put(620.0, 30), (6.00, 6.10), 40),
        bench.option(&put(615.0, 30), (5.00, 5.10), 40),
        bench.option(&call(660.0, 30), (3.50, 3.60), 40),
        bench.option(&call(670.0, 30), (1.50, 1.58), 40),
    ];
    bench.trade(&[(conids[0], -1), (conids[1], 1)], 10);
    bench.trade(&[(conids[2], -1), (conids[3], 1)], 2);
    bench.exchange.take_events();
    assert!(!bench.exchange.account().unwrap().excess_liquidity.is_negative());
    (bench, conids)
}

fn forced(executions: &[Execution]) -> Vec<(ConId, i64)> {
    assert!(executions.iter().all(|one| one.order_ref.is_none() && one.perm_id.is_none()));
    assert!(executions.iter().all(|one| one.kind == ExecutionKind::Liquidation));
    executions.iter().map(|one| (one.conid, one.quantity)).collect()
}

/// The stock of an assignment costs what the account does not have.
fn bench_with_too_much_stock() -> (Bench, ConId) {
    let mut bench = Bench::with(monday(), poor(50_000));
    let spy = stock("SPY").conid();
    bench.trade(&[(spy, 1)], 140);
    bench.exchange.take_events();
    (bench, spy)
}

#[test]
fn a_short_account_is_closed_largest_first_at_natural_after_the_grace() {
    let (mut bench, spy) = bench_with_too_much_stock();
    // 140 shares bought at 640.01 leave -39,600 in cash; at 360 a quarter of them is missing.
    bench.minute_with(&[(spy, (359.50, 360.50))]);
    bench.minute();
    assert!(bench.executions().is_empty(), "inside the grace");
    bench.minute();
    let executions = bench.executions();
    assert_eq!(forced(&executions), [(spy, -140)]);
    assert_eq!(executions[0].price, Some(price(359.50)));
    assert_eq!(executions[0].cash, usd(140.0 * 359.50) - executions[0].commission);
    assert!(bench.exchange.positions().is_empty());
    let account = bench.exchange.account().unwrap();
    assert!(!account.excess_liquidity.is_negative());
    bench.minute();
    assert!(bench.executions().is_empty());
}

#[test]
fn a_deficit_of_one_quote_is_forgiven() {
    let (mut bench, spy) = bench_with_too_much_stock();
    for _ in 0..3 {
        bench.minute_with(&[(spy, (359.50, 360.50))]);
        bench.minute_with(&[(spy, (639.99, 640.01))]);
    }
    assert!(bench.executions().is_empty());
}

#[test]
fn legs_are_closed_singly_shorts_before_longs_and_no_more_than_needed() {
    let (mut bench, [short_put, long_put, short_call, _]) = two_spreads();
    let spy = stock("SPY").conid();
    bench.minute_with(&[
        (spy, (599.99, 600.01)),
        (short_put, (23.0, 23.4)),
        (long_put, (19.9, 20.3)),
    ]);
    let before = bench.exchange.account().unwrap();
    assert!(!before.excess_liquidity.is_negative(), "a vertical asks for its width, whatever");
    // A debt from elsewhere: the account's cash falls under the width of the wider side.
    bench.exchange.account.cash -= usd(3_600.0);
    for _ in 0..3 {
        bench.minute();
    }
    let executions = bench.executions();
    let moves = forced(&executions);
    assert_eq!(moves[0], (short_put, 10));
    assert_eq!(executions[0].price, Some(price(23.4)));
    assert_eq!(moves[1], (short_call, 2));
    let groups: std::collections::BTreeSet<_> = executions.iter().map(|one| &one.exec_id).collect();
    assert_eq!(groups.len(), executions.len());
    assert_eq!(moves[2..], [(long_put, -10)], "the long call stays: the account is cured");
}

#[test]
fn orders_in_a_liquidated_contract_are_cancelled_and_displayed_sizes_bound_each_minute() {
    let (mut bench, spy) = bench_with_too_much_stock();
    let order = bench.submit(&[(spy, -1)], 140, -700.0);
    bench.quote(spy, (359.50, 360.50), 10);
    for _ in 0..3 {
        bench.minute();
    }
    let (orders, executions) = bench.events();
    assert_eq!(forced(&executions), [(spy, -10)]);
    let last = orders.last().unwrap();
    assert_eq!((last.status, &last.order_ref), (BrokerStatus::Cancelled, &order.order_ref));
    assert!(last.reason.contains("margin"), "{}", last.reason);
    for _ in 0..4 {
        bench.minute();
    }
    assert_eq!(forced(&bench.executions()), [(spy, -10); 2], "ten a minute until it is cured");
}

#[test]
fn what_does_not_trade_waits() {
    let (mut bench, spy) = bench_with_too_much_stock();
    bench.minute_with(&[(spy, (359.50, 360.50))]);
    bench.script.lock().unwrap().halted = true;
    for _ in 0..5 {
        bench.minute();
    }
    assert!(bench.executions().is_empty(), "halted");
    bench.script.lock().unwrap().halted = false;
    bench.minute();
    assert_eq!(bench.executions().len(), 1);
    let held = bench.exchange.marked_positions().next();
    assert!(held.is_none_or(|(_, position)| position.mark.quality == MarkQuality::Quoted));
}

#[test]
fn overnight_nothing_is_closed() {
    let (mut bench, spy) = bench_with_too_much_stock();
    let evening = monday() + TimeDelta::hours(7);
    bench.exchange.advance_to(evening).unwrap();
    bench.quote(spy, (359.50, 360.50), 1_000);
    bench.exchange.advance_to(evening + TimeDelta::minutes(30)).unwrap();
    assert!(bench.exchange.account().unwrap().excess_liquidity.is_negative());
    assert!(bench.executions().is_empty());
}

#[test]
fn a_spread_of_futures_pays_its_commission_once() {
    let mut bench = Bench::at(monday(), 1);
    let near = bench.list(&future("ES", "SPY", 50));
    let mut later = future("MES", "SPY", 50);
    if let crate::market::Instrument::Future(contract) = &mut later {
        std::sync::Arc::make_mut(contract).symbol = crate::market::Symbol::new("ES");
    }
    let far = bench.list(&later);
    bench.quote(near, (6_400.00, 6_400.25), 50);
    bench.quote(far, (6_450.00, 6_450.25), 50);
    let limit = crate::structures::OrderType::Limit(price(-49.0));
    let request = bench.request(&[(near, 1), (far, -1)], 1, limit);
    let effect = bench.exchange.effect(&request, 1).unwrap();
    let standing = bench.exchange.standing(&[&effect]).unwrap();
    assert_eq!(standing.commodities, usd(50_000.0) - effect.commission);
    assert_eq!(effect.commission, usd(4.50));
}
