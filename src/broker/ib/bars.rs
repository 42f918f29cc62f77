//! Daily bars over the wire: a year of them at first, then the latest sessions after each close.
//!
//! Fetched beside everything else, so that a slow data farm delays neither orders nor quotes.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{NaiveDate, TimeDelta};
use ibapi::contracts::Contract;
use ibapi::market_data::historical::{
    Bar as Given, BarTimestamp, Duration as Span, HistoricalData, ToDuration as _,
};
use ibapi::prelude::{Client, HistoricalBarSize, HistoricalWhatToShow};
use tokio::time::timeout;

use crate::broker::Bar;
use crate::market::sessions::Venue;
use crate::market::{Instrument, Price, Symbol, Timestamp};

use super::contracts;
use super::link::{Link, Lost};
use super::pacing::Priority;

/// A session's bar is complete so long after its close, on the desk's clock.
const SETTLED_AFTER: TimeDelta = TimeDelta::minutes(2);
/// How long until bars that did not come are asked for again, on the desk's clock.
const AGAIN_AFTER: TimeDelta = TimeDelta::minutes(10);
/// How often it is looked whether a session has closed, and how long one answer may take, of the
/// wall: the data farm for history is the slowest of IB's.
const LOOK: Duration = Duration::from_millis(200);
const ANSWER: Duration = Duration::from_secs(30);
/// What is asked for when the last session is already known: enough for a long absence.
const LATEST_DAYS: i32 = 30;

/// The bars that are known.
#[derive(Debug, Default)]
pub struct Bars {
    pub of: BTreeMap<(NaiveDate, Symbol), Bar>,
    /// The last session up to which all were given.
    pub through: Option<NaiveDate>,
    /// Which did not come, and why, at the last try.
    pub missing: Vec<String>,
    tried_at: Option<Timestamp>,
}

impl Bars {
    /// Whether everything has been asked for at least once.
    pub fn is_tried(&self) -> bool {
        self.through.is_some() || self.tried_at.is_some()
    }

    fn is_due(&self, session: NaiveDate, now: Timestamp) -> bool {
        self.through != Some(session) && self.tried_at.is_none_or(|at| now - at >= AGAIN_AFTER)
    }
}

impl Link {
    /// Keeps the bars up to date; returns only when the connection is lost.
    pub async fn keep_bars(&self, client: &Client) -> Lost {
        loop {
            tokio::time::sleep(LOOK).await;
            let now = self.clock.now();
            let Some(session) = self.last_session(now) else { continue };
            let is_due = {
                let mirror = self.mirror();
                mirror.listing.of.is_some() && mirror.bars.is_due(session, now)
            };
            if is_due && let Err(lost) = self.fetch_bars(client, session).await {
                return lost;
            }
        }
    }

    /// The last session whose bar is complete.
    fn last_session(&self, now: Timestamp) -> Option<NaiveDate> {
        let day = now.with_timezone(&chrono_tz::America::New_York).date_naive();
        let today = self.calendar.session(Venue::Xnys, day).ok()?;
        match today.filter(|session| now >= session.close + SETTLED_AFTER) {
            Some(session) => Some(session.session_date),
            None => Some(self.calendar.previous_session(Venue::Xnys, day).ok()?.session_date),
        }
    }

