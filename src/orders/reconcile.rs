//! Reconciliation: what the broker holds against what the desk believes, as a pure difference.
//!
//! Laws: `reconcile(a, a)` is empty; swapping the sides swaps the sign of every difference in
//! quantity and of cash; every contract and cash are named at most once, in order of contract id.
//! A difference is classified by what is known of the contract: a split or other corporate action,
//! a short option gone by assignment, an option gone at expiry, stock that assignment delivered;
//! else missing (the desk has it, the broker does not), extra (the other way), or another quantity.
//!
//! What it deliberately does not do: heal anything, or read working orders.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

use crate::market::{ConId, Symbol, Usd};

/// Positions by contract, long positive, and cash.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Books {
    pub positions: BTreeMap<ConId, i64>,
    pub cash: Usd,
}

/// What is known of a contract that may explain a difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub symbol: Symbol,
    /// Of an option.
    pub expiry_date: Option<NaiveDate>,
    /// What the broker reported of it and the desk has not booked.
    pub reported: Option<KnownMove>,
}

/// A movement that no order of ours caused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KnownMove {
    /// Assignment or exercise of an option, or the stock that it delivered.
    Assignment,
    Expiry,
    CorporateAction,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DifferenceKind {
    Missing,
    Extra,
    Quantity,
    Assignment,
    Expiry,
    CorporateAction,
    Cash,
}

impl DifferenceKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Extra => "extra",
            Self::Quantity => "quantity",
            Self::Assignment => "assignment",
            Self::Expiry => "expiry",
            Self::CorporateAction => "corporate_action",
            Self::Cash => "cash",
        }
    }

    /// Whether booking the broker's own report heals it, with nothing left unexplained.
    pub fn is_explained(self) -> bool {
        match self {
            Self::Assignment | Self::Expiry | Self::CorporateAction => true,
            Self::Missing | Self::Extra | Self::Quantity | Self::Cash => false,
        }
    }
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub kind: DifferenceKind,
    /// `None` for cash.
    pub conid: Option<ConId>,
    /// Whose entries it blocks; `None` where the contract is unknown, and for cash.
    pub symbol: Option<Symbol>,
    /// Broker's and desk's contracts; 0 for cash.
    pub broker_quantity: i64,
    pub desk_quantity: i64,
    /// Broker's less desk's, USD; zero for positions.
    pub cash: Usd,
}

/// Broker's truth against the desk's. `session_date` decides what has expired; cash within
/// `cash_tolerance` is the same.
pub fn reconcile(
    broker: &Books,
    desk: &Books,
    known: &BTreeMap<ConId, Known>,
    at: &Tolerance,
) -> Vec<Difference> {
    let conids: BTreeSet<ConId> =
        broker.positions.keys().chain(desk.positions.keys()).copied().collect();
    let quantity = |books: &Books, conid: ConId| books.positions.get(&conid).copied().unwrap_or(0);
    let mut differences: Vec<Difference> = conids
        .into_iter()
        .filter_map(|conid| {
            let (theirs, ours) = (quantity(broker, conid), quantity(desk, conid));
            if theirs == ours {
                return None;
            }
            let contract = known.get(&conid);
            Some(Difference {
                kind: classify(theirs, ours, contract, at.session_date),
                conid: Some(conid),
                symbol: contract.map(|known| known.symbol.clone()),
                broker_quantity: theirs,
                desk_quantity: ours,
                cash: Usd::ZERO,
            })
        })
        .collect();
    let cash = broker.cash - desk.cash;
    if cash.abs() > at.cash_tolerance {
        differences.push(Difference {
            kind: DifferenceKind::Cash,
            conid: None,
            symbol: None,
            broker_quantity: 0,
            desk_quantity: 0,
            cash,
        });
    }
    differences
}

/// When, and how exactly, the two sides must agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tolerance {
    pub session_date: NaiveDate,
    /// USD.
    pub cash_tolerance: Usd,
}

