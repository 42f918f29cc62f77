//! What becomes of positions that are held to an end.

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, TimeDelta};

use crate::market::{
    ConId, ExerciseStyle, Instrument, OptionContract, Price, Settlement, Timestamp, Usd,
};
use crate::structures::testing::{call, day, future, monday, option_on, price, put, stock, usd};
use crate::structures::{Execution, ExecutionKind};

use super::MarkQuality;
use super::testing::{Bench, dividend, rate};

fn instant(text: &str) -> Timestamp {
    text.parse::<DateTime<chrono::Utc>>().unwrap()
}

/// Holds `quantity` of each contract bought or sold on Monday, and lets Wednesday 4 March pass with
/// SPY closing at `close`. Returns what was reported before Thursday's open.
fn held_to_expiry(
    seed: u64,
    legs: &[(OptionContract, i64)],
    close: f64,
) -> (Bench, Vec<Execution>) {
    let mut bench = Bench::at(monday(), seed);
    for (contract, quantity) in legs {
        let conid = bench.option(contract, (2.00, 2.10), 50);
        bench.script.lock().unwrap().settlements.insert(conid, price(close));
        bench.trade(&[(conid, quantity.signum())], quantity.abs());
    }
    bench.exchange.take_events();
    bench.exchange.advance_to(instant("2026-03-05T11:59:00Z")).unwrap();
    assert!(bench.executions().is_empty(), "nothing is reported on the evening itself");
    bench.exchange.advance_to(instant("2026-03-05T12:00:00Z")).unwrap();
    let executions = bench.executions();
    (bench, executions)
}

fn kinds(executions: &[Execution]) -> Vec<ExecutionKind> {
    executions.iter().map(|execution| execution.kind).collect()
}

fn shares(bench: &Bench) -> i64 {
    let spy = stock("SPY").conid();
    let held = bench.exchange.positions().into_iter().find(|position| position.conid == spy);
    held.map_or(0, |position| position.quantity)
}

#[test]
fn out_of_the_money_ends_worthless_and_moves_no_cash() {
    let legs = [(call(650.0, 2), 3), (put(630.0, 2), -2)];
    let (bench, executions) = held_to_expiry(1, &legs, 640.0);
    assert_eq!(kinds(&executions), [ExecutionKind::Expiry; 2]);
    assert_eq!(executions.iter().map(|one| one.cash).sum::<Usd>(), Usd::ZERO);
    assert!(executions.iter().all(|one| one.at == instant("2026-03-04T21:00:00Z")));
    assert!(bench.exchange.positions().is_empty());
}

#[test]
fn in_the_money_longs_are_exercised_and_shorts_assigned_against_stock_at_the_strike() {
    let (bench, executions) = held_to_expiry(1, &[(call(630.0, 2), 2)], 640.0);
    assert_eq!(kinds(&executions), [ExecutionKind::Exercise, ExecutionKind::Delivery]);
    assert_eq!(executions[0].group_id, executions[1].group_id);
    assert_eq!((executions[0].price, executions[0].cash), (Some(Price::ZERO), Usd::ZERO));
    assert_eq!((executions[1].quantity, executions[1].cash), (200, usd(-126_000.0)));
    assert_eq!(shares(&bench), 200);

    let (bench, executions) = held_to_expiry(1, &[(put(650.0, 2), -1)], 640.0);
    assert_eq!(kinds(&executions), [ExecutionKind::Assignment, ExecutionKind::Delivery]);
    assert_eq!((shares(&bench), executions[1].cash), (100, usd(-65_000.0)));

    let (bench, executions) = held_to_expiry(1, &[(call(630.0, 2), -1)], 640.0);
    assert_eq!((shares(&bench), executions[1].cash), (-100, usd(63_000.0)));
}

#[test]
fn a_spread_in_the_money_on_both_legs_leaves_its_width_and_no_stock() {
    let legs = [(put(650.0, 2), -2), (put(645.0, 2), 2)];
    let (bench, executions) = held_to_expiry(1, &legs, 640.0);
    assert_eq!(executions.iter().map(|one| one.cash).sum::<Usd>(), usd(-1_000.0));
    assert!(bench.exchange.positions().is_empty());
}

#[test]
fn delivered_stock_is_marked_at_the_market_and_equity_does_not_jump() {
    let (bench, _) = held_to_expiry(1, &[(call(630.0, 2), 2)], 640.0);
    let account = bench.exchange.account().unwrap();
    let (_, position) = bench.exchange.marked_positions().next().unwrap();
    assert_eq!((position.mark.price, position.mark.quality), (price(640.0), MarkQuality::Quoted));
    let paid = usd(-2.0 * 210.0 - 1.40);
    assert_eq!(account.net_liquidation, usd(250_000.0) + paid + usd(2_000.0));
}

