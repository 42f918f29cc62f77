//! Named courses of the market, laid over the ordinary path for tests of exit rules.
//!
//! A scenario changes the path from the first session on, never the history nor what options are
//! priced on: nobody in the market knows of it.

use std::fmt;
use std::str::FromStr;

use super::process::{Jump, Overlay};
use super::variance_time::DAYS;

/// What happens from the first session on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Scenario {
    /// Nothing beside the ordinary path.
    #[default]
    Ordinary,
    /// 0.8 % up a session, for ten sessions.
    Rally,
    /// 0.8 % down a session, for ten sessions.
    Slide,
    /// On the fifth session, 90 minutes after the open, the market falls by 4.5 % at once and its
    /// variance rises by 0.16 a year.
    VolatilitySpike,
    /// 0.25 % down a session throughout, with half the ordinary random returns.
    SlowDrift,
}

/// The text names no scenario.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a scenario: use ordinary, rally, slide, volatility-spike or slow-drift")]
pub struct UnknownScenario(pub String);

const TREND: f64 = 0.008;
const TREND_SESSIONS: usize = 10;
const SPIKE_SESSION: usize = 4;
const SPIKE_AFTER_OPEN_SECONDS: i64 = 5_400;
const SPIKE: Jump = Jump { log_return: -0.045, variance: 0.16 };
const DRIFT: f64 = -0.0025;
const DRIFT_SHOCKS: f64 = 0.5;

impl Scenario {
    pub const ALL: [Self; 5] =
        [Self::Ordinary, Self::Rally, Self::Slide, Self::VolatilitySpike, Self::SlowDrift];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ordinary => "ordinary",
            Self::Rally => "rally",
            Self::Slide => "slide",
            Self::VolatilitySpike => "volatility-spike",
            Self::SlowDrift => "slow-drift",
        }
    }

    /// The overlay of a step that ends at `to`, in the session with this number from the first,
    /// whose stock exchange opens at `open`.
    pub(super) fn overlay(self, session: usize, (from, to): (i64, i64), open: i64) -> Overlay {
        let trend = |log_return: f64| Overlay { drift: log_return * DAYS, ..Overlay::NONE };
        match self {
            Self::Rally if session < TREND_SESSIONS => trend(TREND),
            Self::Slide if session < TREND_SESSIONS => trend(-TREND),
            Self::VolatilitySpike if session == SPIKE_SESSION => {
                let at = open + SPIKE_AFTER_OPEN_SECONDS;
                let jump = (from < at && at <= to).then_some(SPIKE);
                Overlay { jump, ..Overlay::NONE }
            }
            Self::Ordinary | Self::Rally | Self::Slide | Self::VolatilitySpike => Overlay::NONE,
            Self::SlowDrift => Overlay { shocks: DRIFT_SHOCKS, ..trend(DRIFT) },
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl FromStr for Scenario {
    type Err = UnknownScenario;

    fn from_str(text: &str) -> Result<Self, UnknownScenario> {
        Self::ALL
            .into_iter()
            .find(|scenario| scenario.as_str() == text)
            .ok_or_else(|| UnknownScenario(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_reads_back_from_its_name() {
        for scenario in Scenario::ALL {
            assert_eq!(scenario.as_str().parse(), Ok(scenario));
        }
        assert!("boom".parse::<Scenario>().is_err());
    }

    #[test]
    fn the_spike_happens_once() {
        let jumps = |from: i64| {
            Scenario::VolatilitySpike.overlay(SPIKE_SESSION, (from, from + 10), 0).jump.is_some()
        };
        assert!(jumps(SPIKE_AFTER_OPEN_SECONDS - 10));
        assert!(!jumps(SPIKE_AFTER_OPEN_SECONDS));
        assert!(!jumps(SPIKE_AFTER_OPEN_SECONDS - 20));
    }
}
