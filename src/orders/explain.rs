//! What explains a difference between the broker's books and the desk's, where the broker reports
//! no movement of its own: options that expired, were exercised or assigned, the stock and cash
//! that came of it, dividends, and cash that a person has confirmed.
//!
//! Rules:
//! - An option may have gone worthless only once it has expired; before, our shorts may have been
//!   assigned, and our longs never go by themselves. An expired long was exercised whole or not at
//!   all; of expired shorts any part may have been assigned.
//! - Stock that came must be exactly what the options that went deliver, and cash must be exactly
//!   what strikes, dividends and confirmed amounts make, to the cent. Options settled in cash are
//!   explained by the one settlement value, in whole cents, that fits.
//! - Everything is explained together or nothing is: with a difference left, cash proves nothing.
//! - Of explanations that fit, the one with the fewest deliveries and bookings holds; where two
//!   are equal, none does. With a settlement value to be found only a single one is believed.
//!
//! What it deliberately does not do: explain trades, splits or futures, or book anything.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

use crate::market::{
    ConId, Instrument, OptionContract, OptionRight, Price, Settlement, Symbol, Timestamp, Usd,
};
use crate::structures::ExecutionKind;

use super::reconcile::Books;

/// More ways than this are not gone through, and nothing is explained.
const WAYS_MAX: usize = 50_000;
/// Of ways for each of which a settlement value has to be sought.
const VALUED_WAYS_MAX: usize = 64;
/// How far from its last level, as a factor, an index may have been settled.
const LEVEL_FACTOR_MAX: f64 = 1.5;

/// What is known beside the two books.
#[derive(Debug, Clone)]
pub struct Evidence<'a> {
    pub broker: &'a Books,
    pub desk: &'a Books,
    /// Of every position in either.
    pub contracts: &'a BTreeMap<ConId, Instrument>,
    /// The stock that the options of a symbol deliver.
    pub stocks: &'a BTreeMap<Symbol, ConId>,
    /// Last level of each index whose options settle in cash.
    pub levels: &'a BTreeMap<Symbol, Price>,
    /// Amounts that may have moved, each whole or not at all.
    pub cash_causes: &'a [CashCause],
    pub cash_tolerance: Usd,
    /// The session in which this is looked at.
    pub session_date: NaiveDate,
    pub at: Timestamp,
}

/// A known amount that may have reached the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CashCause {
    /// Once and for all: the same cause has the same id.
    pub id: String,
    pub kind: ExecutionKind,
    /// The stock that paid; none where it concerns the account alone.
    pub conid: Option<ConId>,
    pub amount: Usd,
}

/// A movement that explains a difference, as the desk has to book it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Movement {
    pub kind: ExecutionKind,
    pub conid: Option<ConId>,
    /// Change of the desk's position.
    pub quantity: i64,
    pub price: Option<Price>,
    pub cash: Usd,
    pub group_id: String,
}

/// Why a difference stays one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unexplained {
    #[error("contract {0} is not described")]
    NotDescribed(ConId),
    #[error("contract {0} moved as neither expiry nor assignment moves it")]
    Moved(ConId),
    #[error("nothing known makes these positions and this cash")]
    Nothing,
    #[error("more than one course of events would make these positions and this cash")]
    Ambiguous,
    #[error("too many options went at once to tell what became of each")]
    TooMany,
}

/// An option that the desk has and the broker has no more.
struct Gone<'a> {
    option: &'a OptionContract,
    /// Contracts that went, in the sign of the desk's position.
    quantity: i64,
    /// What the broker has left of it.
    left: i64,
}

/// What may have become of the options that went on one symbol: contracts delivered of each.
type Fate = Vec<i64>;