#[test]
fn near_the_strike_holders_decide_and_shorts_are_allotted_at_random() {
    let assigned = |close: f64| -> i64 {
        (0..40)
            .flat_map(|seed| held_to_expiry(seed, &[(call(640.0, 2), -5)], close).1)
            .filter(|one| one.kind == ExecutionKind::Assignment)
            .map(|one| one.quantity)
            .sum()
    };
    let (above, below, far) = (assigned(640.05), assigned(639.95), assigned(639.0));
    assert!((110..170).contains(&above), "{above} of 200");
    assert!((5..40).contains(&below), "{below} of 200");
    assert_eq!(far, 0);
}

#[test]
fn a_threshold_separates_exercise_from_expiry_for_longs() {
    let (_, executions) = held_to_expiry(1, &[(call(640.0, 2), 1)], 640.01);
    assert_eq!(kinds(&executions), [ExecutionKind::Exercise, ExecutionKind::Delivery]);
    let (_, executions) = held_to_expiry(1, &[(call(640.0, 2), 1)], 640.0);
    assert_eq!(kinds(&executions), [ExecutionKind::Expiry]);
}

#[test]
fn what_has_no_settlement_value_waits_for_it() {
    let mut bench = Bench::at(monday(), 1);
    let conid = bench.option(&call(630.0, 2), (9.0, 9.1), 50);
    bench.trade(&[(conid, 1)], 1);
    bench.exchange.take_events();
    bench.exchange.advance_to(instant("2026-03-05T20:00:00Z")).unwrap();
    assert!(bench.executions().is_empty());
    bench.script.lock().unwrap().settlements.insert(conid, price(640.0));
    bench.exchange.advance_to(instant("2026-03-06T12:00:00Z")).unwrap();
    assert_eq!(shares(&bench), 100);
}

/// A short option held over the close of Monday 2 March, with this official mark at a SPY of 640.
fn held_over_monday(seed: u64, contract: &OptionContract, mark: f64) -> Bench {
    let mut bench = Bench::at(monday(), seed);
    let conid = bench.option(contract, (mark - 0.05, mark + 0.05), 50);
    {
        let mut script = bench.script.lock().unwrap();
        script.marks.insert((conid, day(0)), price(mark));
        script.marks.insert((stock("SPY").conid(), day(0)), price(640.0));
        script.dividends.push(dividend(day(1), 1.75));
        script.rates.push(rate(day(60), 0.04));
    }
    bench.trade(&[(conid, -1)], 10);
    bench.exchange.take_events();
    bench.exchange.advance_to(instant("2026-03-03T14:00:00Z")).unwrap();
    bench
}

#[test]
fn a_short_call_worth_less_alive_than_the_dividend_is_assigned_before_it_and_owes_it() {
    let mut bench = held_over_monday(4, &call(600.0, 18), 40.30);
    let executions = bench.executions();
    let assigned = -shares(&bench) / 100;
    assert!(assigned >= 7, "{assigned} of 10");
    let paid: Usd = executions
        .iter()
        .filter(|one| one.kind == ExecutionKind::Dividend)
        .map(|one| one.cash)
        .sum();
    assert_eq!(paid, usd(-1.75 * 100.0 * assigned as f64));
    let delivered = executions.iter().find(|one| one.kind == ExecutionKind::Delivery).unwrap();
    assert_eq!(delivered.at, instant("2026-03-02T21:00:00Z"));

    let alive = held_over_monday(4, &call(600.0, 18), 43.00);
    assert_eq!(shares(&alive), 0, "extrinsic value 3.00 exceeds the dividend");
}

#[test]
fn a_short_put_worth_less_alive_than_its_interest_is_assigned_some_day() {
    let assigned: i64 =
        (0..20).map(|seed| shares(&held_over_monday(seed, &put(700.0, 60), 60.40)) / 100).sum();
    assert!((30..70).contains(&assigned), "{assigned} of 200 at 25 % a day");
    let alive: i64 =
        (0..20).map(|seed| shares(&held_over_monday(seed, &put(700.0, 60), 66.00)) / 100).sum();
    assert!(alive <= 2, "{alive} of 200 for no reason");
}

#[test]
fn index_options_settle_in_cash_at_the_opening_print() {
    let mut bench = Bench::at(monday(), 1);
    let mut contract = option_on("VIX", crate::market::OptionRight::Call, 20.0, 16);
    contract.settlement = Settlement::Cash;
    contract.style = ExerciseStyle::European;
    contract.last_trade_at = instant("2026-03-17T20:15:00Z");
    contract.expires_at = instant("2026-03-18T13:30:00Z");
    let conid = bench.option(&contract, (3.00, 3.10), 50);
    bench.trade(&[(conid, 1)], 4);
    bench.exchange.take_events();
    bench.script.lock().unwrap().settlements.insert(conid, price(24.37));
    bench.exchange.advance_to(instant("2026-03-18T13:30:00Z")).unwrap();
    let executions = bench.executions();
    assert_eq!(kinds(&executions), [ExecutionKind::CashSettlement]);
    assert_eq!((executions[0].price, executions[0].cash), (Some(price(4.37)), usd(1_748.0)));
    assert!(bench.exchange.positions().is_empty());
}

