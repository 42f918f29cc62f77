//! IB's rules of traffic: how many messages a second all clients together may send, how many
//! market data lines they may hold, and what of the market they may see.

use std::collections::VecDeque;

use chrono::TimeDelta;

use super::entitlement::Entitlements;

/// The limits of one login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Over all clients; `None` lets everything through.
    pub messages_a_second: Option<usize>,
    /// Market data lines over all clients: streams, snapshots while they are open, bars of five
    /// seconds.
    pub lines: usize,
    /// How long the first ticks of a stream or snapshot take; at once without it.
    pub first_ticks: Option<Delay>,
    /// How long a snapshot stays open, of simulated time.
    pub snapshot_end: TimeDelta,
    pub history: HistoryPacing,
    pub entitled: Entitlements,
    pub access: Access,
    /// The client that is told what happens to the orders of all.
    pub master_client: Option<i32>,
}

/// Whether requests for short bars are counted (`history_pacing`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistoryPacing {
    OfIb,
    Off,
}

/// How long IB leaves a snapshot open (TWS API reference).
const SNAPSHOT_OF_IB: TimeDelta = TimeDelta::seconds(11);

/// What clients may do with orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Full,
    /// As with "Read-Only API" ticked: orders are neither taken nor told.
    ReadOnly,
}

/// A span of simulated time that differs from contract to contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delay {
    pub least: TimeDelta,
    pub most: TimeDelta,
}

impl Delay {
    /// 50 to 400 ms: an assumption about IB, not an observation.
    pub fn assumed_of_ib() -> Self {
        Self { least: TimeDelta::milliseconds(50), most: TimeDelta::milliseconds(400) }
    }

    /// The same for the same key, evenly spread over the span.
    pub fn of(self, key: u64) -> TimeDelta {
        // The finaliser of SplitMix64 (Steele, Lea and Flood 2014).
        let mut bits = key.wrapping_add(0x9E37_79B9_7F4A_7C15);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let share = ((bits ^ (bits >> 31)) >> 11) as f64 / (1_u64 << 53) as f64;
        let span = (self.most - self.least).num_milliseconds() as f64;
        self.least + TimeDelta::milliseconds((span * share) as i64)
    }
}

impl Rules {
    /// What IB grants an ordinary login: 50 messages a second, 100 lines (TWS API reference). All
    /// of the market is live.
    pub fn of_ib() -> Self {
        Self {
            messages_a_second: Some(50),
            lines: 100,
            first_ticks: None,
            snapshot_end: SNAPSHOT_OF_IB,
            history: HistoryPacing::OfIb,
            entitled: Entitlements::default(),
            access: Access::Full,
            master_client: None,
        }
    }

    /// With first ticks that take their time.
    #[must_use]
    pub fn with_first_ticks(self, delay: Delay) -> Self {
        Self { first_ticks: Some(delay), ..self }
    }

    /// IB's lines, but as many messages and bars as come, and snapshots that end with their first
    /// ticks.
    pub fn unpaced() -> Self {
        let (history, snapshot_end) = (HistoryPacing::Off, TimeDelta::zero());
        Self { messages_a_second: None, history, snapshot_end, ..Self::of_ib() }
    }
}

/// Clients that IB takes at a time (TWS API reference).
pub const CLIENTS_MAX: usize = 32;

/// How often a connection may send too much before it is closed.
pub const STRIKES: usize = 3;

/// Messages of the last second, of all clients. Times are seconds of the wall.
#[derive(Debug, Default)]
pub struct Traffic {
    recent: VecDeque<f64>,
}

/// A connection's offences. That several within one second are one is an assumption.
#[derive(Debug, Default)]
pub struct Offences {
    count: usize,
    last: Option<f64>,
}

impl Traffic {
    /// Counts a message; where it is one too many, how many the last second has seen.
    pub fn admit(&mut self, at: f64, rules: Rules) -> Result<(), usize> {
        while self.recent.front().is_some_and(|oldest| at - oldest >= 1.0) {
            self.recent.pop_front();
        }
        let Some(most) = rules.messages_a_second else { return Ok(()) };
        if self.recent.len() >= most {
            return Err(self.recent.len() + 1);
        }
        self.recent.push_back(at);
        Ok(())
    }
}

impl Offences {
    /// Counts an offence; how many there have been.
    pub fn add(&mut self, at: f64) -> usize {
        if self.last.is_none_or(|last| at - last >= 1.0) {
            self.count += 1;
            self.last = Some(at);
        }
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fifty_messages_a_second_pass_and_the_next_does_not() {
        let (mut traffic, rules) = (Traffic::default(), Rules::of_ib());
        for message in 0..50 {
            assert_eq!(traffic.admit(f64::from(message) * 0.001, rules), Ok(()));
        }
        assert_eq!(traffic.admit(0.999, rules), Err(51));
        assert_eq!(traffic.admit(1.0, rules), Ok(()), "the first of them is a second old");
        assert_eq!(traffic.admit(1.0, rules), Err(51));
        assert_eq!(traffic.admit(1.0, Rules::unpaced()), Ok(()));
    }

    #[test]
    fn offences_within_a_second_are_one() {
        let mut offences = Offences::default();
        let counted: Vec<usize> = [0.0, 0.5, 0.9, 1.0, 1.5, 2.5].map(|at| offences.add(at)).into();
        assert_eq!(counted, [1, 1, 1, 2, 2, 3]);
    }
}
