//! The door for orders: what is refused at once, what is accepted, what a what-if answers.
//!
//! A refusal leaves no trace: the reference stays free, no event is queued. An accepted reference
//! is spent for ever; the same reference again is refused each time and changes nothing.

use rust_decimal::Decimal;

use crate::market::{Instrument, Price, SecurityKind};
use crate::structures::{
    BrokerStatus, OrderLeg, OrderRef, OrderRequest, OrderType, Reject, WhatIf,
};

use super::book::{Change, LastLook};
use super::engine::Exchange;
use super::fills::Stance;
use super::margining::{Effect, Standing};
use super::view;

/// IB's codes for refusals.
mod code {
    pub const DUPLICATE: i32 = 103;
    pub const TICK: i32 = 110;
    pub const UNKNOWN_CONTRACT: i32 = 200;
    pub const REFUSED: i32 = 201;
    pub const INVALID: i32 = 321;
    pub const NOT_WORKING: i32 = 10147;
}

/// Most legs of a combo.
const LEGS_MAX: usize = 4;

/// Most combos of an order, and most of a contract in one combo. Sums over these and prices up to
/// [`PRICE_MAX_USD`] stay far inside what a decimal holds.
pub const QUANTITY_MAX: i64 = 1_000_000;
pub const RATIO_MAX: i64 = 1_000;
/// Highest price of an order, either sign. USD a share or index points.
pub const PRICE_MAX_USD: i64 = 1_000_000;

/// Price step of a futures spread, millionths of an index point (CME, equity-index calendars:
/// 0.05).
const FUTURE_SPREAD_TICK_MICROS: i64 = 50_000;

fn refuse(code: i32, reason: impl Into<String>) -> Reject {
    Reject { code, reason: reason.into() }
}

impl Exchange {
    /// Takes an order in, or refuses it. An accepted order is reported as working at once and acts
    /// after the latency.
    pub fn submit(&mut self, request: OrderRequest) -> Result<i64, Reject> {
        if let Some(perm_id) = self.book.accepted(&request.order_ref) {
            let reason = format!(
                "order reference {} was already accepted as {perm_id}; nothing was sent again",
                request.order_ref
            );
            return Err(refuse(code::DUPLICATE, reason));
        }
        let instruments = self.instruments(&request)?;
        check_form(&request, &instruments)?;
        self.check_session(&request)?;
        self.check_opposite(&request, &instruments)?;
        self.check_margin(&request, request.quantity)?;
        for leg in &request.legs {
            self.trace_quote(leg.conid);
        }
        for instrument in &instruments {
            self.refresh_spot(instrument.symbol());
        }
        let market = self.combo_market(&request);
        let worth = market.and_then(|market| self.worth(&request, &market));
        let sent = LastLook { at: self.now, worth };
        let order = self.book.accept(request, sent, self.now + self.config.latency);
        let (perm_id, event) = (order.perm_id, order.event(BrokerStatus::Working, self.now));
        self.report_order(event);
        Ok(perm_id)
    }

    /// Changes the price of a working order, after the latency. Its reference and quantity stay.
    pub fn amend(&mut self, order_ref: &OrderRef, order_type: OrderType) -> Result<(), Reject> {
        let order = self.book.working_by_ref(order_ref).ok_or_else(|| not_working(order_ref))?;
        let remaining = order.remaining();
        let changed = OrderRequest { order_type, ..order.request.clone() };
        let instruments = self.instruments(&changed)?;
        check_form(&changed, &instruments)?;
        self.check_margin(&changed, remaining)?;
        self.schedule(order_ref, Change::Price(order_type))
    }

    /// Changes size and price of a working order, after the latency. What fills in the meantime
    /// stays filled: an order that is then wanted no larger is done.
    pub fn resize(
        &mut self,
        order_ref: &OrderRef,
        (quantity, order_type): (i64, OrderType),
    ) -> Result<(), Reject> {
        let order = self.book.working_by_ref(order_ref).ok_or_else(|| not_working(order_ref))?;
        let remaining = quantity - order.filled;
        if remaining < 1 {
            return Err(refuse(code::INVALID, "so much of the order has filled"));
        }
        let changed = OrderRequest { quantity, order_type, ..order.request.clone() };
        let instruments = self.instruments(&changed)?;
        check_form(&changed, &instruments)?;
        self.check_margin(&changed, remaining)?;
        self.schedule(order_ref, Change::Terms(order_type, quantity))
    }

