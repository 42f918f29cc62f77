//! What an order does, computed once and read by every check: what the strategy holds before and
//! after, whether the order reduces risk, and what it can lose.
//!
//! Risk-reducing is computed, never labelled, and for the strategy alone: its worst grid loss
//! (from the current value, cost of the trade excluded), margin and assigned notional are not
//! higher after, and no leg is newly uncovered, by strategy or account. A guaranteed combo fills
//! in ratio and the grid loss is convex in the number filled, so a partial fill is never worse than
//! the worse of none and all. Selling an equal share of all legs is reducing by construction, and
//! needs no model inputs; so is the same with a long leg left out that nobody bids for, which has
//! nothing left to lose and cannot be sold. On the grid such a leg counts as nothing.

use super::Proposed;
use super::assignment::{AssignedNotional, assigned_notional};
use super::book::after_fill;
use super::inputs::{GateInputs, LegMarket};
use super::scenario::NodeProfits;
use crate::market::{Instrument, Price, Symbol, Usd};
use crate::structures::{
    Holding, Leg, MarginHours, Purpose, StrategyHoldings, TickError, TickGrid, combo_multiplier,
    extremes, margin, maximum_loss, uncovered_in_account, uncovered_in_strategy,
};

/// Differences below this many USD are rounding of doubles.
const ROUNDING_USD: f64 = 0.005;

/// Sums of a few quotes as doubles are exact to this many USD a share.
pub(super) const PRICE_ROUNDING: f64 = 1e-9;

/// How the gate treats an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderClass {
    /// Entry limits do not bind it.
    Reducing,
    /// A hedge that lowers the book's worst grid loss.
    Hedge,
    /// Everything else.
    Entry,
}

impl OrderClass {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reducing => "reducing",
            Self::Hedge => "hedge",
            Self::Entry => "entry",
        }
    }
}

/// What the order changes, stored with the verdict. USD; `None` could not be computed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Effects {
    pub class: OrderClass,
    pub strategy_loss_before: Option<f64>,
    pub strategy_loss_after: Option<f64>,
    pub margin_before: Option<Usd>,
    pub margin_after: Option<Usd>,
    pub assigned_before: Option<AssignedNotional>,
    pub assigned_after: Option<AssignedNotional>,
    pub book_loss_before: Option<f64>,
    pub book_loss_after: Option<f64>,
    /// Short contracts that would be newly uncovered.
    pub new_uncovered: i64,
    /// What the order can lose at its worst price, fees included; for an order on top of a holding,
    /// what the whole strategy can lose after it, credit not counted.
    pub max_loss: Option<f64>,
}

/// The combo's market, USD a share, signed as the order's price.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct ComboMarket {
    pub mid: f64,
    /// What it costs at once: bought at the asks, sold at the bids.
    pub natural: f64,
    /// Summed ask - bid of the legs, by ratio.
    pub width: f64,
}

/// An order and all that the checks read of it.
#[derive(Debug)]
pub(super) struct Context<'a> {
    pub proposed: &'a Proposed,
    pub inputs: &'a GateInputs<'a>,
    pub before: &'a [Holding],
    pub after: Vec<Holding>,
    pub effects: Effects,
    pub combo: Option<ComboMarket>,
    /// The order's price grid.
    pub ticks: Result<TickGrid, TickError>,
    /// min(net liquidation, capital), USD.
    pub equity: Option<f64>,
    /// The worst that may be paid on this verdict: the order's worst price, or the limit of a step.
    judged: Price,
}

impl<'a> Context<'a> {
    pub fn new(proposed: &'a Proposed, inputs: &'a GateInputs<'a>) -> Self {
        let before = held(proposed, inputs);
        let after = after_fill(before, &proposed.legs, proposed.request.quantity);
        let effects = effects(proposed, inputs, before, &after);
        Self { after, ..Self::bare(proposed, inputs, effects) }
    }

