//! What must outlive the process of an exchange: account, orders and what is pending, as of an
//! instant. The market itself is a function of its seed and of time, and is not kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::market::sessions::Calendar;
use crate::market::{ConId, Price, Symbol, Timestamp};
use crate::structures::Execution;

use super::account::Account;
use super::book::Book;
use super::config::ExchangeConfig;
use super::engine::{Exchange, ExchangeError};
use super::liquidation::Deficit;
use super::matching::{QuoteTrace, TakenSize};
use super::settlement::PendingSettlement;
use super::source::MarketSource;

/// An exchange that stands still.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExchangeState {
    now: Timestamp,
    account: Account,
    book: Book,
    traces: BTreeMap<ConId, QuoteTrace>,
    taken: BTreeMap<ConId, TakenSize>,
    spots: BTreeMap<Symbol, Price>,
    pending: Vec<PendingSettlement>,
    closed_session: Option<NaiveDate>,
    varied: BTreeMap<ConId, NaiveDate>,
    deficit: Deficit,
    #[serde(default)]
    last_trade: Vec<Execution>,
}

impl ExchangeState {
    /// The instant at which it stood.
    pub fn now(&self) -> Timestamp {
        self.now
    }
}

impl Exchange {
    /// What is kept. Events that nobody has taken yet are not: take them first.
    pub fn state(&self) -> ExchangeState {
        ExchangeState {
            now: self.now,
            account: self.account.clone(),
            book: self.book.clone(),
            traces: self.traces.clone(),
            taken: self.taken.clone(),
            spots: self.spots.clone(),
            pending: self.pending.clone(),
            closed_session: self.closed_session,
            varied: self.varied.clone(),
            deficit: self.deficit.clone(),
            last_trade: self.last_trade.clone(),
        }
    }

    /// Goes on where an exchange over the same market stood.
    pub fn resumed(
        mut source: Box<dyn MarketSource>,
        config: ExchangeConfig,
        calendar: Arc<Calendar>,
        state: ExchangeState,
    ) -> Result<Self, ExchangeError> {
        source.advance_to(state.now);
        let fresh = Self::new(source, config, calendar)?;
        Ok(Self {
            account: state.account,
            book: state.book,
            traces: state.traces,
            taken: state.taken,
            spots: state.spots,
            pending: state.pending,
            closed_session: state.closed_session,
            varied: state.varied,
            deficit: state.deficit,
            last_trade: state.last_trade,
            ..fresh
        })
    }
}