    /// Whether an order that works has been held against a quote that it could fill on.
    pub fn has_been_tried(&self, order_ref: &OrderRef) -> bool {
        let order = self.book.accepted(order_ref).and_then(|perm_id| self.book.get(perm_id));
        order.is_some_and(|order| order.stance != Stance::Entering)
    }

    /// Combos that a working order is for, once its changes have taken effect.
    pub fn wanted(&self, order_ref: &OrderRef) -> Option<i64> {
        let order = self.book.get(self.book.accepted(order_ref)?)?;
        let changed = order.changes.iter().rev().find_map(|(_, change)| match change {
            Change::Terms(_, quantity) => Some(*quantity),
            Change::Price(_) | Change::Cancel => None,
        });
        Some(changed.unwrap_or(order.request.quantity))
    }

    /// Cancels a working order, after the latency; until then it may still fill.
    pub fn cancel(&mut self, order_ref: &OrderRef) -> Result<(), Reject> {
        self.schedule(order_ref, Change::Cancel)
    }

    fn schedule(&mut self, order_ref: &OrderRef, change: Change) -> Result<(), Reject> {
        let effective = self.now + self.config.latency;
        let order = self.book.working_by_ref(order_ref).ok_or_else(|| not_working(order_ref))?;
        order.changes.push((effective, change));
        Ok(())
    }

    /// What the account would look like after the order, filled in full at its limit. Transmits
    /// nothing and needs no session.
    pub fn what_if(&self, request: &OrderRequest) -> Result<WhatIf, Reject> {
        let instruments = self.instruments(request)?;
        check_form(request, &instruments)?;
        let effect = self.effect_of(request, request.quantity)?;
        let before = self.standing_with(&[])?;
        let after = self.standing_with(&[&effect])?;
        Ok(WhatIf {
            initial_margin_before: before.requirement.initial.to_cents(),
            initial_margin_after: after.requirement.initial.to_cents(),
            maintenance_margin_after: after.requirement.maintenance.to_cents(),
            equity_with_loan_after: after.equity_with_loan.to_cents(),
            excess_liquidity_after: after.excess().to_cents(),
            commission: effect.commission,
        })
    }

    pub(super) fn instruments(&self, request: &OrderRequest) -> Result<Vec<Instrument>, Reject> {
        let known = |leg: &OrderLeg| {
            let instrument = self.source.contract(leg.conid);
            let instrument = instrument.filter(|instrument| match instrument {
                Instrument::Option(option) => self.now < option.last_trade_at,
                Instrument::Future(future) => self.now < future.last_trade_at,
                Instrument::Stock(_) | Instrument::Index(_) => true,
            });
            let reason = || format!("no security definition for contract {}", leg.conid);
            instrument.ok_or_else(|| refuse(code::UNKNOWN_CONTRACT, reason()))
        };
        request.legs.iter().map(known).collect()
    }

    fn check_session(&self, request: &OrderRequest) -> Result<(), Reject> {
        match request.legs.iter().find(|leg| !self.source.is_open(leg.conid)) {
            Some(leg) => {
                let reason = format!("the market of contract {} is closed", leg.conid);
                Err(refuse(code::REFUSED, reason))
            }
            None => Ok(()),
        }
    }

    /// IB refuses orders on both sides of one option in one account.
    fn check_opposite(&self, request: &OrderRequest, legs: &[Instrument]) -> Result<(), Reject> {
        for (leg, instrument) in request.legs.iter().zip(legs) {
            let opposes = |other: &OrderLeg| {
                other.conid == leg.conid && other.ratio.signum() != leg.ratio.signum()
            };
            let mut working = self.book.working();
            let other = working.find(|order| order.request.legs.iter().any(opposes));
            if let (SecurityKind::Option, Some(other)) = (instrument.kind(), other) {
                let reason = format!(
                    "cannot have open orders on both sides of the same US option contract: {} is \
                     on the other side of contract {}",
                    other.request.order_ref, leg.conid
                );
                return Err(refuse(code::REFUSED, reason));
            }
        }
        Ok(())
    }

    /// The order, with whatever works beside it and makes things worse, must fit the account; or it
    /// must leave the account no worse than it stands.
    fn check_margin(&self, request: &OrderRequest, quantity: i64) -> Result<(), Reject> {
        let effect = self.effect_of(request, quantity)?;
        let mut beside: Vec<Effect> = Vec::new();
        let mut before = self.standing_with(&[])?;
        for order in self.book.working() {
            if order.request.order_ref == request.order_ref {
                continue;
            }
            beside.push(self.effect_of(&order.request, order.remaining())?);
            let with = self.standing_with(&beside.iter().collect::<Vec<_>>())?;
            if with.available() < before.available() {
                before = with;
            } else {
                beside.pop();
            }
        }
        let all: Vec<&Effect> = beside.iter().chain([&effect]).collect();
        let after = self.standing_with(&all)?;
        let short = after.available();
        if short.is_negative() && short < before.available() {
            let reason = format!("margin: the order would leave {short} USD of available funds");
            return Err(refuse(code::REFUSED, reason));
        }
        let segment = after.commodities_available();
        if segment.is_negative() && segment < before.commodities_available() {
            let reason = format!("margin: the commodities segment would stand at {segment} USD");
            return Err(refuse(code::REFUSED, reason));
        }
        Ok(())
    }

