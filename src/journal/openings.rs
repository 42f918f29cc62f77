//! The strategy behind an approved order.

use rusqlite::{Connection, OptionalExtension as _};

use crate::market::Timestamp;
use crate::structures::Purpose;

use super::schema::next_change;
use super::{Intent, JournalError};

/// An order that may open or hedge makes its strategy where there is none, or takes up one that
/// was dropped; an exit notes the rule behind it. Closing what is not there is an error.
pub(super) fn prepare_strategy(
    work: &Connection,
    intent: &Intent,
    at: Timestamp,
) -> Result<(), JournalError> {
    let state: Option<String> = work
        .query_row(
            "select state from strategies where strategy_id = ?1",
            [&intent.strategy_id],
            |row| row.get(0),
        )
        .optional()?;
    let makes = match intent.request.order_ref.purpose() {
        Purpose::Open | Purpose::Roll | Purpose::Hedge => true,
        Purpose::Close | Purpose::Repair => false,
    };
    match state.as_deref() {
        None if !makes => Err(JournalError::NoStrategy(intent.strategy_id.clone())),
        None | Some("dropped") => make_strategy(work, intent, at),
        Some(_) => note_rule(work, intent, at),
    }
}

fn make_strategy(work: &Connection, intent: &Intent, at: Timestamp) -> Result<(), JournalError> {
    let seq = next_change(work)?;
    work.execute(
        "insert into strategies (strategy_id, symbol, structure, state, quantity,
             opened_quantity, opening_cash, realised, commissions, max_loss_each,
             margin_each, close_rule, opened_at, closed_at, changed_at, change_seq)
         values (?1, ?2, ?3, 'opening', 0, 0, 0, 0, 0, ?4, ?5, null, null, null, ?6, ?7)
         on conflict (strategy_id) do update set state = 'opening', max_loss_each = ?4,
             margin_each = ?5, changed_at = ?6, change_seq = ?7",
        (
            &intent.strategy_id,
            &intent.symbol,
            &intent.structure,
            intent.max_loss_each.micros(),
            intent.margin_each.micros(),
            at.timestamp_micros(),
            seq,
        ),
    )?;
    Ok(())
}

fn note_rule(work: &Connection, intent: &Intent, at: Timestamp) -> Result<(), JournalError> {
    if let Some(rule) = &intent.rule {
        let seq = next_change(work)?;
        work.execute(
            "update strategies set close_rule = ?2, changed_at = ?3, change_seq = ?4
             where strategy_id = ?1",
            (&intent.strategy_id, rule, at.timestamp_micros(), seq),
        )?;
    }
    Ok(())
}
