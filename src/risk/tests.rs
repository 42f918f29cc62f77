//! The gate: what it lets pass and what refuses. Its laws are in `laws`.

use std::collections::BTreeSet;

use chrono::Duration;

use super::testing::{
    Desk, condor_legs, instruments_of, limits, mid_of, opposite, proposed, strategy,
};
use super::*;
use crate::market::{Instrument, OptionContract, Price, Usd};
use crate::structures::testing::{call, day, future, instrument, monday, price, put, stock, usd};
use crate::structures::{Leg, OrderRef, OrderType, Purpose, StructureKind};

pub(super) fn desk() -> Desk {
    Desk::with(&instruments_of(&condor_legs()))
}

pub(super) fn entry() -> Proposed {
    proposed(Purpose::Open, &condor_legs(), 4)
}

fn holding_desk() -> Desk {
    let book = Book::new(vec![strategy("condor-1", &condor_legs(), 4)], Vec::new());
    Desk { book, ..desk() }
}

fn exit() -> Proposed {
    proposed(Purpose::Close, &opposite(&condor_legs()), 4)
}

pub(super) fn refused_by<T>(verdict: &Verdict<T>) -> Vec<&'static str> {
    verdict.refusals().map(|result| result.check_id).collect()
}

fn result_of(verdict: &Verdict, id: &str) -> CheckStatus {
    verdict.results.iter().find(|result| result.check_id == id).unwrap().result
}

#[test]
fn a_sound_condor_passes_every_check_and_each_is_returned() {
    let desk = desk();
    let verdict = check(entry(), &desk.inputs());
    assert_eq!(refused_by(&verdict), Vec::<&str>::new(), "{:?}", verdict.results);
    assert!(verdict.is_approved());
    assert_eq!(verdict.effects.class, OrderClass::Entry);
    let returned: Vec<_> = verdict.results.iter().map(|row| (row.check_id, row.name)).collect();
    assert_eq!(returned, check_ids().collect::<Vec<_>>());
    let ids: BTreeSet<_> = check_ids().map(|(id, _)| id).collect();
    assert_eq!(ids.len(), check_ids().count());
}

#[test]
fn an_exit_is_reducing_and_entry_limits_do_not_bind_it() {
    let mut desk = holding_desk();
    desk.breaker = BreakerLevel::Flatten;
    desk.account.profit_today = Some(usd(-100_000.0));
    desk.account.excess_liquidity = None;
    desk.what_if = Err("no answer".to_owned());
    desk.session.minutes_to_close = Some(2.0);
    desk.required = vec![RequiredInput { name: "rates", presence: Presence::Missing }];
    let verdict = check(exit(), &desk.inputs());
    assert_eq!(refused_by(&verdict), Vec::<&str>::new(), "{:?}", verdict.results);
    assert_eq!(verdict.effects.class, OrderClass::Reducing);
    assert_eq!(result_of(&verdict, "R45"), CheckStatus::NotApplicable);
}

#[test]
fn sanity_binds_exits_too() {
    let mut desk = holding_desk();
    desk.session.phase = SessionPhase::Closed;
    assert_eq!(refused_by(&check(exit(), &desk.inputs())), ["R39"]);
    let mut desk = holding_desk();
    for market in desk.market.legs.values_mut() {
        market.received_at = monday() - Duration::hours(1);
    }
    assert_eq!(refused_by(&check(exit(), &desk.inputs())), ["R11"]);
    let mut desk = holding_desk();
    desk.breaker = BreakerLevel::Halt;
    assert_eq!(refused_by(&check(exit(), &desk.inputs())), ["R42"]);
    let beyond = proposed(Purpose::Close, &opposite(&condor_legs()), 5);
    assert!(refused_by(&check(beyond, &holding_desk().inputs())).contains(&"R34"));
}

#[test]
fn a_wing_that_nobody_bids_for_does_not_hold_up_an_exit() {
    let mut desk = holding_desk();
    let wing = instrument(&put(600.0, 30)).conid();
    desk.market.legs.get_mut(&wing).unwrap().bid = None;
    let mut order = exit();
    order.worst_price += price(1.0);
    let verdict = check(order, &desk.inputs());
    assert_eq!(refused_by(&verdict), Vec::<&str>::new(), "{:?}", verdict.results);
    assert!(refused_by(&check(entry(), &desk.inputs())).contains(&"R11"));
}