    fn effect_of(&self, request: &OrderRequest, quantity: i64) -> Result<Effect, Reject> {
        self.effect(request, quantity).map_err(|error| refuse(code::REFUSED, error.to_string()))
    }

    fn standing_with(&self, effects: &[&Effect]) -> Result<Standing, Reject> {
        self.standing(effects).map_err(|error| refuse(code::REFUSED, error.to_string()))
    }
}

fn not_working(order_ref: &OrderRef) -> Reject {
    refuse(code::NOT_WORKING, format!("order {order_ref} is not working"))
}

pub(super) fn check_form(request: &OrderRequest, legs: &[Instrument]) -> Result<(), Reject> {
    check_legs(request, legs)?;
    let OrderType::Limit(limit) = request.order_type else { return Ok(()) };
    if limit.decimal().abs() > Decimal::from(PRICE_MAX_USD) {
        let reason = format!("the price {limit} is beyond {PRICE_MAX_USD} on either side");
        return Err(refuse(code::INVALID, reason));
    }
    let Some(tick) = order_tick(legs, limit) else {
        return Err(refuse(code::INVALID, "an order needs at least one leg"));
    };
    if is_on_tick(limit, tick) {
        return Ok(());
    }
    let reason = format!("the price {limit} is not a multiple of the tick {tick}");
    Err(refuse(code::TICK, reason))
}

fn check_legs(request: &OrderRequest, legs: &[Instrument]) -> Result<(), Reject> {
    let invalid = |reason: &str| Err(refuse(code::INVALID, reason));
    if request.quantity < 1 {
        return invalid("the quantity must be at least 1");
    }
    if request.quantity > QUANTITY_MAX {
        return invalid(&format!("the quantity must be at most {QUANTITY_MAX}"));
    }
    if legs.is_empty() || legs.len() > LEGS_MAX {
        return invalid("an order has one to four legs");
    }
    if request.legs.iter().any(|leg| leg.ratio == 0) {
        return invalid("a leg's ratio must not be 0");
    }
    if request.legs.iter().any(|leg| !(-RATIO_MAX..=RATIO_MAX).contains(&leg.ratio)) {
        return invalid(&format!("a leg's ratio must be at most {RATIO_MAX}"));
    }
    if !request.legs.iter().any(|leg| leg.ratio.abs() == 1) {
        return invalid("one leg at least must have ratio 1: write the combo in lowest terms");
    }
    let mut conids: Vec<_> = request.legs.iter().map(|leg| leg.conid).collect();
    conids.sort_unstable();
    if conids.windows(2).any(|pair| matches!(pair, [one, other] if one == other)) {
        return invalid("a contract appears in two legs");
    }
    let alike = |one: &Instrument, other: &Instrument| {
        one.kind() == other.kind()
            && one.symbol() == other.symbol()
            && one.multiplier() == other.multiplier()
    };
    if legs.windows(2).any(|pair| matches!(pair, [one, other] if !alike(one, other))) {
        return invalid("the legs of a combo must be of one kind, symbol and multiplier");
    }
    if legs.iter().any(|leg| leg.kind() == SecurityKind::Index) {
        return Err(refuse(code::REFUSED, "an index cannot be traded"));
    }
    Ok(())
}

/// Price step of an order at its limit: that of its one leg; of a combo the smallest that a leg
/// can have; a futures spread has its own.
fn order_tick(legs: &[Instrument], limit: Price) -> Option<Price> {
    match legs {
        [Instrument::Future(_), Instrument::Future(_), ..] => {
            Some(Price::from_micros(FUTURE_SPREAD_TICK_MICROS))
        }
        [single] => Some(view::tick(single, limit)),
        _ => legs.iter().map(|leg| view::tick(leg, Price::ZERO)).min(),
    }
}

fn is_on_tick(price: Price, tick: Price) -> bool {
    !tick.decimal().is_zero() && (price.decimal() % tick.decimal()) == Decimal::ZERO
}
