#![cfg(test)]

use chrono::Duration;
use proptest::prelude::*;

use super::*;
use crate::structures::testing::{call, instrument, monday, option_on, put, stock, usd};

/// Both sides of the books, and what the contracts are.
struct Case {
    broker: Books,
    desk: Books,
    contracts: BTreeMap<ConId, Instrument>,
    causes: Vec<CashCause>,
    at: Timestamp,
}

impl Case {
    /// What the desk holds; the broker holds the same until `goes` is called.
    fn holding(held: &[(&OptionContract, i64)]) -> Self {
        let spy = stock("SPY");
        let mut contracts = BTreeMap::from([(spy.conid(), spy)]);
        let mut desk = Books { positions: BTreeMap::new(), cash: usd(10_000.0) };
        for (option, quantity) in held {
            contracts.insert(option.conid, instrument(option));
            desk.positions.insert(option.conid, *quantity);
        }
        Self { broker: desk.clone(), desk, contracts, causes: Vec::new(), at: monday() }
    }

    /// What remains at the broker of a contract.
    fn goes(mut self, conid: ConId, left: i64) -> Self {
        self.broker.positions.insert(conid, left);
        self.broker.positions.retain(|_, quantity| *quantity != 0);
        self
    }

    fn shares(self, shares: i64) -> Self {
        self.goes(stock("SPY").conid(), shares)
    }

    fn cash(mut self, moved: f64) -> Self {
        self.broker.cash += usd(moved);
        self
    }

    fn on_day(mut self, days: i64) -> Self {
        self.at = monday() + Duration::days(days);
        self
    }

    fn explained(&self) -> Result<Vec<Movement>, Unexplained> {
        let stocks = BTreeMap::from([(Symbol::new("SPY"), stock("SPY").conid())]);
        let levels = BTreeMap::from([(Symbol::new("VIX"), Price::from_f64(20.0).unwrap())]);
        explain(&Evidence {
            broker: &self.broker,
            desk: &self.desk,
            contracts: &self.contracts,
            stocks: &stocks,
            levels: &levels,
            cash_causes: &self.causes,
            cash_tolerance: usd(0.005),
            session_date: self.at.date_naive(),
            at: self.at,
        })
    }

    /// The desk's books with an explanation booked.
    fn healed(&self, movements: &[Movement]) -> Books {
        let mut books = self.desk.clone();
        for movement in movements {
            books.cash += movement.cash;
            if let Some(conid) = movement.conid {
                *books.positions.entry(conid).or_default() += movement.quantity;
            }
        }
        books.positions.retain(|_, quantity| *quantity != 0);
        books
    }
}

fn kinds(movements: &[Movement]) -> Vec<(ExecutionKind, i64)> {
    movements.iter().map(|movement| (movement.kind, movement.quantity)).collect()
}

fn cause(id: &str, amount: f64) -> CashCause {
    CashCause { id: id.to_owned(), kind: ExecutionKind::Interest, conid: None, amount: usd(amount) }
}

#[test]
fn books_that_agree_need_no_explanation() {
    assert_eq!(Case::holding(&[(&put(600.0, 30), -2)]).explained(), Ok(vec![]));
}

#[test]
fn what_expired_for_nothing_leaves_no_cash() {
    let (short, long) = (put(600.0, 0), put(590.0, 0));
    let case = Case::holding(&[(&short, -2), (&long, 2)])
        .goes(short.conid, 0)
        .goes(long.conid, 0)
        .on_day(1);
    let mut found = kinds(&case.explained().unwrap());
    found.sort_unstable();
    assert_eq!(found, [(ExecutionKind::Expiry, -2), (ExecutionKind::Expiry, 2)]);
    assert_eq!(case.on_day(0).explained(), Err(Unexplained::Nothing), "it trades until its close");
}

#[test]
fn a_spread_beyond_both_strikes_is_delivered_on_both_sides() {
    let (short, long) = (put(600.0, 0), put(590.0, 0));
    let case = Case::holding(&[(&short, -2), (&long, 2)])
        .goes(short.conid, 0)
        .goes(long.conid, 0)
        .cash(-2_000.0)
        .on_day(1);
    let movements = case.explained().unwrap();
    let delivered: Vec<i64> = movements
        .iter()
        .filter(|movement| movement.kind == ExecutionKind::Delivery)
        .map(|movement| movement.quantity)
        .collect();
    assert_eq!(delivered.iter().sum::<i64>(), 0);
    assert_eq!(delivered.len(), 2);
    assert_eq!(case.healed(&movements), case.broker);
}

