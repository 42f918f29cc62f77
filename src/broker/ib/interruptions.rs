//! Times without quotes on a connection that stands: a broken data farm, or another session of the
//! same user that has the data.
//!
//! Orders and the account are heard all the while. Each time is told as a gap of the quotes once it
//! is over, and the loss of the connection ends them all: from then on everything is missed.

use std::collections::BTreeMap;

use crate::broker::{Gap, Stream};
use crate::market::Timestamp;

/// What keeps the quotes away.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// Of this name.
    Farm(String),
    OtherSession,
}

impl Cause {
    /// The farm that a message names at its end: `Market data farm connection is broken:usfarm`.
    pub fn farm_of(message: &str) -> Self {
        Self::Farm(message.rsplit(':').next().unwrap_or(message).trim().to_owned())
    }
}

/// What keeps quotes away now: since when, and in the broker's words.
#[derive(Debug, Default)]
pub struct Interruptions {
    standing: BTreeMap<Cause, (Timestamp, String)>,
}

impl Interruptions {
    /// Said again while it stands, it has not begun anew.
    pub fn begin(&mut self, cause: Cause, (from, said): (Timestamp, &str)) {
        self.standing.entry(cause).or_insert_with(|| (from, said.to_owned()));
    }

    /// Since when it stands.
    pub fn since(&self, cause: &Cause) -> Option<Timestamp> {
        self.standing.get(cause).map(|(from, _)| *from)
    }

    /// `None` where it did not stand: IB says that a farm works whenever somebody connects.
    pub fn end(&mut self, cause: &Cause, until: Timestamp) -> Option<Gap> {
        let (from, reason) = self.standing.remove(cause)?;
        Some(Gap { stream: Stream::Quotes, from, until, reason })
    }

    pub fn end_all(&mut self, until: Timestamp) -> Vec<Gap> {
        let standing = std::mem::take(&mut self.standing);
        let gap = |(from, reason)| Gap { stream: Stream::Quotes, from, until, reason };
        standing.into_values().map(gap).collect()
    }
}

#[cfg(test)]
mod tests {
    use chrono::{TimeDelta, TimeZone as _, Utc};

    use super::*;

    const BROKEN: &str = "Market data farm connection is broken:usfarm";

    fn at(second: i64) -> Timestamp {
        Utc.with_ymd_and_hms(2026, 3, 2, 15, 0, 0).unwrap() + TimeDelta::seconds(second)
    }

    #[test]
    fn a_time_without_quotes_lasts_from_the_first_word_of_it_to_its_own_end() {
        let mut interruptions = Interruptions::default();
        let farm = Cause::farm_of(BROKEN);
        assert_eq!(farm, Cause::farm_of("Market data farm connection is OK:usfarm"));
        assert_eq!(interruptions.end(&farm, at(0)), None);
        interruptions.begin(farm.clone(), (at(1), BROKEN));
        interruptions.begin(farm.clone(), (at(5), BROKEN));
        assert_eq!(interruptions.end(&Cause::farm_of("is OK:cashfarm"), at(6)), None);
        let gap = interruptions.end(&farm, at(7)).unwrap();
        assert_eq!((gap.stream, gap.from, gap.until), (Stream::Quotes, at(1), at(7)));
        assert_eq!(gap.reason, BROKEN);
        assert_eq!(interruptions.end(&farm, at(8)), None);
    }

    #[test]
    fn a_lost_connection_ends_all_of_them() {
        let mut interruptions = Interruptions::default();
        interruptions.begin(Cause::farm_of(BROKEN), (at(1), BROKEN));
        interruptions.begin(Cause::OtherSession, (at(2), "another session"));
        assert_eq!(interruptions.since(&Cause::OtherSession), Some(at(2)));
        let ended = interruptions.end_all(at(9));
        assert_eq!(ended.iter().map(|gap| gap.from).collect::<Vec<_>>(), [at(1), at(2)]);
        assert!(ended.iter().all(|gap| gap.until == at(9)));
        assert_eq!(interruptions.end_all(at(10)), []);
    }
}