fn classify(
    theirs: i64,
    ours: i64,
    known: Option<&Known>,
    session_date: NaiveDate,
) -> DifferenceKind {
    match known.and_then(|known| known.reported) {
        Some(KnownMove::Assignment) => return DifferenceKind::Assignment,
        Some(KnownMove::Expiry) => return DifferenceKind::Expiry,
        Some(KnownMove::CorporateAction) => return DifferenceKind::CorporateAction,
        None => {}
    }
    let expired =
        known.and_then(|known| known.expiry_date).is_some_and(|expiry| expiry < session_date);
    match (theirs, ours) {
        (0, _) if expired => DifferenceKind::Expiry,
        (0, _) => DifferenceKind::Missing,
        (_, 0) => DifferenceKind::Extra,
        _ => DifferenceKind::Quantity,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::structures::testing::{day, usd};

    fn books(positions: &[(i64, i64)], cash: f64) -> Books {
        let positions = positions.iter().map(|(id, quantity)| (ConId(*id), *quantity)).collect();
        Books { positions, cash: usd(cash) }
    }

    fn at() -> Tolerance {
        Tolerance { session_date: day(0), cash_tolerance: usd(0.01) }
    }

    fn known(expiry: i64, reported: Option<KnownMove>) -> Known {
        Known { symbol: "SPY".into(), expiry_date: Some(day(expiry)), reported }
    }

    fn kinds(differences: &[Difference]) -> Vec<DifferenceKind> {
        differences.iter().map(|difference| difference.kind).collect()
    }

    #[test]
    fn every_kind_is_told_apart() {
        let broker = books(&[(2, 5), (3, 1), (7, 100)], 1_000.0);
        let desk = books(&[(1, 2), (3, 2), (4, -1), (5, 1), (6, 3)], 900.0);
        let facts = BTreeMap::from([
            (ConId(1), known(20, None)),
            (ConId(4), known(20, Some(KnownMove::Assignment))),
            (ConId(5), known(-3, None)),
            (ConId(6), known(20, Some(KnownMove::CorporateAction))),
            (ConId(7), known(20, Some(KnownMove::Assignment))),
        ]);
        let found = reconcile(&broker, &desk, &facts, &at());
        assert_eq!(
            kinds(&found),
            [
                DifferenceKind::Missing,
                DifferenceKind::Extra,
                DifferenceKind::Quantity,
                DifferenceKind::Assignment,
                DifferenceKind::Expiry,
                DifferenceKind::CorporateAction,
                DifferenceKind::Assignment,
                DifferenceKind::Cash,
            ]
        );
        assert_eq!(found.last().unwrap().cash, usd(100.0));
        assert_eq!(found.get(1).unwrap().symbol, None);
    }

    #[test]
    fn a_position_of_zero_is_no_position() {
        assert!(
            reconcile(&books(&[(1, 0)], 0.0), &books(&[], 0.0), &BTreeMap::new(), &at()).is_empty()
        );
    }

    fn any_books() -> impl Strategy<Value = Books> {
        let positions = prop::collection::btree_map(0_i64..8, -3_i64..4, 0..8);
        (positions, -1_000.0_f64..1_000.0).prop_map(|(positions, cash)| {
            let positions: Vec<_> = positions.into_iter().collect();
            books(&positions, cash)
        })
    }

    proptest! {
        #[test]
        fn the_same_books_agree(a in any_books()) {
            prop_assert_eq!(reconcile(&a, &a, &BTreeMap::new(), &at()), vec![]);
        }

        #[test]
        fn swapping_the_sides_swaps_the_signs(a in any_books(), b in any_books()) {
            let one = reconcile(&a, &b, &BTreeMap::new(), &at());
            let other = reconcile(&b, &a, &BTreeMap::new(), &at());
            prop_assert_eq!(one.len(), other.len());
            for (left, right) in one.iter().zip(&other) {
                prop_assert_eq!(left.conid, right.conid);
                prop_assert_eq!(left.broker_quantity, right.desk_quantity);
                prop_assert_eq!(left.cash, -right.cash);
            }
        }

        #[test]
        fn booking_every_difference_heals(a in any_books(), b in any_books()) {
            let mut healed = b.clone();
            for difference in reconcile(&a, &b, &BTreeMap::new(), &at()) {
                healed.cash += difference.cash;
                if let Some(conid) = difference.conid {
                    healed.positions.insert(conid, difference.broker_quantity);
                }
            }
            prop_assert!(reconcile(&a, &healed, &BTreeMap::new(), &at()).is_empty());
        }
    }
}
