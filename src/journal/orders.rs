//! Orders in the journal: an intent with its verdict, and the moves that follow.

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::market::{Price, Timestamp, Usd};
use crate::orders::{Happening, IllegalMove, OrderLife, Progress};
use crate::structures::{OrderEvent, OrderRef, OrderRequest, OrderState};

use super::openings::prepare_strategy;
use super::rows::{legs_text, order_state};
use super::schema::next_change;
use super::{Journal, JournalError};

/// What is about to be sent, or was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    pub request: OrderRequest,
    pub decision_id: String,
    pub strategy_id: String,
    pub symbol: String,
    pub structure: String,
    pub worst: Option<Price>,
    pub arrival_mid: Option<Price>,
    /// Of one combo; for an order that opens a strategy.
    pub max_loss_each: Usd,
    pub margin_each: Usd,
    /// The rule behind an exit.
    pub rule: Option<String>,
}

/// What the gate ruled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ruling {
    Approved,
    Denied { reason: String },
}

/// A ruling with what led to it.
#[derive(Debug, Clone, Copy)]
pub struct Verdict<'a> {
    pub ruling: &'a Ruling,
    /// Every check with its result, value and limit, as JSON.
    pub checks: &'a str,
}

impl Journal {
    /// As [`Journal::record_verdict`], without checks.
    #[cfg(test)]
    pub(crate) fn record(
        &mut self,
        intent: &Intent,
        ruling: &Ruling,
        at: Timestamp,
    ) -> Result<(), JournalError> {
        self.record_verdict(intent, Verdict { ruling, checks: "[]" }, at)
    }

    /// Writes the intent and its verdict with every check in one transaction, before anything is
    /// sent. The same reference is never written twice.
    pub fn record_verdict(
        &mut self,
        intent: &Intent,
        verdict: Verdict<'_>,
        at: Timestamp,
    ) -> Result<(), JournalError> {
        let Verdict { ruling, checks } = verdict;
        let work = self.begin()?;
        propose(&work, intent, at)?;
        let order_ref = &intent.request.order_ref;
        let (happening, reason) = match ruling {
            Ruling::Approved => (Happening::Approved, ""),
            Ruling::Denied { reason } => (Happening::Denied, reason.as_str()),
        };
        work.execute(
            "insert into verdicts (order_ref, approved, checks, ruled_at) values (?1, ?2, ?3, ?4)",
            (order_ref.as_str(), *ruling == Ruling::Approved, checks, at.timestamp_micros()),
        )?;
        move_order(&work, order_ref, happening, at)?;
        note_reason(&work, order_ref, reason)?;
        if *ruling == Ruling::Approved {
            prepare_strategy(&work, intent, at)?;
        }
        Ok(work.commit()?)
    }

    /// The checks of an order's verdict, as they were recorded.
    pub fn checks_of(&self, order_ref: &OrderRef) -> Result<Option<String>, JournalError> {
        Ok(self
            .connection
            .query_row(
                "select checks from verdicts where order_ref = ?1",
                [order_ref.as_str()],
                |row| row.get(0),
            )
            .optional()?)
    }

    /// The order left the desk. An event that was quicker is not undone.
    pub fn mark_sent(
        &mut self,
        order_ref: &OrderRef,
        perm_id: i64,
        at: Timestamp,
    ) -> Result<(), JournalError> {
        let work = self.begin()?;
        move_order(&work, order_ref, Happening::Sent, at)?;
        work.execute(
            "update orders set perm_id = ?2 where order_ref = ?1",
            (order_ref.as_str(), perm_id),
        )?;
        Ok(work.commit()?)
    }

    /// The broker took the order to a new limit.
    pub fn mark_repriced(
        &mut self,
        order_ref: &OrderRef,
        limit: Price,
        at: Timestamp,
    ) -> Result<(), JournalError> {
        let work = self.begin()?;
        let state = life_of(&work, order_ref)?.state();
        if !matches!(state, OrderState::Sent | OrderState::Working) {
            return Err(illegal(order_ref, state, "repriced"));
        }
        bump(&work, order_ref, at)?;
        work.execute(
            "update orders set limit_price = ?2 where order_ref = ?1",
            (order_ref.as_str(), limit.micros()),
        )?;
        Ok(work.commit()?)
    }

    /// The broker refused the order at once.
    pub fn mark_rejected(
        &mut self,
        order_ref: &OrderRef,
        reason: &str,
        at: Timestamp,
    ) -> Result<(), JournalError> {
        let work = self.begin()?;
        move_order(&work, order_ref, Happening::Refused, at)?;
        end_order(&work, order_ref, reason, at)?;
        Ok(work.commit()?)
    }

