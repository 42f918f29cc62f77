//! What trades have realised: each as it closes something, and the day's sum.
//!
//! The day begins where the day's profit does (`profit`). By average cost, commissions taken off;
//! what settlements and forced trades close counts too.

use chrono::TimeDelta;
use chrono_tz::America::New_York;
use serde::{Deserialize, Serialize};

use crate::market::{ConId, Timestamp, Usd};
use crate::structures::Execution;

use super::house::House;

/// For how long the past is kept: a day's profit begins at the close before it, which may lie
/// before a long weekend.
const KEPT: TimeDelta = TimeDelta::days(7);

/// What an execution has realised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Realised {
    at: Timestamp,
    of: ConId,
    amount: Usd,
}

impl House {
    /// What an execution has realised; `None` where it opens only, as IB has it.
    pub(super) fn realised_by(&self, execution: &Execution) -> Option<f64> {
        self.realised_news.get(&execution.exec_id).map(|amount| amount.to_f64())
    }

    /// Takes note of what an execution has realised, whoever caused it.
    pub(super) fn note_realised(&mut self, execution: &Execution) {
        let Some(amount) = self.realised_news.get(&execution.exec_id).copied() else { return };
        let oldest = self.now() - KEPT;
        self.realised.retain(|one| one.at >= oldest);
        self.realised.push(Realised { at: execution.at, of: execution.conid, amount });
    }

    /// What the day has realised so far, in one contract or in all. USD.
    pub(super) fn realised_today(&self, of: Option<ConId>) -> f64 {
        let since = self.day_began();
        let counted = self.realised.iter().filter(|one| one.at > since);
        let counted = counted.filter(|one| of.is_none_or(|of| one.of == of));
        counted.map(|one| one.amount).sum::<Usd>().to_f64()
    }

    /// The close before today, or midnight where it is not known.
    fn day_began(&self) -> Timestamp {
        let midnight = || {
            let local = self.today().and_time(chrono::NaiveTime::MIN).and_local_timezone(New_York);
            local.earliest().map_or_else(|| self.now(), |midnight| midnight.to_utc())
        };
        self.closes.before(self.today()).map_or_else(midnight, |close| close.at)
    }
}