    async fn fetch_bars(&self, client: &Client, session: NaiveDate) -> Result<(), Lost> {
        self.mirror().bars.tried_at = Some(self.clock.now());
        let span = match self.mirror().bars.through {
            None => 1.years(),
            Some(_) => LATEST_DAYS.days(),
        };
        let mut missing = Vec::new();
        for (symbol, contract) in self.barred() {
            let trades = HistoricalWhatToShow::Trades;
            let trades = match self.history(client, (&contract, trades), span).await? {
                Ok(trades) => trades,
                Err(why) => {
                    missing.push(format!("{symbol}: {why}"));
                    continue;
                }
            };
            let vols = HistoricalWhatToShow::OptionImpliedVolatility;
            let vols = if contract.security_type == ibapi::prelude::SecurityType::Stock {
                self.history(client, (&contract, vols), span).await?
            } else {
                Ok(BTreeMap::new())
            };
            let vols = vols.unwrap_or_else(|why| {
                missing.push(format!("{symbol}, implied volatility: {why}"));
                BTreeMap::new()
            });
            let bars = trades.iter().filter(|(day, _)| **day <= session).map(|(day, bar)| {
                let implied_vol = vols.get(day).map(|vol| vol.close).filter(|vol| *vol > 0.0);
                ((*day, symbol.clone()), bar_of((&symbol, *day), bar, implied_vol))
            });
            self.mirror().bars.of.extend(bars);
        }
        for line in &missing {
            tracing::warn!("daily bars: {line}");
        }
        let mut mirror = self.mirror();
        if missing.is_empty() {
            mirror.bars.through = Some(session);
        }
        mirror.bars.missing = missing;
        Ok(())
    }

    /// Underlyings, and the roots of futures as contracts that run on through the expiries.
    fn barred(&self) -> Vec<(Symbol, Contract)> {
        let mirror = self.mirror();
        let underlyings = mirror.listing.underlyings.values();
        let underlyings = underlyings
            .filter_map(|one: &Instrument| Some((one.symbol().clone(), contracts::single(one)?)));
        let roots = self.universe.roots.iter();
        underlyings.chain(roots.map(|root| (root.clone(), contracts::continuous(root)))).collect()
    }

    /// The bars of one contract by their days, or why there are none.
    async fn history(
        &self,
        client: &Client,
        (contract, what): (&Contract, HistoricalWhatToShow),
        span: Span,
    ) -> Result<Result<BTreeMap<NaiveDate, Given>, String>, Lost> {
        if !self.pacer.may_ask_history() {
            return Ok(Err("the budget of historical requests is used up".to_owned()));
        }
        self.pacer.leave(Priority::Data).await;
        let asked = client
            .historical_data(contract, HistoricalBarSize::Day)
            .duration(span)
            .what_to_show(what)
            .fetch();
        match timeout(ANSWER, asked).await {
            Ok(Ok(data)) => Ok(Ok(by_day(data))),
            Ok(Err(ibapi::Error::Notice(notice))) => {
                Ok(Err(format!("{} {}", notice.code, notice.message)))
            }
            Ok(Err(error)) => Err(Lost(format!("asked for bars: {error}"))),
            Err(_) => Ok(Err(format!("no answer within {} s", ANSWER.as_secs()))),
        }
    }
}

fn by_day(data: HistoricalData) -> BTreeMap<NaiveDate, Given> {
    let day = |bar: &Given| match bar.date {
        BarTimestamp::Date(date) => NaiveDate::from_yo_opt(date.year(), u32::from(date.ordinal())),
        // A bar of a day carries a date; one that does not belongs to no session.
        BarTimestamp::DateTime(_) => None,
    };
    data.bars.into_iter().filter_map(|bar| Some((day(&bar)?, bar))).collect()
}

/// Prices that cannot be are missing, and silver says of such a row why it is set aside.
fn bar_of((symbol, session): (&Symbol, NaiveDate), bar: &Given, implied_vol: Option<f64>) -> Bar {
    let price = |price: f64| Some(price).filter(|price| *price > 0.0).and_then(Price::from_f64);
    let volume = Some(bar.volume).filter(|volume| volume.is_finite() && *volume >= 0.0);
    Bar {
        symbol: symbol.clone(),
        session,
        open: price(bar.open),
        high: price(bar.high),
        low: price(bar.low),
        close: price(bar.close),
        volume: volume.map(|volume| volume.round() as i64),
        implied_vol,
        price_basis: "raw".to_owned(),
        source: "ib".to_owned(),
    }
}