#[test]
fn a_wing_that_nobody_bids_for_stays_and_the_rest_is_still_an_exit() {
    let mut desk = holding_desk();
    let wing = instrument(&put(600.0, 30)).conid();
    let market = desk.market.legs.get_mut(&wing).unwrap();
    (market.bid, market.vol, market.delta, market.vega) = (None, None, None, None);
    desk.grid.update(&instrument(&put(600.0, 30)), &desk.market.legs[&wing], monday());
    let legs: Vec<Leg> =
        opposite(&condor_legs()).into_iter().filter(|leg| leg.instrument.conid() != wing).collect();
    let verdict = check(proposed(Purpose::Close, &legs, 4), &desk.inputs());
    assert_eq!(verdict.effects.class, OrderClass::Reducing);
    assert_eq!(refused_by(&verdict), Vec::<&str>::new(), "{:?}", verdict.results);
    // The same order is no exit while somebody bids for the wing and its volatility is unknown.
    desk.market.legs.get_mut(&wing).unwrap().bid = Some(price(0.05));
    let verdict = check(proposed(Purpose::Close, &legs, 4), &desk.inputs());
    assert_ne!(verdict.effects.class, OrderClass::Reducing);
}

#[test]
fn an_entry_repeats_one_that_filled_whatever_its_strategy_and_an_exit_may_try_again() {
    let mut desk = desk();
    sent(&mut desk, &entry(), 200);
    let order = Proposed { strategy_id: "another".to_owned(), ..entry() };
    for (fate, refused) in [(Fate::Works, true), (Fate::Filled, true), (Fate::Ended, false)] {
        desk.activity.recent[0].fate = fate;
        let verdict = check(order.clone(), &desk.inputs());
        assert_eq!(refused_by(&verdict).contains(&"R13"), refused, "{fate:?}");
    }
    let mut desk = holding_desk();
    sent(&mut desk, &exit(), 200);
    let first = &mut desk.activity.recent[0];
    first.order_ref = OrderRef::new("fedcba9876543210", Purpose::Close, 0).unwrap();
    for (fate, refused) in [(Fate::Works, true), (Fate::Filled, false), (Fate::Ended, false)] {
        desk.activity.recent[0].fate = fate;
        let verdict = check(exit(), &desk.inputs());
        assert_eq!(refused_by(&verdict).contains(&"R13"), refused, "{fate:?}");
    }
    desk.limits.order.strategy_orders_max = 0;
    assert!(!refused_by(&check(exit(), &desk.inputs())).contains(&"R15"));
}

#[test]
fn two_entries_that_work_together_share_one_vega_limit() {
    let mut desk = desk();
    let order = entry();
    let measured = |desk: &Desk| {
        let verdict = check(entry(), &desk.inputs());
        verdict.results.iter().find(|row| row.check_id == "R26").unwrap().measured.unwrap()
    };
    let alone = measured(&desk);
    let first = WorkingOrder {
        order_ref: OrderRef::new("fedcba9876543210", Purpose::Open, 0).unwrap(),
        strategy_id: "first".to_owned(),
        symbol: "SPY".into(),
        legs: order.legs.clone(),
        remaining: 4,
        worst_price: order.worst_price,
        max_loss: usd(100.0),
        capital: usd(100.0),
        opens_expiry: None,
    };
    let back = WorkingOrder { legs: opposite(&order.legs), ..first.clone() };
    desk.book = Book::new(Vec::new(), vec![first]);
    assert!((measured(&desk) - 2.0 * alone).abs() < 1e-12);
    desk.limits.exposure.cluster_short_vega_ratio = 1.5 * alone;
    assert!(refused_by(&check(entry(), &desk.inputs())).contains(&"R26"));
    // What would lessen it may not fill.
    desk.book = Book::new(Vec::new(), vec![back]);
    assert!((measured(&desk) - alone).abs() < 1e-12);
}

#[test]
fn a_refusal_has_numbers_where_there_are_any() {
    let verdict = check(entry(), &desk().inputs());
    for id in ["R2", "R9", "R42", "R44", "R47", "R54", "D1"] {
        let row = verdict.results.iter().find(|row| row.check_id == id).unwrap();
        assert!(row.measured.is_some() && row.limit.is_some(), "{id}");
    }
}

#[test]
fn taking_off_only_the_wings_is_refused() {
    let wings: Vec<Leg> =
        opposite(&condor_legs()).into_iter().filter(|leg| leg.ratio < 0).collect();
    let verdict = check(proposed(Purpose::Close, &wings, 4), &holding_desk().inputs());
    assert_ne!(verdict.effects.class, OrderClass::Reducing);
    assert!(refused_by(&verdict).contains(&"R29"));
}

