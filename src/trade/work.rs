//! Working an order: a price ladder from near mid towards the worst price that the gate accepted,
//! one step at a time, inside the mandate of the approval. A step starts from the mid of that
//! moment, read from the feed: between two sweeps the tables are older than that.

use chrono::Duration;

use crate::broker::{Broker, BrokerError, Feed};
use crate::market::{Price, Timestamp, Usd};
use crate::orders::Ladder;
use crate::pipeline::StepContext;
use crate::risk::{Mandate, MarketView, Outcome, WorkingOrder, nearest_expiry};
use crate::structures::{Leg, OrderRef, OrderState, Purpose};

use super::act::Terms;
use super::exit::NetQuote;
use super::record::refusal_text;
use super::{Alert, Trader};

/// The numbers of the ladder.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WorkParameters {
    /// Prices of the ladder, the first and the worst included.
    pub steps: u32,
    /// How long an order stands at one price.
    pub step: Duration,
    /// Share of the summed half-spreads that an exit in no hurry may give up.
    pub exit_budget_ratio: f64,
    /// What an urgent exit may pay beyond natural, as a share of the summed half-spreads.
    pub urgent_collar_ratio: f64,
    /// How long entries of a symbol and structure rest after the gate refused one.
    pub refused_entry_rest: Duration,
}

/// An order that the broker has.
pub struct Working {
    pub mandate: Mandate,
    pub ladder: Ladder,
    /// The least that its price can be.
    pub least: Option<Price>,
    /// Where it stands.
    pub limit: Price,
    /// The step at which it stands, from 0.
    pub step: u32,
    /// When its step is over; `None` while nobody knows what became of it.
    pub next_at: Option<Timestamp>,
    pub filled: i64,
    pub max_loss_each: Usd,
    pub margin_each: Usd,
}

impl Working {
    /// The limit of the step that it has come to. Without a fresh mid it stands where it stands.
    fn limit_at(&self, fresh: Option<NetQuote>) -> Price {
        let wanted = fresh.and_then(|net| self.ladder.price_at(self.step, net.mid));
        let wanted = wanted.unwrap_or(self.limit);
        self.least.map_or(wanted, |least| wanted.max(least))
    }

    /// As the gate counts it in the book.
    pub fn as_book_entry(&self) -> WorkingOrder {
        let proposed = self.mandate.proposed();
        let remaining = proposed.request.quantity - self.filled;
        let opens = proposed.purpose() == Purpose::Open;
        let each = |amount: Usd| if opens { amount.times(remaining) } else { Usd::ZERO };
        let instruments = proposed.legs.iter().map(|leg| &leg.instrument);
        WorkingOrder {
            order_ref: proposed.request.order_ref.clone(),
            strategy_id: proposed.strategy_id.clone(),
            symbol: proposed
                .legs
                .first()
                .map_or_else(|| "".into(), |leg| leg.instrument.symbol().clone()),
            legs: proposed.legs.clone(),
            remaining,
            worst_price: proposed.worst_price,
            max_loss: each(self.max_loss_each),
            capital: each(self.margin_each),
            opens_expiry: if opens { nearest_expiry(instruments) } else { None },
        }
    }
}

impl<B> Trader<B> {
    /// The ladder of an order on such terms.
    pub(super) fn ladder(&self, terms: &Terms) -> Ladder {
        Ladder::between(terms.mid, terms.worst, (self.settings.work.steps, terms.grid.clone()))
    }

    pub(super) fn forget_ended(&mut self) -> anyhow::Result<()> {
        for order in self.journal.borrow().orders()? {
            if order.state.is_final() {
                self.working.remove(&order.order_ref);
            } else if let Some(working) = self.working.get_mut(&order.order_ref) {
                working.filled = order.filled_quantity;
            }
        }
        Ok(())
    }
}

impl<B: Broker + Feed> Trader<B> {
    /// When an order is next due for a step.
    pub fn next_work_at(&self) -> Option<Timestamp> {
        self.working.values().filter_map(|working| working.next_at).min()
    }

    /// Forgets orders that have ended, and moves those whose step is over.
    pub fn work(&mut self, context: &mut StepContext<'_>) -> anyhow::Result<()> {
        self.forget_ended()?;
        let now = context.run.as_of;
        let due: Vec<OrderRef> = self
            .working
            .iter()
            .filter(|(_, working)| working.next_at.is_some_and(|next| next <= now))
            .map(|(order_ref, _)| order_ref.clone())
            .collect();
        for order_ref in due {
            self.step(context, &order_ref)?;
        }
        Ok(())
    }

