//! The house by itself, on a clock of the test's own: what takes a quarter of an hour, a close or a
//! restart.

use std::sync::Arc;

use rust_decimal::Decimal;
use tokio::sync::mpsc::Receiver;

use crate::exchange::{
    Exchange, ExchangeConfig, SHIPPED_VARIANCE_PREMIUM, Scenario, SyntheticConfig, SyntheticMarket,
};
use crate::market::sessions::Calendar;
use crate::market::{Instrument, Symbol, Timestamp};

use super::event::Event;
use super::house::{House, SeatId};
use super::keeping::Keeper;
use super::listing::describe;
use super::request::{MarketDataKind, Request};
use super::traffic::Rules;
use super::words::{WireContract, WireExecutionFilter, WireOrder};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn calendar() -> Arc<Calendar> {
    Arc::new(Calendar::shipped().unwrap())
}

fn source(calendar: &Arc<Calendar>) -> Box<SyntheticMarket> {
    let config = SyntheticConfig {
        seed: 1,
        first_session: "2026-03-02".parse().unwrap(),
        variance_premium: SHIPPED_VARIANCE_PREMIUM,
        scenario: Scenario::Ordinary,
    };
    Box::new(SyntheticMarket::new(config, Arc::clone(calendar)).unwrap())
}

/// At the open of the first session.
fn house() -> House {
    let calendar = calendar();
    let config = ExchangeConfig::shipped(1);
    let mut exchange = Exchange::new(source(&calendar), config, calendar).unwrap();
    exchange.advance_to(at("2026-03-02T14:30:00Z")).unwrap();
    House::new(exchange, Rules::unpaced())
}

fn client(house: &mut House) -> (SeatId, Receiver<Event>) {
    let (seat, mut inbox) = house.seat();
    house.handle(seat, Request::StartApi { client_id: 1 }).unwrap();
    drain(&mut inbox);
    (seat, inbox)
}

fn drain(inbox: &mut Receiver<Event>) -> Vec<Event> {
    std::iter::from_fn(|| inbox.try_recv().ok()).collect()
}

fn spy(house: &House) -> Instrument {
    let listed = house.exchange.source().underlyings();
    listed.into_iter().find(|one| one.symbol().as_str() == "SPY").unwrap()
}

/// A call of SPY near the money, some weeks out.
fn call(house: &House) -> Instrument {
    let source = house.exchange.source();
    let spot = source.underlying_quote(&Symbol::new("SPY")).unwrap().last.unwrap().to_f64();
    let chain = source.option_contracts(&Symbol::new("SPY"));
    let near = chain.into_iter().filter(|option| {
        option.right == crate::market::OptionRight::Call
            && option.expiry_date > "2026-03-25".parse().unwrap()
            && (option.strike.to_f64() - spot).abs() < 5.0
    });
    Instrument::Option(near.min_by_key(|option| option.expiry_date).unwrap())
}

/// Buys two at the market, and lets them fill.
fn buy(house: &mut House, seat: SeatId, instrument: &Instrument) {
    let order = WireOrder {
        order_id: 1,
        action: "BUY".to_owned(),
        quantity: Decimal::TWO,
        order_type: "MKT".to_owned(),
        transmit: true,
        ..WireOrder::default()
    };
    let contract = Box::new(describe(instrument));
    let placed = Request::PlaceOrder { order_id: 1, contract, order: Box::new(order) };
    house.handle(seat, placed).unwrap();
    for minutes in 1..30 {
        house.advance_to(at("2026-03-02T14:35:00Z") + chrono::TimeDelta::minutes(minutes)).unwrap();
        if house.exchange.positions().iter().any(|held| held.quantity == 2) {
            return;
        }
    }
    panic!("not filled");
}

fn equity(house: &House) -> f64 {
    house.exchange.account().unwrap().net_liquidation.to_f64()
}

/// The day's part of the account's profit.
fn daily(house: &mut House, of: Option<i32>) -> Option<f64> {
    let (seat, mut inbox) = client(house);
    let account = house.account.clone();
    let asked = match of {
        None => Request::Pnl { req_id: 5, account },
        Some(con_id) => Request::PnlSingle { req_id: 5, account, con_id },
    };
    house.handle(seat, asked).unwrap();
    let told = drain(&mut inbox);
    house.leave(seat);
    match told.as_slice() {
        [Event::Pnl { daily, .. } | Event::PnlSingle { daily, .. }] => *daily,
        other => panic!("{other:?}"),
    }
}