#[test]
fn a_hedge_passes_where_it_lowers_the_books_worst_loss() {
    let short = put(620.0, 30);
    let long = put(600.0, 30);
    let legs = [
        Leg { instrument: instrument(&short), ratio: -1 },
        Leg { instrument: instrument(&long), ratio: 1 },
    ];
    let hedge = future("MES", "SPY", 5);
    let mut all = instruments_of(&legs);
    all.push(hedge.clone());
    let mut desk = Desk::with(&all);
    desk.book = Book::new(vec![strategy("spread-1", &legs, 20)], Vec::new());
    desk.breaker = BreakerLevel::Hedge;
    let sale = [Leg { instrument: hedge, ratio: -1 }];
    let mut order = proposed(Purpose::Hedge, &sale, 1);
    order.strategy_id = "hedge-1".to_owned();
    order.worst_price = order.request.order_type.limit().unwrap();
    let verdict = check(order.clone(), &desk.inputs());
    assert_eq!(verdict.effects.class, OrderClass::Hedge);
    assert_eq!(refused_by(&verdict), Vec::<&str>::new(), "{:?}", verdict.results);
    desk.breaker = BreakerLevel::Reduce;
    assert_eq!(refused_by(&check(order.clone(), &desk.inputs())), ["R42"]);
    desk.breaker = BreakerLevel::Normal;
    desk.account.commodities_cash = Some(Usd::ZERO);
    assert_eq!(refused_by(&check(order, &desk.inputs())), ["R52"]);
}

pub(super) type Spoil = fn(&mut Desk, &mut Proposed);

/// What breaks each check of an entry, by the check's id.
pub(super) const SPOILS: [(&str, Spoil); 43] = [
    ("R1", |_, order| {
        let option =
            Instrument::Option(OptionContract { last_trade_at: monday(), ..put(600.0, 30) }.into());
        replace(order, &put(600.0, 30), &option);
    }),
    ("R2", |_, order| order.worst_price += Price::from_micros(1_000)),
    ("R4", |_, order| order.request.quantity = 0),
    ("R5", |desk, _| desk.limits.order.quantity_contracts_max = 3),
    ("R7", |_, order| order.worst_price += price(0.5)),
    ("R9", |_, order| order.request.order_type = OrderType::Limit(price(-10.0))),
    ("R10", |desk, _| desk.limits.entry.leg_width_ratio_max = 0.001),
    ("R11", |desk, _| each_market(desk, |market| market.received_at -= Duration::hours(1))),
    ("R12", |desk, _| each_market(desk, |market| market.vol = Some(9.0))),
    ("R13", |desk, order| sent(desk, order, 30)),
    ("R14", |desk, _| desk.limits.order.orders_per_minute_max = 0),
    ("R15", |desk, _| desk.limits.order.strategy_orders_max = 0),
    ("R18", |desk, _| desk.limits.order.active_orders_per_side_max = 0),
    ("R20", |desk, _| desk.account.excess_liquidity = Some(usd(64_000.0))),
    ("R21", |desk, _| desk.what_if = Err("no answer".to_owned())),
    ("R22", |desk, _| desk.account.look_ahead_excess_liquidity = None),
    ("R23", |desk, _| desk.limits.account.position_contracts_max = 3),
    ("R25", |desk, _| desk.limits.exposure.cluster_max_loss_ratio = 0.001),
    ("R26", |desk, _| desk.limits.exposure.cluster_short_vega_ratio = 0.0),
    ("R28", |desk, _| desk.limits.exposure.worst_case_ratio_max = 0.001),
    ("R29", |_, order| drop_wings(order)),
    ("R30", |desk, _| desk.limits.exposure.trade_max_loss_ratio = 0.001),
    ("R31", |desk, _| desk.account.assigned_notional = Some(AssignedNotional([1e6; 3]))),
    ("R33", |desk, _| desk.limits.entry.days_to_expiry_min = 31),
    ("R33D", |desk, _| desk.limits.entry.short_delta_max = 0.01),
    ("R34", |_, order| {
        order.request.order_ref = OrderRef::new("0123456789abcdef", Purpose::Close, 0).unwrap();
    }),
    ("R39", |desk, _| desk.session.minutes_since_open = Some(3.0)),
    ("R42", |desk, _| desk.breaker = BreakerLevel::NoNew),
    ("R44", |desk, _| desk.required.push(RequiredInput { name: "x", presence: Presence::Missing })),
    ("R45", |desk, _| desk.account.profit_today = Some(usd(-5_001.0))),
    ("R45D", |desk, _| desk.account.drawdown_ratio = Some(0.081)),
    ("R47", |desk, order| {
        desk.activity.known_refs.insert(order.request.order_ref.clone());
    }),
    ("R48", |_, order| order.request.legs.reverse()),
    ("R49", |_, order| {
        order.request.order_type = OrderType::Limit(order.worst_price + price(0.01));
    }),
    ("R50", |_, order| order.arrival_mid = Some(price(mid_of(&condor_legs()) * 1.5))),
    ("R51", |_, order| order.fees_per_combo = usd(200.0)),
    ("R53", |desk, _| desk.limits.entry.days_to_expiry_max = 75),
    ("R54", |_, order| order.provenance.table_versions.clear()),
    ("D1", |desk, _| {
        let taken = [Leg { instrument: instrument(&put(600.0, 30)), ratio: -1 }];
        desk.book = Book::new(vec![strategy("other", &taken, 1)], Vec::new());
    }),
    ("D6W", |desk, _| opened(desk, day(-3), day(60), 14_000.0)),
    ("D6N", |desk, _| opened(desk, day(0), day(30), 100.0)),
    ("D10", |desk, _| desk.limits.entry.credit_ratio_two_sided_min = 0.9),
    ("R3", |_, _| {}),
];