    fn step(&mut self, context: &mut StepContext<'_>, order_ref: &OrderRef) -> anyhow::Result<()> {
        let parameters = self.settings.work;
        let now = context.run.as_of;
        let Some(working) = self.working.get_mut(order_ref) else { return Ok(()) };
        working.next_at = Some(now + parameters.step);
        if working.step + 1 >= parameters.steps {
            // An entry is dropped, an exit is decided anew.
            return self.cancel(order_ref, "the price ladder is at its end", now);
        }
        working.step += 1;
        let legs = working.mandate.proposed().legs.clone();
        let mut gathered = self.gather(context, &legs)?;
        self.refresh(&mut gathered.market, &legs);
        let Some(working) = self.working.get(order_ref) else { return Ok(()) };
        let limit = working.limit_at(NetQuote::of(&legs, &gathered.market));
        let inputs = gathered.gate(&self.settings.limits, Err("a change of price asks for none"));
        let verdict = working.mandate.reprice_within(limit, &inputs);
        let moves = limit != working.limit;
        self.record_checks(context, order_ref, &verdict.results)?;
        let refusal = refusal_text(&verdict);
        match verdict.outcome {
            Outcome::Approved(step) if moves => {
                let answer = self.broker.borrow_mut().reprice(step);
                self.take_reprice(order_ref, (limit, answer), now)
            }
            Outcome::Approved(_) => Ok(()),
            Outcome::Refused => self.cancel(order_ref, &refusal, now),
        }
    }

    fn take_reprice(
        &mut self,
        order_ref: &OrderRef,
        (limit, answer): (Price, Result<(), BrokerError>),
        now: Timestamp,
    ) -> anyhow::Result<()> {
        match answer {
            Ok(()) => {
                self.journal.borrow_mut().mark_repriced(order_ref, limit, now)?;
                if let Some(working) = self.working.get_mut(order_ref) {
                    working.limit = limit;
                }
                Ok(())
            }
            Err(BrokerError::NoAnswer(reason)) => self.lose_sight(order_ref, &reason, now),
            Err(error @ BrokerError::Rejected(_)) => self.reprice_refused(order_ref, &error, now),
        }
    }

    /// Both sides of the legs as the feed has them now; their age stays that of the last sweep,
    /// which is no younger.
    fn refresh(&self, market: &mut MarketView, legs: &[Leg]) {
        let broker = self.broker.borrow();
        for leg in legs {
            let conid = leg.instrument.conid();
            let received = broker.option_quote(conid);
            if let (Some(received), Some(known)) = (received, market.legs.get_mut(&conid)) {
                let quote = received.quote;
                let real = |side: Option<Price>| side.filter(|side| *side > Price::ZERO);
                (known.bid, known.ask) = (real(quote.bid), real(quote.ask));
            }
        }
    }

    fn reprice_refused(
        &self,
        order_ref: &OrderRef,
        error: &BrokerError,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        let alert = Alert {
            id: format!("reprice-{order_ref}"),
            severity: "warning",
            subject: "price step refused",
            message: format!("order {order_ref} stays at its price: {error}"),
        };
        self.alert(&alert, now)
    }

    pub(super) fn cancel(
        &mut self,
        order_ref: &OrderRef,
        reason: &str,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        self.journal.borrow_mut().note_cancelling(order_ref, reason, now)?;
        self.ask_to_cancel(order_ref, now)
    }

    pub(super) fn ask_to_cancel(&self, order_ref: &OrderRef, now: Timestamp) -> anyhow::Result<()> {
        let answer = self.broker.borrow_mut().cancel(order_ref);
        if let Err(error) = answer {
            let alert = Alert {
                id: format!("cancel-{order_ref}"),
                severity: "warning",
                subject: "cancel refused",
                message: format!("order {order_ref} could not be cancelled: {error}"),
            };
            self.alert(&alert, now)?;
        }
        Ok(())
    }

    /// Whether an order of the strategy may still fill.
    pub(super) fn has_working(&self, strategy_id: &str) -> anyhow::Result<bool> {
        let orders = self.journal.borrow().orders()?;
        Ok(orders.iter().any(|order| {
            order.strategy_id == strategy_id
                && matches!(
                    order.state,
                    OrderState::Approved
                        | OrderState::Sent
                        | OrderState::Working
                        | OrderState::Unknown
                )
        }))
    }
}