fn is_near(told: Option<f64>, expected: f64) -> bool {
    told.is_some_and(|told| (told - expected).abs() < 0.01)
}

#[test]
fn what_nobody_can_ask_for_any_more_is_forgotten_and_its_ids_are_not_given_again() {
    let mut house = house();
    let (seat, _inbox) = client(&mut house);
    let option = call(&house);
    buy(&mut house, seat, &option);
    let next = house.orders.next_id(1);
    house.advance_to(at("2026-03-04T22:00:00Z")).unwrap();
    assert_eq!((house.orders.next_place(), house.fills.len()), (1, 1));
    house.advance_to(at("2026-03-12T22:00:00Z")).unwrap();
    assert_eq!((house.orders.next_place(), house.fills.len()), (0, 0));
    assert_eq!(house.orders.next_id(1), next);
    assert_eq!(house.exchange.positions().len(), 1, "what was bought is still held");
}

#[test]
fn the_days_profit_counts_from_the_close_before_it_and_outlives_the_house() {
    let folder = tempfile::tempdir().unwrap();
    let keeper = Keeper::of(folder.path(), "this market").unwrap();
    let mut house = house();
    house.keeper = Some(keeper.clone());
    let begun = equity(&house);
    let (seat, _inbox) = client(&mut house);
    let option = call(&house);
    buy(&mut house, seat, &option);
    house.leave(seat);
    for instant in ["2026-03-02T20:00:00Z", "2026-03-02T21:00:01Z", "2026-03-02T23:30:00Z"] {
        house.advance_to(at(instant)).unwrap();
        let expected = equity(&house) - begun;
        assert!(is_near(daily(&mut house, None), expected), "{instant}");
    }
    let close = house.closes.before("2026-03-03".parse().unwrap()).unwrap().equity;
    let tomorrow = at("2026-03-03T15:00:00Z");
    house.advance_to(tomorrow).unwrap();
    let expected = equity(&house) - close;
    assert!(expected.abs() > 0.01, "the night has moved something");
    assert!(is_near(daily(&mut house, None), expected));
    let con_id = describe(&option).con_id;
    assert!(is_near(daily(&mut house, Some(con_id)), expected), "it is the only position");
    drop(house);

    let again = |until: Timestamp| {
        let kept = keeper.read().unwrap().unwrap();
        let calendar = calendar();
        let config = ExchangeConfig::shipped(1);
        let state = kept.exchange.clone();
        let mut exchange = Exchange::resumed(source(&calendar), config, calendar, state).unwrap();
        exchange.advance_to(until).unwrap();
        let mut house = House::new(exchange, Rules::unpaced());
        house.take_over(kept);
        house
    };
    assert!(is_near(daily(&mut again(tomorrow), None), expected), "as before the restart");
    let mut late = again(at("2026-03-04T15:00:00Z"));
    assert_eq!(daily(&mut late, None), None, "nobody saw the close of 3 March");
}

/// What a stream begins with, under a market data type.
fn line(house: &mut House, data_type: i32, instrument: &Instrument) -> Vec<Event> {
    let (seat, mut inbox) = client(house);
    house.handle(seat, Request::MarketDataType { kind: data_type }).unwrap();
    let asked = Request::MarketData {
        req_id: 3,
        contract: Box::new(describe(instrument)),
        generic_ticks: String::new(),
        kind: MarketDataKind::Stream,
    };
    house.handle(seat, asked).unwrap();
    let told = drain(&mut inbox);
    house.leave(seat);
    told
}

fn price(told: &[Event], wanted: i32) -> Option<f64> {
    told.iter().find_map(|event| {
        let Event::TickPrice { field, price, .. } = event else { return None };
        (*field == wanted).then_some(*price)
    })
}

fn kind(told: &[Event]) -> Option<i32> {
    told.iter().find_map(|event| {
        let Event::MarketDataType { kind, .. } = event else { return None };
        Some(*kind)
    })
}

fn codes(told: &[Event]) -> Vec<i32> {
    let code = |event: &Event| {
        let Event::Error { code, .. } = event else { return None };
        Some(*code)
    };
    told.iter().filter_map(code).collect()
}

fn bid(house: &House) -> Option<f64> {
    let quote = house.exchange.source().underlying_quote(&Symbol::new("SPY"))?;
    quote.bid.map(crate::market::Price::to_f64)
}

