//! Trying the working orders against the quotes of the instant.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::market::{ConId, Instrument, Price, Timestamp, Usd};
use crate::structures::{
    BrokerStatus, Execution, ExecutionKind, OrderLeg, OrderRequest, OrderType,
};

use super::account::cash_of;
use super::book::{Change, LastLook, WorkingOrder};
use super::draws::DrawPurpose;
use super::engine::Exchange;
use super::fills::{self, Attempt, ComboMarket, Fill, LegMarket, Stance, Worth};
use super::view::{self, Sides};

/// The reason of a cancellation by the close.
pub const SESSION_ENDED: &str = "DAY order: the session has ended";

/// What is known of the stream of a contract's quotes: a quote that follows a gap fills nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct QuoteTrace {
    /// Receipt of the newest usable quote.
    last_at: Option<Timestamp>,
    /// The newest quote came after a gap, a halt or an unusable quote.
    after_gap: bool,
}

impl QuoteTrace {
    const NEW: Self = Self { last_at: None, after_gap: true };

    /// Takes in what stands now; `None` for missing, crossed or halted.
    fn observe(&mut self, received_at: Option<Timestamp>, stale_after: TimeDelta) {
        let Some(received_at) = received_at else {
            *self = Self::NEW;
            return;
        };
        match self.last_at {
            Some(last) if received_at <= last => {}
            Some(last) => self.after_gap = received_at - last > stale_after,
            None => self.after_gap = true,
        }
        self.last_at = self.last_at.max(Some(received_at));
    }
}

/// How much of a quote's displayed size our own fills have used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TakenSize {
    received_at: Timestamp,
    bought: i64,
    sold: i64,
}

/// A leg ready to be matched.
struct ReadyLeg {
    market: LegMarket,
    instrument: Instrument,
    received_at: Timestamp,
}

impl Exchange {
    /// Amendments and cancellations whose latency has passed.
    pub(super) fn apply_changes(&mut self) {
        for perm_id in self.book.perm_ids() {
            while let Some((at, change)) =
                self.book.get_mut(perm_id).and_then(|order| order.take_change(self.now))
            {
                match change {
                    Change::Price(order_type) => self.reprice(perm_id, order_type, at),
                    Change::Terms(order_type, quantity) => {
                        self.take_terms(perm_id, (order_type, quantity), at);
                    }
                    Change::Cancel => self.cancel_now(perm_id, "cancelled by the account", at),
                }
            }
        }
    }

    fn reprice(&mut self, perm_id: i64, order_type: OrderType, at: Timestamp) {
        let Some(order) = self.book.get_mut(perm_id) else { return };
        order.request.order_type = order_type;
        order.active_from = at;
        order.stance = Stance::Entering;
        let event = order.event(BrokerStatus::Working, at);
        self.report_order(event);
    }

    /// A new size, and a new price where it is one. What has filled cannot be taken back.
    fn take_terms(
        &mut self,
        perm_id: i64,
        (order_type, quantity): (OrderType, i64),
        at: Timestamp,
    ) {
        let Some(order) = self.book.get_mut(perm_id) else { return };
        order.request.quantity = quantity.max(order.filled);
        if order.remaining() == 0 {
            let event = order.event(BrokerStatus::Filled, at);
            self.book.end(perm_id);
            self.report_order(event);
        } else if order.request.order_type == order_type {
            let event = order.event(BrokerStatus::Working, at);
            self.report_order(event);
        } else {
            self.reprice(perm_id, order_type, at);
        }
    }

    /// Cancels the DAY orders whose market has closed.
    pub(super) fn end_sessions(&mut self) {
        let ended: Vec<i64> = self
            .book
            .working()
            .filter(|order| order.request.legs.iter().any(|leg| !self.source.is_open(leg.conid)))
            .map(|order| order.perm_id)
            .collect();
        for perm_id in ended {
            self.cancel_now(perm_id, SESSION_ENDED, self.now);
        }
    }

    pub(super) fn cancel_now(&mut self, perm_id: i64, reason: &str, at: Timestamp) {
        if let Some(order) = self.book.end(perm_id) {
            self.report_order(order.cancelled(reason, at));
        }
    }

    /// Tries each working order once, the oldest first.
    pub(super) fn match_orders(&mut self) {
        self.observe_quotes();
        for perm_id in self.book.perm_ids() {
            self.try_order(perm_id);
        }
    }