/// The movements that lead from the desk's books to the broker's; none where they agree.
pub fn explain(evidence: &Evidence<'_>) -> Result<Vec<Movement>, Unexplained> {
    let cash = evidence.broker.cash - evidence.desk.cash;
    let gone = gone_options(evidence)?;
    let settled: Vec<&Gone<'_>> =
        gone.iter().filter(|one| one.option.settlement == Settlement::Cash).collect();
    let physical = by_symbol(&gone);
    let mut ways = vec![Way::default()];
    for (symbol, options) in &physical {
        let fates = fates_of(evidence, symbol, options)?;
        ways = joined(&ways, &fates, |way, fate| way.with_fate(options, fate))?;
    }
    for place in 0..evidence.cash_causes.len() {
        ways = joined(&ways, &[None, Some(place)], |way, taken| way.with_cause(evidence, *taken))?;
    }
    if !settled.is_empty() && ways.len() > VALUED_WAYS_MAX {
        return Err(Unexplained::TooMany);
    }
    let mut fitting: Vec<Way> = Vec::new();
    for way in ways {
        let residual = cash - way.cash;
        let value = if settled.is_empty() {
            if residual.abs() > evidence.cash_tolerance {
                continue;
            }
            None
        } else {
            match settlement_value(evidence, &settled, residual) {
                Some(value) => Some(value),
                None => continue,
            }
        };
        fitting.push(Way { value, ..way });
    }
    let least = fitting.iter().map(|way| way.weight).min().ok_or(Unexplained::Nothing)?;
    // A settlement value bends to what else moved: with one, only a single course is believed.
    if settled.is_empty() {
        fitting.retain(|way| way.weight == least);
    }
    match fitting.as_slice() {
        [way] => Ok(way.movements(evidence, (&physical, &settled))),
        _ => Err(Unexplained::Ambiguous),
    }
}

/// One course of events.
#[derive(Debug, Clone, Default)]
struct Way {
    cash: Usd,
    /// Contracts delivered and amounts booked.
    weight: i64,
    /// In the order of the symbols.
    fates: Vec<Fate>,
    causes: Vec<usize>,
    /// Of options settled in cash.
    value: Option<Price>,
}

impl Way {
    fn with_fate(&self, options: &[&Gone<'_>], fate: &Fate) -> Self {
        let mut way = self.clone();
        for (one, delivered) in options.iter().zip(fate) {
            way.cash += one.option.strike.value(-one.shares(*delivered), 1);
            way.weight += delivered;
        }
        way.fates.push(fate.clone());
        way
    }

    fn with_cause(&self, evidence: &Evidence<'_>, taken: Option<usize>) -> Self {
        let mut way = self.clone();
        let cause = taken.and_then(|place| Some((place, evidence.cash_causes.get(place)?)));
        if let Some((place, cause)) = cause {
            way.cash += cause.amount;
            way.weight += 1;
            way.causes.push(place);
        }
        way
    }

    fn movements(
        &self,
        evidence: &Evidence<'_>,
        (physical, settled): (&BTreeMap<&Symbol, Vec<&Gone<'_>>>, &[&Gone<'_>]),
    ) -> Vec<Movement> {
        let mut movements = Vec::new();
        for ((symbol, options), fate) in physical.iter().zip(&self.fates) {
            for (one, delivered) in options.iter().zip(fate) {
                let stock = evidence.stocks.get(*symbol).copied();
                movements.extend(one.delivery(evidence, *delivered, stock));
                movements.extend(one.worthless(evidence, one.quantity.abs() - delivered));
            }
        }
        for one in settled {
            movements.extend(self.value.map(|value| one.settlement(evidence, value)));
        }
        let causes = self.causes.iter().filter_map(|place| evidence.cash_causes.get(*place));
        movements.extend(causes.map(|cause| Movement {
            kind: cause.kind,
            conid: cause.conid,
            quantity: 0,
            price: None,
            cash: cause.amount,
            group_id: cause.id.clone(),
        }));
        movements
    }
}