#[test]
fn delayed_ticks_are_those_of_a_quarter_of_an_hour_ago() {
    let mut house = house();
    let entitled = house.rules.entitled.with("equities=delayed".parse().unwrap());
    house.rules.entitled = entitled;
    house.advance_to(at("2026-03-02T14:45:00Z")).unwrap();
    let then = bid(&house);
    house.advance_to(at("2026-03-02T15:00:00Z")).unwrap();
    assert_ne!(then, bid(&house));
    let spy = spy(&house);
    let told = line(&mut house, 3, &spy);
    assert_eq!((codes(&told), kind(&told)), (vec![10_167], Some(3)));
    assert_eq!((price(&told, 66), price(&told, 1)), (then, None));
    assert_eq!(codes(&line(&mut house, 1, &spy)), [10_089]);
}

#[test]
fn frozen_ticks_are_the_last_ones_before_the_close() {
    let mut house = house();
    house.advance_to(at("2026-03-02T20:59:50Z")).unwrap();
    let last = bid(&house);
    let spy = spy(&house);
    let open = line(&mut house, 2, &spy);
    assert_eq!((kind(&open), price(&open, 1)), (Some(1), last), "the market is open");
    house.advance_to(at("2026-03-02T22:00:00Z")).unwrap();
    let told = line(&mut house, 2, &spy);
    assert_eq!((kind(&told), price(&told, 1)), (Some(2), last));
    let live = line(&mut house, 1, &spy);
    assert_eq!((kind(&live), price(&live, 1)), (Some(1), None), "closed, and not frozen");
}

#[test]
fn an_option_without_its_underlying_has_no_model() {
    let mut house = house();
    let option = call(&house);
    let has_model = |told: &[Event]| {
        told.iter().any(|event| matches!(event, Event::TickOptionComputation { .. }))
    };
    assert!(has_model(&line(&mut house, 1, &option)));
    for (seen, code) in [("none", 10_090), ("delayed", 10_091)] {
        let entitled = format!("equities={seen}").parse().unwrap();
        house.rules.entitled = house.rules.entitled.with(entitled);
        let told = line(&mut house, 1, &option);
        assert_eq!(codes(&told), [code]);
        assert!(price(&told, 2).is_some() && !has_model(&told), "{told:?}");
    }
}

#[test]
fn a_summary_is_told_again_where_it_has_changed_until_it_is_cancelled() {
    let mut house = house();
    let (seat, mut inbox) = client(&mut house);
    let asked = |req_id| Request::AccountSummary {
        req_id,
        group: "All".to_owned(),
        tags: "NetLiquidation,AccountType".to_owned(),
    };
    house.handle(seat, asked(1)).unwrap();
    assert_eq!(drain(&mut inbox).len(), 3, "two figures and the end");
    house.stream(200.0);
    assert!(drain(&mut inbox).is_empty(), "nothing has changed");
    let option = call(&house);
    buy(&mut house, seat, &option);
    drain(&mut inbox);
    house.stream(300.0);
    assert!(drain(&mut inbox).is_empty(), "three minutes are not over");
    house.stream(400.0);
    let told = drain(&mut inbox);
    let [Event::AccountSummary { req_id: 1, figure, .. }] = told.as_slice() else {
        panic!("{told:?}");
    };
    assert_eq!(figure.tag, "NetLiquidation");
    house.handle(seat, asked(2)).unwrap();
    drain(&mut inbox);
    house.handle(seat, asked(3)).unwrap();
    assert_eq!(codes(&drain(&mut inbox)), [322], "two are the most");
    for req_id in [1, 2] {
        house.handle(seat, Request::CancelAccountSummary { req_id }).unwrap();
    }
    house.advance_to(at("2026-03-02T18:00:00Z")).unwrap();
    drain(&mut inbox);
    house.stream(600.0);
    assert!(drain(&mut inbox).is_empty());
}