    fn observe_quotes(&mut self) {
        let mut legs: Vec<ConId> = self
            .book
            .working()
            .flat_map(|order| order.request.legs.iter().map(|leg| leg.conid))
            .collect();
        legs.sort_unstable();
        legs.dedup();
        self.traces.retain(|conid, _| legs.binary_search(conid).is_ok());
        self.taken.retain(|conid, _| legs.binary_search(conid).is_ok());
        for conid in legs {
            self.trace_quote(conid);
        }
    }

    /// Notes the quote of a contract as it stands.
    pub(super) fn trace_quote(&mut self, conid: ConId) {
        let received_at = self
            .source
            .contract(conid)
            .filter(|instrument| !self.source.is_halted(instrument.symbol()))
            .and_then(|instrument| view::sides(&*self.source, &instrument))
            .filter(|quote| !is_crossed(quote))
            .map(|quote| quote.received_at);
        self.traces
            .entry(conid)
            .or_insert(QuoteTrace::NEW)
            .observe(received_at, self.config.fills.stale_after);
    }

    /// The market of an order's combo as it stands, whatever its age; sizes are not looked at.
    pub(super) fn combo_market(&self, request: &OrderRequest) -> Option<ComboMarket> {
        let market = |leg: &OrderLeg| {
            let instrument = self.source.contract(leg.conid)?;
            let quote = view::sides(&*self.source, &instrument)?;
            Some(LegMarket {
                conid: leg.conid,
                ratio: leg.ratio,
                bid: quote.bid,
                ask: quote.ask,
                size: 0,
                tick: view::tick(&instrument, quote.bid.or(quote.ask).unwrap_or(Price::ZERO)),
            })
        };
        let legs: Option<Vec<LegMarket>> = request.legs.iter().map(market).collect();
        ComboMarket::of(&legs?)
    }

    /// What a combo is worth: by the market's own values where it has one of each leg, else mid.
    pub(super) fn worth(&self, request: &OrderRequest, market: &ComboMarket) -> Option<Worth> {
        let values = request
            .legs
            .iter()
            .map(|leg| self.source.fair_value(leg.conid).map(|value| value * leg.ratio as f64));
        let fair: Option<f64> = values.sum();
        let mid = || market.mid().map(|mid| Worth::Mid(mid.to_f64()));
        fair.map(Worth::Fair).or_else(mid)
    }

    fn try_order(&mut self, perm_id: i64) {
        let Some(order) = self.book.get(perm_id).filter(|order| order.active_from <= self.now)
        else {
            return;
        };
        let Some(legs) = self.ready_legs(order) else { return };
        let newest = legs.iter().map(|leg| leg.received_at).max().unwrap_or(self.now);
        if order.last_look.at >= newest {
            return;
        }
        let markets: Vec<LegMarket> = legs.iter().map(|leg| leg.market.clone()).collect();
        let Some(market) = ComboMarket::of(&markets) else { return };
        let worth = self.worth(&order.request, &market);
        let attempt = self.attempt(order, &legs, (newest, worth));
        let fill = fills::decide(&attempt, &market, &self.config.fills);
        if let Some(order) = self.book.get_mut(perm_id) {
            order.last_look = LastLook { at: newest, worth };
            order.stance = Stance::Resting;
        }
        if let Some(fill) = fill {
            self.fill(perm_id, fill, &legs);
        }
    }

    /// The legs' markets where every one may fill this order now.
    fn ready_legs(&self, order: &WorkingOrder) -> Option<Vec<ReadyLeg>> {
        order.request.legs.iter().map(|leg| self.ready_leg(*leg, order.active_from)).collect()
    }

    fn ready_leg(&self, leg: OrderLeg, active_from: Timestamp) -> Option<ReadyLeg> {
        let instrument = self.source.contract(leg.conid)?;
        let trace = self.traces.get(&leg.conid)?;
        let quote = view::sides(&*self.source, &instrument)?;
        let fresh = quote.received_at >= active_from
            && self.now - quote.received_at <= self.config.fills.stale_after;
        if !fresh || trace.after_gap || !self.market_open(leg.conid) {
            return None;
        }
        let taken = self
            .taken
            .get(&leg.conid)
            .filter(|taken| taken.received_at == quote.received_at)
            .map_or((0, 0), |taken| (taken.bought, taken.sold));
        let size = if leg.ratio > 0 { quote.ask_size - taken.0 } else { quote.bid_size - taken.1 };
        Some(ReadyLeg {
            market: LegMarket {
                conid: leg.conid,
                ratio: leg.ratio,
                bid: quote.bid,
                ask: quote.ask,
                size: size.max(0),
                tick: view::tick(&instrument, quote.bid.or(quote.ask).unwrap_or(Price::ZERO)),
            },
            instrument,
            received_at: quote.received_at,
        })
    }

