//! Executions applied to strategies: each once, each leg with the cash of what is still held.

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::market::{Instrument, Timestamp, Usd};
use crate::structures::{Execution, ExecutionKind, OrderLeg, OrderRef};

use super::corrections::written;
use super::orders::bump;
use super::rows::legs_of;
use super::schema::next_change;
use super::{Journal, JournalError};

/// What an execution meant to the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// It moved these strategies.
    Strategies(Vec<String>),
    /// It was counted before.
    Known,
    /// No strategy holds the contract: cash of the account, somebody else's trade, a trade of an
    /// order that this journal never had, or the line of a combo as a whole, whose legs are counted
    /// one by one.
    Nobody,
}

impl Journal {
    /// Counts an execution once. A trade belongs to the strategy of its order; without a reference
    /// that is ours it is nobody's. An assignment, exercise, expiry, settlement or forced trade
    /// goes to the strategies that hold the contract, in the order of their ids, as far as they
    /// hold it; a delivery follows the assignment or exercise of its group, which must be applied
    /// first; variation and dividends go to the holders in proportion.
    pub fn apply_execution(
        &mut self,
        execution: &Execution,
        instrument: &Instrument,
    ) -> Result<Applied, JournalError> {
        let told = written(execution)?;
        let work = self.begin()?;
        let fresh = work.execute(
            "insert into executions (exec_id, cash, applied_at, told) values (?1, ?2, ?3, ?4)
             on conflict (exec_id) do nothing",
            (&execution.exec_id, execution.cash.micros(), execution.at.timestamp_micros(), told),
        )?;
        if fresh == 0 {
            return Ok(Applied::Known);
        }
        let shares = shares_of(&work, execution)?;
        for share in &shares {
            apply_share(&work, share, execution, instrument)?;
        }
        if let (Some(order_ref), false) = (&execution.order_ref, shares.is_empty()) {
            add_fill(&work, order_ref, execution)?;
        }
        work.commit()?;
        if shares.is_empty() {
            return Ok(Applied::Nobody);
        }
        Ok(Applied::Strategies(shares.into_iter().map(|share| share.strategy_id).collect()))
    }

    /// Cash that all executions applied so far have booked.
    pub fn executed_cash(&self) -> Result<Usd, JournalError> {
        let sum = "select coalesce(sum(cash), 0) from executions";
        let micros = self.connection.query_row(sum, [], |row| row.get(0))?;
        Ok(Usd::from_micros(micros))
    }
}

/// A strategy's part of an execution.
#[derive(Debug)]
struct Share {
    strategy_id: String,
    quantity: i64,
    cash: Usd,
    commission: Usd,
    /// Per combo, as the order trades the contract; 0 for what came by delivery.
    ratio: i64,
}

fn shares_of(work: &Connection, execution: &Execution) -> Result<Vec<Share>, JournalError> {
    if let Some(order_ref) = &execution.order_ref {
        let Some((strategy_id, legs)) = order_of(work, order_ref)? else { return Ok(Vec::new()) };
        let leg = legs.into_iter().find(|leg| leg.conid == execution.conid);
        return Ok(leg.map_or_else(Vec::new, |leg| {
            vec![Share {
                strategy_id,
                quantity: execution.quantity,
                cash: execution.cash,
                commission: execution.commission,
                ratio: leg.ratio,
            }]
        }));
    }
    match execution.kind {
        ExecutionKind::Trade | ExecutionKind::Correction => Ok(Vec::new()),
        ExecutionKind::Assignment
        | ExecutionKind::Liquidation
        | ExecutionKind::Exercise
        | ExecutionKind::Expiry
        | ExecutionKind::CashSettlement => {
            let weights = taken_from_holders(work, execution)?;
            remember_group(work, &execution.group_id, &weights)?;
            Ok(split(execution, execution.quantity, &weights))
        }
        ExecutionKind::Delivery => {
            let weights = group_weights(work, &execution.group_id)?;
            let whole = weights.iter().map(|(_, weight)| weight).sum();
            Ok(split(execution, whole, &weights))
        }
        ExecutionKind::Variation | ExecutionKind::Dividend | ExecutionKind::Interest => {
            let weights = holders(work, execution.conid.0)?;
            let whole = weights.iter().map(|(_, weight)| weight).sum();
            Ok(split(execution, whole, &weights))
        }
    }
}

