//! Time as a value: the wall clock for operating, a virtual clock for demo, replay and tests.
//!
//! This is the only place that reads the machine's clock. Everything else is handed a [`Clock`].

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, Utc};

use super::Timestamp;

/// The desk's source of the current instant.
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct WallClock;

impl Clock for WallClock {
    #[expect(clippy::disallowed_methods, reason = "the one door through which wall time enters")]
    fn now(&self) -> Timestamp {
        Utc::now()
    }
}

/// A clock that moves only when told to. Clones share the same hands.
#[derive(Debug, Clone)]
pub struct VirtualClock {
    micros: Arc<AtomicI64>,
}

impl VirtualClock {
    pub fn starting_at(at: Timestamp) -> Self {
        Self { micros: Arc::new(AtomicI64::new(at.timestamp_micros())) }
    }

    /// Moves the hands forward. Going backwards is refused silently: time never runs back, so the
    /// later of the two instants stands.
    pub fn advance_to(&self, at: Timestamp) {
        self.micros.fetch_max(at.timestamp_micros(), Ordering::SeqCst);
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        DateTime::from_timestamp_micros(self.micros.load(Ordering::SeqCst))
            .expect("the value came from a DateTime, so it is in range")
    }
}

/// Wall seconds since a starting point, for progress lines and job durations only.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch {
    started: std::time::Instant,
}

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "durations shown to people are wall time")]
    pub fn start() -> Self {
        Self { started: std::time::Instant::now() }
    }

    pub fn elapsed(&self) -> std::time::Duration {
        self.started.elapsed()
    }

    pub fn elapsed_seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_virtual_clock_moves_only_forward_and_its_clones_share_it() {
        let noon = DateTime::from_timestamp(1_772_463_600, 0).unwrap();
        let clock = VirtualClock::starting_at(noon);
        let shared = clock.clone();
        shared.advance_to(noon + chrono::Duration::minutes(5));
        clock.advance_to(noon);
        assert_eq!(clock.now(), noon + chrono::Duration::minutes(5));
    }
}