#[test]
fn executions_are_found_by_day_account_and_exchange() {
    let mut house = house();
    let (seat, mut inbox) = client(&mut house);
    let option = call(&house);
    buy(&mut house, seat, &option);
    house.advance_to(at("2026-03-03T15:00:00Z")).unwrap();
    drain(&mut inbox);
    let mut found = |filter: WireExecutionFilter| {
        let filter = Box::new(filter);
        house.handle(seat, Request::Executions { req_id: 4, filter }).unwrap();
        let told = drain(&mut inbox);
        told.iter().filter(|event| matches!(event, Event::Execution { .. })).count()
    };
    let any = WireExecutionFilter::default;
    let text = str::to_owned;
    assert_eq!(found(any()), 0, "it was yesterday");
    let all = found(WireExecutionFilter { last_days: 2, ..any() });
    assert!(all > 0);
    assert_eq!(found(WireExecutionFilter { last_days: 1, ..any() }), 0, "it was yesterday");
    assert_eq!(found(WireExecutionFilter { last_days: i32::MAX, ..any() }), 0, "left out");
    assert_eq!(found(WireExecutionFilter { dates: vec![20_260_302], ..any() }), all);
    assert_eq!(found(WireExecutionFilter { dates: vec![20_260_303], ..any() }), 0);
    let both = || WireExecutionFilter { last_days: 2, ..any() };
    assert_eq!(found(WireExecutionFilter { account: text("DU0000001"), ..both() }), all);
    assert_eq!(found(WireExecutionFilter { account: text("U9"), ..both() }), 0);
    assert_eq!(found(WireExecutionFilter { exchange: text("SMART"), ..both() }), all);
    assert_eq!(found(WireExecutionFilter { exchange: text("CBOE"), ..both() }), 0);
}

#[test]
fn one_number_is_one_line() {
    let mut house = house();
    let (seat, mut inbox) = client(&mut house);
    let spy = spy(&house);
    let asked = || Request::MarketData {
        req_id: 3,
        contract: Box::new(describe(&spy)),
        generic_ticks: String::new(),
        kind: MarketDataKind::Stream,
    };
    house.handle(seat, asked()).unwrap();
    assert!(codes(&drain(&mut inbox)).is_empty());
    house.handle(seat, asked()).unwrap();
    assert_eq!(codes(&drain(&mut inbox)), [322]);
}

#[test]
fn a_contract_is_found_by_its_exchange_and_multiplier_too() {
    let mut house = house();
    let (seat, mut inbox) = client(&mut house);
    let option = describe(&call(&house));
    let spy = describe(&spy(&house));
    let future = house.exchange.source().futures().into_iter().next().unwrap();
    let future = describe(&Instrument::Future(future));
    let named = |contract: &WireContract, exchange: &str, multiplier: &str| WireContract {
        con_id: 0,
        exchange: exchange.to_owned(),
        multiplier: multiplier.to_owned(),
        local_symbol: String::new(),
        ..contract.clone()
    };
    let mut found = |contract: WireContract| {
        let contract = Box::new(contract);
        house.handle(seat, Request::ContractDetails { req_id: 6, contract }).unwrap();
        let told = drain(&mut inbox);
        let is_one = |event: &&Event| matches!(event, Event::ContractDetails { .. });
        (told.iter().filter(is_one).count(), codes(&told))
    };
    for (contract, exchange, multiplier) in [
        (&option, "SMART", "100"),
        (&option, "", "100.0"),
        (&spy, "ARCA", ""),
        (&spy, "SMART", ""),
        (&future, "CME", ""),
    ] {
        assert_eq!(found(named(contract, exchange, multiplier)), (1, vec![]), "{exchange}");
    }
    for (contract, exchange, multiplier) in [
        (&option, "SMART", "10"),
        (&option, "LSE", "100"),
        (&spy, "NYSE", ""),
        (&future, "SMART", ""),
    ] {
        assert_eq!(found(named(contract, exchange, multiplier)), (0, vec![200]), "{exchange}");
    }
}

#[test]
fn an_exchange_of_options_on_futures_lists_nothing_and_data_types_are_four() {
    let mut house = house();
    let (seat, mut inbox) = client(&mut house);
    let con_id = describe(&spy(&house)).con_id;
    let mut asked = |exchange: &str| {
        let request = Request::OptionParameters {
            req_id: 6,
            symbol: "SPY".to_owned(),
            exchange: exchange.to_owned(),
            underlying_type: "STK".to_owned(),
            con_id,
        };
        house.handle(seat, request).unwrap();
        drain(&mut inbox).len()
    };
    assert_eq!((asked(""), asked("SMART")), (2, 1), "one row and its end, or the end alone");
    for (kind, expected) in [(4, vec![]), (0, vec![321]), (99, vec![321]), (-1, vec![321])] {
        house.handle(seat, Request::MarketDataType { kind }).unwrap();
        assert_eq!(codes(&drain(&mut inbox)), expected, "{kind}");
    }
    assert_eq!(house.seats[&seat].data_type, 4);
}