    /// An approved order that was never sent and never will be: an operator declined it, or its
    /// time ran out.
    pub fn mark_withdrawn(
        &mut self,
        order_ref: &OrderRef,
        reason: &str,
        at: Timestamp,
    ) -> Result<(), JournalError> {
        let work = self.begin()?;
        move_order(&work, order_ref, Happening::Withdrawn, at)?;
        end_order(&work, order_ref, reason, at)?;
        Ok(work.commit()?)
    }

    /// Nobody can say what became of the order: it is never sent again, until the broker's truth
    /// says what it is.
    pub fn mark_unknown(
        &mut self,
        order_ref: &OrderRef,
        reason: &str,
        at: Timestamp,
    ) -> Result<(), JournalError> {
        let work = self.begin()?;
        move_order(&work, order_ref, Happening::OutcomeUnknown, at)?;
        note_reason(&work, order_ref, reason)?;
        Ok(work.commit()?)
    }

    /// The broker, asked, knows nothing of an order of unknown fate, and its positions show none of
    /// it: it never worked.
    pub fn mark_not_at_broker(
        &mut self,
        order_ref: &OrderRef,
        at: Timestamp,
    ) -> Result<(), JournalError> {
        let work = self.begin()?;
        move_order(&work, order_ref, Happening::NotAtBroker, at)?;
        end_order(&work, order_ref, "the broker knows nothing of it", at)?;
        Ok(work.commit()?)
    }

    /// Why the desk is about to end a working order. What the broker says of the end stands after
    /// it.
    pub fn note_cancelling(
        &mut self,
        order_ref: &OrderRef,
        reason: &str,
        at: Timestamp,
    ) -> Result<(), JournalError> {
        let work = self.begin()?;
        if !life_of(&work, order_ref)?.state().is_final() {
            note_reason(&work, order_ref, reason)?;
            if work.changes() == 1 {
                bump(&work, order_ref, at)?;
            }
        }
        Ok(work.commit()?)
    }

    /// After a start or a lost connection: whatever is not final may have been sent, worked or
    /// filled unseen, so that its fate is unknown until it is matched with the broker's truth. An
    /// approved order is among them, for the desk may have died between sending and noting it.
    /// Returns their references.
    pub fn doubt_open_orders(&mut self, at: Timestamp) -> Result<Vec<OrderRef>, JournalError> {
        let open: Vec<OrderRef> = self
            .open_orders()?
            .into_iter()
            .filter(|order| order.state != OrderState::Unknown)
            .map(|order| order.order_ref)
            .collect();
        let work = self.begin()?;
        for order_ref in &open {
            move_order(&work, order_ref, Happening::OutcomeUnknown, at)?;
        }
        work.commit()?;
        Ok(open)
    }

    /// A status that the broker reports. What is final stays as it is: a late event that repeats it
    /// or tells less changes nothing, one that contradicts it is an error and changes nothing
    /// either. What is filled never shrinks.
    pub fn apply_event(&mut self, event: &OrderEvent) -> Result<(), JournalError> {
        let work = self.begin()?;
        let order_ref = &event.order_ref;
        let mut life = life_of(&work, order_ref)?;
        let from = life.state();
        life.apply(event.into()).map_err(|illegal| refused(order_ref, &illegal))?;
        if from.is_final() {
            return Ok(());
        }
        let state = life.state();
        let changed = work.execute(
            "update orders set filled_quantity = max(filled_quantity, ?2), perm_id = ?3,
                 limit_price = coalesce(?4, limit_price)
             where order_ref = ?1 and (filled_quantity < ?2 or perm_id is not ?3
                 or (?4 is not null and limit_price is not ?4))",
            (order_ref.as_str(), event.filled, event.perm_id, event.limit.map(Price::micros)),
        )?;
        if from != state {
            set_state(&work, order_ref, state, event.at)?;
        } else if changed == 1 {
            bump(&work, order_ref, event.at)?;
        }
        if state.is_final() {
            end_order(&work, order_ref, &event.reason, event.at)?;
        }
        Ok(work.commit()?)
    }
}

fn propose(work: &Connection, intent: &Intent, at: Timestamp) -> Result<(), JournalError> {
    let order_ref = &intent.request.order_ref;
    let seq = next_change(work)?;
    let inserted = work.execute(
        "insert into orders (order_ref, decision_id, strategy_id, purpose, state, legs,
             quantity, filled_quantity, limit_price, worst_price, arrival_mid, filled_value,
             perm_id, reason, created_at, changed_at, change_seq)
         values (?1, ?2, ?3, ?4, 'proposed', ?5, ?6, 0, ?7, ?8, ?9, 0, null, '', ?10, ?10, ?11)
         on conflict (order_ref) do nothing",
        params![
            order_ref.as_str(),
            intent.decision_id,
            intent.strategy_id,
            order_ref.purpose().as_str(),
            legs_text(&intent.request.legs),
            intent.request.quantity,
            intent.request.order_type.limit().map(Price::micros),
            intent.worst.map(Price::micros),
            intent.arrival_mid.map(Price::micros),
            at.timestamp_micros(),
            seq,
        ],
    )?;
    if inserted == 0 {
        return Err(JournalError::Duplicate(order_ref.to_string()));
    }
    Ok(())
}

