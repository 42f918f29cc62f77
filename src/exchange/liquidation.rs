//! What the broker does by itself when the account falls short: it closes positions.
//!
//! Rules: an account whose excess liquidity is below zero for the configured grace, while options
//! trade, is liquidated at once: the position that would ask for the most margin alone first, each
//! leg by itself whatever combo it belongs to, at the opposite quote however wide, up to the
//! displayed size, until the account is no longer short. Orders that work in such a contract are
//! cancelled first, so that they do not open what was just closed. A long option is sold only where
//! no short option of its underlying is left.
//!
//! What has no usable quote waits for one. The executions have no order reference:
//! the desk learns of them as it learns of an assignment. Deliberately absent: margin calls, a
//! warning, liquidation outside the options' hours, and the broker's choice between positions.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::market::sessions::CalendarError;
use crate::market::{ConId, Instrument, Price, SecurityKind, Timestamp};
use crate::structures::{Execution, ExecutionKind, Holding};

use super::account::cash_of;
use super::engine::Exchange;
use super::matching::is_crossed;
use super::view;

/// What is remembered of a deficient account.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Deficit {
    /// Since when the account has been short, without a break, while options trade.
    pub since: Option<Timestamp>,
    /// Receipt of the last quote that a forced trade took: its size is gone.
    taken: BTreeMap<ConId, Timestamp>,
}

/// What can be closed of a position at the quotes of the instant.
struct Forced {
    /// Signed as the trade: against the position.
    quantity: i64,
    price: Price,
    received_at: Timestamp,
}

impl Exchange {
    /// Looks at the margin as the account is marked now, and acts where it has been short too long.
    pub(super) fn watch_margin(&mut self) -> Result<(), CalendarError> {
        if !self.timetable.options_trade(self.now)? || !self.is_short_of_margin() {
            self.deficit.since = None;
            return Ok(());
        }
        let since = *self.deficit.since.get_or_insert(self.now);
        if self.now - since >= self.config.liquidation_grace {
            self.liquidate();
        }
        Ok(())
    }

    /// An account that cannot be valued is not known to be short.
    fn is_short_of_margin(&self) -> bool {
        self.standing(&[]).is_ok_and(|standing| standing.excess().is_negative())
    }

    fn liquidate(&mut self) {
        for held in self.largest_first() {
            let sold_too_early = held.instrument.kind() == SecurityKind::Option
                && held.quantity > 0
                && self.has_short_option(&held.instrument);
            if sold_too_early {
                continue;
            }
            self.force(&held);
            if !self.is_short_of_margin() {
                self.deficit.since = None;
                return;
            }
        }
    }

    /// Closes a short option, the one that asks for the most margin, though the account may not be
    /// short of it: a broker may do so before an expiry. Whether something of it could be closed.
    pub fn liquidate_short_option(&mut self) -> bool {
        let shorts = self
            .largest_first()
            .into_iter()
            .filter(|held| held.instrument.kind() == SecurityKind::Option && held.quantity < 0);
        for held in shorts.collect::<Vec<_>>() {
            let conid = held.instrument.conid();
            self.force(&held);
            if self.account.quantity(conid) != held.quantity {
                return true;
            }
        }
        false
    }

    fn largest_first(&self) -> Vec<Holding> {
        let mut all: Vec<_> = self
            .account
            .marked()
            .filter(|(_, position)| position.quantity != 0)
            .map(|(conid, position)| {
                let instrument = position.instrument.clone();
                let held = Holding { instrument, quantity: position.quantity };
                let asked = self.maintenance_alone(&held).unwrap_or_default();
                ((asked, position.value().abs(), conid), held)
            })
            .collect();
        all.sort_by(|((asked, value, conid), _), ((other_asked, other_value, other), _)| {
            (other_asked, other_value, conid).cmp(&(asked, value, other))
        });
        all.into_iter().map(|(_, held)| held).collect()
    }

    fn has_short_option(&self, like: &Instrument) -> bool {
        self.account.marked().any(|(_, position)| {
            position.instrument.kind() == SecurityKind::Option
                && position.quantity < 0
                && position.instrument.symbol() == like.symbol()
        })
    }

    /// Closes what can be closed of a position.
    fn force(&mut self, held: &Holding) {
        let conid = held.instrument.conid();
        let Some(forced) = self.forced(held) else { return };
        let Ok(fee) = self.config.fees.leg(&held.instrument, forced.quantity) else { return };
        let commission = fee.max(self.config.fees.order_min(&held.instrument));
        self.cancel_orders_in(conid);
        let group_id = format!("liquidation.{}.{conid}", self.now.timestamp_micros());
        let execution = Execution {
            exec_id: format!("{group_id}.0"),
            order_ref: None,
            perm_id: None,
            group_id,
            kind: ExecutionKind::Liquidation,
            conid,
            quantity: forced.quantity,
            price: Some(forced.price),
            multiplier: held.instrument.multiplier(),
            commission,
            cash: cash_of(&held.instrument, forced.quantity, forced.price, commission),
            at: self.now,
        };
        self.deficit.taken.insert(conid, forced.received_at);
        self.note_future(&held.instrument);
        self.book_execution(execution, &held.instrument);
        self.refresh_mark(conid, &held.instrument);
    }

    /// `None` where the market is closed or halted, or the quote is missing, crossed, stale or
    /// used.
    fn forced(&self, held: &Holding) -> Option<Forced> {
        let conid = held.instrument.conid();
        let quote = view::sides(&*self.source, &held.instrument)?;
        let used = self.deficit.taken.get(&conid).is_some_and(|at| *at >= quote.received_at);
        let stale = self.now - quote.received_at > self.config.fills.stale_after;
        if used || stale || is_crossed(&quote) || !self.market_open(conid) {
            return None;
        }
        let (price, size) = if held.quantity > 0 {
            (quote.bid?, quote.bid_size)
        } else {
            (quote.ask?, quote.ask_size)
        };
        let contracts = held.quantity.abs().min(size);
        let quantity = -held.quantity.signum() * contracts;
        (contracts > 0).then_some(Forced { quantity, price, received_at: quote.received_at })
    }

    fn cancel_orders_in(&mut self, conid: ConId) {
        let concerned: Vec<i64> = self
            .book
            .working()
            .filter(|order| order.request.legs.iter().any(|leg| leg.conid == conid))
            .map(|order| order.perm_id)
            .collect();
        for perm_id in concerned {
            self.cancel_now(perm_id, "cancelled by the broker: margin deficiency", self.now);
        }
    }
}
