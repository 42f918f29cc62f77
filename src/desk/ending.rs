//! The end of a server, asked for or forced by an error: entries are withdrawn first, then all that
//! is known is written, then the lease is given back.
//!
//! Invariant: each step is tried, whatever became of those before it; where one fails, or an entry
//! may still fill, the server ends with an error that says so.

use anyhow::{Context as _, bail};

use crate::journal::Journal;
use crate::market::clock::Stopwatch;
use crate::market::{Clock as _, WallClock};
use crate::structures::{OrderRef, OrderState, Purpose};

use super::home::Home;
use super::serve::{LOOK, Server};

/// How long a stop waits until the broker has confirmed that no entry works, of the wall: long
/// enough to connect again after a short loss.
const WITHDRAWN_WITHIN: f64 = 30.0;
/// After so many seconds without a confirmation a cancel is asked for again.
const ASKED_AGAIN_AFTER: f64 = 2.0;

impl Server<'_> {
    pub fn end(mut self, home: &Home, served: anyhow::Result<()>) -> anyhow::Result<()> {
        if let Err(error) = &served {
            self.say(&format!("the desk cannot go on and stops: {error:#}"));
        }
        let withdrawn = self.withdraw();
        let mut outcome = served.and(self.tell(withdrawn));
        self.world.broker.borrow_mut().disconnect();
        let flushed = self.world.flush_all().context("not all that is known is written");
        outcome = outcome.and(self.tell(flushed));
        let kept = home.keep_clock(self.clock.now());
        outcome = outcome.and(self.tell(kept));
        let released = self.lease.release(WallClock.now());
        outcome = outcome.and(released.context("the lease is not given back"));
        let last = match &outcome {
            Ok(()) => "stopped: everything is written",
            Err(_) => "stopped, and not everything is as it should be",
        };
        self.listener.line(self.clock.now(), last);
        outcome
    }

    /// Says what went wrong when it does, for only the first such thing is returned.
    fn tell(&mut self, outcome: anyhow::Result<()>) -> anyhow::Result<()> {
        if let Err(error) = &outcome {
            self.say(&format!("{error:#}"));
        }
        outcome
    }

    /// Has entries cancelled until the broker has confirmed that none works. What cannot be sent or
    /// heard now may be in a moment, so that a failure ends nothing before the bound.
    fn withdraw(&mut self) -> anyhow::Result<()> {
        let entries = self.world.working_entries()?;
        self.say(&format!("stopping: {} entries work", entries.len()));
        let waited = Stopwatch::start();
        let mut asked: Option<Stopwatch> = None;
        let mut failed = String::new();
        loop {
            let is_due = |asked: Stopwatch| asked.elapsed_seconds() >= ASKED_AGAIN_AFTER;
            if asked.is_none_or(is_due) {
                note(self.world.withdraw_entries(), &mut failed);
                asked = Some(Stopwatch::start());
            }
            note(self.hear(), &mut failed);
            let left = self.world.working_entries()?;
            if left.is_empty() {
                break;
            }
            if waited.elapsed_seconds() > WITHDRAWN_WITHIN {
                bail!(self.unconfirmed(&left));
            }
            self.world.runtime.block_on(async { tokio::time::sleep(LOOK).await });
        }
        if !entries.is_empty() {
            let text = self.confirmed(&entries)?;
            self.say(&text);
        }
        Ok(())
    }

    fn confirmed(&self, entries: &[OrderRef]) -> anyhow::Result<String> {
        let (mut cancelled, mut filled) = (0, 0);
        for order_ref in entries {
            let order = self.world.journal.borrow().order(order_ref)?;
            match order.map(|order| order.state) {
                Some(OrderState::Filled) => filled += 1,
                Some(OrderState::Cancelled | OrderState::Rejected | OrderState::Denied) => {
                    cancelled += 1;
                }
                Some(
                    OrderState::Proposed
                    | OrderState::Approved
                    | OrderState::Sent
                    | OrderState::Working
                    | OrderState::Unknown,
                )
                | None => {}
            }
        }
        Ok(format!("entries: {cancelled} confirmed cancelled, {filled} filled before"))
    }

    fn unconfirmed(&self, left: &[OrderRef]) -> String {
        let names: Vec<&str> = left.iter().map(OrderRef::as_str).collect();
        format!(
            "not confirmed cancelled within {WITHDRAWN_WITHIN} s and may still fill: {}; broker: \
             {}. Look at them at the broker; the next start looks into them before anything else",
            names.join(", "),
            self.world.broker.borrow().standing()
        )
    }
}

/// Of a server that has not met its broker: an error where an earlier one left entries that may
/// still fill.
pub(super) fn nothing_was_left(home: &Home) -> anyhow::Result<()> {
    if !home.state_db().exists() {
        return Ok(());
    }
    let mut open = Journal::open(&home.state_db())?.open_orders()?;
    open.retain(|order| order.purpose == Purpose::Open);
    if open.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = open.iter().map(|order| order.order_ref.as_str()).collect();
    bail!("of an earlier run these entries may still fill, look at them: {}", names.join(", "))
}

/// Logs a failure, once while it stays the same: it is tried again, and the end is judged by what
/// the broker has confirmed.
fn note(outcome: anyhow::Result<()>, failed: &mut String) {
    let Err(error) = outcome else { return };
    let text = format!("{error:#}");
    if text != *failed {
        tracing::error!("while the desk stops: {text}");
        *failed = text;
    }
}
