//! What a connection is told again and again beside its market data lines.

use std::collections::{BTreeMap, BTreeSet};

use super::event::Figure;
use super::five_seconds::FiveSecondLine;
use super::growing::Growing;
use super::positions::Believed;
use super::profit::ProfitFeed;

/// Subscriptions of one kind that a connection may hold: the bound is this gateway's own.
pub(super) const FEEDS_MAX: usize = 200;
/// Account summaries that a connection may hold (TWS API reference).
pub(super) const SUMMARIES_MAX: usize = 2;

/// Subscriptions by the number of their request.
#[derive(Debug, Default)]
pub(super) struct Feeds {
    pub five_seconds: BTreeMap<i32, FiveSecondLine>,
    /// Kept up to date.
    pub histories: BTreeMap<i32, Growing>,
    pub profits: BTreeMap<i32, ProfitFeed>,
    pub summaries: BTreeMap<i32, SummaryFeed>,
    /// Figures of the account.
    pub accounts: BTreeSet<i32>,
    /// Positions.
    pub positions: BTreeMap<i32, Believed>,
}

/// An account summary: which figures, and what they were.
#[derive(Debug, Default)]
pub(super) struct SummaryFeed {
    pub tags: String,
    pub said: Vec<Figure>,
}