fn es(bench: &mut Bench) -> (Instrument, ConId) {
    let contract = future("ES", "SPY", 50);
    let conid = bench.list(&contract);
    bench.quote(conid, (6_400.00, 6_400.25), 50);
    (contract, conid)
}

#[test]
fn a_future_pays_variation_daily_and_its_last_in_cash() {
    let mut bench = Bench::at(monday(), 1);
    let (_, conid) = es(&mut bench);
    bench.trade(&[(conid, 1)], 2);
    let bought = bench.executions();
    assert_eq!((bought[0].cash, bought[0].commission), (usd(-4.50), usd(4.50)));
    let mut variation = |date: NaiveDate, mark: f64, until: &str| {
        bench.script.lock().unwrap().marks.insert((conid, date), price(mark));
        bench.exchange.advance_to(instant(until)).unwrap();
        bench.executions().iter().map(|one| one.cash).sum::<Usd>()
    };
    assert_eq!(variation(day(0), 6_410.25, "2026-03-02T22:00:00Z"), usd(1_000.0));
    assert_eq!(variation(day(1), 6_390.25, "2026-03-03T22:00:00Z"), usd(-2_000.0));
    bench.script.lock().unwrap().settlements.insert(conid, price(6_400.25));
    bench.exchange.advance_to(instant("2026-03-20T13:30:00Z")).unwrap();
    let last = bench.executions();
    assert_eq!(kinds(&last), [ExecutionKind::Variation, ExecutionKind::CashSettlement]);
    assert_eq!(last.iter().map(|one| one.cash).sum::<Usd>(), usd(1_000.0));
    assert!(bench.exchange.positions().is_empty());
    let account = bench.exchange.account().unwrap();
    assert_eq!(account.cash, usd(250_000.0 - 4.50));
    assert_eq!(account.commodities_cash, usd(50_000.0 - 4.50));
}

#[test]
fn a_future_closed_within_the_day_pays_what_it_made_at_the_settlement() {
    let mut bench = Bench::at(monday(), 1);
    let (_, conid) = es(&mut bench);
    bench.trade(&[(conid, 1)], 1);
    bench.minute_with(&[(conid, (6_410.00, 6_410.25))]);
    let open = bench.exchange.account().unwrap();
    assert_eq!(
        open.net_liquidation,
        usd(250_000.0 - 2.25 + (6_410.125 - 6_400.25) * 50.0).to_cents()
    );
    bench.trade(&[(conid, -1)], 1);
    bench.exchange.take_events();
    bench.script.lock().unwrap().marks.insert((conid, day(0)), price(6_300.0));
    bench.exchange.advance_to(instant("2026-03-02T22:00:00Z")).unwrap();
    let executions = bench.executions();
    assert_eq!(kinds(&executions), [ExecutionKind::Variation]);
    assert_eq!(executions[0].cash, usd((6_410.0 - 6_400.25) * 50.0));
    assert_eq!(bench.exchange.account().unwrap().net_liquidation, usd(250_000.0 + 487.50 - 4.50));
}

#[test]
fn the_commodities_segment_must_carry_its_own_margin() {
    let mut bench = Bench::at(monday(), 1);
    let (_, conid) = es(&mut bench);
    let refused = bench.request(&[(conid, 1)], 5, crate::structures::OrderType::Market);
    assert_eq!(bench.exchange.submit(refused).unwrap_err().code, 201);
    let margin = bench.exchange.account().unwrap().initial_margin;
    bench.trade(&[(conid, 1)], 3);
    assert!(bench.exchange.account().unwrap().initial_margin > margin);
}

#[test]
fn held_stock_receives_the_dividend_on_its_ex_date() {
    let mut bench = Bench::at(monday(), 1);
    let spy = stock("SPY").conid();
    bench.trade(&[(spy, 1)], 150);
    bench.exchange.take_events();
    bench.script.lock().unwrap().dividends.push(dividend(day(2), 1.7234));
    bench.exchange.advance_to(instant("2026-03-04T13:00:00Z")).unwrap();
    let executions = bench.executions();
    assert_eq!(kinds(&executions), [ExecutionKind::Dividend]);
    assert_eq!(executions[0].cash, usd(258.51));
}

#[test]
fn a_position_without_quotes_keeps_its_last_good_mark() {
    let mut bench = Bench::at(monday(), 1);
    let conid = bench.option(&call(650.0, 30), (5.00, 5.10), 10);
    bench.trade(&[(conid, 1)], 1);
    let quoted = bench.exchange.now();
    bench.script.lock().unwrap().halted = true;
    bench.exchange.advance_to(quoted + TimeDelta::minutes(30)).unwrap();
    let (_, position) = bench.exchange.marked_positions().next().unwrap();
    assert_eq!((position.mark.price, position.mark.at), (price(5.05), quoted));
    assert!(bench.exchange.source().option_quote(conid).is_none());
    let held = Arc::new(call(650.0, 30));
    assert_eq!(position.instrument, Instrument::Option(held));
}
