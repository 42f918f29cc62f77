//! Working an order: a price ladder from near mid towards the worst price that the gate accepted,
//! one step at a time, inside the mandate of the approval.

use chrono::Duration;
use rust_decimal::Decimal;

use crate::broker::{Broker, BrokerError, Feed};
use crate::market::{Price, Timestamp, Usd};
use crate::pipeline::StepContext;
use crate::risk::{Mandate, Outcome, WorkingOrder, nearest_expiry};
use crate::structures::{OrderRef, OrderState, Purpose};

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
    pub first: Price,
    pub tick: Price,
    /// The step at which it stands, from 0.
    pub step: u32,
    pub next_at: Timestamp,
    pub filled: i64,
    pub max_loss_each: Usd,
    pub margin_each: Usd,
}

impl Working {
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

/// The price of a step: equal shares of the way from first to worst, rounded to the tick towards
/// the first, so that rounding never pays more. The last step is the worst price itself.
pub fn ladder_price(first: Price, worst: Price, (step, steps): (u32, u32), tick: Price) -> Price {
    let last = steps.saturating_sub(1);
    if step >= last || tick <= Price::ZERO {
        return worst;
    }
    let way = (worst - first).decimal() * Decimal::from(step) / Decimal::from(last);
    let exact = first.decimal() + way;
    let ticks = (exact / tick.decimal()).floor();
    Price::new(ticks * tick.decimal()).min(worst)
}

impl<B: Broker + Feed> Trader<B> {
    /// Whether an order waits for its next step.
    pub fn next_work_at(&self) -> Option<Timestamp> {
        self.working.values().map(|working| working.next_at).min()
    }

    /// Forgets orders that have ended, and moves those whose step is over.
    pub fn work(&mut self, context: &mut StepContext<'_>) -> anyhow::Result<()> {
        self.forget_ended()?;
        let now = context.run.as_of;
        let due: Vec<OrderRef> = self
            .working
            .iter()
            .filter(|(_, working)| working.next_at <= now)
            .map(|(order_ref, _)| order_ref.clone())
            .collect();
        for order_ref in due {
            self.step(context, &order_ref)?;
        }
        Ok(())
    }

    fn forget_ended(&mut self) -> anyhow::Result<()> {
        for order in self.journal.borrow().orders()? {
            if order.state.is_final() {
                self.working.remove(&order.order_ref);
            } else if let Some(working) = self.working.get_mut(&order.order_ref) {
                working.filled = order.filled_quantity;
            }
        }
        Ok(())
    }

    fn step(&mut self, context: &mut StepContext<'_>, order_ref: &OrderRef) -> anyhow::Result<()> {
        let parameters = self.settings.work;
        let now = context.run.as_of;
        let Some(working) = self.working.get_mut(order_ref) else { return Ok(()) };
        working.next_at = now + parameters.step;
        if working.step + 1 >= parameters.steps {
            // The ladder is at its end: an entry is dropped, an exit is decided anew.
            return self.cancel(order_ref, now);
        }
        working.step += 1;
        let worst = working.mandate.worst_price();
        let limit =
            ladder_price(working.first, worst, (working.step, parameters.steps), working.tick);
        let legs = working.mandate.proposed().legs.clone();
        let quantity = working.mandate.proposed().request.quantity;
        let gathered = self.gather(context, &legs)?;
        let Some(working) = self.working.get(order_ref) else { return Ok(()) };
        let inputs = gathered.gate(&self.settings.limits, None);
        let verdict = working.mandate.reprice_within(limit, quantity, &inputs);
        match verdict.outcome {
            Outcome::Approved(approved) => {
                let answer = self.broker.borrow_mut().reprice(approved);
                match answer {
                    Ok(()) => self.journal.borrow_mut().mark_repriced(order_ref, limit, now)?,
                    Err(error) => self.reprice_refused(order_ref, &error, now)?,
                }
                Ok(())
            }
            Outcome::Refused => self.cancel(order_ref, now),
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

    fn cancel(&mut self, order_ref: &OrderRef, now: Timestamp) -> anyhow::Result<()> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn price(value: f64) -> Price {
        Price::from_f64(value).unwrap()
    }

    #[test]
    fn the_ladder_rises_to_the_worst_price_and_never_passes_it() {
        let (first, worst, tick) = (price(-2.10), price(-1.90), price(0.01));
        let prices: Vec<Price> =
            (0..6).map(|step| ladder_price(first, worst, (step, 5), tick)).collect();
        assert_eq!(prices.first(), Some(&first));
        assert_eq!(prices.get(4), Some(&worst));
        assert_eq!(prices.get(5), Some(&worst));
        assert!(prices.windows(2).all(|pair| pair[0] <= pair[1]));
    }

    #[test]
    fn rounding_never_pays_more() {
        let step = ladder_price(price(1.00), price(1.03), (1, 5), price(0.01));
        assert_eq!(step, price(1.00));
    }
}