    /// For a step of the ladder: what the order does was computed when it was approved.
    pub fn at_step(proposed: &'a Proposed, inputs: &'a GateInputs<'a>, effects: Effects) -> Self {
        let limit = proposed.request.order_type.limit();
        let judged = limit.unwrap_or(proposed.worst_price);
        Self { judged, ..Self::bare(proposed, inputs, effects) }
    }

    fn bare(proposed: &'a Proposed, inputs: &'a GateInputs<'a>, effects: Effects) -> Self {
        Self {
            proposed,
            inputs,
            before: held(proposed, inputs),
            after: Vec::new(),
            effects,
            ticks: inputs.limits.ticks.grid(&proposed.legs),
            combo: combo_market(proposed, inputs, effects.class),
            equity: inputs.account.equity(),
            judged: proposed.worst_price,
        }
    }

    pub fn market_of(&self, leg: &Leg) -> Option<&'a LegMarket> {
        self.inputs.market.legs.get(&leg.instrument.conid())
    }

    /// The underlyings of the order's cluster.
    pub fn cluster_symbols(&self) -> Option<&'a [Symbol]> {
        let first = self.proposed.legs.first()?;
        self.inputs.limits.cluster_of(first.instrument.symbol())
    }

    /// What the order and all working ones take out of excess liquidity, USD: margin added, debit
    /// paid, fees.
    pub fn capital_needed(&self) -> Option<f64> {
        let proposed = self.proposed;
        let combos = proposed.request.quantity;
        let margin = self.effects.margin_after? - self.effects.margin_before?;
        let pays = |leg: &Leg| !matches!(leg.instrument, Instrument::Future(_));
        let debit = if proposed.legs.iter().all(pays) {
            proposed.worst_price.value(combos, combo_multiplier(&proposed.legs)?)
        } else {
            Usd::ZERO
        };
        let fees = proposed.fees_per_combo.times(combos);
        Some((margin + debit + fees + self.inputs.book.working_capital()).to_f64())
    }

    /// The worst net price that may be paid on this verdict, signed.
    pub fn worst_price(&self) -> f64 {
        self.judged.to_f64()
    }
}

fn held<'a>(proposed: &Proposed, inputs: &GateInputs<'a>) -> &'a [Holding] {
    inputs.book.strategy(&proposed.strategy_id).map_or(&[], |strategy| &strategy.holdings)
}

/// The combo at its legs' quotes. An order that reduces risk may sell a leg that nobody bids for:
/// it counts with a bid of zero. Otherwise every leg needs both sides.
fn combo_market(
    proposed: &Proposed,
    inputs: &GateInputs<'_>,
    class: OrderClass,
) -> Option<ComboMarket> {
    let mut combo = ComboMarket { mid: 0.0, natural: 0.0, width: 0.0 };
    for leg in &proposed.legs {
        let market = inputs.market.legs.get(&leg.instrument.conid())?;
        let (bid, ask) = match (market.two_sided(), class) {
            (Some(quote), _) => (quote.bid().to_f64(), quote.ask().to_f64()),
            (None, OrderClass::Reducing) if market.bid.is_none() => (0.0, market.ask?.to_f64()),
            (None, OrderClass::Reducing | OrderClass::Hedge | OrderClass::Entry) => return None,
        };
        let ratio = leg.ratio as f64;
        combo.mid += ratio * (bid + ask) / 2.0;
        combo.natural += ratio * if leg.ratio > 0 { ask } else { bid };
        combo.width += ratio.abs() * (ask - bid);
    }
    Some(combo)
}

