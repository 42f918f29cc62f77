//! The breaker: normal, no-new, reduce, hedge, flatten, halt. A pure state machine whose state its
//! caller stores; the level is the highest held by any cause.
//!
//! Each cause has a ceiling. *Not knowing* reaches no-new and no further, and releases its own hold
//! when it has been gone for a stated time and one reconciliation since was clean; after a stated
//! number of holds in one session it latches. *Losing* may reach flatten, a volatility spike hedge,
//! a suspected defect of the desk halt; what is latched is left by a person's reset only. A level
//! is taken after its threshold was exceeded in so many consecutive evaluations. A measure that is
//! missing or not a number is not knowing, never losing. Outside trading (closed hours,
//! maintenance, a recorded session without data) not knowing is no cause.
//!
//! What it deliberately does not do: cancel, close or send anything.

use std::collections::BTreeMap;

use chrono::{Duration, NaiveDate};
use serde::{Deserialize, Serialize};

use super::triggers::{BreakerLevel, BreakerParameters, Cause, CauseKind, Trigger};
use crate::market::Timestamp;

/// Whether the market trades, as far as this desk is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarketPhase {
    Trading,
    /// Closed hours, scheduled maintenance, or a recorded session without data.
    NotTrading,
}

/// One measure now; higher is worse.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    pub cause: Cause,
    /// In the cause's own unit; `None` where it cannot be had.
    pub measured: Option<f64>,
    /// The same from a second source, where the cause is measured twice.
    pub cross_check: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BreakerInputs<'a> {
    pub now: Timestamp,
    pub session_date: NaiveDate,
    pub phase: MarketPhase,
    pub readings: &'a [Reading],
    /// When the last reconciliation without a difference ended.
    pub clean_reconciliation_at: Option<Timestamp>,
}

/// One cause's hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hold {
    pub level: BreakerLevel,
    pub latched: bool,
    pub since: Timestamp,
    pub gone_since: Option<Timestamp>,
    pub reason: String,
}

/// A change of one cause's hold, and of the level.
#[derive(Debug, Clone, PartialEq)]
pub struct Transition {
    pub at: Timestamp,
    pub cause: Cause,
    /// The breaker's level before and after.
    pub from: BreakerLevel,
    pub to: BreakerLevel,
    pub reason: String,
}

/// The breaker's whole state.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Breaker {
    holds: BTreeMap<Cause, Hold>,
    /// Consecutive evaluations above each level's threshold.
    streaks: BTreeMap<Cause, BTreeMap<BreakerLevel, u32>>,
    holds_in_session: BTreeMap<Cause, u32>,
    session_date: Option<NaiveDate>,
}

impl Breaker {
    pub fn level(&self) -> BreakerLevel {
        self.holds.values().map(|hold| hold.level).max().unwrap_or_default()
    }

    /// A breaker that is held as it was when its state was stored; what led there is counted anew.
    pub fn restored(holds: BTreeMap<Cause, Hold>) -> Self {
        Self { holds, ..Self::default() }
    }

    pub fn holds(&self) -> &BTreeMap<Cause, Hold> {
        &self.holds
    }

    /// Takes one round of readings; a cause without a reading is left as it is.
    pub fn evaluate(
        &mut self,
        inputs: &BreakerInputs<'_>,
        parameters: &BreakerParameters,
    ) -> Vec<Transition> {
        if self.session_date != Some(inputs.session_date) {
            self.session_date = Some(inputs.session_date);
            self.holds_in_session.clear();
        }
        let mut transitions = Vec::new();
        for (cause, measured) in effective(inputs, parameters) {
            let idle = inputs.phase == MarketPhase::NotTrading;
            if idle && cause.kind() == CauseKind::NotKnowing {
                self.streaks.remove(&cause);
                continue;
            }
            let Some(trigger) = parameters.triggers.get(&cause) else { continue };
            let round = Round { cause, measured, trigger, inputs, parameters };
            let asked = self.asked_level(&round);
            let change = if asked > BreakerLevel::Normal {
                self.raise(&round, asked)
            } else {
                self.release(&round)
            };
            transitions.extend(change);
        }
        transitions
    }

    /// A person asks for a level, latched until reset.
    pub fn order(&mut self, level: BreakerLevel, reason: &str, now: Timestamp) -> Transition {
        let from = self.level();
        let reason = reason.to_owned();
        let hold =
            Hold { level, latched: true, since: now, gone_since: None, reason: reason.clone() };
        self.holds.insert(Cause::Operator, hold);
        Transition { at: now, cause: Cause::Operator, from, to: self.level(), reason }
    }

    /// A person ends every hold, latched or not. What still exceeds its threshold takes it again.
    pub fn reset(&mut self, reason: &str, now: Timestamp) -> Transition {
        let from = self.level();
        self.streaks.clear();
        self.holds_in_session.clear();
        self.holds.clear();
        let (to, reason) = (self.level(), reason.to_owned());
        Transition { at: now, cause: Cause::Operator, from, to, reason }
    }

