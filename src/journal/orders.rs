//! Orders in the journal: an intent with its verdict, and the moves that follow.

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::market::{Price, Timestamp, Usd};
use crate::structures::{BrokerStatus, OrderEvent, OrderRef, OrderRequest, OrderState};

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
    /// Writes the intent and its verdict in one transaction, before anything is sent. The same
    /// reference is never written twice.
    pub fn record(
        &mut self,
        intent: &Intent,
        ruling: &Ruling,
        at: Timestamp,
    ) -> Result<(), JournalError> {
        self.record_verdict(intent, Verdict { ruling, checks: "[]" }, at)
    }

    /// As [`Journal::record`], with every check of the verdict.
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
        let (state, reason) = match ruling {
            Ruling::Approved => (OrderState::Approved, ""),
            Ruling::Denied { reason } => (OrderState::Denied, reason.as_str()),
        };
        work.execute(
            "insert into verdicts (order_ref, approved, checks, ruled_at) values (?1, ?2, ?3, ?4)",
            (order_ref.as_str(), *ruling == Ruling::Approved, checks, at.timestamp_micros()),
        )?;
        move_order(&work, order_ref, state, at)?;
        set_reason(&work, order_ref, reason)?;
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
        if state_of(&work, order_ref)? == OrderState::Working {
            bump(&work, order_ref, at)?;
        } else {
            move_order(&work, order_ref, OrderState::Sent, at)?;
        }
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
        let state = state_of(&work, order_ref)?;
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
        move_order(&work, order_ref, OrderState::Rejected, at)?;
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
        let state = state_of(&work, order_ref)?;
        if state != OrderState::Approved {
            return Err(illegal(order_ref, state, "withdrawn"));
        }
        move_order(&work, order_ref, OrderState::Cancelled, at)?;
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
        move_order(&work, order_ref, OrderState::Unknown, at)?;
        set_reason(&work, order_ref, reason)?;
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
            move_order(&work, order_ref, OrderState::Unknown, at)?;
        }
        work.commit()?;
        Ok(open)
    }

    /// A status that the broker reports. What is final stays as it is: a late event about it
    /// changes nothing; one that tells nothing new is no change. What is filled never shrinks.
    pub fn apply_event(&mut self, event: &OrderEvent) -> Result<(), JournalError> {
        let work = self.begin()?;
        let order_ref = &event.order_ref;
        let from = state_of(&work, order_ref)?;
        if from.is_final() {
            return Ok(());
        }
        let state = match event.status {
            BrokerStatus::Working => OrderState::Working,
            BrokerStatus::Filled => OrderState::Filled,
            BrokerStatus::Cancelled => OrderState::Cancelled,
            BrokerStatus::Rejected => OrderState::Rejected,
        };
        let changed = work.execute(
            "update orders set filled_quantity = max(filled_quantity, ?2), perm_id = ?3,
                 limit_price = coalesce(?4, limit_price)
             where order_ref = ?1 and (filled_quantity < ?2 or perm_id is not ?3
                 or (?4 is not null and limit_price is not ?4))",
            (order_ref.as_str(), event.filled, event.perm_id, event.limit.map(Price::micros)),
        )?;
        if from != state {
            move_order(&work, order_ref, state, event.at)?;
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

fn state_of(work: &Connection, order_ref: &OrderRef) -> Result<OrderState, JournalError> {
    let state: Option<String> = work
        .prepare_cached("select state from orders where order_ref = ?1")?
        .query_row([order_ref.as_str()], |row| row.get(0))
        .optional()?;
    order_state(&state.ok_or_else(|| JournalError::NoOrder(order_ref.to_string()))?)
}

/// The moves that an order's life allows. A broker's event may overtake the note that the order was
/// sent; nothing leads from `Unknown` back to sending.
fn may_move(from: OrderState, to: OrderState) -> bool {
    match from {
        OrderState::Proposed => matches!(to, OrderState::Approved | OrderState::Denied),
        OrderState::Approved => matches!(
            to,
            OrderState::Sent
                | OrderState::Working
                | OrderState::Filled
                | OrderState::Cancelled
                | OrderState::Rejected
                | OrderState::Unknown
        ),
        OrderState::Sent | OrderState::Working | OrderState::Unknown => matches!(
            to,
            OrderState::Working
                | OrderState::Filled
                | OrderState::Cancelled
                | OrderState::Rejected
                | OrderState::Unknown
        ),
        OrderState::Denied | OrderState::Filled | OrderState::Cancelled | OrderState::Rejected => {
            false
        }
    }
}

fn illegal(order_ref: &OrderRef, from: OrderState, to: &'static str) -> JournalError {
    JournalError::IllegalMove {
        order_ref: order_ref.to_string(),
        from: from.as_str().to_owned(),
        to,
    }
}

fn move_order(
    work: &Connection,
    order_ref: &OrderRef,
    to: OrderState,
    at: Timestamp,
) -> Result<(), JournalError> {
    let from = state_of(work, order_ref)?;
    if !may_move(from, to) {
        return Err(illegal(order_ref, from, to.as_str()));
    }
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

fn set_reason(work: &Connection, order_ref: &OrderRef, reason: &str) -> Result<(), JournalError> {
    work.execute(
        "update orders set reason = ?2 where order_ref = ?1",
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
    set_reason(work, order_ref, reason)?;
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
