//! Contracts: what is listed is looked up once a session date, beside everything else.
//!
//! What was answered stays answered over a lost connection. What the broker puts off is asked for
//! again until it answers; the desk begins without it after a few tries, and is told.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{Days, NaiveDate};
use ibapi::contracts::Contract;
use ibapi::prelude::{Client, SecurityType};
use tokio::time::timeout;

use crate::broker::BrokerError;
use crate::market::{ConId, Instrument, Symbol};

use super::codes::{OnStream, policy};
use super::contracts::{self, date_of};
use super::link::{Link, Lost};
use super::pacing::Priority;

/// How often it is looked whether a new date has begun.
const LOOK: Duration = Duration::from_millis(200);
/// How long one answer to a look-up of contracts may take, of the wall: an expiry has hundreds, and
/// IB gives them out slowly. A connection that is dead meanwhile is found by its heartbeat.
const LISTING_WITHIN: Duration = Duration::from_mins(1);
/// The rest before what was put off is asked for again: at first, and at most.
const REST: Duration = Duration::from_secs(1);
const REST_MOST: Duration = Duration::from_mins(1);
/// After so many tries the desk begins with what there is.
const TRIES: u32 = 3;

/// Whether a question was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Given,
    /// The broker has no time for it now, or dropped it.
    PutOff,
}

/// What an answer's code makes of the question: only a plain no is an answer.
fn answer_of(code: i32) -> Answer {
    match policy(code).stream {
        OnStream::Denied => Answer::Given,
        OnStream::Nothing
        | OnStream::Ended
        | OnStream::Later
        | OnStream::Taken
        | OnStream::Missed => Answer::PutOff,
    }
}

impl Link {
    /// Keeps the listing that of the date in New York; returns only when the connection is lost.
    pub async fn keep_listing(&self, client: &Client) -> Lost {
        // What was denied may have been subscribed to since.
        self.mirror().denied.clear();
        let mut tries = 0;
        loop {
            let today = self.clock.now().with_timezone(&chrono_tz::America::New_York).date_naive();
            if self.begin_listing(today) {
                tokio::time::sleep(LOOK).await;
                continue;
            }
            let put_off = match self.look_listing_up(client, today).await {
                Ok(put_off) => put_off,
                Err(lost) => return lost,
            };
            tries = if put_off.is_empty() { 0 } else { tries + 1 };
            if put_off.is_empty() || tries == TRIES {
                self.mirror().listing.of = Some(today);
            }
            if put_off.is_empty() {
                let mut mirror = self.mirror();
                mirror.listing.options_of = Some(today);
                mirror.listing.full_of = Some(today);
                mirror.denied.clear();
                continue;
            }
            tracing::warn!(
                "{} look-ups of contracts were put off and are asked again: {}",
                put_off.len(),
                put_off.join(", ")
            );
            let rest = REST.saturating_mul(1 << tries.min(10)).min(REST_MOST);
            tokio::time::sleep(rest).await;
        }
    }

    /// Whether nothing is left to look up on a date; a new one begins with a clean sheet.
    fn begin_listing(&self, today: NaiveDate) -> bool {
        let now = self.clock.now();
        let mut mirror = self.mirror();
        if mirror.listing.answered.0 != Some(today) {
            mirror.prune(now);
            mirror.listing.answered = (Some(today), BTreeSet::new());
        }
        mirror.listing.full_of == Some(today)
    }

    /// The date's underlyings, futures and options: strikes are added to expiries every day.
    /// Options that were looked up on this date already are not asked again. What was put off is
    /// returned.
    async fn look_listing_up(
        &self,
        client: &Client,
        today: NaiveDate,
    ) -> Result<Vec<String>, Lost> {
        let mut put_off = Vec::new();
        for symbol in &self.universe.symbols {
            self.ask_once(client, &contracts::underlying(symbol), &mut put_off).await?;
        }
        for root in &self.universe.roots {
            self.ask_once(client, &contracts::futures(root), &mut put_off).await?;
        }
        if self.mirror().listing.options_of != Some(today) {
            for symbol in &self.universe.symbols {
                self.look_options_up(client, (symbol, today), &mut put_off).await?;
            }
        }
        Ok(put_off)
    }

    /// Asks, unless it was answered on this date.
    async fn ask_once(
        &self,
        client: &Client,
        wanted: &Contract,
        put_off: &mut Vec<String>,
    ) -> Result<(), Lost> {
        let name = name_of(wanted);
        if self.mirror().listing.answered.1.contains(&name) {
            return Ok(());
        }
        match self.look_up_all(client, wanted, LISTING_WITHIN).await? {
            Answer::Given => {
                self.mirror().listing.answered.1.insert(name);
            }
            Answer::PutOff => put_off.push(name),
        }
        Ok(())
    }

