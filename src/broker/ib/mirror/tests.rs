//! Who gets a line, whose turn is next, and what is forgotten.

use super::*;
use crate::market::{ExerciseStyle, OptionRight, Price, Settlement, StockContract, occ_symbol};

fn now() -> Timestamp {
    chrono::DateTime::from_timestamp(1_772_463_600, 0).unwrap()
}

fn put(conid: i64, last_trade_at: Timestamp) -> Instrument {
    let (symbol, strike) = (Symbol::new("SPY"), Price::from_f64(500.0 + conid as f64).unwrap());
    let expiry_date = last_trade_at.date_naive();
    Instrument::Option(Arc::new(OptionContract {
        conid: ConId(conid),
        occ_symbol: occ_symbol(&symbol, expiry_date, OptionRight::Put, strike),
        symbol,
        expiry_date,
        strike,
        right: OptionRight::Put,
        style: ExerciseStyle::American,
        settlement: Settlement::Physical,
        multiplier: 100,
        min_tick: Price::from_f64(0.01).unwrap(),
        last_trade_at,
        expires_at: last_trade_at,
    }))
}

fn future(conid: i64, last_trade_at: Timestamp) -> Instrument {
    Instrument::Future(Arc::new(FutureContract {
        conid: ConId(conid),
        symbol: Symbol::new("ES"),
        local_symbol: "ES".into(),
        tracks: Symbol::new("SPY"),
        expiry_date: last_trade_at.date_naive(),
        multiplier: 50,
        min_tick: Price::from_f64(0.25).unwrap(),
        last_trade_at,
    }))
}

/// One underlying, number 1, and so many watched puts from number 100 on.
fn watching(puts: i64) -> Mirror {
    let mut mirror = Mirror::starting(Recalled::default(), 7);
    let symbol = Symbol::new("SPY");
    mirror.add(Instrument::Stock(StockContract { conid: ConId(1), symbol: symbol.clone() }));
    let conids: Vec<ConId> = (100..100 + puts).map(ConId).collect();
    for conid in &conids {
        mirror.add(put(conid.0, now() + TimeDelta::days(30)));
    }
    mirror.watched.insert(symbol, conids);
    mirror
}

fn hold(mirror: &mut Mirror, conids: impl Iterator<Item = i64>) {
    let held = |conid| BrokerPosition { conid, quantity: 1, average_cost: Usd::ZERO };
    mirror.positions = conids.map(|conid| held(ConId(conid))).collect();
}

#[test]
fn what_never_ticks_waits_for_its_turn_like_all_others() {
    let mut mirror = watching(12);
    // No contract ever ticks; four lines are opened at a time.
    let mut opened: Vec<ConId> = Vec::new();
    for _ in 0..3 {
        let next = mirror.turns(5, now()).rotating;
        assert_eq!(next.len(), 12);
        for conid in next.into_iter().take(4) {
            mirror.open(conid);
            opened.push(conid);
        }
    }
    let known: BTreeSet<ConId> = opened.iter().copied().collect();
    assert_eq!(known.len(), 12, "{opened:?}");
    assert_eq!(mirror.turns(5, now()).rotating[..4], opened[..4], "then round again");
}

#[test]
fn while_all_fit_all_stay_and_beyond_that_what_is_held_takes_turns_more_often() {
    let mut mirror = watching(40);
    hold(&mut mirror, 100..112);
    let turns = mirror.turns(41, now());
    assert_eq!((turns.staying.len(), turns.rotating.len(), turns.crowded_out), (41, 0, 0));
    let turns = mirror.turns(8, now());
    assert_eq!((turns.staying.len(), turns.crowded_out), (6, 7), "three quarters of the lines");
    assert_eq!(turns.staying[0], ConId(1), "the underlying first");
    let mut visits: BTreeMap<ConId, usize> = BTreeMap::new();
    for _ in 0..400 {
        let next = mirror.turns(8, now()).rotating[0];
        mirror.open(next);
        *visits.entry(next).or_default() += 1;
    }
    let of = |conid: i64| visits.get(&ConId(conid)).copied().unwrap_or_default();
    assert!((112..140).all(|conid| of(conid) >= 5), "nobody starves: {visits:?}");
    assert!((105..112).all(|held| (112..140).all(|other| of(held) > of(other))), "{visits:?}");
}

#[test]
fn a_future_that_has_expired_is_not_the_nearest() {
    let mut mirror = watching(0);
    mirror.add(future(50, now() - TimeDelta::hours(1)));
    mirror.add(future(51, now() + TimeDelta::days(90)));
    assert_eq!(mirror.turns(10, now()).staying, [ConId(1), ConId(51)]);
}

#[test]
fn what_expired_a_week_ago_is_forgotten_unless_it_is_held() {
    let mut mirror = watching(1);
    for (conid, days) in [(10, 1), (11, 8), (12, 8)] {
        mirror.add(put(conid, now() - TimeDelta::days(days)));
        mirror.open(ConId(conid));
    }
    mirror.add(future(50, now() - TimeDelta::days(8)));
    hold(&mut mirror, std::iter::once(12));
    mirror.prune(now());
    let known: Vec<i64> = mirror.listing.instruments.keys().map(|conid| conid.0).collect();
    assert_eq!(known, [1, 10, 12, 100]);
    let listed = mirror.listing.options.get(&Symbol::new("SPY")).unwrap();
    assert_eq!((listed.len(), mirror.listing.futures.len()), (3, 0));
    assert_eq!(mirror.ticks.keys().copied().collect::<Vec<_>>(), [ConId(10), ConId(12)]);
}

#[test]
fn a_holding_that_cannot_be_read_is_asked_for_less_and_less_often() {
    let mut mirror = watching(1);
    hold(&mut mirror, [7, 100].into_iter());
    assert_eq!(mirror.to_describe(), [ConId(7)], "the other one is known");
    mirror.not_described(ConId(7));
    assert_eq!(mirror.to_describe(), []);
    let rests: Vec<u64> = (1..9).map(|times| again_after(times).as_secs() / 60).collect();
    assert_eq!(rests, [1, 2, 4, 8, 16, 32, 60, 60]);
    mirror.add(put(7, now() + TimeDelta::days(9)));
    assert_eq!(mirror.to_describe(), []);
}
