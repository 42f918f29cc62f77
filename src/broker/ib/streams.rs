//! Quotes: lines are shared out among the contracts that deserve one.
//!
//! What is held and the underlyings keep their lines. Everything else takes turns through the rest,
//! and a line is left as soon as its ticks are complete. While all fit, all stay.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::TimeDelta;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use ibapi::contracts::Contract;
use ibapi::prelude::{Client, SecurityType, Subscription, SubscriptionItem, TickTypes};
use tokio::time::timeout;

use crate::broker::BrokerEvent;
use crate::market::clock::Stopwatch;
use crate::market::{ConId, SecurityKind, Timestamp};

use super::codes::{OnStream, policy};
use super::contracts;
use super::interruptions::Cause;
use super::link::{Link, Lost};
use super::pacing::Priority;

/// How often it is looked which lines to open.
const LOOK: Duration = Duration::from_millis(200);
/// How often an open line is looked at, however much it ticks.
const LOOK_AT_LINE: Duration = Duration::from_secs(1);
/// A line that is opened for one look is left after this, complete or not.
const GLANCE: Duration = Duration::from_secs(3);
/// A line whose quote has not been told or confirmed for so long, on the desk's clock, is opened
/// anew: a market that stands still answers with its standing quote, one that is broken does not.
const SILENCE: TimeDelta = TimeDelta::seconds(120);
/// How long no line is opened after the broker has said that there are too many, or that another
/// session has the data.
const REFUSED_REST: Duration = Duration::from_secs(1);
/// Lines opened at one look.
const OPENED_AT_ONCE: usize = 10;
/// Open interest of calls and puts.
const GENERIC_TICKS: [&str; 1] = ["101"];

/// How long a line is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tenure {
    Stays,
    Glance,
}

/// Why a line was left.
#[derive(Debug)]
enum Left {
    /// It brought what it was opened for, or its time was over.
    Done,
    Denied(String),
    /// Too many lines or messages, or somebody else has them: nothing new for a moment.
    Later(String),
    Lost(Lost),
}

/// A line that is open.
#[derive(Debug, Clone, Copy)]
struct Line {
    conid: ConId,
    kind: SecurityKind,
    tenure: Tenure,
    epoch: u64,
    opened: Stopwatch,
    /// On the desk's clock.
    opened_at: Timestamp,
}

impl Link {
    /// Keeps quotes coming until the connection is lost.
    pub async fn quote(&self, client: &Client) -> Lost {
        let mut lines = FuturesUnordered::new();
        let mut held: BTreeSet<ConId> = BTreeSet::new();
        let mut refused: Option<Stopwatch> = None;
        let mut crowded_out = 0;
        loop {
            // The lines that there are go on while no new ones are opened.
            let rests = refused.as_ref().is_some_and(|since| since.elapsed() < REFUSED_REST);
            let wanted = if rests { Vec::new() } else { self.to_open(&held, &mut crowded_out) };
            for (conid, tenure) in wanted {
                held.insert(conid);
                lines.push(async move { (conid, self.line(client, conid, tenure).await) });
            }
            let look = tokio::time::sleep(LOOK);
            tokio::pin!(look);
            loop {
                tokio::select! {
                    Some((conid, left)) = lines.next() => {
                        held.remove(&conid);
                        match left {
                            Left::Done => {}
                            Left::Denied(why) => {
                                tracing::warn!("no quotes of contract {conid}: {why}");
                                self.mirror().denied.insert(conid, why);
                            }
                            Left::Later(why) => {
                                if !rests {
                                    tracing::warn!("no quotes for a while: {why}");
                                }
                                refused = Some(Stopwatch::start());
                            }
                            Left::Lost(lost) => return lost,
                        }
                    }
                    () = &mut look => break,
                }
            }
        }
    }

    /// Contracts whose lines are to be opened now.
    fn to_open(&self, held: &BTreeSet<ConId>, crowded_out: &mut usize) -> Vec<(ConId, Tenure)> {
        let now = self.clock.now();
        let mut mirror = self.mirror();
        let turns = mirror.turns(self.universe.lines, now);
        mirror.staying = turns.staying.iter().copied().collect();
        drop(mirror);
        let before = std::mem::replace(crowded_out, turns.crowded_out);
        if before == 0 && turns.crowded_out > 0 {
            tracing::warn!(
                "{} contracts that are held take turns with the rest: {} lines are too few",
                turns.crowded_out,
                self.universe.lines
            );
        }
        let room = self.universe.lines.saturating_sub(held.len());
        let staying = turns.staying.into_iter().map(|conid| (conid, Tenure::Stays));
        let rotating = turns.rotating.into_iter().map(|conid| (conid, Tenure::Glance));
        staying
            .chain(rotating)
            .filter(|(conid, _)| !held.contains(conid))
            .take(room.min(OPENED_AT_ONCE))
            .collect()
    }

