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
use ibapi::prelude::{Client, HistoricalBarSize, HistoricalWhatToShow, SecurityType};
use tokio::time::timeout;

use crate::broker::Bar;
use crate::market::sessions::Venue;
use crate::market::{Instrument, Price, Symbol, Timestamp};

use super::contracts;
use super::link::{HISTORY_ANSWER, Link, Lost};
use super::pacing::Priority;

/// The last sessions whose bars are complete: each market closes at its own hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Closed {
    etfs: NaiveDate,
    indices: NaiveDate,
    futures: NaiveDate,
}

/// A session's bar is complete so long after its close, on the desk's clock.
const SETTLED_AFTER: TimeDelta = TimeDelta::minutes(2);
/// How long until bars that did not come are asked for again, on the desk's clock.
const AGAIN_AFTER: TimeDelta = TimeDelta::minutes(10);
/// How often it is looked whether a session has closed, of the wall.
const LOOK: Duration = Duration::from_millis(200);
/// What is asked for when the last session is already known: enough for a long absence.
const LATEST_DAYS: i32 = 30;

/// The bars that are known.
#[derive(Debug, Default)]
pub struct Bars {
    pub of: BTreeMap<(NaiveDate, Symbol), Bar>,
    /// Of each symbol, the last session up to which all was given.
    complete: BTreeMap<Symbol, NaiveDate>,
    /// Which did not come, and why, at the last try.
    pub missing: Vec<String>,
    /// After which sessions was asked last, and when.
    tried: Option<(Closed, Timestamp)>,
}

impl Bars {
    /// Whether everything has been asked for at least once.
    pub fn is_tried(&self) -> bool {
        self.tried.is_some()
    }

    fn is_due(&self, closed: Closed, now: Timestamp) -> bool {
        self.tried.is_none_or(|(tried, at)| {
            tried != closed || (!self.missing.is_empty() && now - at >= AGAIN_AFTER)
        })
    }

    /// How far back to ask for a symbol; `None` where nothing of it is missing.
    fn span(&self, symbol: &Symbol, session: NaiveDate) -> Option<Span> {
        match self.complete.get(symbol) {
            Some(through) if *through == session => None,
            Some(_) => Some(LATEST_DAYS.days()),
            None => Some(1.years()),
        }
    }
}

impl Link {
    /// Keeps the bars up to date; returns only when the connection is lost.
    pub async fn keep_bars(&self, client: &Client) -> Lost {
        loop {
            tokio::time::sleep(LOOK).await;
            let now = self.clock.now();
            let Some(closed) = self.closed(now) else { continue };
            let is_due = {
                let mirror = self.mirror();
                mirror.listing.of.is_some() && mirror.bars.is_due(closed, now)
            };
            if is_due && let Err(lost) = self.fetch_bars(client, closed).await {
                return lost;
            }
        }
    }

    fn closed(&self, now: Timestamp) -> Option<Closed> {
        let day = now.with_timezone(&chrono_tz::America::New_York).date_naive();
        let last = |venue: Venue| {
            let today = self.calendar.session(venue, day).ok()?;
            match today.filter(|session| now >= session.close + SETTLED_AFTER) {
                Some(session) => Some(session.session_date),
                None => Some(self.calendar.previous_session(venue, day).ok()?.session_date),
            }
        };
        Some(Closed {
            etfs: last(Venue::Xnys)?,
            indices: last(Venue::CboeIndexOptions)?,
            futures: last(Venue::CmeEquityFutures)?,
        })
    }

    async fn fetch_bars(&self, client: &Client, closed: Closed) -> Result<(), Lost> {
        let mut missing = Vec::new();
        for (symbol, contract) in self.barred() {
            let kind = &contract.security_type;
            let session = if *kind == SecurityType::ContinuousFuture {
                closed.futures
            } else if *kind == SecurityType::Index {
                closed.indices
            } else {
                closed.etfs
            };
            let span = self.mirror().bars.span(&symbol, session);
            let Some(span) = span else { continue };
            let trades = HistoricalWhatToShow::Trades;
            let trades = match self.history(client, (&contract, trades), span).await? {
                Ok(trades) => trades,
                Err(why) => {
                    missing.push(format!("{symbol}: {why}"));
                    continue;
                }
            };
            let vols = HistoricalWhatToShow::OptionImpliedVolatility;
            let vols = if contract.security_type == SecurityType::Stock {
                self.history(client, (&contract, vols), span).await?
            } else {
                Ok(BTreeMap::new())
            };
            let mut is_complete = vols.is_ok();
            if !trades.contains_key(&session) {
                missing.push(format!("{symbol}: no bar of {session} yet"));
                is_complete = false;
            }
            let vols = vols.unwrap_or_else(|why| {
                missing.push(format!("{symbol}, implied volatility: {why}"));
                BTreeMap::new()
            });
            let bars = trades.iter().filter(|(day, _)| **day <= session).map(|(day, bar)| {
                let implied_vol = vols.get(day).map(|vol| vol.close).filter(|vol| *vol > 0.0);
                ((*day, symbol.clone()), bar_of((&symbol, *day), bar, implied_vol))
            });
            let mut mirror = self.mirror();
            mirror.bars.of.extend(bars);
            if is_complete {
                mirror.bars.complete.insert(symbol, session);
            }
        }
        for line in &missing {
            tracing::warn!("daily bars: {line}");
        }
        let mut mirror = self.mirror();
        mirror.bars.missing = missing;
        mirror.bars.tried = Some((closed, self.clock.now()));
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
        match timeout(HISTORY_ANSWER, asked).await {
            Ok(Ok(data)) => Ok(Ok(by_day(data))),
            Ok(Err(ibapi::Error::Notice(notice))) => {
                Ok(Err(format!("{} {}", notice.code, notice.message)))
            }
            Ok(Err(error)) if !matches!(error, ibapi::Error::Timeout) => {
                Err(Lost(format!("asked for bars: {error}")))
            }
            Ok(Err(_)) | Err(_) => {
                Ok(Err(format!("no answer within {} s", HISTORY_ANSWER.as_secs())))
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_asked_again_later_and_what_is_complete_only_after_the_next_close() {
        let (first, next): (NaiveDate, NaiveDate) =
            ("2026-03-02".parse().unwrap(), "2026-03-03".parse().unwrap());
        let closed = Closed { etfs: first, indices: first, futures: first };
        let etfs_only = Closed { etfs: next, ..closed };
        let now: Timestamp = "2026-03-02T21:05:00Z".parse().unwrap();
        let (spy, qqq) = (Symbol::new("SPY"), Symbol::new("QQQ"));
        let mut bars = Bars::default();
        assert!(bars.is_due(closed, now) && !bars.is_tried());
        bars.complete.insert(spy.clone(), first);
        bars.missing = vec!["QQQ: 162".to_owned()];
        bars.tried = Some((closed, now));
        assert!(!bars.is_due(closed, now + AGAIN_AFTER / 2));
        assert!(bars.is_due(closed, now + AGAIN_AFTER));
        assert_eq!(bars.span(&spy, first), None);
        assert_eq!(bars.span(&qqq, first), Some(1.years()));
        bars.missing.clear();
        assert!(!bars.is_due(closed, now + AGAIN_AFTER));
        assert!(bars.is_due(etfs_only, now));
        assert_eq!(bars.span(&spy, next), Some(LATEST_DAYS.days()));
    }
}
