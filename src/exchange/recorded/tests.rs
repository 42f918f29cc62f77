//! A record played back.

use std::sync::{Arc, LazyLock};

use chrono::{DateTime, TimeDelta};

use super::*;
use crate::exchange::{Exchange, ExchangeConfig, ExchangeEvent, MarketSource as _};
use crate::market::{ExerciseStyle, VendorGreeks};
use crate::pricing::{Bsm, Right, american};
use crate::structures::testing::{price, usd};
use crate::structures::{OrderLeg, OrderRef, OrderRequest, OrderType, Purpose};

static CALENDAR: LazyLock<Arc<Calendar>> = LazyLock::new(|| Arc::new(Calendar::shipped().unwrap()));

const RATE: f64 = 0.04;
const SPOT: f64 = 690.0;

fn instant(text: &str) -> Timestamp {
    text.parse::<DateTime<chrono::Utc>>().unwrap()
}

fn open() -> Timestamp {
    instant("2026-02-04T14:30:00Z")
}

fn row(at: Timestamp, strike: f64, right: &str, sides: (f64, f64)) -> RecordedRow {
    RecordedRow {
        received_at: at,
        symbol: Symbol::new("SPY"),
        expiry: "20260320".to_owned(),
        strike,
        right: right.to_owned(),
        bid: Some(sides.0),
        ask: Some(sides.1),
        last: Some(f64::NAN),
        volume: Some(4),
        open_interest: Some(0),
        vendor: VendorGreeks::default(),
        copies: 1,
    }
}

/// A sweep of American calls and puts at one spot, rate and volatility.
fn sweep(at: Timestamp) -> Vec<RecordedRow> {
    let expiry = instant("2026-03-20T20:00:00Z");
    let years = (expiry - at).num_seconds() as f64 / 31_536_000.0;
    let market = Bsm {
        right: Right::Call,
        spot: SPOT,
        strike: SPOT,
        years,
        rate: RATE,
        dividend_yield: 0.0,
        vol: 0.15,
    };
    (0..13)
        .flat_map(|step| {
            let strike = 660.0 + 5.0 * f64::from(step);
            let around = |right| {
                let mid = american(&Bsm { right, strike, ..market }).unwrap().price;
                let cents = (mid * 100.0).round() / 100.0;
                (cents - 0.01, cents + 0.01)
            };
            let at = at + TimeDelta::milliseconds(10 * i64::from(step));
            [
                row(at, strike, "CALL", around(Right::Call)),
                row(at, strike, "PUT", around(Right::Put)),
            ]
        })
        .collect()
}

fn market(rows: Vec<RecordedRow>) -> RecordedMarket {
    let recording = Recording {
        name: "recorded:test".to_owned(),
        rows,
        dividends: Vec::new(),
        bars: Vec::new(),
        start: instant("2026-02-04T05:00:00Z"),
    };
    RecordedMarket::new(recording, Arc::clone(&CALENDAR)).unwrap()
}

/// Sweeps every three minutes of a session.
fn day_of_sweeps() -> Vec<RecordedRow> {
    (0..135)
        .flat_map(|n| sweep(open() + TimeDelta::minutes(3 * n) + TimeDelta::seconds(10)))
        .collect()
}

#[test]
fn each_row_is_delivered_once_at_its_time_and_as_it_was() {
    let mut rows = day_of_sweeps();
    rows.push(row(open() - TimeDelta::hours(3), 600.0, "PUT", (-1.0, -1.0)));
    let total = rows.len();
    let mut market = market(rows);
    market.advance_to(open());
    let early = market.take_rows().unwrap();
    assert_eq!(early.len(), 1);
    assert_eq!((early[0].quote.bid, &*early[0].right_text), (Some(price(-1.0)), "PUT"));
    assert_eq!(early[0].unrepresentable.as_deref(), Some("last=NaN"));
    let mut delivered = early.len();
    for minute in 0..600 {
        let at = open() + TimeDelta::minutes(minute);
        market.advance_to(at);
        let rows = market.take_rows().unwrap();
        assert!(rows.iter().all(|row| row.received_at <= at));
        delivered += rows.len();
    }
    assert_eq!(delivered, total);
    assert_eq!(market.take_rows(), Some(Vec::new()));
}

