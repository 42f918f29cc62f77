//! The budget of messages that all jobs share, with orders first.
//!
//! IB takes 50 messages a second over all clients of a gateway and closes a connection that breaks
//! this thrice. It counts seconds of the wall, whatever the desk's own clock does, and so do we.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::market::clock::Stopwatch;

/// Who wants to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// Orders, cancels and what reconciles them.
    Orders,
    /// Market data, contracts and history.
    Data,
}

/// Messages of the last second at most, and how many of them data may use.
const ALL: usize = 49;
const DATA: usize = 46;
/// What data may use for a while after the broker has found it too much.
const DATA_AFTER_OFFENCE: usize = 25;
const PENITENCE_SECONDS: f64 = 60.0;
/// A second as we count it: messages may be read a little closer together than they were sent.
const SECOND: f64 = 1.01;

/// Counts what was sent within the last second.
#[derive(Debug)]
pub struct Pacer {
    clock: Stopwatch,
    traffic: Mutex<Traffic>,
}

#[derive(Debug, Default)]
struct Traffic {
    sent: VecDeque<f64>,
    /// When the broker last found it too much.
    offended_at: Option<f64>,
}

impl Pacer {
    pub fn new() -> Self {
        Self { clock: Stopwatch::start(), traffic: Mutex::default() }
    }

    /// The broker says that there were too many: data keeps back for a while.
    pub fn offended(&self) {
        let at = self.clock.elapsed_seconds();
        self.traffic().offended_at = Some(at);
    }

    fn traffic(&self) -> MutexGuard<'_, Traffic> {
        // Instants are sound whatever panicked while holding them.
        self.traffic.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until one more message may be sent. Data leaves the last places to orders.
    pub async fn leave(&self, priority: Priority) {
        while let Some(seconds) = self.wait(priority) {
            tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
        }
    }

    /// Seconds until there may be room; `None` when a place was taken.
    fn wait(&self, priority: Priority) -> Option<f64> {
        let at = self.clock.elapsed_seconds();
        self.traffic().take(at, priority)
    }
}

impl Traffic {
    fn take(&mut self, at: f64, priority: Priority) -> Option<f64> {
        let Self { sent, offended_at } = self;
        while sent.front().is_some_and(|first| *first <= at - SECOND) {
            sent.pop_front();
        }
        let most = match priority {
            Priority::Orders => ALL,
            Priority::Data if offended_at.is_some_and(|last| at - last < PENITENCE_SECONDS) => {
                DATA_AFTER_OFFENCE
            }
            Priority::Data => DATA,
        };
        let Some(over) = (sent.len() + 1).checked_sub(most).filter(|over| *over > 0) else {
            sent.push_back(at);
            return None;
        };
        let frees = sent.get(over - 1).copied().unwrap_or(at);
        Some((frees + SECOND - at).max(0.001))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_second_ever_holds_more_than_the_budget_and_orders_have_places_of_their_own() {
        let mut traffic = Traffic::default();
        let mut all: Vec<f64> = Vec::new();
        let mut at = 0.0;
        for n in 0..2_000 {
            let priority = if n % 17 == 0 { Priority::Orders } else { Priority::Data };
            while let Some(seconds) = traffic.take(at, priority) {
                at += seconds;
            }
            all.push(at);
        }
        for (n, first) in all.iter().enumerate() {
            let within = all[n..].iter().take_while(|later| **later < first + SECOND).count();
            assert!(within <= ALL, "{within} messages within a second from {first}");
        }
        let sent = std::iter::repeat_n(0.0, DATA).collect();
        let mut traffic = Traffic { sent, offended_at: None };
        assert!(traffic.take(0.5, Priority::Data).is_some());
        assert!(traffic.take(0.5, Priority::Orders).is_none());
    }

    #[test]
    fn data_keeps_back_after_an_offence_and_orders_do_not() {
        let sent = std::iter::repeat_n(0.0, DATA_AFTER_OFFENCE).collect();
        let mut traffic = Traffic { sent, offended_at: Some(0.0) };
        assert!(traffic.take(0.5, Priority::Data).is_some());
        assert!(traffic.take(0.5, Priority::Orders).is_none());
        traffic.sent.clear();
        traffic.sent.extend(std::iter::repeat_n(70.0, DATA_AFTER_OFFENCE));
        assert!(traffic.take(70.5, Priority::Data).is_none(), "a minute later all is as before");
    }
}
