//! The exchange as its customer meets it: orders against scripted quotes.

use std::sync::Arc;

use chrono::{NaiveDate, TimeDelta};
use proptest::prelude::*;

use crate::market::sessions::Calendar;
use crate::market::{ConId, OptionRight, Price, Symbol, Usd};
use crate::structures::testing::{call, monday, price, put, usd};
use crate::structures::{
    BrokerStatus, ExecutionKind, OrderLeg, OrderRef, OrderRequest, OrderType, Purpose,
};

use super::draws::{DrawPurpose, Draws};
use super::testing::Bench;
use super::{
    Exchange, ExchangeConfig, ExchangeEvent, SHIPPED_VARIANCE_PREMIUM, Scenario, SyntheticConfig,
    SyntheticMarket,
};

fn bench_with_call() -> (Bench, ConId) {
    let mut bench = Bench::at(monday(), 1);
    let conid = bench.option(&call(650.0, 30), (5.00, 5.10), 10);
    (bench, conid)
}

#[test]
fn a_marketable_order_takes_the_opposite_quote_up_to_its_size() {
    let (mut bench, conid) = bench_with_call();
    let request = bench.submit(&[(conid, 1)], 25, 5.20);
    bench.minute();
    let (orders, executions) = bench.events();
    assert_eq!(executions.len(), 1);
    assert_eq!((executions[0].quantity, executions[0].price), (10, Some(price(5.10))));
    assert_eq!(orders.last().map(|event| (event.filled, event.remaining)), Some((10, 15)));
    bench.minute();
    bench.minute();
    let (orders, executions) = bench.events();
    let filled: i64 = executions.iter().map(|execution| execution.quantity).sum();
    assert_eq!(filled, 15);
    assert!(executions.iter().all(|execution| execution.price == Some(price(5.20))));
    assert_eq!(orders.last().map(|event| event.status), Some(BrokerStatus::Filled));
    assert_eq!(orders.last().map(|event| event.order_ref.clone()), Some(request.order_ref));
    assert!(bench.exchange.open_orders().is_empty());
}

#[test]
fn a_displayed_size_is_taken_once() {
    let (mut bench, conid) = bench_with_call();
    bench.submit(&[(conid, 1)], 6, 5.10);
    bench.submit(&[(conid, 1)], 6, 5.10);
    bench.minute();
    let filled: i64 = bench.executions().iter().map(|execution| execution.quantity).sum();
    assert_eq!(filled, 10);
}

#[test]
fn an_order_never_acts_on_the_quote_that_caused_it() {
    let (mut bench, conid) = bench_with_call();
    bench.submit(&[(conid, 1)], 1, 5.10);
    let sent = bench.exchange.now();
    bench.exchange.advance_to(sent + TimeDelta::seconds(30)).unwrap();
    assert!(bench.executions().is_empty());
    bench.minute();
    let at = bench.executions()[0].at;
    assert!(at >= sent + bench.exchange.config().latency);
}

#[test]
fn a_quote_within_the_latency_fills_nothing() {
    let (mut bench, conid) = bench_with_call();
    bench.submit(&[(conid, 1)], 1, 5.10);
    let early = bench.exchange.now() + TimeDelta::milliseconds(100);
    bench.exchange.advance_to(early).unwrap();
    bench.quote(conid, (5.00, 5.05), 10);
    bench.exchange.advance_to(early + TimeDelta::seconds(5)).unwrap();
    assert!(bench.executions().is_empty());
}

#[test]
fn an_order_at_mid_or_below_never_fills_while_it_is_there() {
    let (mut bench, conid) = bench_with_call();
    bench.submit(&[(conid, 1)], 1, 5.05);
    bench.submit(&[(conid, 1)], 1, 5.02);
    for _ in 0..300 {
        bench.minute();
    }
    assert!(bench.executions().is_empty());
}

#[test]
fn an_order_between_mid_and_natural_fills_sooner_the_nearer_to_natural() {
    let fills_within = |limit: f64, minutes: usize| {
        (0..200_u64)
            .filter(|seed| {
                let mut bench = Bench::at(monday(), *seed);
                let conid = bench.option(&call(650.0, 30), (5.00, 5.20), 10);
                bench.submit(&[(conid, 1)], 1, limit);
                (0..minutes).for_each(|_| bench.minute());
                !bench.executions().is_empty()
            })
            .count()
    };
    let (patient, eager) = (fills_within(5.12, 4), fills_within(5.18, 4));
    assert!(patient > 0 && patient < eager, "{patient} {eager}");
}