#[test]
fn a_short_inside_the_pin_may_be_assigned_in_part() {
    let (short, long) = (put(600.0, 0), put(590.0, 0));
    let case = Case::holding(&[(&short, -3), (&long, 3)])
        .goes(short.conid, 0)
        .goes(long.conid, 0)
        .shares(200)
        .cash(-120_000.0)
        .on_day(1);
    let movements = case.explained().unwrap();
    assert!(kinds(&movements).contains(&(ExecutionKind::Assignment, 2)));
    assert!(kinds(&movements).contains(&(ExecutionKind::Delivery, 200)));
    assert!(kinds(&movements).contains(&(ExecutionKind::Expiry, 1)));
    assert_eq!(case.healed(&movements), case.broker);
    // The option and its stock belong together, whatever they are split among.
    let group = |kind| movements.iter().find(|one| one.kind == kind).unwrap().group_id.clone();
    assert_eq!(group(ExecutionKind::Assignment), group(ExecutionKind::Delivery));
}

#[test]
fn before_expiry_only_shorts_go_and_only_for_their_stock() {
    let (short, long) = (call(600.0, 30), call(610.0, 30));
    let assigned =
        Case::holding(&[(&short, -1), (&long, 1)]).goes(short.conid, 0).shares(-100).cash(60_000.0);
    let movements = assigned.explained().unwrap();
    assert_eq!(
        kinds(&movements),
        [(ExecutionKind::Assignment, 1), (ExecutionKind::Delivery, -100)]
    );
    assert_eq!(assigned.healed(&movements), assigned.broker);
    let vanished = Case::holding(&[(&short, -1)]).goes(short.conid, 0);
    assert_eq!(vanished.explained(), Err(Unexplained::Nothing));
    let long_gone = Case::holding(&[(&long, 1)]).goes(long.conid, 0).shares(100).cash(-61_000.0);
    assert_eq!(long_gone.explained(), Err(Unexplained::Nothing));
}

#[test]
fn what_nothing_explains_stays_a_difference() {
    let short = put(600.0, 30);
    let held = || Case::holding(&[(&short, -2)]);
    let moved = |conid| Err(Unexplained::Moved(conid));
    assert_eq!(held().goes(short.conid, -3).explained(), moved(short.conid));
    assert_eq!(held().goes(short.conid, 2).explained(), moved(short.conid));
    assert_eq!(held().shares(100).cash(-60_000.0).explained(), moved(stock("SPY").conid()));
    assert_eq!(held().cash(12.5).explained(), Err(Unexplained::Nothing));
    let stranger = ConId(77);
    assert_eq!(held().goes(stranger, 1).explained(), Err(Unexplained::NotDescribed(stranger)));
    // An assignment whose cash is a cent off is none.
    let assigned = held().goes(short.conid, -1).shares(100);
    assert!(assigned.cash(-60_000.0).explained().is_ok());
    let assigned = held().goes(short.conid, -1).shares(100);
    assert_eq!(assigned.cash(-60_000.01).explained(), Err(Unexplained::Nothing));
}

#[test]
fn confirmed_amounts_are_taken_whole_or_not_at_all() {
    let mut case = Case::holding(&[]).cash(12.5);
    case.causes = vec![cause("dividend", 30.0), cause("interest", 12.5)];
    let movements = case.explained().unwrap();
    assert_eq!(movements.len(), 1);
    assert_eq!(movements.first().unwrap().group_id, "interest");
    case.causes = vec![cause("one", 12.5), cause("other", 12.5)];
    assert_eq!(case.explained(), Err(Unexplained::Ambiguous));
    case.causes = vec![cause("too much", 12.51)];
    assert_eq!(case.explained(), Err(Unexplained::Nothing));
}

