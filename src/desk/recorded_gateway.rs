//! A gateway over a folder of recorded chains: the days of the record, one after the other, until
//! it is over.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use chrono::{Duration, NaiveDate};
use tokio::runtime::Handle;

use crate::exchange::{Exchange, MarketSource as _, RecordedMarket, Recording};
use crate::gateway::{Gateway, Keeper, Rules, Speed};
use crate::market::Timestamp;

use super::daily_bars::daily_bars;
use super::paper::exchange_config;
use super::world::Plans;
use super::{faults_error, files, recording};

/// A session begins with its first sweep, which takes so long at most: a contract is known from its
/// first row on.
const FIRST_SWEEP: Duration = Duration::seconds(60);

/// Which record is wanted, with the account of a home's settings.
#[derive(Debug, Clone, Copy)]
pub struct RecordAsked<'a> {
    pub home: &'a Path,
    pub folder: &'a Path,
    /// Its first session without one.
    pub from: Option<NaiveDate>,
    /// Of every draw of the exchange.
    pub seed: u64,
}

/// The gateway, and what its operator is told of the record.
pub struct RecordGateway {
    pub gateway: Gateway,
    pub rows: usize,
    /// Rows that name no contract.
    pub faults: usize,
    pub sessions: Vec<NaiveDate>,
    pub over_at: Option<Timestamp>,
}

/// A gateway over the record. Kept in a folder, it goes on where the last one stood.
pub fn gateway_over_record(
    asked: RecordAsked<'_>,
    state: Option<&Path>,
    (speed, rules, handle): (Speed, Rules, &Handle),
) -> anyhow::Result<RecordGateway> {
    let (set, _) = files::of_home(asked.home)?;
    let plans = Plans::read(&set).map_err(faults_error)?;
    let calendar = &plans.calendar;
    let rows = recording::read_folder(asked.folder, handle)?;
    let first = rows.iter().map(|row| row.received_at).min().context("the record has no row")?;
    let record = Recording {
        name: format!("recorded:{}", asked.folder.display()),
        rows,
        dividends: plans.dividends.clone(),
        bars: daily_bars(asked.folder, &plans.dividends, handle)?,
        start: first - Duration::seconds(1),
    };
    let market = RecordedMarket::new(record, Arc::clone(calendar))?.with_small_ids();
    let sessions: Vec<NaiveDate> = market.sessions().collect();
    let begins = begins(&market, asked.from, &sessions)?;
    let (rows, faults) = (market.record().rows, market.record().faults.len());
    let mark = format!(
        "a record of {rows} rows from {first} to {}, seed {}",
        market.last_row_at(),
        asked.seed
    );
    let over_at = market.over_at();
    let keeping = match state {
        Some(folder) => {
            let keeper = Keeper::of(folder, &mark)?;
            let kept = keeper.read()?;
            Some((keeper, kept))
        }
        None => None,
    };
    let kept = keeping.as_ref().and_then(|(_, kept)| kept.as_ref());
    let (source, account) = (Box::new(market), exchange_config(&plans.settings, asked.seed)?);
    let mut exchange = match kept {
        Some(kept) => {
            Exchange::resumed(source, account, Arc::clone(calendar), kept.exchange.clone())?
        }
        None => Exchange::new(source, account, Arc::clone(calendar))?,
    };
    if kept.is_none() {
        exchange.advance_to(begins)?;
    }
    let gateway = Gateway::over(exchange, speed, rules);
    let gateway = match keeping {
        Some((keeper, kept)) => gateway.keeping(keeper, kept),
        None => gateway,
    };
    let gateway = gateway.going_on_from(begins)?;
    Ok(RecordGateway { gateway, rows, faults, sessions, over_at })
}

/// Where the time of the market begins.
fn begins(
    market: &RecordedMarket,
    from: Option<NaiveDate>,
    sessions: &[NaiveDate],
) -> anyhow::Result<Timestamp> {
    let wanted = from.or_else(|| sessions.first().copied()).context("the record has no session")?;
    if !sessions.contains(&wanted) {
        let there: Vec<String> = sessions.iter().map(NaiveDate::to_string).collect();
        bail!("the record has nothing of {wanted}; --from one of {}", there.join(", "));
    }
    let first = market.first_row_of(wanted).with_context(|| {
        format!("the record has no row of {wanted} at or after the open of its session")
    })?;
    Ok(first + FIRST_SWEEP)
}