    fn attempt(
        &self,
        order: &WorkingOrder,
        legs: &[ReadyLeg],
        (newest, worth): (Timestamp, Option<Worth>),
    ) -> Attempt {
        let stress =
            legs.iter().map(|leg| self.source.stress(leg.instrument.symbol())).fold(0.0, f64::max);
        let key = order.request.order_ref.as_str();
        let draw = |purpose| self.draws.uniform(purpose, key, newest.timestamp_micros());
        Attempt {
            order_type: order.request.order_type,
            remaining: order.remaining(),
            leg_count: legs.len(),
            stance: order.stance,
            rested: newest - order.last_look.at.max(order.active_from),
            last_worth: order.last_look.worth,
            worth,
            stress,
            hazard_draw: draw(DrawPurpose::PassiveFill),
            benign_draw: draw(DrawPurpose::BenignFill),
        }
    }

    /// Books a fill: one execution a leg under one group, then the order's new status. All or
    /// nothing: a fee or a leg price that cannot be had leaves the order as it is.
    fn fill(&mut self, perm_id: i64, fill: Fill, legs: &[ReadyLeg]) {
        let most = self.combos_a_fill.filter(|_| legs.len() > 1).unwrap_or(fill.quantity);
        let fill = Fill { quantity: fill.quantity.min(most.max(1)), ..fill };
        let Some(executions) = self.executions(perm_id, fill, legs) else { return };
        self.last_trade.clone_from(&executions);
        for (execution, leg) in executions.into_iter().zip(legs) {
            self.use_size(leg, execution.quantity);
            self.note_future(&leg.instrument);
            self.book_execution(execution, &leg.instrument);
            self.refresh_mark(leg.market.conid, &leg.instrument);
        }
        self.finish_fill(perm_id, fill.quantity);
    }

    fn executions(&self, perm_id: i64, fill: Fill, legs: &[ReadyLeg]) -> Option<Vec<Execution>> {
        let order = self.book.get(perm_id)?;
        let markets: Vec<LegMarket> = legs.iter().map(|leg| leg.market.clone()).collect();
        let prices = fills::leg_prices(&markets, fill.net)?;
        let group_id = format!("{perm_id}.{}", order.fill_count);
        let one = |(number, (leg, price)): (usize, (&ReadyLeg, Price))| {
            let quantity = leg.market.ratio * fill.quantity;
            let commission = self.commission(order, leg, quantity)?;
            Some(Execution {
                exec_id: format!("{group_id}.{number}"),
                order_ref: Some(order.request.order_ref.clone()),
                perm_id: Some(perm_id),
                group_id: group_id.clone(),
                kind: ExecutionKind::Trade,
                conid: leg.market.conid,
                quantity,
                price: Some(price),
                multiplier: leg.instrument.multiplier(),
                commission,
                cash: cash_of(&leg.instrument, quantity, price, commission),
                at: self.now,
            })
        };
        legs.iter().zip(prices).enumerate().map(one).collect()
    }

    /// The fee of a leg's fill; an order in a single instrument pays its least commission first.
    fn commission(&self, order: &WorkingOrder, leg: &ReadyLeg, quantity: i64) -> Option<Usd> {
        let fee = self.config.fees.leg(&leg.instrument, quantity).ok()?;
        let pays_min = order.fill_count == 0 && order.request.legs.len() == 1;
        Some(if pays_min { fee.max(self.config.fees.order_min(&leg.instrument)) } else { fee })
    }

    fn finish_fill(&mut self, perm_id: i64, quantity: i64) {
        let Some(order) = self.book.get_mut(perm_id) else { return };
        let (group, of) = (order.group.clone(), order.remaining());
        order.filled += quantity;
        order.fill_count += 1;
        let done = order.remaining() == 0;
        let status = if done { BrokerStatus::Filled } else { BrokerStatus::Working };
        let event = order.event(status, self.now);
        if done {
            self.book.end(perm_id);
        }
        self.report_order(event);
        if let Some(group) = group {
            self.tell_group(perm_id, &group, (quantity, of));
        }
    }

    fn use_size(&mut self, leg: &ReadyLeg, quantity: i64) {
        let unused = TakenSize { received_at: leg.received_at, bought: 0, sold: 0 };
        let taken = self.taken.entry(leg.market.conid).or_insert(unused);
        if taken.received_at != leg.received_at {
            *taken = unused;
        }
        taken.bought += quantity.max(0);
        taken.sold += (-quantity).max(0);
    }
}

pub(super) fn is_crossed(quote: &Sides) -> bool {
    matches!((quote.bid, quote.ask), (Some(bid), Some(ask)) if bid > ask)
}