fn effects(
    proposed: &Proposed,
    inputs: &GateInputs<'_>,
    before: &[Holding],
    after: &[Holding],
) -> Effects {
    let limits = inputs.limits;
    let loss = |held: &[Holding]| {
        let counted = held.iter().filter(|held| !is_unbid_long(held, inputs));
        inputs.grid.profits(counted).ok().map(|nodes| nodes.worst_loss())
    };
    let margin = |held: &[Holding]| {
        margin::requirement(held, inputs.market, &limits.margin, MarginHours::Overnight)
            .ok()
            .map(|requirement| requirement.initial)
    };
    let assigned =
        |held: &[Holding]| assigned_notional(held, inputs.market, &limits.account, inputs.now);
    let (book_loss_before, book_loss_after) = book_losses(proposed, inputs).unzip();
    let mut effects = Effects {
        class: OrderClass::Entry,
        strategy_loss_before: loss(before),
        strategy_loss_after: loss(after),
        margin_before: margin(before),
        margin_after: margin(after),
        assigned_before: assigned(before),
        assigned_after: assigned(after),
        book_loss_before,
        book_loss_after,
        new_uncovered: new_uncovered(proposed, inputs, before, after),
        max_loss: max_loss(proposed, before, after),
    };
    effects.class = classify(proposed, inputs, before, &effects);
    effects
}

/// A long option that somebody offers and nobody bids for: it is worth nothing to sell.
fn is_unbid_long(held: &Holding, inputs: &GateInputs<'_>) -> bool {
    let market = inputs.market.legs.get(&held.instrument.conid());
    held.quantity > 0
        && matches!(held.instrument, Instrument::Option(_))
        && market.is_some_and(|market| market.bid.is_none() && market.ask.is_some())
}

fn classify(
    proposed: &Proposed,
    inputs: &GateInputs<'_>,
    before: &[Holding],
    effects: &Effects,
) -> OrderClass {
    let not_higher = |before: Option<f64>, after: Option<f64>| match (before, after) {
        (Some(before), Some(after)) => after <= before + ROUNDING_USD,
        _ => false,
    };
    let usd = |amount: Option<Usd>| amount.map(Usd::to_f64);
    let worst = |notional: Option<AssignedNotional>| notional.map(AssignedNotional::worst);
    let computed = not_higher(effects.strategy_loss_before, effects.strategy_loss_after)
        && not_higher(usd(effects.margin_before), usd(effects.margin_after))
        && not_higher(worst(effects.assigned_before), worst(effects.assigned_after));
    let covered = effects.new_uncovered == 0;
    let by_construction = || {
        let stays = |held: &Holding| is_unbid_long(held, inputs) && !trades(proposed, held);
        let sold: Vec<Holding> = before.iter().filter(|held| !stays(held)).cloned().collect();
        sells_equal_share(proposed, &sold)
    };
    if covered && !before.is_empty() && (computed || by_construction()) {
        return OrderClass::Reducing;
    }
    let lowers_book = match (effects.book_loss_before, effects.book_loss_after) {
        (Some(before), Some(after)) => after < before - ROUNDING_USD,
        _ => false,
    };
    if covered && proposed.purpose() == Purpose::Hedge && lowers_book {
        OrderClass::Hedge
    } else {
        OrderClass::Entry
    }
}

fn trades(proposed: &Proposed, held: &Holding) -> bool {
    proposed.legs.iter().any(|leg| leg.instrument.conid() == held.instrument.conid())
}

/// Whether the order takes the same share, at most all, off every leg that is held.
pub(super) fn sells_equal_share(proposed: &Proposed, before: &[Holding]) -> bool {
    let traded = |holding: &Holding| -> i64 {
        let conid = holding.instrument.conid();
        proposed
            .legs
            .iter()
            .filter(|leg| leg.instrument.conid() == conid)
            .map(|leg| leg.ratio * proposed.request.quantity)
            .sum()
    };
    let Some(first) = before.first() else { return false };
    let first_traded = traded(first);
    let every_held_leg = before.iter().all(|holding| {
        let change = traded(holding);
        change.signum() == -holding.quantity.signum()
            && change.abs() <= holding.quantity.abs()
            && i128::from(change) * i128::from(first.quantity)
                == i128::from(first_traded) * i128::from(holding.quantity)
    });
    let nothing_else = proposed
        .legs
        .iter()
        .all(|leg| before.iter().any(|held| held.instrument.conid() == leg.instrument.conid()));
    every_held_leg && nothing_else
}

