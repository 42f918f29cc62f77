//! The end of a market that is recorded: from then on orders are refused and the last state is
//! served, and everybody is told.
//!
//! TWS has no such thing; clients are told with 1100, for a client that hears of lost connectivity
//! sends nothing.

use crate::market::Timestamp;
use crate::structures::Reject;

use super::house::{House, SeatId};
use super::orders::refuse;

/// IB's code for lost connectivity.
const LOST: i32 = 1100;

impl House {
    /// An instant, or the market's end where that comes before it.
    pub(super) fn no_later_than_the_end(&self, at: Timestamp) -> Timestamp {
        self.exchange.source().over_at().map_or(at, |end| at.min(end))
    }

    /// Why there is no market any more; `None` while there is one.
    fn over(&self) -> Option<String> {
        let end = self.exchange.source().over_at().filter(|end| self.now() >= *end)?;
        Some(format!(
            "the recorded market is over, at {}; its last state is served, and no order is taken",
            end.format("%Y-%m-%d %H:%M:%S UTC")
        ))
    }

    /// Tells everybody once that the market has ended.
    pub(super) fn tell_the_end(&mut self) {
        if self.is_over {
            return;
        }
        if let Some(said) = self.over() {
            self.is_over = true;
            tracing::warn!("{said}");
            self.tell_all(LOST, &lost(&said));
        }
    }

    /// Tells somebody who has come afterwards.
    pub(super) fn tell_the_end_to(&mut self, seat: SeatId) {
        if let Some(said) = self.over() {
            self.error(seat, (-1, LOST), &lost(&said));
        }
    }

    /// Refuses an order after the end.
    pub(super) fn check_not_over(&self) -> Result<(), Reject> {
        match self.over() {
            Some(said) => refuse(201, format!("Order rejected - reason:{said}")),
            None => Ok(()),
        }
    }
}

fn lost(said: &str) -> String {
    format!("Connectivity between IBKR and Trader Workstation has been lost: {said}.")
}
