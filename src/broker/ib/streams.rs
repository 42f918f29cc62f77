//! Contracts and quotes: what is listed is looked up once a session, then lines are shared out.
//!
//! What is held and the underlyings keep their lines. Everything else takes turns through the rest,
//! and a line is left as soon as its ticks are complete. While all fit, all stay.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{Days, NaiveDate, TimeDelta};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use ibapi::prelude::{Client, SecurityType, SubscriptionItem};
use tokio::time::timeout;

use crate::broker::BrokerError;
use crate::market::clock::Stopwatch;
use crate::market::{ConId, Instrument, Symbol};

use super::codes::{OnStream, policy};
use super::contracts::{self, date_of};
use super::link::{Link, Lost};
use super::pacing::Priority;

/// How often it is looked which lines to open and to leave.
const LOOK: Duration = Duration::from_millis(200);
/// A line that is opened for one look is left after this, complete or not.
const GLANCE: Duration = Duration::from_secs(3);
/// A line that has been silent for so long, on the desk's clock, is opened anew: a market that
/// stands still answers with its standing quote, one that is broken does not.
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

/// How long one answer to a look-up of contracts may take, of the wall: an expiry has hundreds, and
/// IB gives them out slowly. A connection that is dead meanwhile is found by its heartbeat.
const LISTING_WITHIN: Duration = Duration::from_mins(1);

