//! Histories that are kept up to date: their last bars once more as they change, about every five
//! seconds of simulated time.

use chrono::TimeDelta;

use crate::market::{Instrument, Timestamp};

use super::data_event::DataEvent;
use super::event::{Event, HistoricalBar};
use super::house::{House, SeatId};
use super::intraday::Wanted;

/// Between two updates, as IB documents them.
const EVERY: TimeDelta = TimeDelta::seconds(5);
/// Read before the bar itself, so that its volume is what was traded since: the grid of a quiet
/// market is a minute wide.
const LEAD: TimeDelta = TimeDelta::seconds(150);
/// Histories that all clients together may keep up to date (TWS API, historical data limitations).
pub(super) const GROWING_MAX: usize = 50;

/// One history and how far it has been told.
#[derive(Debug)]
pub(super) struct Growing {
    instrument: Instrument,
    wanted: Wanted,
    /// The beginning of the last bar, and what was said of it.
    from: Timestamp,
    said: Option<HistoricalBar>,
    told_at: Timestamp,
}

impl Growing {
    /// After the bars that have been told already.
    pub fn after(
        (instrument, wanted): (Instrument, Wanted),
        last: Option<&(Timestamp, HistoricalBar)>,
        now: Timestamp,
    ) -> Self {
        let from = last.map_or(now, |(begins, _)| *begins);
        let said = last.map(|(_, bar)| bar.clone());
        Self { instrument, wanted, from, said, told_at: now }
    }

    /// The bars that are new or have changed.
    fn news(&mut self, bars: Vec<(Timestamp, HistoricalBar)>) -> Vec<HistoricalBar> {
        let (told, mut news) = (self.from, Vec::new());
        for (begins, bar) in bars.into_iter().filter(|(begins, _)| *begins >= told) {
            if self.said.as_ref() == Some(&bar) {
                continue;
            }
            (self.from, self.said) = (begins, Some(bar.clone()));
            news.push(bar);
        }
        news
    }
}

impl House {
    /// What has become of every history that is kept up to date.
    pub(super) fn tell_growing(&mut self) {
        let now = self.now();
        let due: Vec<(SeatId, i32)> = self
            .seats
            .iter()
            .flat_map(|(id, seat)| {
                let histories = seat.feeds.histories.iter();
                let due = histories.filter(|(_, growing)| now - growing.told_at >= EVERY);
                due.map(|(req_id, _)| (*id, *req_id))
            })
            .collect();
        for (seat, req_id) in due {
            let feeds = self.seats.get_mut(&seat).map(|seat| &mut seat.feeds);
            let Some(mut growing) = feeds.and_then(|feeds| feeds.histories.remove(&req_id)) else {
                continue;
            };
            let wanted = Wanted { after: growing.from - LEAD, until: now, ..growing.wanted };
            let bars = self.intraday(&growing.instrument, &wanted);
            growing.told_at = now;
            for bar in growing.news(bars) {
                self.send(seat, Event::Data(DataEvent::HistoryUpdate { req_id, bar }));
            }
            self.change(seat, |seat| {
                seat.feeds.histories.insert(req_id, growing);
            });
        }
    }

    /// How many histories grow, of all clients.
    pub(super) fn growing(&self) -> usize {
        self.seats.values().map(|seat| seat.feeds.histories.len()).sum()
    }
}