fn life_of(work: &Connection, order_ref: &OrderRef) -> Result<OrderLife, JournalError> {
    let found: Option<(String, i64, i64)> = work
        .prepare_cached("select state, quantity, filled_quantity from orders where order_ref = ?1")?
        .query_row([order_ref.as_str()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let (state, quantity, filled) =
        found.ok_or_else(|| JournalError::NoOrder(order_ref.to_string()))?;
    Ok(OrderLife::restored(order_state(&state)?, quantity, filled))
}

fn illegal(order_ref: &OrderRef, from: OrderState, to: &'static str) -> JournalError {
    JournalError::IllegalMove {
        order_ref: order_ref.to_string(),
        from: from.as_str().to_owned(),
        to,
    }
}

fn refused(order_ref: &OrderRef, illegal: &IllegalMove) -> JournalError {
    JournalError::Impossible { order_ref: order_ref.to_string(), what: illegal.to_string() }
}

/// Takes a happening to the order's life; what that does not allow is an error.
fn move_order(
    work: &Connection,
    order_ref: &OrderRef,
    happening: Happening,
    at: Timestamp,
) -> Result<(), JournalError> {
    let mut life = life_of(work, order_ref)?;
    let from = life.state();
    match life.apply(happening) {
        Ok(Progress::Changed) => set_state(work, order_ref, life.state(), at),
        Ok(Progress::Same) => bump(work, order_ref, at),
        Err(_) => Err(illegal(order_ref, from, asked(happening))),
    }
}

/// What a happening would make of an order.
fn asked(happening: Happening) -> &'static str {
    match happening {
        Happening::Approved => "approved",
        Happening::Denied => "denied",
        Happening::Sent => "sent",
        Happening::Withdrawn => "withdrawn",
        Happening::Refused => "rejected",
        Happening::OutcomeUnknown => "unknown",
        Happening::NotAtBroker => "cancelled",
        Happening::Broker { status, .. } => status.as_str(),
    }
}

fn set_state(
    work: &Connection,
    order_ref: &OrderRef,
    to: OrderState,
    at: Timestamp,
) -> Result<(), JournalError> {
    work.execute(
        "update orders set state = ?2 where order_ref = ?1",
        (order_ref.as_str(), to.as_str()),
    )?;
    bump(work, order_ref, at)
}

/// The order's row is a new change.
pub(super) fn bump(
    work: &Connection,
    order_ref: &OrderRef,
    at: Timestamp,
) -> Result<(), JournalError> {
    let seq = next_change(work)?;
    work.prepare_cached("update orders set changed_at = ?2, change_seq = ?3 where order_ref = ?1")?
        .execute((order_ref.as_str(), at.timestamp_micros(), seq))?;
    Ok(())
}

/// Adds a reason to what is known already.
fn note_reason(work: &Connection, order_ref: &OrderRef, reason: &str) -> Result<(), JournalError> {
    work.execute(
        "update orders set reason = case when reason = '' then ?2 else reason || '; ' || ?2 end
         where order_ref = ?1 and ?2 <> '' and reason <> ?2",
        (order_ref.as_str(), reason),
    )?;
    Ok(())
}

/// Keeps the reason; a strategy whose opening order ended without a fill is dropped.
fn end_order(
    work: &Connection,
    order_ref: &OrderRef,
    reason: &str,
    at: Timestamp,
) -> Result<(), JournalError> {
    note_reason(work, order_ref, reason)?;
    let unfilled: Option<String> = work
        .query_row(
            "select strategies.strategy_id from strategies
             join orders on orders.strategy_id = strategies.strategy_id
             where orders.order_ref = ?1 and orders.filled_quantity = 0
                 and strategies.state = 'opening'
                 and not exists (select 1 from orders as other
                     where other.strategy_id = orders.strategy_id
                         and other.order_ref <> orders.order_ref
                         and other.state in ('approved', 'sent', 'working', 'unknown'))",
            [order_ref.as_str()],
            |row| row.get(0),
        )
        .optional()?;
    if let Some(strategy_id) = unfilled {
        let seq = next_change(work)?;
        work.execute(
            "update strategies set state = 'dropped', changed_at = ?2, change_seq = ?3
             where strategy_id = ?1",
            (strategy_id, at.timestamp_micros(), seq),
        )?;
    }
    Ok(())
}