fn order_of(
    work: &Connection,
    order_ref: &OrderRef,
) -> Result<Option<(String, Vec<OrderLeg>)>, JournalError> {
    let found: Option<(String, String)> = work
        .prepare_cached("select strategy_id, legs from orders where order_ref = ?1")?
        .query_row([order_ref.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    found.map(|(strategy_id, legs)| Ok((strategy_id, legs_of(&legs)?))).transpose()
}

/// Strategies that hold the contract, with what they hold, in order of id.
fn holders(work: &Connection, conid: i64) -> Result<Vec<(String, i64)>, JournalError> {
    let mut statement = work.prepare_cached(
        "select strategy_id, quantity from strategy_legs
         where conid = ?1 and quantity <> 0 order by strategy_id",
    )?;
    let held = statement.query_map([conid], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(held.collect::<Result<_, _>>()?)
}

/// How much of a movement each holder on its other side takes.
fn taken_from_holders(
    work: &Connection,
    execution: &Execution,
) -> Result<Vec<(String, i64)>, JournalError> {
    let mut left = execution.quantity;
    let mut taken = Vec::new();
    for (strategy_id, held) in holders(work, execution.conid.0)? {
        if left == 0 || (held > 0) == (left > 0) {
            continue;
        }
        let part = if left.abs() < held.abs() { left } else { -held };
        left -= part;
        taken.push((strategy_id, part));
    }
    Ok(taken)
}

fn remember_group(
    work: &Connection,
    group_id: &str,
    weights: &[(String, i64)],
) -> Result<(), JournalError> {
    for (strategy_id, contracts) in weights {
        work.execute(
            "insert into group_shares (group_id, strategy_id, contracts) values (?1, ?2, ?3)
             on conflict (group_id, strategy_id) do update set contracts = contracts + ?3",
            (group_id, strategy_id, contracts),
        )?;
    }
    Ok(())
}

fn group_weights(work: &Connection, group_id: &str) -> Result<Vec<(String, i64)>, JournalError> {
    let mut statement = work.prepare_cached(
        "select strategy_id, contracts from group_shares where group_id = ?1 order by strategy_id",
    )?;
    let shares = statement.query_map([group_id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(shares.collect::<Result<_, _>>()?)
}

/// Parts of an execution by weight over `whole`; where the weights make up the whole, the last part
/// takes what rounding leaves.
fn split(execution: &Execution, whole: i64, weights: &[(String, i64)]) -> Vec<Share> {
    let mut so_far = 0;
    let mut done = (0, Usd::ZERO, Usd::ZERO);
    let mut shares = Vec::new();
    for (strategy_id, weight) in weights.iter().filter(|_| whole != 0) {
        so_far += weight;
        let upto = (
            (i128::from(execution.quantity) * i128::from(so_far) / i128::from(whole)) as i64,
            portion(execution.cash, so_far, whole),
            portion(execution.commission, so_far, whole),
        );
        shares.push(Share {
            strategy_id: strategy_id.clone(),
            quantity: upto.0 - done.0,
            cash: upto.1 - done.1,
            commission: upto.2 - done.2,
            ratio: 0,
        });
        done = upto;
    }
    shares
}

/// `amount x part / whole`, to the millionth.
fn portion(amount: Usd, part: i64, whole: i64) -> Usd {
    let micros = i128::from(amount.micros()) * i128::from(part) / i128::from(whole);
    Usd::from_micros(micros as i64)
}

#[derive(Debug, Clone, Copy)]
struct HeldLeg {
    ratio: i64,
    quantity: i64,
    cash: Usd,
}

fn held_leg(
    work: &Connection,
    strategy_id: &str,
    conid: i64,
) -> Result<Option<HeldLeg>, JournalError> {
    Ok(work
        .prepare_cached(
            "select ratio, quantity, cash from strategy_legs where strategy_id = ?1 and conid = ?2",
        )?
        .query_row((strategy_id, conid), |row| {
            Ok(HeldLeg {
                ratio: row.get(0)?,
                quantity: row.get(1)?,
                cash: Usd::from_micros(row.get(2)?),
            })
        })
        .optional()?)
}

/// What moves a leg towards zero realises its part of the leg's cash; what moves it away adds to
/// it. A movement through zero is both, one after the other.
fn apply_share(
    work: &Connection,
    share: &Share,
    execution: &Execution,
    instrument: &Instrument,
) -> Result<(), JournalError> {
    let held = held_leg(work, &share.strategy_id, execution.conid.0)?;
    let leg = held.unwrap_or(HeldLeg { ratio: share.ratio, quantity: 0, cash: Usd::ZERO });
    let booked = book(leg, share);
    if share.quantity != 0 {
        let ratio = if leg.ratio == 0 { share.ratio } else { leg.ratio };
        let after =
            HeldLeg { ratio, quantity: leg.quantity + share.quantity, cash: booked.leg_cash };
        write_leg(work, share, after, instrument)?;
    }
    settle_strategy(work, share, &booked, execution.at)
}

/// Where a share's cash goes.
struct Booked {
    leg_cash: Usd,
    opening: Usd,
    realised: Usd,
}

fn book(leg: HeldLeg, share: &Share) -> Booked {
    if share.quantity == 0 {
        return Booked { leg_cash: leg.cash, opening: Usd::ZERO, realised: share.cash };
    }
    let opposite = leg.quantity != 0 && (leg.quantity > 0) != (share.quantity > 0);
    if !opposite {
        return Booked {
            leg_cash: leg.cash + share.cash,
            opening: share.cash,
            realised: Usd::ZERO,
        };
    }
    let closing =
        if share.quantity.abs() <= leg.quantity.abs() { share.quantity } else { -leg.quantity };
    let closing_cash = portion(share.cash, closing, share.quantity);
    let released = portion(leg.cash, -closing, leg.quantity);
    let opening = share.cash - closing_cash;
    Booked { leg_cash: leg.cash - released + opening, opening, realised: closing_cash + released }
}

fn write_leg(
    work: &Connection,
    share: &Share,
    leg: HeldLeg,
    instrument: &Instrument,
) -> Result<(), JournalError> {
    let seq = next_change(work)?;
    let (occ_symbol, expiry, strike, right) = match instrument {
        Instrument::Option(option) => (
            Some(option.occ_symbol.to_string()),
            Some(option.expiry_date.to_string()),
            Some(option.strike.micros()),
            Some(option.right.as_str()),
        ),
        Instrument::Future(future) => (None, Some(future.expiry_date.to_string()), None, None),
        Instrument::Stock(_) | Instrument::Index(_) => (None, None, None, None),
    };
    work.prepare_cached(
        "insert into strategy_legs (strategy_id, conid, occ_symbol, symbol, security_kind,
             expiry_date, strike, option_right, multiplier, ratio, quantity, cash, change_seq)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
         on conflict (strategy_id, conid) do update set ratio = ?10, quantity = ?11, cash = ?12,
             change_seq = ?13",
    )?
    .execute(params![
        share.strategy_id,
        instrument.conid().0,
        occ_symbol,
        instrument.symbol().as_str(),
        instrument.kind().as_str(),
        expiry,
        strike,
        right,
        instrument.multiplier(),
        leg.ratio,
        leg.quantity,
        leg.cash.micros(),
        seq,
    ])?;
    Ok(())
}

/// Combos open are those that the fullest leg still makes up, so that a strategy which has lost a
/// leg to an assignment stays in sight; delivered stock alone counts as one. Nothing held at all is
/// closed.
const SETTLE: &str = "
with held as (
    select
        coalesce(max(case when ratio <> 0
            then (abs(quantity) + abs(ratio) - 1) / abs(ratio) end), count(*) > 0) as combos
    from strategy_legs
    where strategy_id = ?1 and quantity <> 0
)
update strategies set
    opening_cash = opening_cash + ?2,
    realised = realised + ?3,
    commissions = commissions + ?4,
    opened_at = coalesce(opened_at, ?5),
    changed_at = ?5,
    change_seq = ?6,
    quantity = held.combos,
    opened_quantity = max(opened_quantity, held.combos),
    state = iif(held.combos > 0, 'open', 'closed'),
    closed_at = iif(held.combos > 0, null, coalesce(iif(state = 'closed', closed_at, null), ?5))
from held
where strategy_id = ?1";

fn settle_strategy(
    work: &Connection,
    share: &Share,
    booked: &Booked,
    at: Timestamp,
) -> Result<(), JournalError> {
    let seq = next_change(work)?;
    let settled = work.prepare_cached(SETTLE)?.execute(params![
        share.strategy_id,
        booked.opening.micros(),
        booked.realised.micros(),
        share.commission.micros(),
        at.timestamp_micros(),
        seq,
    ])?;
    if settled == 0 {
        return Err(JournalError::NoStrategy(share.strategy_id.clone()));
    }
    Ok(())
}

/// Adds a leg's part to its order: the value, ratio-weighted, so that the sum over a combo's legs
/// is quantity x net price, and the combos that all legs now make up.
fn add_fill(
    work: &Connection,
    order_ref: &OrderRef,
    execution: &Execution,
) -> Result<(), JournalError> {
    work.execute(
        "insert into order_fills (order_ref, conid, quantity) values (?1, ?2, ?3)
         on conflict (order_ref, conid) do update set quantity = quantity + ?3",
        (order_ref.as_str(), execution.conid.0, execution.quantity),
    )?;
    let legs = order_of(work, order_ref)?.map_or_else(Vec::new, |(_, legs)| legs);
    let mut combos: Option<i64> = None;
    for leg in &legs {
        let filled: Option<i64> = work
            .prepare_cached("select quantity from order_fills where order_ref = ?1 and conid = ?2")?
            .query_row((order_ref.as_str(), leg.conid.0), |row| row.get(0))
            .optional()?;
        let whole = filled.map_or(0, |quantity| quantity / leg.ratio);
        combos = Some(combos.map_or(whole, |least| least.min(whole)));
    }
    let value = execution.price.map_or(0, |price| price.times(execution.quantity).micros());
    work.execute(
        "update orders set filled_value = filled_value + ?2,
             filled_quantity = max(filled_quantity, ?3) where order_ref = ?1",
        (order_ref.as_str(), value, combos),
    )?;
    bump(work, order_ref, execution.at)
}