/// Checks that an entry of a condor cannot break; they have cases of their own.
const ELSEWHERE: [&str; 3] = ["R3", "R53", "R8"];

fn replace(order: &mut Proposed, old: &OptionContract, new: &Instrument) {
    for leg in &mut order.legs {
        if leg.instrument.conid() == old.conid {
            leg.instrument = new.clone();
        }
    }
}

pub(super) fn each_market(desk: &mut Desk, change: impl Fn(&mut LegMarket)) {
    desk.market.legs.values_mut().for_each(change);
}

pub(super) fn sent(desk: &mut Desk, order: &Proposed, seconds: i64) {
    desk.activity.recent.push(RecentOrder {
        order_ref: OrderRef::new("fedcba9876543210", Purpose::Open, 0).unwrap(),
        strategy_id: order.strategy_id.clone(),
        legs: order.request.legs.clone(),
        quantity: order.request.quantity,
        sent_at: monday() - Duration::seconds(seconds),
        fate: Fate::Works,
    });
}

fn drop_wings(order: &mut Proposed) {
    order.legs.retain(|leg| leg.ratio < 0);
    order.request.legs.retain(|leg| leg.ratio < 0);
}

pub(super) fn opened(desk: &mut Desk, on: chrono::NaiveDate, expiry: chrono::NaiveDate, loss: f64) {
    desk.activity.opened.push(Opened {
        strategy_id: "earlier".to_owned(),
        symbol: "SPY".into(),
        expiry_date: Some(expiry),
        session_date: on,
        max_loss: usd(loss),
    });
}

#[test]
fn every_check_can_refuse() {
    for (id, spoil) in SPOILS {
        if ELSEWHERE.contains(&id) {
            continue;
        }
        let (mut desk, mut order) = (desk(), entry());
        spoil(&mut desk, &mut order);
        let verdict = check(order, &desk.inputs());
        assert!(refused_by(&verdict).contains(&id), "{id}: {:?}", refused_by(&verdict));
        assert!(!verdict.is_approved());
    }
    let spoiled: BTreeSet<_> = SPOILS.iter().map(|(id, _)| *id).chain(["R8", "R52"]).collect();
    let listed: BTreeSet<_> = check_ids().map(|(id, _)| id).collect();
    assert_eq!(spoiled, listed, "a check without a case that breaks it");
}

#[test]
fn single_contracts_have_their_own_bounds() {
    let deep = put(700.0, 30);
    let legs = [Leg { instrument: instrument(&deep), ratio: -1 }];
    let desk = Desk::with(&instruments_of(&legs));
    let mut order = proposed(Purpose::Open, &legs, 1);
    order.worst_price = price(-50.0);
    assert!(refused_by(&check(order.clone(), &desk.inputs())).contains(&"R8"));
    order.worst_price = price(60.0);
    assert!(refused_by(&check(order, &desk.inputs())).contains(&"R3"));
    let hedge = future("ES", "SPY", 50);
    let legs = [Leg { instrument: hedge, ratio: 1 }];
    let mut desk = Desk::with(&instruments_of(&legs));
    desk.limits.entry.future_days_to_expiry_min = 19;
    let verdict = check(proposed(Purpose::Hedge, &legs, 1), &desk.inputs());
    assert!(refused_by(&verdict).contains(&"R53"));
}