#[test]
fn what_is_known_at_an_instant_does_not_depend_on_how_it_was_reached() {
    let ask = |steps: i64| {
        let mut market = market(day_of_sweeps());
        for step in 1..=steps {
            market.advance_to(open() + TimeDelta::seconds(7_200 * step / steps));
        }
        let spy = market.underlyings()[0].conid();
        (market.rates(), market.fair_value(spy), market.option_contracts(&Symbol::new("SPY")))
    };
    assert_eq!(ask(1), ask(719));
}

#[test]
fn rates_spots_and_closes_come_from_parity() {
    let mut market = market(day_of_sweeps());
    assert!(market.rates().is_empty());
    market.advance_to(open() + TimeDelta::minutes(40));
    let rates = market.rates();
    assert_eq!((rates.len(), rates[0].source), (1, "box"));
    assert!((rates[0].rate - RATE).abs() < 0.004, "{:?}", rates[0]);
    assert!(rates[0].rate_error.unwrap() > 0.0);
    let spy = market.underlyings()[0].conid();
    assert!((market.fair_value(spy).unwrap() - SPOT).abs() < 0.05);
    let session = NaiveDate::from_ymd_opt(2026, 2, 4).unwrap();
    assert_eq!(market.official_mark(spy, session), None);
    market.advance_to(instant("2026-02-04T21:00:00Z"));
    assert!((market.official_mark(spy, session).unwrap().to_f64() - SPOT).abs() < 0.05);
    market.advance_to(instant("2026-02-11T15:00:00Z"));
    assert_eq!(market.rates().len(), 1, "five sessions later");
    market.advance_to(instant("2026-02-12T15:00:00Z"));
    assert!(market.rates().is_empty(), "six sessions later");
}

#[test]
fn sessions_are_those_with_rows_and_quotes_stand_only_within_them() {
    let mut rows = day_of_sweeps();
    rows.push(row(instant("2026-02-06T15:00:00Z"), 690.0, "CALL", (20.0, 20.1)));
    let mut market = market(rows);
    let dates: Vec<String> = market.sessions().map(|date| date.to_string()).collect();
    assert_eq!(dates, ["2026-02-04", "2026-02-06"]);
    market.advance_to(open() + TimeDelta::minutes(5));
    let conid = market.option_contracts(&Symbol::new("SPY"))[0].conid;
    assert!(market.is_open(conid) && market.option_quote(conid).is_some());
    market.advance_to(instant("2026-02-05T16:00:00Z"));
    assert!(!market.is_open(conid) && market.option_quote(conid).is_none());
}

#[test]
fn a_row_without_a_quote_ends_the_one_before_and_the_fuller_row_of_a_stamp_wins() {
    let at = open() + TimeDelta::minutes(1);
    let mut fuller = row(at, 690.0, "CALL", (20.0, 20.1));
    fuller.last = Some(20.05);
    let poorer = row(at, 690.0, "CALL", (20.0, 20.2));
    let gone = row(at + TimeDelta::minutes(3), 690.0, "CALL", (-1.0, -1.0));
    let mut market = market(vec![fuller, poorer, gone]);
    assert_eq!(market.record().conflicts, 1);
    market.advance_to(at);
    let conid = market.option_contracts(&Symbol::new("SPY"))[0].conid;
    assert_eq!(market.option_quote(conid).unwrap().ask, Some(price(20.1)));
    market.advance_to(at + TimeDelta::minutes(3));
    assert!(market.option_quote(conid).is_none());
}

/// One count of fields decides here and in silver: sentinels are no fields, volumes are.
#[test]
fn sentinels_do_not_win_a_stamp_and_an_unusable_row_does_not_end_a_quote_of_its_own() {
    let at = open() + TimeDelta::minutes(1);
    let greeks = VendorGreeks {
        vol: Some(-1.0),
        delta: Some(-2.0),
        gamma: Some(-2.0),
        theta: Some(-2.0),
        vega: Some(-2.0),
    };
    let mut sound = row(at, 690.0, "CALL", (20.0, 20.1));
    sound.last = Some(20.0);
    let sentinels = RecordedRow { vendor: greeks, ..row(at, 690.0, "CALL", (20.0, 20.2)) };
    let crossed = row(at, 690.0, "CALL", (20.4, 20.3));
    let mut uncounted = row(at, 695.0, "CALL", (17.0, 17.2));
    (uncounted.volume, uncounted.open_interest) = (None, None);
    uncounted.vendor.gamma = Some(0.01);
    let counted = row(at, 695.0, "CALL", (17.0, 17.1));
    let mut market = market(vec![counted, uncounted, sound, sentinels, crossed]);
    market.advance_to(at);
    let asks: Vec<_> = market
        .option_contracts(&Symbol::new("SPY"))
        .iter()
        .map(|one| market.option_quote(one.conid).and_then(|quote| quote.ask))
        .collect();
    assert_eq!(asks, [Some(price(20.1)), Some(price(17.1))]);
}