#[test]
fn options_settled_in_cash_are_explained_by_one_value() {
    let cash_settled = |right, strike| OptionContract {
        settlement: Settlement::Cash,
        ..option_on("VIX", right, strike, 0)
    };
    let (short, long) =
        (cash_settled(OptionRight::Call, 18.0), cash_settled(OptionRight::Call, 25.0));
    let settled = |cash: f64| {
        Case::holding(&[(&short, -2), (&long, 2)])
            .goes(short.conid, 0)
            .goes(long.conid, 0)
            .cash(cash)
            .on_day(1)
    };
    // 21.37 less 18, twice, a hundred each.
    let case = settled(-674.0);
    let movements = case.explained().unwrap();
    let paid = movements.iter().find(|one| one.kind == ExecutionKind::CashSettlement).unwrap();
    assert_eq!((paid.price, paid.quantity), (Price::from_f64(3.37), 2));
    assert_eq!(case.healed(&movements), case.broker);
    // No value pays more than the width of the spread, or the wrong way.
    assert_eq!(settled(-1_402.0).explained(), Err(Unexplained::Nothing));
    assert_eq!(settled(10.0).explained(), Err(Unexplained::Nothing));
    // Cash that something else may have moved as well proves no value.
    let mut doubtful = settled(-674.0);
    doubtful.causes = vec![cause("interest", 4.0)];
    assert_eq!(doubtful.explained(), Err(Unexplained::Ambiguous));
}

/// Legs on one underlying, expired or not, with what becomes of each.
fn any_fates() -> impl Strategy<Value = Vec<(bool, i64, i64, i64)>> {
    prop::collection::vec((any::<bool>(), 0_i64..6, -3_i64..4, 0_i64..4), 1..5)
}

proptest! {
    /// Whatever course events take, booking what explains it makes the books agree: another
    /// explanation with fewer deliveries may be found, but never a wrong one.
    #[test]
    fn booking_the_explanation_heals(fates in any_fates(), taken in any::<bool>()) {
        let legs: Vec<(OptionContract, i64, i64)> = fates
            .into_iter()
            .enumerate()
            .map(|(place, (is_call, step, quantity, delivered))| {
                // Each leg at a strike of its own.
                let strike = 580.0 + 10.0 * step as f64 + place as f64;
                let option = if is_call { call(strike, 0) } else { put(strike, 0) };
                let most = quantity.abs();
                let whole = quantity > 0 && delivered > 0;
                let delivered = if whole { most } else { delivered.min(most) };
                (option, quantity, delivered)
            })
            .filter(|(_, quantity, _)| *quantity != 0)
            .collect();
        let held: Vec<(&OptionContract, i64)> =
            legs.iter().map(|(option, quantity, _)| (option, *quantity)).collect();
        let mut case = Case::holding(&held).on_day(1);
        let mut shares = 0;
        for (option, quantity, delivered) in &legs {
            let side = if option.right == OptionRight::Call { 1 } else { -1 };
            let came = side * quantity.signum() * delivered * 100;
            shares += came;
            case = case.goes(option.conid, 0);
            case.broker.cash += option.strike.value(-came, 1);
        }
        case = case.shares(shares);
        case.causes = vec![cause("fee", -4.5)];
        if taken {
            case = case.cash(-4.5);
        }
        match case.explained() {
            Ok(movements) => prop_assert_eq!(case.healed(&movements), case.broker.clone()),
            Err(why) => prop_assert_eq!(why, Unexplained::Ambiguous),
        }
    }

    /// A difference of a contract that stays described is never explained away: what is booked adds
    /// up to it, or nothing is.
    #[test]
    fn nothing_is_booked_beside_the_difference(left in -4_i64..5, cash in -500_i64..500) {
        let short = put(600.0, 0);
        let held = Case::holding(&[(&short, -2)]);
        let case = held.goes(short.conid, left).cash(cash as f64).on_day(1);
        if let Ok(movements) = case.explained() {
            prop_assert_eq!(case.healed(&movements), case.broker.clone());
        }
    }
}

#[test]
fn too_many_ways_are_not_gone_through() {
    let legs: Vec<OptionContract> = (0..8).map(|place| put(600.0 + f64::from(place), 0)).collect();
    let held: Vec<(&OptionContract, i64)> = legs.iter().map(|leg| (leg, -50)).collect();
    let mut case = Case::holding(&held).on_day(1);
    for leg in &legs {
        case = case.goes(leg.conid, 0);
    }
    assert_eq!(case.explained(), Err(Unexplained::TooMany));
}