#[test]
fn nothing_that_is_not_a_number_gets_through() {
    let nans: [Spoil; 8] = [
        |desk, _| desk.limits.exposure.trade_max_loss_ratio = f64::NAN,
        |desk, _| desk.limits.exposure.worst_case_ratio_max = f64::NAN,
        |desk, _| desk.limits.price.collar_width_ratio = f64::NAN,
        |desk, _| desk.account.drawdown_ratio = Some(f64::NAN),
        |desk, _| desk.session.minutes_since_open = Some(f64::NAN),
        |desk, _| each_market(desk, |market| market.vol = Some(f64::NAN)),
        |desk, _| each_market(desk, |market| market.delta = Some(f64::NAN)),
        |desk, _| each_market(desk, |market| market.vega = Some(f64::NAN)),
    ];
    for (n, spoil) in nans.into_iter().enumerate() {
        let (mut desk, mut order) = (desk(), entry());
        spoil(&mut desk, &mut order);
        // A collar is the wider of two bounds, so the price is set beyond both.
        order.worst_price += price(if n == 2 { 0.5 } else { 0.0 });
        assert!(!check(order, &desk.inputs()).is_approved(), "case {n}");
    }
}

#[test]
fn what_is_missing_is_unevaluable_and_refuses() {
    let missing: [(&str, Spoil); 14] = [
        ("R2", |desk, _| desk.limits.ticks.combo.clear()),
        ("R7", |desk, _| each_market(desk, |market| market.ask = None)),
        ("R11", |desk, _| desk.market.legs.clear()),
        ("R12", |desk, _| each_market(desk, |market| market.vol = None)),
        ("R20", |desk, _| desk.account.excess_liquidity = None),
        ("R21", |desk, _| desk.what_if = Err("no answer".to_owned())),
        ("R25", |desk, _| desk.limits.clusters.clear()),
        ("R26", |desk, _| each_market(desk, |market| market.vega = None)),
        ("R28", |desk, _| desk.grid = ScenarioGrid::new(limits().scenario)),
        ("R30", |desk, _| desk.account.net_liquidation = None),
        ("R31", |desk, _| desk.account.overnight_buying_power = None),
        ("R39", |desk, _| desk.session.minutes_to_close = None),
        ("R45", |desk, _| desk.account.profit_today = None),
        ("R50", |_, order| order.arrival_mid = None),
    ];
    for (id, spoil) in missing {
        let (mut desk, mut order) = (desk(), entry());
        spoil(&mut desk, &mut order);
        let verdict = check(order, &desk.inputs());
        assert_eq!(result_of(&verdict, id), CheckStatus::Unevaluable, "{id}");
        assert!(!verdict.is_approved(), "{id}");
    }
}

#[test]
fn price_steps_stay_inside_the_verdict_and_rerun_only_sanity() {
    let desk = desk();
    let Outcome::Approved(approved) = check(entry(), &desk.inputs()).outcome else {
        panic!("a sound condor is approved");
    };
    let mandate = approved.mandate();
    let worst = mandate.worst_price();
    let step = mandate.reprice_within(worst, &desk.inputs());
    assert!(step.results.len() < check_ids().count());
    let Outcome::Approved(granted) = step.outcome else { panic!("{:?}", step.results) };
    assert_eq!((granted.order_ref(), granted.limit()), (&approved.request().order_ref, worst));
    let beyond = mandate.reprice_within(worst + price(0.01), &desk.inputs());
    assert_eq!(refused_by(&beyond), ["R49"]);
    let halted = Desk { breaker: BreakerLevel::NoNew, ..desk };
    assert_eq!(refused_by(&mandate.reprice_within(worst, &halted.inputs())), ["R42"]);
    assert_eq!(approved.into_request().quantity, 4);
}

#[test]
fn stock_is_sold_as_a_repair_only_where_it_uncovers_nothing() {
    let shares = stock("SPY");
    let written = call(670.0, 30);
    let legs = [
        Leg { instrument: shares.clone(), ratio: 100 },
        Leg { instrument: instrument(&written), ratio: -1 },
    ];
    let mut desk = Desk::with(&instruments_of(&legs));
    desk.book = Book::new(vec![strategy("condor-1", &legs, 1)], Vec::new());
    let sale = [Leg { instrument: shares, ratio: -1 }];
    let verdict = check(proposed(Purpose::Repair, &sale, 100), &desk.inputs());
    assert!(refused_by(&verdict).contains(&"R29"));
    let buy_back = [Leg { instrument: instrument(&written), ratio: 1 }];
    let verdict = check(proposed(Purpose::Close, &buy_back, 1), &desk.inputs());
    assert_eq!(result_of(&verdict, "R29"), CheckStatus::Pass);
}

#[test]
fn structures_that_are_not_what_they_say_are_refused() {
    let mut order = entry();
    order.structure = StructureKind::Butterfly;
    assert!(refused_by(&check(order, &desk().inputs())).contains(&"R48"));
}