    async fn look_options_up(
        &self,
        client: &Client,
        (symbol, today): (&Symbol, NaiveDate),
        put_off: &mut Vec<String>,
    ) -> Result<(), Lost> {
        let known = self.mirror().listing.underlyings.get(symbol).cloned();
        let Some(known) = known else { return Ok(()) };
        let Some(under) = contracts::id_of(known.conid()) else { return Ok(()) };
        let kind = match known {
            Instrument::Index(_) => SecurityType::Index,
            Instrument::Stock(_) | Instrument::Option(_) | Instrument::Future(_) => {
                SecurityType::Stock
            }
        };
        self.pacer.leave(Priority::Data).await;
        let asked = client.option_chain(symbol.as_str(), kind, under);
        let mut stream = self.bounded("option chains", asked.subscribe()).await?;
        let rows = timeout(self.bounds.answer, stream.collect_to_end_within(self.bounds.answer));
        let rows = match rows.await {
            Ok(Ok(rows)) => rows,
            Ok(Err(ibapi::Error::Notice(notice))) => {
                let (code, said) = (notice.code, notice.message);
                tracing::warn!(broker.code = code, "expiries of {symbol}: {said}");
                if answer_of(code) == Answer::PutOff {
                    put_off.push(format!("expiries of {symbol}"));
                }
                return Ok(());
            }
            Ok(Err(error)) => return Err(Lost(format!("asked for option chains: {error}"))),
            Err(_) => return Err(Lost("option chains did not come in time".to_owned())),
        };
        let days = u64::try_from(self.universe.horizon_days).unwrap_or_default();
        let last = today.checked_add_days(Days::new(days)).unwrap_or(NaiveDate::MAX);
        let expiries: BTreeSet<String> = rows
            .into_iter()
            .flat_map(|row| row.expirations)
            .filter(|text| date_of(text).is_ok_and(|date| date >= today && date <= last))
            .collect();
        for expiry in expiries {
            self.ask_once(client, &contracts::options(symbol, &expiry), put_off).await?;
        }
        Ok(())
    }

    /// Every contract that fits a description. What the desk cannot read is told and left out.
    async fn look_up_all(
        &self,
        client: &Client,
        wanted: &Contract,
        within: Duration,
    ) -> Result<Answer, Lost> {
        self.pacer.leave(Priority::Data).await;
        let answer = match timeout(within, client.contract_details(wanted)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(ibapi::Error::Notice(notice))) => {
                let (code, said) = (notice.code, notice.message);
                tracing::warn!(broker.code = code, "{}: {said}", name_of(wanted));
                return Ok(answer_of(code));
            }
            Ok(Err(error)) => return Err(Lost(error.to_string())),
            Err(_) => return Err(Lost("contract details did not come in time".to_owned())),
        };
        let mut mirror = self.mirror();
        for details in &answer {
            match contracts::instrument(details, &self.calendar) {
                Ok(instrument) => mirror.add(instrument),
                Err(error) => {
                    let conid = details.contract.contract_id;
                    tracing::warn!("contract {conid} is left out: {error}");
                }
            }
        }
        Ok(Answer::Given)
    }

    /// One contract that turned up by its id: something held, or executed.
    pub async fn describe(&self, client: &Client, conid: ConId) -> Result<(), BrokerError> {
        let unknown = |why: &str| BrokerError::NoAnswer(format!("contract {conid}: {why}"));
        let id = contracts::id_of(conid).ok_or_else(|| unknown("no id of the broker's"))?;
        self.look_up_all(client, &contracts::by_id(id), self.bounds.answer).await?;
        let found = self.mirror().listing.instruments.contains_key(&conid);
        if found { Ok(()) } else { Err(unknown("not described, or not as the desk can read")) }
    }
}

/// What is looked up, for people and to know it again.
fn name_of(wanted: &Contract) -> String {
    let expiry = &wanted.last_trade_date_or_contract_month;
    match wanted.contract_id {
        0 => format!("{} {} {expiry}", wanted.security_type, wanted.symbol).trim_end().to_owned(),
        id => format!("contract {id}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_no_answers_a_look_up() {
        assert_eq!(answer_of(200), Answer::Given, "there is no such contract");
        for code in [100, 162, 322, -6, 99_999] {
            assert_eq!(answer_of(code), Answer::PutOff, "{code}");
        }
    }
}