impl Gone<'_> {
    fn is_expired(&self, at: Timestamp) -> bool {
        at >= self.option.expires_at
    }

    /// Stock that comes to the account where so many contracts are delivered.
    fn shares(&self, delivered: i64) -> i64 {
        let side = match self.option.right {
            OptionRight::Call => 1,
            OptionRight::Put => -1,
        };
        side * self.quantity.signum() * delivered * self.option.multiplier
    }

    /// How many contracts may have been delivered.
    fn deliverable(&self, at: Timestamp) -> Vec<i64> {
        let all = self.quantity.abs();
        match (self.is_expired(at), self.quantity > 0) {
            (true, true) => vec![0, all],
            (true, false) => (0..=all).collect(),
            (false, false) => vec![all],
            (false, true) => Vec::new(),
        }
    }

    /// The day of its expiry, or the session of an assignment before.
    fn group_id(&self, evidence: &Evidence<'_>, what: &str) -> String {
        let date = if self.is_expired(evidence.at) {
            self.option.expiry_date
        } else {
            evidence.session_date
        };
        format!("{date}.{}.{}.{what}", self.option.conid, self.left)
    }

    fn delivery(
        &self,
        evidence: &Evidence<'_>,
        contracts: i64,
        stock: Option<ConId>,
    ) -> Vec<Movement> {
        let Some(stock) = stock.filter(|_| contracts > 0) else { return Vec::new() };
        let group_id = self.group_id(evidence, "exercise");
        let shares = self.shares(contracts);
        let kind =
            if self.quantity > 0 { ExecutionKind::Exercise } else { ExecutionKind::Assignment };
        let option = Movement {
            kind,
            conid: Some(self.option.conid),
            quantity: -self.quantity.signum() * contracts,
            price: Some(Price::ZERO),
            cash: Usd::ZERO,
            group_id: group_id.clone(),
        };
        let delivered = Movement {
            kind: ExecutionKind::Delivery,
            conid: Some(stock),
            quantity: shares,
            price: Some(self.option.strike),
            cash: self.option.strike.value(-shares, 1),
            group_id,
        };
        vec![option, delivered]
    }

    fn worthless(&self, evidence: &Evidence<'_>, contracts: i64) -> Option<Movement> {
        (contracts > 0).then(|| Movement {
            kind: ExecutionKind::Expiry,
            conid: Some(self.option.conid),
            quantity: -self.quantity.signum() * contracts,
            price: Some(Price::ZERO),
            cash: Usd::ZERO,
            group_id: self.group_id(evidence, "expiry"),
        })
    }

    fn settlement(&self, evidence: &Evidence<'_>, value: Price) -> Movement {
        let price = intrinsic(self.option, value);
        let kind =
            if price > Price::ZERO { ExecutionKind::CashSettlement } else { ExecutionKind::Expiry };
        Movement {
            kind,
            conid: Some(self.option.conid),
            quantity: -self.quantity,
            price: Some(price),
            cash: price.value(self.quantity, self.option.multiplier).to_cents(),
            group_id: self.group_id(evidence, "settlement"),
        }
    }
}

/// Every option that went, whole or in part. A difference that is none of that, and no stock that
/// options deliver, is the error.
fn gone_options<'a>(evidence: &Evidence<'a>) -> Result<Vec<Gone<'a>>, Unexplained> {
    let quantity = |books: &Books, conid: ConId| books.positions.get(&conid).copied().unwrap_or(0);
    let conids: BTreeSet<ConId> =
        evidence.broker.positions.keys().chain(evidence.desk.positions.keys()).copied().collect();
    let mut gone = Vec::new();
    let mut moved_stocks = Vec::new();
    for conid in conids {
        let (left, ours) = (quantity(evidence.broker, conid), quantity(evidence.desk, conid));
        if left == ours {
            continue;
        }
        match evidence.contracts.get(&conid).ok_or(Unexplained::NotDescribed(conid))? {
            Instrument::Option(option) => {
                let went = ours - left;
                let shrank = went.signum() == ours.signum() && went.abs() <= ours.abs();
                let one = Gone { option, quantity: went, left };
                let physical = option.settlement == Settlement::Physical;
                if !shrank || !(physical || one.is_expired(evidence.at)) {
                    return Err(Unexplained::Moved(conid));
                }
                gone.push(one);
            }
            Instrument::Stock(stock) => moved_stocks.push((conid, stock.symbol.clone())),
            Instrument::Index(_) | Instrument::Future(_) => {
                return Err(Unexplained::Moved(conid));
            }
        }
    }
    for (conid, symbol) in moved_stocks {
        if !gone.iter().any(|one| one.option.symbol == symbol) {
            return Err(Unexplained::Moved(conid));
        }
    }
    Ok(gone)
}

