//! The budget of messages that all jobs share, with orders first.
//!
//! IB takes 50 messages a second over all clients of a gateway and closes a connection that breaks
//! this thrice. It counts seconds of the wall, whatever the desk's own clock does, and so do we.
//! Data are spread over each second: sent in one burst, what is written some milliseconds late
//! reads as sent together with the next burst.

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

/// Messages that data may use within a second, at first and at least.
const DATA: usize = 46;
const DATA_LEAST: usize = 25;
/// Places that only orders may use beyond that.
const ORDERS_ONLY: usize = 3;
/// How much less data uses after each time that the broker has found it too much, and how long
/// until it tries one more again.
const LESS: usize = 5;
const AGAIN_AFTER_SECONDS: f64 = 300.0;
/// Requests for history within ten minutes: IB's rule for the smallest bars is 60, and other
/// clients of the gateway count too.
const HISTORIES: usize = 50;
const HISTORIES_WITHIN_SECONDS: f64 = 600.0;
/// A second as we count it: messages may be read a little closer together than they were sent.
const SECOND: f64 = 1.01;
/// Messages of data that may make up for time lost since the last one.
const CATCH_UP: f64 = 3.0;

/// Counts what was sent within the last second.
#[derive(Debug)]
pub struct Pacer {
    clock: Stopwatch,
    traffic: Mutex<Traffic>,
}

#[derive(Debug)]
struct Traffic {
    sent: VecDeque<f64>,
    histories: VecDeque<f64>,
    /// What data may use now.
    data: usize,
    /// When the next message of data is due.
    data_due: f64,
    /// When that was last changed.
    changed_at: f64,
}

impl Default for Traffic {
    fn default() -> Self {
        Self {
            sent: VecDeque::new(),
            histories: VecDeque::new(),
            data: DATA,
            data_due: 0.0,
            changed_at: 0.0,
        }
    }
}

impl Pacer {
    pub fn new() -> Self {
        Self { clock: Stopwatch::start(), traffic: Mutex::default() }
    }

    /// The broker says that there were too many: it reads them closer together than we count, so
    /// data keeps back.
    pub fn offended(&self) {
        let at = self.clock.elapsed_seconds();
        self.traffic().offended(at);
    }

    fn traffic(&self) -> MutexGuard<'_, Traffic> {
        // Instants are sound whatever panicked while holding them.
        self.traffic.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether one more history may be asked for now, which then counts.
    pub fn may_ask_history(&self) -> bool {
        let at = self.clock.elapsed_seconds();
        self.traffic().take_history(at)
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
    fn offended(&mut self, at: f64) {
        self.data = self.data.saturating_sub(LESS).max(DATA_LEAST);
        self.changed_at = at;
    }

    fn take_history(&mut self, at: f64) -> bool {
        let since = at - HISTORIES_WITHIN_SECONDS;
        while self.histories.front().is_some_and(|first| *first <= since) {
            self.histories.pop_front();
        }
        let may = self.histories.len() < HISTORIES;
        if may {
            self.histories.push_back(at);
        }
        may
    }

    fn take(&mut self, at: f64, priority: Priority) -> Option<f64> {
        if self.data < DATA && at - self.changed_at > AGAIN_AFTER_SECONDS {
            (self.data, self.changed_at) = (self.data + 1, at);
        }
        while self.sent.front().is_some_and(|first| *first <= at - SECOND) {
            self.sent.pop_front();
        }
        let most = match priority {
            Priority::Orders => self.data + ORDERS_ONLY,
            Priority::Data if at < self.data_due => return Some((self.data_due - at).max(0.001)),
            Priority::Data => self.data,
        };
        let Some(over) = (self.sent.len() + 1).checked_sub(most).filter(|over| *over > 0) else {
            self.sent.push_back(at);
            if priority == Priority::Data {
                let apart = SECOND / self.data as f64;
                self.data_due = self.data_due.max(at - CATCH_UP * apart) + apart;
            }
            return None;
        };
        let frees = self.sent.get(over - 1).copied().unwrap_or(at);
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
            assert!(within <= DATA + ORDERS_ONLY, "{within} messages within a second from {first}");
        }
        let sent = std::iter::repeat_n(0.0, DATA).collect();
        let mut traffic = Traffic { sent, ..Traffic::default() };
        assert!(traffic.take(0.5, Priority::Data).is_some());
        assert!(traffic.take(0.5, Priority::Orders).is_none());
    }

    #[test]
    fn data_are_spread_over_the_second_and_lose_nothing_by_it() {
        let mut traffic = Traffic::default();
        let mut all: Vec<f64> = Vec::new();
        // Each waits a little longer than it is told to.
        let (mut at, until) = (5.0, 65.0);
        while at < until {
            match traffic.take(at, Priority::Data) {
                Some(seconds) => at += seconds + 0.001,
                None => all.push(at),
            }
        }
        for (n, first) in all.iter().enumerate() {
            let within = all[n..].iter().take_while(|later| **later < first + 0.1).count();
            assert!(within <= 9, "{within} within a tenth of a second from {first}");
        }
        let rate = all.len() as f64 / (until - 5.0);
        assert!(rate > 0.97 * DATA as f64 / SECOND, "{rate} a second");
    }

    #[test]
    fn histories_have_a_budget_of_their_own() {
        let mut traffic = Traffic::default();
        let asked = (0..70).filter(|n| traffic.take_history(f64::from(*n))).count();
        assert_eq!(asked, HISTORIES);
        assert!(traffic.take_history(600.5), "the first is ten minutes old");
        assert!(!traffic.take_history(600.6));
    }

    #[test]
    fn data_keeps_back_after_each_offence_and_comes_back_slowly() {
        let mut traffic = Traffic::default();
        for _ in 0..20 {
            traffic.offended(0.0);
        }
        assert_eq!(traffic.data, DATA_LEAST);
        traffic.sent.extend(std::iter::repeat_n(0.0, DATA_LEAST));
        assert!(traffic.take(0.5, Priority::Data).is_some());
        assert!(traffic.take(0.5, Priority::Orders).is_none(), "orders keep places of their own");
        assert!(traffic.take(400.0, Priority::Data).is_none());
        assert_eq!(traffic.data, DATA_LEAST + 1, "one more, minutes later");
    }
}