#[test]
fn index_options_are_european_settle_in_cash_and_say_nothing_of_spot_or_rates() {
    let mut rows = day_of_sweeps();
    let mut vix = row(open() + TimeDelta::minutes(1), 20.0, "CALL", (1.5, 1.6));
    vix.symbol = Symbol::new("VIX");
    vix.expiry = "20260318".to_owned();
    let put = RecordedRow { right: "PUT".to_owned(), ..vix.clone() };
    rows.extend([vix, put]);
    let mut market = market(rows);
    market.advance_to(open() + TimeDelta::minutes(5));
    let symbol = Symbol::new("VIX");
    let contract = market.option_contracts(&symbol)[0].clone();
    assert_eq!((contract.style, contract.settlement), (ExerciseStyle::European, Settlement::Cash));
    assert_eq!(contract.last_trade_at, instant("2026-03-17T20:15:00Z"));
    assert_eq!(contract.expires_at, instant("2026-03-18T13:30:00Z"));
    assert!(market.option_quote(contract.conid).is_some());
    let index = market.underlyings().into_iter().find(|one| *one.symbol() == symbol).unwrap();
    assert!(matches!(index, Instrument::Index(_)));
    assert_eq!(market.fair_value(index.conid()), None);
    market.advance_to(instant("2026-02-04T21:00:00Z"));
    let session = NaiveDate::from_ymd_opt(2026, 2, 4).unwrap();
    assert_eq!(market.official_mark(index.conid(), session), None);
}

#[test]
fn rows_that_name_no_contract_are_faults_with_a_reason() {
    let at = open();
    let faulty = |change: fn(&mut RecordedRow)| {
        let mut one = row(at, 690.0, "CALL", (1.0, 1.1));
        change(&mut one);
        one
    };
    let rows = vec![
        faulty(|row| row.expiry = "2026-03-20".to_owned()),
        faulty(|row| row.expiry = "20260322".to_owned()),
        faulty(|row| row.strike = f64::NAN),
        faulty(|row| row.right = "call".to_owned()),
        faulty(|row| row.symbol = Symbol::new("SPX")),
        faulty(|_| {}),
    ];
    let market = market(rows);
    assert_eq!((market.record().rows, market.record().faults.len()), (1, 5));
    let terms = RowFault::Terms(Symbol::new("SPX"));
    assert!(market.record().faults.iter().any(|(_, fault)| *fault == terms));
}

#[test]
fn an_order_on_a_record_fills_on_later_rows_one_lot_at_a_time() {
    let market = Box::new(market(day_of_sweeps()));
    let config = ExchangeConfig::shipped(1);
    let mut exchange = Exchange::new(market, config, Arc::clone(&CALENDAR)).unwrap();
    exchange.advance_to(open() + TimeDelta::minutes(4)).unwrap();
    let listed = exchange.source().option_contracts(&Symbol::new("SPY"));
    let leg = |strike: f64, ratio| {
        let found = listed.iter().find(|one| {
            one.strike == price(strike) && one.right == crate::market::OptionRight::Put
        });
        OrderLeg { conid: found.unwrap().conid, ratio }
    };
    let mut legs = vec![leg(680.0, 1), leg(690.0, -1)];
    legs.sort_unstable();
    let order_ref = OrderRef::new("d", Purpose::Open, 0).unwrap();
    let order_type = OrderType::Market;
    exchange.submit(OrderRequest { order_ref, legs, quantity: 2, order_type }).unwrap();
    exchange.advance_to(open() + TimeDelta::minutes(5)).unwrap();
    assert!(exchange.positions().is_empty(), "no row has come since the order");
    exchange.advance_to(open() + TimeDelta::minutes(7)).unwrap();
    assert_eq!(exchange.positions().len(), 2);
    assert_eq!(exchange.open_orders()[0].filled, 1);
    exchange.advance_to(open() + TimeDelta::minutes(20)).unwrap();
    let events = exchange.take_events();
    let fills = events.iter().filter(|event| matches!(event, ExchangeEvent::Execution(_))).count();
    assert_eq!(fills, 4);
    let account = exchange.account().unwrap();
    assert_eq!(account.initial_margin, usd(2_000.0));
}