    /// The strictest level whose threshold was exceeded often enough, this reading counted.
    fn asked_level(&mut self, round: &Round<'_>) -> BreakerLevel {
        let streaks = self.streaks.entry(round.cause).or_default();
        let mut asked = BreakerLevel::Normal;
        for (level, threshold) in &round.trigger.levels {
            let streak = streaks.entry(*level).or_insert(0);
            *streak = if round.measured > *threshold { streak.saturating_add(1) } else { 0 };
            if *streak >= round.trigger.evaluations {
                asked = asked.max(*level);
            }
        }
        asked.min(round.cause.ceiling())
    }

    fn raise(&mut self, round: &Round<'_>, asked: BreakerLevel) -> Option<Transition> {
        let (from, cause, now) = (self.level(), round.cause, round.inputs.now);
        if let Some(hold) = self.holds.get_mut(&cause) {
            hold.gone_since = None;
            if hold.level >= asked {
                return None;
            }
        } else {
            *self.holds_in_session.entry(cause).or_insert(0) += 1;
        }
        let held = self.holds_in_session.get(&cause).copied();
        let often = held >= Some(round.parameters.latch_after_holds);
        let latched = cause.latches() || (cause.kind() == CauseKind::NotKnowing && often);
        let since = self.holds.get(&cause).map_or(now, |hold| hold.since);
        let reason = format!("{} measured {}", cause.as_str(), round.measured);
        let hold = Hold { level: asked, latched, since, gone_since: None, reason: reason.clone() };
        self.holds.insert(cause, hold);
        Some(Transition { at: now, cause, from, to: self.level(), reason })
    }

    fn release(&mut self, round: &Round<'_>) -> Option<Transition> {
        let (from, cause, now) = (self.level(), round.cause, round.inputs.now);
        let still = round.trigger.levels.values().any(|threshold| round.measured > *threshold);
        let hold = self.holds.get_mut(&cause)?;
        if hold.latched {
            return None;
        }
        if still {
            hold.gone_since = None;
            return None;
        }
        let gone = *hold.gone_since.get_or_insert(now);
        let waited = now - gone >= Duration::seconds(round.parameters.release_after_seconds);
        let reconciled = round.inputs.clean_reconciliation_at.is_some_and(|at| at >= gone);
        if !(waited && reconciled) {
            return None;
        }
        self.holds.remove(&cause);
        let reason = format!("{} gone since {gone}, reconciled since", cause.as_str());
        Some(Transition { at: now, cause, from, to: self.level(), reason })
    }
}

/// One cause's reading, and what judges it.
struct Round<'a> {
    cause: Cause,
    measured: f64,
    trigger: &'a Trigger,
    inputs: &'a BreakerInputs<'a>,
    parameters: &'a BreakerParameters,
}