/// Contracts newly uncovered, by strategy or account, whichever is more, whatever subset of the
/// strategy's own working orders fills beside this one.
fn new_uncovered(
    proposed: &Proposed,
    inputs: &GateInputs<'_>,
    before: &[Holding],
    after: &[Holding],
) -> i64 {
    let (book, id) = (inputs.book, proposed.strategy_id.as_str());
    let existing = book.strategy(id);
    let cash = existing.map_or(proposed.reserved_cash, |strategy| strategy.reserved_cash);
    let policy = existing.map_or(proposed.policy, |strategy| strategy.policy);
    let count = |holdings: &[Holding]| -> i64 {
        let strategy = StrategyHoldings { holdings, reserved_cash: cash, policy };
        uncovered_in_strategy(&strategy).iter().map(|leg| leg.quantity).sum()
    };
    let had = count(before);
    let mut worst = count(after) - had;
    let mut all_filled = after.to_vec();
    for order in book.working_of(id) {
        worst = worst.max(count(&after_fill(after, &order.legs, order.remaining)) - had);
        all_filled = after_fill(&all_filled, &order.legs, order.remaining);
    }
    worst = worst.max(count(&all_filled) - had);
    if worst <= 0 && !book.another_is_uncovered(id) && had == 0 && !opposes_others(proposed, inputs)
    {
        return worst.max(0);
    }
    let mut strategies: Vec<_> = book
        .strategies()
        .filter(|strategy| strategy.strategy_id != id)
        .map(super::book::BookStrategy::as_holdings)
        .collect();
    strategies.push(StrategyHoldings { holdings: after, reserved_cash: cash, policy });
    let open: i64 = uncovered_in_account(&strategies).iter().map(|leg| leg.quantity).sum();
    let open_before: i64 = book.uncovered().iter().map(|leg| leg.quantity).sum();
    worst.max(open - open_before).max(0)
}

/// Whether some contract of the order is held by another strategy with the opposite sign, so that
/// the account's net position is not the sum of covered parts.
fn opposes_others(proposed: &Proposed, inputs: &GateInputs<'_>) -> bool {
    proposed.legs.iter().any(|leg| {
        let conid = leg.instrument.conid();
        let (long, short) = inputs.book.held_by_others(&proposed.strategy_id, conid);
        (leg.ratio > 0 && short > 0) || (leg.ratio < 0 && long > 0)
    })
}

fn max_loss(proposed: &Proposed, before: &[Holding], after: &[Holding]) -> Option<f64> {
    let combos = proposed.request.quantity;
    let fees = proposed.fees_per_combo;
    if before.is_empty() {
        let one = maximum_loss(&proposed.legs, proposed.worst_price, fees)?;
        return Some(one.times(combos).to_f64());
    }
    let legs: Vec<_> = after
        .iter()
        .map(|held| Leg { instrument: held.instrument.clone(), ratio: held.quantity })
        .collect();
    let least = extremes(&legs).least?;
    Some((fees.times(combos) - least).max(Usd::ZERO).to_f64())
}

/// The book's worst loss without and with the order; each working order counts at each node only
/// where it makes that node worse.
fn book_losses(proposed: &Proposed, inputs: &GateInputs<'_>) -> Option<(f64, f64)> {
    let grid = inputs.grid;
    let held = inputs.book.strategies().flat_map(|strategy| &strategy.holdings);
    let mut book = grid.profits(held.filter(|held| !is_unbid_long(held, inputs))).ok()?;
    for order in inputs.book.working() {
        let mut nodes = NodeProfits::default();
        for leg in &order.legs {
            let contract = grid.contract(leg.instrument.conid())?;
            nodes.add(contract, (leg.ratio * order.remaining) as f64);
        }
        book.add_where_worse(&nodes);
    }
    let before = book.worst_loss();
    for leg in &proposed.legs {
        let contract = grid.contract(leg.instrument.conid())?;
        book.add(contract, (leg.ratio * proposed.request.quantity) as f64);
    }
    Some((before, book.worst_loss()))
}