#[test]
fn a_resting_order_fills_at_its_limit_when_the_market_comes_to_it() {
    let (mut bench, conid) = bench_with_call();
    bench.submit(&[(conid, 1)], 1, 5.00);
    bench.minute();
    assert!(bench.executions().is_empty());
    bench.minute_with(&[(conid, (4.80, 4.90))]);
    assert_eq!(bench.executions()[0].price, Some(price(5.00)));
}

#[test]
fn a_combo_fills_in_ratio_under_one_group_at_leg_prices_that_sum_to_its_net() {
    let mut bench = Bench::at(monday(), 3);
    let low = bench.option(&call(640.0, 30), (12.00, 12.11), 20);
    let body = bench.option(&call(650.0, 30), (7.03, 7.10), 9);
    let high = bench.option(&call(660.0, 30), (3.50, 3.61), 20);
    bench.submit(&[(low, 1), (body, -2), (high, 1)], 5, 1.66);
    bench.minute();
    let executions = bench.executions();
    assert_eq!(executions.len(), 3);
    assert!(executions.iter().all(|leg| leg.group_id == executions[0].group_id));
    let combos = 4;
    let net: Price =
        executions.iter().map(|leg| leg.price.unwrap().times(leg.quantity / combos)).sum();
    assert_eq!(net, price(12.11 - 2.0 * 7.03 + 3.61));
    let mut quantities: Vec<_> = executions.iter().map(|leg| leg.quantity).collect();
    quantities.sort_unstable();
    assert_eq!(quantities, [-8, 4, 4]);
}

#[test]
fn a_credit_is_a_negative_limit_and_brings_cash() {
    let mut bench = Bench::at(monday(), 3);
    let short = bench.option(&put(620.0, 30), (6.00, 6.10), 20);
    let long = bench.option(&put(610.0, 30), (4.00, 4.10), 20);
    let before = bench.exchange.account().unwrap();
    bench.submit(&[(short, -1), (long, 1)], 2, -1.90);
    bench.minute();
    let executions = bench.executions();
    let fees: Usd = executions.iter().map(|leg| leg.commission).sum();
    let after = bench.exchange.account().unwrap();
    assert_eq!(after.cash - before.cash, usd(380.0) - fees);
    assert_eq!(after.initial_margin, usd(2_000.0));
    assert_eq!(fees, usd(2.0 * 1.40));
}

#[test]
fn nothing_fills_on_missing_crossed_halted_or_stale_quotes_nor_on_the_first_after_a_gap() {
    let (mut bench, conid) = bench_with_call();
    bench.submit(&[(conid, 1)], 1, 5.20);
    bench.minute_with(&[(conid, (5.00, 0.0))]);
    bench.minute_with(&[(conid, (5.30, 5.10))]);
    bench.script.lock().unwrap().halted = true;
    bench.minute_with(&[(conid, (5.00, 5.10))]);
    assert!(bench.executions().is_empty());
    bench.script.lock().unwrap().halted = false;
    bench.minute();
    assert!(bench.executions().is_empty(), "the first quote after a halt");
    let silent = bench.exchange.now() + TimeDelta::minutes(30);
    bench.exchange.advance_to(silent).unwrap();
    bench.quote(conid, (5.00, 5.10), 10);
    bench.exchange.advance_to(silent + TimeDelta::seconds(1)).unwrap();
    assert!(bench.executions().is_empty(), "the first quote after a silence");
    bench.minute();
    assert_eq!(bench.executions().len(), 1);
}

#[test]
fn a_stale_quote_fills_nothing() {
    let mut config = super::ExchangeConfig::shipped(1);
    config.latency = TimeDelta::minutes(20);
    let mut bench = Bench::with(monday(), config);
    let conid = bench.option(&call(650.0, 30), (5.00, 5.10), 10);
    bench.submit(&[(conid, 1)], 1, 5.20);
    bench.minute();
    bench.exchange.advance_to(monday() + TimeDelta::minutes(40)).unwrap();
    assert!(bench.executions().is_empty());
}