fn by_symbol<'a>(gone: &'a [Gone<'a>]) -> BTreeMap<&'a Symbol, Vec<&'a Gone<'a>>> {
    let mut found: BTreeMap<&Symbol, Vec<&Gone<'_>>> = BTreeMap::new();
    for one in gone.iter().filter(|one| one.option.settlement == Settlement::Physical) {
        found.entry(&one.option.symbol).or_default().push(one);
    }
    found
}

/// The fates that deliver exactly the stock that came.
fn fates_of(
    evidence: &Evidence<'_>,
    symbol: &Symbol,
    options: &[&Gone<'_>],
) -> Result<Vec<Fate>, Unexplained> {
    let quantity = |books: &Books| {
        let stock = evidence.stocks.get(symbol);
        stock.and_then(|conid| books.positions.get(conid)).copied().unwrap_or(0)
    };
    let came = quantity(evidence.broker) - quantity(evidence.desk);
    let mut fates: Vec<(i64, Fate)> = vec![(0, Vec::new())];
    for one in options {
        let counts = one.deliverable(evidence.at);
        if fates.len().saturating_mul(counts.len()) > WAYS_MAX {
            return Err(Unexplained::TooMany);
        }
        fates = fates
            .iter()
            .flat_map(|(shares, fate)| {
                counts.iter().map(move |count| {
                    let mut fate = fate.clone();
                    fate.push(*count);
                    (shares + one.shares(*count), fate)
                })
            })
            .collect();
    }
    let deliverable = evidence.stocks.contains_key(symbol);
    let fits = |(shares, fate): &(i64, Fate)| {
        *shares == came && (deliverable || fate.iter().all(|count| *count == 0))
    };
    Ok(fates.into_iter().filter(fits).map(|(_, fate)| fate).collect())
}

fn joined<T>(
    ways: &[Way],
    choices: &[T],
    join: impl Fn(&Way, &T) -> Way,
) -> Result<Vec<Way>, Unexplained> {
    if ways.len().saturating_mul(choices.len()) > WAYS_MAX {
        return Err(Unexplained::TooMany);
    }
    Ok(ways.iter().flat_map(|way| choices.iter().map(|choice| join(way, choice))).collect())
}

/// The settlement value of one index that pays exactly this for the options that went: of several
/// the nearest to the last level, for where they differ, what is paid is the same.
fn settlement_value(evidence: &Evidence<'_>, settled: &[&Gone<'_>], paid: Usd) -> Option<Price> {
    let symbol = &settled.first()?.option.symbol;
    if settled.iter().any(|one| one.option.symbol != *symbol) {
        return None;
    }
    let level = *evidence.levels.get(symbol)?;
    let pays = |value: Price| -> Usd {
        let each = settled.iter().map(|one| {
            intrinsic(one.option, value).value(one.quantity, one.option.multiplier).to_cents()
        });
        each.sum()
    };
    let lowest = (level.to_f64() / LEVEL_FACTOR_MAX * 100.0).ceil() as i64;
    let highest = (level.to_f64() * LEVEL_FACTOR_MAX * 100.0).floor() as i64;
    let values = (lowest..=highest).map(|cents| Price::from_micros(cents * 10_000));
    values
        .filter(|value| (pays(*value) - paid).abs() <= evidence.cash_tolerance)
        .min_by_key(|value| (*value - level).abs())
}

fn intrinsic(option: &OptionContract, value: Price) -> Price {
    let gain = match option.right {
        OptionRight::Call => value - option.strike,
        OptionRight::Put => option.strike - value,
    };
    gain.max(Price::ZERO)
}

#[cfg(test)]
mod tests;
