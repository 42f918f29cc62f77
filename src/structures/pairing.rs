//! Which long option, or which shares, stands behind each short option of one underlying.
//!
//! A short option may be matched, contract for contract, by a long option of the same right
//! expiring no earlier, or (calls) by shares. The pairing matches as many shorts as can be
//! matched at all: shorts are served from the latest expiry to the earliest, each from its own
//! expiry first, so a short never takes what only a later one could use in its place.
//!
//! What it deliberately does not do: price anything, or cover a short by cash (see `coverage`).

use std::collections::BTreeMap;

use chrono::NaiveDate;

use crate::market::{ConId, OptionContract, OptionRight};

/// What stands behind a short option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cover<'a> {
    Long(&'a OptionContract),
    Shares,
    Nothing,
}

/// Contracts of one short option and what stands behind each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair<'a> {
    pub short: &'a OptionContract,
    pub cover: Cover<'a>,
    /// Contracts, positive.
    pub quantity: i64,
}

/// A number of contracts of one option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lot<'a> {
    pub contract: &'a OptionContract,
    /// Contracts, positive.
    pub quantity: i64,
}

/// The options of one underlying, matched.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pairing<'a> {
    /// Every short contract, exactly once.
    pub pairs: Vec<Pair<'a>>,
    /// Long contracts that no short needs.
    pub spare_longs: Vec<Lot<'a>>,
    /// Shares that no short call needs.
    pub spare_shares: i64,
}

/// Matches the options of one underlying. `quantity` is signed, long positive; several entries of
/// one contract are netted. `shares` is the net number of shares held; negative covers nothing.
pub fn pair<'a>(
    options: impl IntoIterator<Item = (&'a OptionContract, i64)>,
    shares: i64,
) -> Pairing<'a> {
    let mut net: BTreeMap<ConId, (&'a OptionContract, i64)> = BTreeMap::new();
    for (contract, quantity) in options {
        net.entry(contract.conid).or_insert((contract, 0)).1 += quantity;
    }
    let mut pairing = Pairing { spare_shares: shares, ..Pairing::default() };
    for right in [OptionRight::Call, OptionRight::Put] {
        let of_right = |sign: i64| -> Vec<Lot<'a>> {
            net.values()
                .filter(|(contract, quantity)| contract.right == right && quantity * sign > 0)
                .map(|(contract, quantity)| Lot { contract, quantity: quantity * sign })
                .collect()
        };
        let mut longs = of_right(1);
        longs.sort_by_key(|lot| strike_order(lot.contract));
        for short in latest_first(of_right(-1)) {
            match_one(short, &mut longs, &mut pairing);
        }
        pairing.spare_longs.extend(longs.into_iter().filter(|lot| lot.quantity > 0));
    }
    pairing
}

/// Calls by rising strike, puts by falling strike: the costliest first, the cheapest to leave
/// uncovered last.
fn strike_order(contract: &OptionContract) -> (i64, ConId) {
    let micros = contract.strike.micros();
    let key = match contract.right {
        OptionRight::Call => micros,
        OptionRight::Put => -micros,
    };
    (key, contract.conid)
}

fn latest_first(mut shorts: Vec<Lot<'_>>) -> Vec<Lot<'_>> {
    shorts.sort_by_key(|lot| {
        (std::cmp::Reverse(lot.contract.expiry_date), strike_order(lot.contract))
    });
    shorts
}

fn match_one<'a>(short: Lot<'a>, longs: &mut [Lot<'a>], pairing: &mut Pairing<'a>) {
    let mut open = short.quantity;
    let expiry = short.contract.expiry_date;
    let own = |date: NaiveDate| date == expiry;
    let later = |date: NaiveDate| date > expiry;
    let passes: [&dyn Fn(NaiveDate) -> bool; 2] = [&own, &later];
    for usable in passes {
        for long in longs.iter_mut() {
            if usable(long.contract.expiry_date)
                && long.contract.multiplier == short.contract.multiplier
            {
                let quantity = open.min(long.quantity);
                if quantity > 0 {
                    let cover = Cover::Long(long.contract);
                    pairing.pairs.push(Pair { short: short.contract, cover, quantity });
                    long.quantity -= quantity;
                    open -= quantity;
                }
            }
        }
    }
    if short.contract.right == OptionRight::Call && short.contract.multiplier > 0 {
        let quantity = open.min(pairing.spare_shares.max(0) / short.contract.multiplier);
        if quantity > 0 {
            let cover = Cover::Shares;
            pairing.pairs.push(Pair { short: short.contract, cover, quantity });
            pairing.spare_shares -= quantity * short.contract.multiplier;
            open -= quantity;
        }
    }
    if open > 0 {
        let cover = Cover::Nothing;
        pairing.pairs.push(Pair { short: short.contract, cover, quantity: open });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::structures::testing::{call, put};

    #[test]
    fn a_condor_pairs_each_short_with_its_wing() {
        let legs = [put(600.0, 20), put(610.0, 20), call(650.0, 20), call(660.0, 20)];
        let pairing = pair(legs.iter().zip([2, -2, -2, 2]), 0);
        assert_eq!(pairing.pairs.len(), 2);
        assert!(pairing.pairs.iter().all(|pair| matches!(pair.cover, Cover::Long(_))));
        assert!(pairing.spare_longs.is_empty());
    }

    #[test]
    fn an_early_short_does_not_take_the_only_long_of_a_late_one() {
        let legs = [call(650.0, 10), call(650.0, 40), call(660.0, 10), call(670.0, 40)];
        let pairing = pair(legs.iter().zip([-1, -1, 1, 1]), 0);
        assert!(pairing.pairs.iter().all(|pair| matches!(pair.cover, Cover::Long(_))));
    }

    #[test]
    fn a_long_that_expires_earlier_covers_nothing() {
        let legs = [call(650.0, 40), call(640.0, 20)];
        let pairing = pair(legs.iter().zip([-1, 1]), 0);
        assert_eq!(pairing.pairs.first().unwrap().cover, Cover::Nothing);
        assert_eq!(pairing.spare_longs.len(), 1);
    }

    #[test]
    fn shares_cover_calls_by_the_hundred_and_puts_never() {
        let legs = [call(650.0, 20), put(600.0, 20)];
        let pairing = pair(legs.iter().zip([-2, -1]), 150);
        let quantity = |cover: Cover<'_>| -> i64 {
            pairing.pairs.iter().filter(|pair| pair.cover == cover).map(|pair| pair.quantity).sum()
        };
        assert_eq!(quantity(Cover::Shares), 1);
        assert_eq!(quantity(Cover::Nothing), 2);
        assert_eq!(pairing.spare_shares, 50);
    }
}