#[test]
fn day_orders_end_with_their_session_and_closed_markets_take_none() {
    let (mut bench, conid) = bench_with_call();
    let close = monday() + TimeDelta::minutes(10);
    bench.script.lock().unwrap().open = Some((monday(), close));
    bench.submit(&[(conid, 1)], 1, 4.50);
    for _ in 0..10 {
        bench.minute();
    }
    let (orders, executions) = bench.events();
    assert!(executions.is_empty());
    let last = orders.last().unwrap();
    assert_eq!((last.status, last.at), (BrokerStatus::Cancelled, close));
    let late = bench.request(&[(conid, 1)], 1, OrderType::Market);
    assert_eq!(bench.exchange.submit(late).unwrap_err().code, 201);
}

#[test]
fn a_reference_is_accepted_once() {
    let (mut bench, conid) = bench_with_call();
    let request = bench.submit(&[(conid, 1)], 1, 5.20);
    assert_eq!(bench.exchange.submit(request.clone()).unwrap_err().code, 103);
    assert_eq!(bench.exchange.open_orders().len(), 1);
    bench.minute();
    assert_eq!(bench.executions().len(), 1);
    assert_eq!(bench.exchange.submit(request).unwrap_err().code, 103);
    bench.minute();
    assert!(bench.executions().is_empty());
}

#[test]
fn refusals_carry_the_brokers_codes_and_leave_no_trace() {
    let (mut bench, conid) = bench_with_call();
    let mut code = |legs: &[(ConId, i64)], quantity, order_type| {
        let request = bench.request(legs, quantity, order_type);
        bench.exchange.submit(request).unwrap_err().code
    };
    let limit = |value| OrderType::Limit(price(value));
    assert_eq!(code(&[(ConId(1), 1)], 1, limit(1.0)), 200);
    assert_eq!(code(&[(conid, 1)], 1, limit(5.005)), 110);
    assert_eq!(code(&[(conid, 1)], 0, limit(5.0)), 321);
    assert_eq!(code(&[(conid, 2)], 1, limit(5.0)), 321);
    assert_eq!(code(&[(conid, 1)], 10_000, limit(5.0)), 201);
    assert!(bench.exchange.take_events().is_empty());
}

#[test]
fn options_on_the_vix_move_in_fives_from_three_dollars_on_and_their_combos_in_cents() {
    let mut bench = Bench::at(monday(), 1);
    let listed =
        |strike| crate::structures::testing::option_on("VIX", OptionRight::Call, strike, 16);
    let dear = bench.option(&listed(18.0), (3.50, 3.60), 10);
    let cheap = bench.option(&listed(22.0), (1.50, 1.60), 10);
    let wing = bench.option(&listed(25.0), (0.70, 0.80), 10);
    let mut refused = |legs: &[(ConId, i64)], limit: f64| {
        let request = bench.request(legs, 1, OrderType::Limit(price(limit)));
        bench.exchange.submit(request).err().map(|reject| reject.code)
    };
    assert_eq!(refused(&[(dear, 1)], 3.52), Some(110));
    assert_eq!(refused(&[(dear, 1)], 3.55), None);
    assert_eq!(refused(&[(dear, 1)], 2.99), None);
    assert_eq!(refused(&[(cheap, 1)], 1.52), None);
    assert_eq!(refused(&[(dear, 1), (wing, -1)], 2.83), None);
}

#[test]
fn open_orders_on_both_sides_of_an_option_are_refused() {
    let (mut bench, conid) = bench_with_call();
    bench.submit(&[(conid, 1)], 1, 4.90);
    let other = bench.request(&[(conid, -1)], 1, OrderType::Limit(price(-5.30)));
    assert_eq!(bench.exchange.submit(other).unwrap_err().code, 201);
}

#[test]
fn a_cancel_and_an_amendment_act_after_the_latency() {
    let (mut bench, conid) = bench_with_call();
    let request = bench.submit(&[(conid, 1)], 1, 4.90);
    bench.minute();
    bench.exchange.amend(&request.order_ref, OrderType::Limit(price(5.10))).unwrap();
    bench.minute();
    assert_eq!(bench.executions()[0].price, Some(price(5.10)));
    let second = bench.submit(&[(conid, 1)], 1, 4.90);
    bench.exchange.cancel(&second.order_ref).unwrap();
    assert_eq!(bench.exchange.open_orders().len(), 1);
    bench.minute();
    assert!(bench.exchange.open_orders().is_empty());
    assert_eq!(bench.exchange.cancel(&second.order_ref).unwrap_err().code, 10147);
}