/// The readings as they count: a loss measured twice by the milder figure, its disagreement and
/// what is missing as causes of not knowing. One value a cause, the worst.
fn effective(inputs: &BreakerInputs<'_>, parameters: &BreakerParameters) -> BTreeMap<Cause, f64> {
    let mut values: BTreeMap<Cause, f64> = BTreeMap::new();
    let mut put = |cause: Cause, value: f64| {
        let entry = values.entry(cause).or_insert(value);
        *entry = entry.max(value);
    };
    for reading in inputs.readings {
        let measured = reading.measured.filter(|value| value.is_finite());
        let cross_check = reading.cross_check.filter(|value| value.is_finite());
        let Some(measured) = measured else {
            put(Cause::MissingMeasure, 1.0);
            continue;
        };
        let Some(second) = cross_check else {
            put(reading.cause, measured);
            if reading.cross_check.is_some() {
                put(Cause::MissingMeasure, 1.0);
            }
            continue;
        };
        let apart = (measured - second).abs();
        put(Cause::LossDisagreement, (apart - parameters.loss_agreement_band).max(0.0));
        put(reading.cause, measured.min(second));
    }
    if !inputs.readings.is_empty() {
        put(Cause::MissingMeasure, 0.0);
    }
    values
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::risk::testing::limits;
    use crate::structures::testing::{day, monday};

    struct Bench {
        breaker: Breaker,
        parameters: BreakerParameters,
        now: Timestamp,
        clean_at: Option<Timestamp>,
    }

    impl Bench {
        fn new() -> Self {
            Self {
                breaker: Breaker::default(),
                parameters: limits().breaker,
                now: monday(),
                clean_at: None,
            }
        }

        fn read(&mut self, cause: Cause, measured: Option<f64>) -> BreakerLevel {
            self.read_in(MarketPhase::Trading, Reading { cause, measured, cross_check: None })
        }

        fn read_in(&mut self, phase: MarketPhase, reading: Reading) -> BreakerLevel {
            let inputs = BreakerInputs {
                now: self.now,
                session_date: day(0),
                phase,
                readings: &[reading],
                clean_reconciliation_at: self.clean_at,
            };
            self.breaker.evaluate(&inputs, &self.parameters);
            self.now += Duration::minutes(5);
            self.breaker.level()
        }
    }

    #[test]
    fn losing_persists_before_it_acts_and_only_a_person_ends_it() {
        let mut bench = Bench::new();
        let evaluations = bench.parameters.triggers[&Cause::DailyLoss].evaluations;
        for _ in 1..evaluations {
            assert_eq!(bench.read(Cause::DailyLoss, Some(1.0)), BreakerLevel::Normal);
        }
        assert_eq!(bench.read(Cause::DailyLoss, Some(1.0)), BreakerLevel::Flatten);
        bench.clean_at = Some(bench.now + Duration::days(1));
        for _ in 0..50 {
            assert_eq!(bench.read(Cause::DailyLoss, Some(0.0)), BreakerLevel::Flatten);
        }
        let back = bench.breaker.reset("losses understood", bench.now);
        assert_eq!((back.from, back.to), (BreakerLevel::Flatten, BreakerLevel::Normal));
    }

    #[test]
    fn not_knowing_releases_after_a_clean_reconciliation_and_latches_the_third_time() {
        let mut bench = Bench::new();
        for round in 1..=3 {
            let mut level = BreakerLevel::Normal;
            for _ in 0..bench.parameters.triggers[&Cause::StaleData].evaluations {
                level = bench.read(Cause::StaleData, Some(1e9));
            }
            assert_eq!(level, BreakerLevel::NoNew, "round {round}");
            for _ in 0..20 {
                level = bench.read(Cause::StaleData, Some(0.0));
            }
            assert_eq!(level, BreakerLevel::NoNew, "no reconciliation yet");
            bench.clean_at = Some(bench.now);
            level = bench.read(Cause::StaleData, Some(0.0));
            let expected = if round < 3 { BreakerLevel::Normal } else { BreakerLevel::NoNew };
            assert_eq!(level, expected, "round {round}");
        }
    }

    #[test]
    fn what_is_missing_is_not_knowing_and_never_losing() {
        for broken in [None, Some(f64::NAN), Some(f64::INFINITY)] {
            let mut bench = Bench::new();
            for _ in 0..10 {
                bench.read(Cause::DailyLoss, broken);
            }
            assert_eq!(bench.breaker.level(), BreakerLevel::NoNew);
            assert!(bench.breaker.holds().contains_key(&Cause::MissingMeasure));
        }
    }

    #[test]
    fn a_loss_that_only_one_source_sees_is_a_disagreement() {
        let mut bench = Bench::new();
        for _ in 0..10 {
            let reading =
                Reading { cause: Cause::DailyLoss, measured: Some(0.5), cross_check: Some(0.0) };
            bench.read_in(MarketPhase::Trading, reading);
        }
        assert_eq!(bench.breaker.level(), BreakerLevel::NoNew);
        assert!(bench.breaker.holds().contains_key(&Cause::LossDisagreement));
    }

    #[test]
    fn closed_hours_are_not_a_cause() {
        let mut bench = Bench::new();
        for _ in 0..10 {
            let reading =
                Reading { cause: Cause::StaleData, measured: Some(1e9), cross_check: None };
            let level = bench.read_in(MarketPhase::NotTrading, reading);
            assert_eq!(level, BreakerLevel::Normal);
        }
    }

    #[test]
    fn a_person_halts_and_a_person_resumes() {
        let mut bench = Bench::new();
        bench.breaker.order(BreakerLevel::Halt, "drill", bench.now);
        assert_eq!(bench.read(Cause::StaleData, Some(0.0)), BreakerLevel::Halt);
        bench.breaker.reset("drill over", bench.now);
        assert_eq!(bench.breaker.level(), BreakerLevel::Normal);
    }

    #[test]
    fn the_shipped_triggers_are_sound_and_a_trigger_past_its_ceiling_is_not() {
        let mut parameters = limits().breaker;
        assert_eq!(parameters.faults(), vec![]);
        let stale = parameters.triggers.get_mut(&Cause::StaleData).unwrap();
        stale.levels.insert(BreakerLevel::Flatten, 1e9);
        assert_eq!(parameters.faults().len(), 1);
        parameters.triggers.remove(&Cause::Drawdown);
        assert_eq!(parameters.faults().len(), 2);
    }

    proptest! {
        #[test]
        fn no_cause_ever_exceeds_its_ceiling(
            readings in
                prop::collection::vec((0_usize..14, prop::option::of(-1.0_f64..1e6)), 1..60),
        ) {
            let mut bench = Bench::new();
            for (cause, measured) in readings {
                bench.read(Cause::MEASURED[cause], measured);
                for (cause, hold) in bench.breaker.holds() {
                    prop_assert!(hold.level <= cause.ceiling());
                }
            }
        }
    }
}
