//! Act and settle: decisions become proposals, proposals pass the gate, approvals go to the broker,
//! the broker's news comes back, and the broker's truth is held against ours.
//!
//! Invariants: an intent and its verdict are in the journal before anything is sent; what is sent
//! is what the gate approved; one decision is acted on once; an order is worked inside the worst
//! price of its approval and nowhere else; an order whose fate nobody knows is never sent again and
//! stays in the book until the broker's truth says what it is. Nothing here makes a price, a signal
//! or a rule.

mod act;
mod decision;
mod entry;
mod events;
mod exit;
mod heal;
mod inputs;
mod market;
mod publish;
mod record;
mod resume;
mod send;
mod settle;
mod steps;
mod unevaluable;
mod watch;
mod work;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use crate::journal::{AlertRow, Journal, JournalError};
use crate::market::sessions::Calendar;
use crate::market::{Timestamp, Usd};
use crate::pipeline::Flusher;
use crate::pipeline::{Sequence, Shared};
use crate::risk::{Breaker, RiskLimits};
use crate::structures::OrderRef;

use settle::Dispute;
use work::Working;

pub use inputs::PnlToday;
pub use publish::{HeldCopies, Published};
pub use steps::{Task, TraderStep};
pub use work::WorkParameters;

/// What becomes of an approved order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transmission {
    /// Decide, gate and store everything; send nothing.
    Observe,
    Send,
}

/// The numbers and identities that trading needs from the settings.
#[derive(Debug, Clone)]
pub struct TradeSettings {
    pub limits: RiskLimits,
    pub work: WorkParameters,
    pub transmission: Transmission,
    /// Caps the equity that sizing and limits see.
    pub capital: Usd,
    /// Cash of the account before our first execution.
    pub opening_cash: Usd,
    /// Commission and fees of one contract, one way.
    pub commission_usd_contract: f64,
    pub settings_hash: String,
    /// SHA-256 over the texts of all models.
    pub sql_hash: String,
}

/// The desk's hands.
pub struct Trader<B> {
    broker: Shared<B>,
    journal: Shared<Journal>,
    sequence: Shared<Sequence>,
    calendar: Arc<Calendar>,
    flusher: Flusher,
    settings: TradeSettings,
    /// Number of the last change that was copied to ops.
    published: Published,
    working: BTreeMap<OrderRef, Working>,
    /// Until when entries of a symbol and structure rest after a refusal.
    resting: BTreeMap<(String, String), Timestamp>,
    /// What the last reconciliation left open.
    dispute: Dispute,
    /// When the newest option quote with a price came.
    quoted_at: Option<Timestamp>,
    breaker: Breaker,
    clean_reconciliation_at: Option<Timestamp>,
    pnl: PnlToday,
    gate_runs: i64,
    reconciliations: i64,
    /// Cash that the executions told so far leave.
    cash: Usd,
}

/// Something that the operator must know.
struct Alert<'a> {
    id: String,
    severity: &'a str,
    subject: &'a str,
    message: String,
}

/// What a trader is made of.
pub struct TraderParts<B> {
    pub broker: Shared<B>,
    pub journal: Shared<Journal>,
    pub sequence: Shared<Sequence>,
    pub calendar: Arc<Calendar>,
    pub flusher: Flusher,
    pub settings: TradeSettings,
    /// What of the journal the lake holds.
    pub published: Published,
}

impl<B> Trader<B> {
    pub fn new(parts: TraderParts<B>) -> Result<Self, JournalError> {
        let TraderParts { broker, journal, sequence, calendar, flusher, settings, published } =
            parts;
        let cash = settings.opening_cash + journal.borrow().executed_cash()?;
        let breaker = watch::breaker_of(&journal.borrow())?;
        let pnl = watch::kept_pnl(&journal.borrow())?;
        Ok(Self {
            broker,
            journal,
            sequence,
            calendar,
            flusher,
            settings,
            published,
            working: BTreeMap::new(),
            resting: BTreeMap::new(),
            dispute: Dispute::default(),
            quoted_at: None,
            breaker,
            clean_reconciliation_at: None,
            pnl,
            gate_runs: 0,
            reconciliations: 0,
            cash,
        })
    }

    /// Puts an alert into the journal's outbox; the same id is one alert, and logged once.
    fn alert(&self, alert: &Alert<'_>, at: Timestamp) -> anyhow::Result<()> {
        let is_new = self.journal.borrow_mut().raise_alert(&AlertRow {
            alert_id: alert.id.clone(),
            severity: alert.severity.to_owned(),
            subject: alert.subject.to_owned(),
            message: alert.message.clone(),
            raised_at: at,
        })?;
        if is_new {
            tracing::warn!(
                alert.severity = alert.severity,
                alert.subject = alert.subject,
                "{}",
                alert.message
            );
        }
        Ok(())
    }
}

/// A shared part, for the composition root.
pub fn shared<T>(part: T) -> Rc<RefCell<T>> {
    Rc::new(RefCell::new(part))
}