#[test]
fn a_what_if_transmits_nothing_and_tells_the_margin() {
    let mut bench = Bench::at(monday(), 3);
    let short = bench.option(&put(620.0, 30), (6.00, 6.10), 20);
    let long = bench.option(&put(610.0, 30), (4.00, 4.10), 20);
    let request = bench.request(&[(short, -1), (long, 1)], 3, OrderType::Limit(price(-1.90)));
    let answer = bench.exchange.what_if(&request).unwrap();
    assert_eq!(answer.initial_margin_after - answer.initial_margin_before, usd(3_000.0));
    let expected = usd(250_000.0 + 570.0) - answer.commission;
    assert_eq!(answer.equity_with_loan_after, expected);
    assert_eq!(answer.excess_liquidity_after, expected - usd(3_000.0));
    assert!(bench.exchange.open_orders().is_empty() && bench.exchange.take_events().is_empty());
}

#[test]
fn the_same_seed_gives_the_same_events_and_another_seed_does_not() {
    let run = |seed| {
        let mut bench = Bench::at(monday(), seed);
        let conid = bench.option(&call(650.0, 30), (5.00, 5.20), 1);
        for _ in 0..20 {
            bench.submit(&[(conid, 1)], 1, 5.13);
        }
        (0..30).for_each(|_| bench.minute());
        bench.exchange.take_events()
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}

#[test]
fn a_passive_fill_comes_when_the_market_moves_against_it() {
    let mut moved = (0, 0);
    for seed in 0..300_u64 {
        let mut bench = Bench::at(monday(), seed);
        let conid = bench.option(&call(650.0, 30), (5.00, 5.20), 10);
        bench.submit(&[(conid, 1)], 1, 5.14);
        for minute in 0..20_u32 {
            let shift = if (minute + seed as u32).is_multiple_of(2) { 0.02 } else { 0.0 };
            bench.minute_with(&[(conid, (5.00 + shift, 5.20 + shift))]);
            if !bench.executions().is_empty() {
                if shift > 0.0 {
                    moved.0 += 1;
                } else {
                    moved.1 += 1;
                }
                break;
            }
        }
    }
    assert!(moved.1 > 3 * moved.0, "up {} down {}", moved.0, moved.1);
}

#[test]
fn buying_and_at_once_selling_loses_the_spread_and_the_fees() {
    let mut bench = Bench::at(monday(), 3);
    let legs: Vec<(ConId, i64)> = [
        (put(610.0, 30), 1, (4.00, 4.10)),
        (put(620.0, 30), -1, (6.00, 6.10)),
        (call(660.0, 30), -1, (3.50, 3.60)),
        (call(670.0, 30), 1, (1.50, 1.58)),
    ]
    .into_iter()
    .map(|(contract, ratio, sides)| (bench.option(&contract, sides, 50), ratio))
    .collect();
    let before = bench.exchange.account().unwrap().net_liquidation;
    bench.trade(&legs, 5);
    let reversed: Vec<_> = legs.iter().map(|(conid, ratio)| (*conid, -ratio)).collect();
    bench.trade(&reversed, 5);
    let fees: Usd = bench.executions().iter().map(|leg| leg.commission).sum();
    let after = bench.exchange.account().unwrap().net_liquidation;
    assert_eq!(before - after, usd((0.10 + 0.10 + 0.10 + 0.08) * 500.0) + fees);
    assert!(bench.exchange.positions().is_empty());
}

#[test]
fn patience_is_no_free_lunch_a_passive_round_trip_costs_at_least_where_it_rests() {
    let half_spread = 0.10;
    let share = 0.35;
    let mut losses = Vec::new();
    for seed in 0..400_u64 {
        let draws = Draws::new(seed);
        let mut bench = Bench::at(monday(), seed);
        let conid = bench.option(&call(650.0, 30), (4.90, 5.10), 10);
        let mut mid = 5.0;
        let mut minute = 0;
        let mut rest = |bench: &mut Bench, side: i64| {
            let limit = side as f64 * mid + share * half_spread;
            let order = bench.submit(&[(conid, side)], 1, (limit * 100.0).round() / 100.0);
            while !bench.exchange.open_orders().is_empty() {
                minute += 1;
                let up = draws.uniform(DrawPurpose::PinAssignment, "walk", minute) < 0.5;
                mid += if up { 0.02 } else { -0.02 };
                mid = (mid * 100.0_f64).round() / 100.0;
                bench.minute_with(&[(conid, (mid - half_spread, mid + half_spread))]);
                let moved = side as f64 * mid + share * half_spread;
                let limit = OrderType::Limit(price((moved * 100.0).round() / 100.0));
                let _filled_orders_refuse = bench.exchange.amend(&order.order_ref, limit);
            }
        };
        rest(&mut bench, 1);
        rest(&mut bench, -1);
        losses.push(-bench.executions().iter().map(|one| one.cash.to_f64()).sum::<f64>());
    }
    let mean = losses.iter().sum::<f64>() / losses.len() as f64;
    let modelled = 2.0 * share * half_spread * 100.0 + 2.0;
    assert!(mean >= modelled, "lost {mean:.2} on average, modelled {modelled:.2}");
}

#[test]
fn a_day_on_the_synthetic_market_is_the_same_twice() {
    let run = || {
        let first_session = NaiveDate::from_ymd_opt(2026, 3, 2).unwrap();
        let config = SyntheticConfig {
            seed: 7,
            first_session,
            variance_premium: SHIPPED_VARIANCE_PREMIUM,
            scenario: Scenario::Ordinary,
        };
        let calendar = Arc::new(Calendar::shipped().unwrap());
        let market = SyntheticMarket::new(config, Arc::clone(&calendar)).unwrap();
        let settings = ExchangeConfig::shipped(7);
        let mut exchange = Exchange::new(Box::new(market), settings, calendar).unwrap();
        exchange.advance_to(monday()).unwrap();
        let spy = Symbol::new("SPY");
        let listed = exchange.source().option_contracts(&spy);
        let quoted = listed.iter().filter(|one| {
            let quote = exchange.source().option_quote(one.conid);
            one.expires_at > monday() + TimeDelta::days(14)
                && quote.is_some_and(|quote| quote.bid > Some(price(1.0)))
        });
        let legs: Vec<OrderLeg> =
            quoted.take(4).map(|one| OrderLeg { conid: one.conid, ratio: 1 }).collect();
        assert_eq!(legs.len(), 4);
        for (n, leg) in (0_u32..).zip(legs) {
            let order_ref = OrderRef::new("day", Purpose::Open, n).unwrap();
            let order_type = OrderType::Market;
            let request = OrderRequest { order_ref, legs: vec![leg], quantity: 2, order_type };
            exchange.submit(request).unwrap();
        }
        exchange.advance_to(monday() + TimeDelta::hours(7)).unwrap();
        (exchange.take_events(), exchange.account().unwrap())
    };
    let (events, account) = run();
    assert!(events.iter().any(|event| matches!(event, ExchangeEvent::Execution(_))));
    assert_eq!(run(), (events, account));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn cash_and_positions_are_the_sums_of_the_executions(
        orders in prop::collection::vec((0_usize..4, -2_i64..3, 1_i64..6, -30_i64..60), 1..25),
        seed in 0_u64..1_000,
    ) {
        let mut bench = Bench::at(monday(), seed);
        let conids: Vec<ConId> = [620.0, 630.0, 640.0, 650.0]
            .iter()
            .map(|strike| bench.option(&put(*strike, 20), (4.00, 4.20), 7))
            .collect();
        let start = bench.exchange.account().unwrap();
        for (first, ratio, quantity, offset) in orders {
            let legs = [(conids[first], 1), (conids[(first + 1) % 4], ratio)];
            let legs = if ratio == 0 { &legs[..1] } else { &legs[..] };
            let fair = 4.10 * (1 + ratio) as f64 + offset as f64 * 0.01;
            let limit = OrderType::Limit(price((fair * 100.0).round() / 100.0));
            let request = bench.request(legs, quantity, limit);
            let _refused_orders_are_fine = bench.exchange.submit(request);
            bench.minute();
        }
        let executions = bench.executions();
        let cash: Usd = executions.iter().map(|execution| execution.cash).sum();
        let now = bench.exchange.account().unwrap();
        prop_assert_eq!(now.cash - start.cash, cash);
        prop_assert_eq!(now.cash.to_cents(), now.cash);
        for conid in conids {
            let moved: i64 = executions
                .iter()
                .filter(|execution| execution.conid == conid)
                .map(|execution| execution.quantity)
                .sum();
            let held = bench.exchange.positions().into_iter().find(|one| one.conid == conid);
            prop_assert_eq!(held.map_or(0, |one| one.quantity), moved);
        }
        for execution in &executions {
            prop_assert_eq!(execution.kind, ExecutionKind::Trade);
            let value = execution.price.unwrap().value(execution.quantity, 100);
            prop_assert_eq!(execution.cash, -value - execution.commission);
        }
    }
}