impl Link {
    /// Looks contracts up, then keeps quotes coming until the connection is lost.
    pub async fn quote(&self, client: &Client) -> Lost {
        let mut lines = FuturesUnordered::new();
        let mut held: BTreeSet<ConId> = BTreeSet::new();
        let mut refused: Option<Stopwatch> = None;
        loop {
            if let Err(lost) = self.look_listing_up(client).await {
                return lost;
            }
            // The lines that there are go on while no new ones are opened.
            let rests = refused.as_ref().is_some_and(|since| since.elapsed() < REFUSED_REST);
            let wanted = if rests { Vec::new() } else { self.to_open(&held) };
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
    fn to_open(&self, held: &BTreeSet<ConId>) -> Vec<(ConId, Tenure)> {
        let mut mirror = self.mirror();
        let (pinned, rotating) = (mirror.pinned(), mirror.rotating());
        let room = self.universe.lines.saturating_sub(held.len());
        let all_fit = pinned.len() + rotating.len() <= self.universe.lines;
        let turn = if all_fit { Tenure::Stays } else { Tenure::Glance };
        mirror.staying = pinned.iter().copied().collect();
        if all_fit {
            mirror.staying.extend(&rotating);
        }
        let pinned = pinned.into_iter().map(|conid| (conid, Tenure::Stays));
        let rotating = rotating.into_iter().map(|conid| (conid, turn));
        pinned
            .chain(rotating)
            .filter(|(conid, _)| !held.contains(conid) && !mirror.denied.contains_key(conid))
            .take(room.min(OPENED_AT_ONCE))
            .collect()
    }

    /// Whether an open line is still wanted for good.
    fn stays(&self, conid: ConId, epoch: u64) -> bool {
        let mirror = self.mirror();
        mirror.epoch == epoch && mirror.staying.contains(&conid)
    }

    /// One market data line, from its opening to its end.
    async fn line(&self, client: &Client, conid: ConId, tenure: Tenure) -> Left {
        let (contract, kind, epoch) = {
            let mut mirror = self.mirror();
            let Some(instrument) = mirror.listing.instruments.get(&conid) else {
                return Left::Denied("the broker has not described it".to_owned());
            };
            let Some(contract) = contracts::single(instrument) else {
                return Left::Denied("its id is not the broker's".to_owned());
            };
            let kind = instrument.kind();
            mirror.ticks.entry(conid).or_default().reopen();
            (contract, kind, mirror.epoch)
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
        let opened = Stopwatch::start();
        let left = loop {
            let wait = match tenure {
                Tenure::Glance => GLANCE.saturating_sub(opened.elapsed()),
                Tenure::Stays => LOOK * 5,
            };
            match (timeout(wait, stream.next()).await, tenure) {
                (Ok(Some(Ok(SubscriptionItem::Data(tick)))), _) => {
                    let now = self.clock.now();
                    let mut mirror = self.mirror();
                    mirror.ticked.insert(conid);
                    let ticks = mirror.ticks.entry(conid).or_default();
                    ticks.take(&tick, now);
                    if tenure == Tenure::Glance && ticks.is_complete(kind) {
                        break Left::Done;
                    }
                }
                // The crate lets a line go on of which IB says that it brings nothing.
                (Ok(Some(Ok(SubscriptionItem::Notice(notice)))), _) => {
                    if policy(notice.code).stream == OnStream::Denied {
                        break Left::Denied(format!("{} {}", notice.code, notice.message));
                    }
                }
                (Ok(Some(Err(ibapi::Error::Notice(notice)))), _) => {
                    let said = format!("{} {}", notice.code, notice.message);
                    break match policy(notice.code).stream {
                        OnStream::Denied => Left::Denied(said),
                        OnStream::Later => Left::Later(said),
                        OnStream::Nothing | OnStream::Ended => Left::Done,
                    };
                }
                (Ok(Some(Err(error))), _) => break Left::Lost(Lost(error.to_string())),
                (Ok(None), _) | (Err(_), Tenure::Glance) => break Left::Done,
                (Err(_), Tenure::Stays) => {
                    if !self.stays(conid, epoch) || self.is_silent(conid) {
                        break Left::Done;
                    }
                }
            }
        };
        self.pacer.leave(Priority::Data).await;
        // A cancel on a connection that is gone has nothing left to cancel.
        let _ = timeout(self.bounds.answer, stream.cancel()).await;
        left
    }

    fn is_silent(&self, conid: ConId) -> bool {
        let now = self.clock.now();
        let mirror = self.mirror();
        let last = mirror.ticks.get(&conid).and_then(super::quotes::Ticks::received_at);
        last.is_none_or(|last| now - last > SILENCE)
    }

    /// The session's underlyings, futures and options, once a session date: strikes are added to
    /// expiries every day. Options that were looked up on this date already are not asked again.
    async fn look_listing_up(&self, client: &Client) -> Result<(), Lost> {
        let today = self.clock.now().with_timezone(&chrono_tz::America::New_York).date_naive();
        if self.mirror().listing.of == Some(today) {
            return Ok(());
        }
        for symbol in &self.universe.symbols {
            self.look_up_all(client, &contracts::underlying(symbol), LISTING_WITHIN).await?;
        }
        for root in &self.universe.roots {
            self.look_up_all(client, &contracts::futures(root), LISTING_WITHIN).await?;
        }
        if self.mirror().listing.options_of != Some(today) {
            for symbol in &self.universe.symbols {
                self.look_options_up(client, symbol, today).await?;
            }
            self.mirror().listing.options_of = Some(today);
        }
        let mut mirror = self.mirror();
        mirror.listing.of = Some(today);
        // What was denied may have been subscribed to since.
        mirror.denied.clear();
        Ok(())
    }

    async fn look_options_up(
        &self,
        client: &Client,
        symbol: &Symbol,
        today: NaiveDate,
    ) -> Result<(), Lost> {
        let under = self.mirror().listing.underlyings.get(symbol).map(Instrument::conid);
        let Some(under) = under.and_then(contracts::id_of) else { return Ok(()) };
        let kind = match self.mirror().listing.underlyings.get(symbol) {
            Some(Instrument::Index(_)) => SecurityType::Index,
            Some(_) | None => SecurityType::Stock,
        };
        self.pacer.leave(Priority::Data).await;
        let asked = client.option_chain(symbol.as_str(), kind, under);
        let mut stream = self.bounded("option chains", asked.subscribe()).await?;
        let rows = stream.collect_to_end_within(self.bounds.answer);
        let rows = self.bounded("option chains", rows).await?;
        let days = u64::try_from(self.universe.horizon_days).unwrap_or_default();
        let last = today.checked_add_days(Days::new(days)).unwrap_or(NaiveDate::MAX);
        let expiries: BTreeSet<String> = rows
            .into_iter()
            .flat_map(|row| row.expirations)
            .filter(|text| date_of(text).is_ok_and(|date| date >= today && date <= last))
            .collect();
        for expiry in expiries {
            let options = contracts::options(symbol, &expiry);
            self.look_up_all(client, &options, LISTING_WITHIN).await?;
        }
        Ok(())
    }

    /// Every contract that fits a description. What the desk cannot read is told and left out.
    async fn look_up_all(
        &self,
        client: &Client,
        wanted: &ibapi::contracts::Contract,
        within: Duration,
    ) -> Result<(), Lost> {
        self.pacer.leave(Priority::Data).await;
        let answer = match timeout(within, client.contract_details(wanted)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(ibapi::Error::Notice(notice))) => {
                tracing::warn!(
                    broker.code = notice.code,
                    "{} {} {}: {}",
                    wanted.security_type,
                    wanted.symbol,
                    wanted.last_trade_date_or_contract_month,
                    notice.message
                );
                return Ok(());
            }
            Ok(Err(error)) => return Err(Lost(error.to_string())),
            Err(_) => return Err(Lost("contract details did not come in time".to_owned())),
        };
        let mut mirror = self.mirror();
        for details in &answer {
            match contracts::instrument(details, &self.calendar) {
                Ok(instrument) => mirror.listing.add(instrument),
                Err(error) => {
                    let conid = details.contract.contract_id;
                    tracing::warn!("contract {conid} is left out: {error}");
                }
            }
        }
        Ok(())
    }

    /// One contract that turned up by its id: something held, or executed.
    pub async fn describe(&self, client: &Client, conid: ConId) -> Result<(), BrokerError> {
        let Some(id) = contracts::id_of(conid) else {
            return Err(BrokerError::NoAnswer(format!("{conid} is no id of the broker's")));
        };
        Ok(self.look_up_all(client, &contracts::by_id(id), self.bounds.answer).await?)
    }
}