    /// One market data line, from its opening to its end.
    async fn line(&self, client: &Client, conid: ConId, tenure: Tenure) -> Left {
        let (contract, kind, epoch) = match self.begin(conid) {
            Ok(begun) => begun,
            Err(left) => return left,
        };
        self.pacer.leave(Priority::Data).await;
        let asked = client.market_data(&contract);
        let asked = if contract.security_type == SecurityType::Option {
            asked.generic_ticks(&GENERIC_TICKS)
        } else {
            asked
        };
        let mut stream = match self.bounded("quotes", asked.subscribe()).await {
            Ok(stream) => stream,
            Err(lost) => return Left::Lost(lost),
        };
        let (opened, opened_at) = (Stopwatch::start(), self.clock.now());
        let line = Line { conid, kind, tenure, epoch, opened, opened_at };
        let left = self.follow(&line, &mut stream).await;
        self.pacer.leave(Priority::Data).await;
        // A cancel on a connection that is gone has nothing left to cancel.
        let _ = timeout(self.bounds.answer, stream.cancel()).await;
        left
    }

    fn begin(&self, conid: ConId) -> Result<(Contract, SecurityKind, u64), Left> {
        let denied = |why: &str| Left::Denied(why.to_owned());
        let mut mirror = self.mirror();
        let known = mirror.listing.instruments.get(&conid);
        let instrument = known.ok_or_else(|| denied("the broker has not described it"))?;
        let contract = contracts::single(instrument);
        let contract = contract.ok_or_else(|| denied("its id is not the broker's"))?;
        let kind = instrument.kind();
        mirror.open(conid);
        Ok((contract, kind, mirror.epoch))
    }

    /// Takes in what a line brings. It is looked at by the clock, whether it ticks or not.
    async fn follow(&self, line: &Line, stream: &mut Subscription<TickTypes>) -> Left {
        let mut looked = Stopwatch::start();
        loop {
            let wait = LOOK_AT_LINE.saturating_sub(looked.elapsed());
            if wait.is_zero() {
                looked = Stopwatch::start();
                if self.is_over(line) {
                    return Left::Done;
                }
                continue;
            }
            if let Ok(item) = timeout(wait, stream.next()).await
                && let Some(left) = self.take_item(line, item)
            {
                return left;
            }
        }
    }

    /// One item of a line; why the line is left, where it is.
    fn take_item(
        &self,
        line: &Line,
        item: Option<Result<SubscriptionItem<TickTypes>, ibapi::Error>>,
    ) -> Option<Left> {
        match item {
            Some(Ok(SubscriptionItem::Data(tick))) => {
                let now = self.clock.now();
                let mut mirror = self.mirror();
                mirror.ticked.insert(line.conid);
                let ticks = mirror.ticks.entry(line.conid).or_default();
                ticks.take(&tick, now);
                let done = line.tenure == Tenure::Glance && ticks.is_complete(line.kind);
                // What is still under way on a line of before is no sign that the data are back.
                let taken = mirror.interruptions.since(&Cause::OtherSession);
                let is_back = taken.is_some_and(|since| since < line.opened_at);
                drop(mirror);
                if is_back {
                    self.resumed(&Cause::OtherSession);
                }
                done.then_some(Left::Done)
            }
            // The crate lets a line go on of which IB says that it brings nothing.
            Some(Ok(SubscriptionItem::Notice(notice))) => match policy(notice.code).stream {
                OnStream::Denied => {
                    Some(Left::Denied(format!("{} {}", notice.code, notice.message)))
                }
                OnStream::Missed => Some(Left::Done),
                OnStream::Nothing | OnStream::Ended | OnStream::Later | OnStream::Taken => None,
            },
            Some(Err(ibapi::Error::Notice(notice))) => {
                let said = format!("{} {}", notice.code, notice.message);
                Some(match policy(notice.code).stream {
                    OnStream::Denied => Left::Denied(said),
                    OnStream::Later => Left::Later(said),
                    OnStream::Taken => {
                        self.interrupted(Cause::OtherSession, &said);
                        Left::Later(said)
                    }
                    OnStream::Nothing | OnStream::Ended | OnStream::Missed => Left::Done,
                })
            }
            Some(Err(error)) => Some(Left::Lost(Lost(error.to_string()))),
            None => Some(Left::Done),
        }
    }

    /// Quotes are kept away from now on.
    pub fn interrupted(&self, cause: Cause, said: &str) {
        let now = self.clock.now();
        self.mirror().interruptions.begin(cause, (now, said));
    }

    /// They come again: the time without them is told.
    pub fn resumed(&self, cause: &Cause) {
        let now = self.clock.now();
        let mut mirror = self.mirror();
        let gap = mirror.interruptions.end(cause, now);
        mirror.sealed.extend(gap.map(BrokerEvent::Gap));
    }

    /// Whether a line's time is over: its look, the streams that it belongs to, its place among
    /// those that stay, or the patience with its silence.
    fn is_over(&self, line: &Line) -> bool {
        let now = self.clock.now();
        let seen = line.opened.elapsed() >= GLANCE;
        let mut mirror = self.mirror();
        let patient = |since: Timestamp| now - since <= SILENCE;
        let ticks = mirror.ticks.entry(line.conid).or_default();
        let settles = (seen || !patient(line.opened_at)) && ticks.settle();
        let told = ticks.received_at(line.kind).max(Some(line.opened_at));
        if settles {
            mirror.ticked.insert(line.conid);
        }
        let stays = match line.tenure {
            Tenure::Glance => !seen,
            Tenure::Stays => mirror.staying.contains(&line.conid) && told.is_some_and(patient),
        };
        mirror.epoch != line.epoch || !stays
    }
}
