//! A recorded chain as a market: each row delivered once, at its time, and the latest usable quote
//! of each contract standing for matching.
//!
//! Invariants: what is answered depends on the record and on the instant reached only; a contract
//! is known from its first row on, never before; a row that says "no quote" ends the quote before
//! it. Session dates are those of the calendar on which the record has rows; every other date is an
//! outage. Spot and closes of ETFs come from parity, rates from boxes; dividends and bars are
//! handed in. Options on the VIX are quoted and never settled: their opening print is not recorded.
//!
//! It deliberately has no futures, no quotes of stock (so stock cannot be traded here), no sizes
//! (they count as one lot), no halts and no fair values of options. It reads no files.

mod answers;
mod boxes;
mod ids;
mod parity;
mod rows;
mod sweeps;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use chrono::{NaiveDate, TimeDelta};
use chrono_tz::America::New_York;

use crate::market::sessions::{Calendar, CalendarError, Venue};
use crate::market::{
    ConId, Instrument, OptionContract, Price, Settlement, StockContract, Symbol, Timestamp,
    TwoSided,
};

use super::source::{DailyBar, DividendRow, MarketDescription};
use parity::{Reference, Standing, expiry_pairs};
use rows::{ReadyRow, Terms, ready_rows};

pub use rows::{RecordedRow, RowFault};
pub use sweeps::sweep_ids;

/// Sessions for which a measured rate stays good.
const RATE_SESSIONS_MAX: usize = 5;
/// Measurements of a rate that its median is taken over: a session's.
const RATE_MEASUREMENTS_MAX: usize = 13;
/// From the median of absolute deviations to a standard deviation, for normal errors.
const MAD_TO_DEVIATION: f64 = 1.482_602_218_505_602;
/// Rates are measured at whole multiples of this, so that nobody's questions move them.
const RATE_GRID_SECONDS: i64 = 1_800;

/// What a recorded market is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// `recorded:<folder>`.
    pub name: String,
    /// In the order of the record; sorted by stamp here, rows of one stamp keep their order.
    pub rows: Vec<RecordedRow>,
    pub dividends: Vec<DividendRow>,
    /// Before and during the record.
    pub bars: Vec<DailyBar>,
    /// Where the market stands at first; rows before it are not delivered.
    pub start: Timestamp,
}

/// The record cannot be played.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RecordedError {
    #[error(
        "no row of {0} falls on a session at or after its start: give a folder with chain rows"
    )]
    NoSession(String),
    #[error(transparent)]
    Calendar(#[from] CalendarError),
}

/// What became of the rows, for the header of reports.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RecordAccount {
    /// Rows to deliver.
    pub rows: usize,
    /// Rows before the start.
    pub before_start: usize,
    /// Byte-for-byte copies beyond the first, as the record counts them.
    pub copies: i64,
    /// Rows of one contract and stamp that said less than another, or came earlier.
    pub conflicts: usize,
    /// Rows that name no contract, with the reason.
    pub faults: Vec<(Timestamp, RowFault)>,
}

/// The newest measurements of one maturity's rate, and the last session on which they are good.
#[derive(Debug, Clone, PartialEq)]
struct MeasuredRate {
    newest: VecDeque<boxes::Rate>,
    valid_through: NaiveDate,
}

impl MeasuredRate {
    /// The median of the newest measurements, which single sweeps of unequal age do not move. Its
    /// error holds the median of their own errors and their scatter.
    fn rate(&self) -> Option<boxes::Rate> {
        let rate = median(self.newest.iter().map(|one| one.rate))?;
        let own = median(self.newest.iter().map(|one| one.rate_error))?;
        let scatter = median(self.newest.iter().map(|one| (one.rate - rate).abs()))?;
        let rate_error = libm::hypot(own, MAD_TO_DEVIATION * scatter);
        Some(boxes::Rate { rate, rate_error })
    }
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

/// The market of a record.
pub struct RecordedMarket {
    description: MarketDescription,
    account: RecordAccount,
    calendar: Arc<Calendar>,
    now: Timestamp,
    rows: Vec<ReadyRow>,
    /// The first row not yet delivered.
    next_row: usize,
    /// The first row not yet handed out.
    next_taken: usize,
    sessions: BTreeSet<NaiveDate>,
    underlyings: BTreeMap<Symbol, Instrument>,
    /// Contracts seen so far.
    contracts: BTreeMap<ConId, Arc<OptionContract>>,
    standing: BTreeMap<ConId, Standing>,
    rates: BTreeMap<NaiveDate, MeasuredRate>,
    corrections: BTreeMap<(Symbol, NaiveDate), f64>,
    /// Grid instant up to which rates were measured.
    measured_to: i64,
    stock_closes: BTreeMap<(Symbol, NaiveDate), Price>,
    option_closes: BTreeMap<(ConId, NaiveDate), Price>,
    /// Closes of the stock exchange to come, by instant.
    closes: BTreeMap<Timestamp, NaiveDate>,
    /// After the last row and the last close there is nothing more.
    over_at: Timestamp,
    dividends: Vec<DividendRow>,
    bars: Vec<DailyBar>,
}

impl RecordedMarket {
    pub fn new(recording: Recording, calendar: Arc<Calendar>) -> Result<Self, RecordedError> {
        let Recording { name, rows, mut dividends, bars, start } = recording;
        let mut account = RecordAccount::default();
        let rows = ready_rows(rows, start, &calendar, &mut account);
        let mut sessions = BTreeSet::new();
        let mut closes = BTreeMap::new();
        for row in &rows {
            let date = row.received_at.with_timezone(&New_York).date_naive();
            if let Some(session) = calendar.session(Venue::Xnys, date)? {
                sessions.insert(date);
                if session.close > start {
                    closes.insert(session.close, date);
                }
            }
        }
        let first_session =
            *sessions.first().ok_or_else(|| RecordedError::NoSession(name.clone()))?;
        let last_row = rows.last().map_or(start, |row| row.received_at);
        let over_at = closes.last_key_value().map_or(last_row, |(close, _)| last_row.max(*close));
        dividends.sort_by(|a, b| (&a.symbol, a.ex_date).cmp(&(&b.symbol, b.ex_date)));
        let symbols: BTreeSet<&Symbol> = rows.iter().map(|row| &row.contract.symbol).collect();
        let underlyings =
            symbols.into_iter().map(|symbol| (symbol.clone(), underlying_of(symbol))).collect();
        Ok(Self {
            description: describe(name, first_session, &account),
            account,
            calendar,
            now: start,
            rows,
            next_row: 0,
            next_taken: 0,
            sessions,
            underlyings,
            contracts: BTreeMap::new(),
            standing: BTreeMap::new(),
            rates: BTreeMap::new(),
            corrections: BTreeMap::new(),
            measured_to: grid(start),
            stock_closes: BTreeMap::new(),
            option_closes: BTreeMap::new(),
            closes,
            over_at,
            dividends,
            bars,
        })
    }

    /// When the first row of a session comes, at or after its open.
    pub fn first_row_of(&self, session: NaiveDate) -> Option<Timestamp> {
        let open = self.calendar.session(Venue::Xnys, session).ok()??.open;
        let mut stamps = self.rows.iter().map(|row| row.received_at);
        let first = stamps.find(|at| *at >= open)?;
        (first.with_timezone(&New_York).date_naive() == session).then_some(first)
    }

    /// When the last row comes.
    pub fn last_row_at(&self) -> Timestamp {
        self.rows.last().map_or(self.now, |row| row.received_at)
    }

    /// What became of the rows.
    pub fn record(&self) -> &RecordAccount {
        &self.account
    }

    /// The session dates of the record, in order.
    pub fn sessions(&self) -> impl Iterator<Item = NaiveDate> {
        self.sessions.iter().copied()
    }

    fn deliver(&mut self, row: &ReadyRow) {
        let conid = row.contract.conid;
        self.contracts.entry(conid).or_insert_with(|| Arc::clone(&row.contract));
        let fields = row.fields();
        let usable = row.usable();
        let says_less = self.standing.get(&conid).is_some_and(|known| {
            known.received_at == row.received_at && (known.fields > fields || usable.is_none())
        });
        if says_less {
            return;
        }
        match usable {
            Some(quote) => {
                let contract = Arc::clone(&row.contract);
                let received_at = row.received_at;
                self.standing.insert(conid, Standing { contract, quote, received_at, fields });
            }
            None => {
                self.standing.remove(&conid);
            }
        }
    }

    /// Measures the rates at each grid instant up to `until`, on the rows delivered so far. What
    /// lies further behind the last row than a quote may be old finds nothing and is passed over.
    fn measure_to(&mut self, until: Timestamp) {
        let last_row = self.next_row.checked_sub(1).and_then(|last| self.rows.get(last));
        let Some(last_row) = last_row.map(|row| row.received_at) else {
            self.measured_to = grid(until);
            return;
        };
        let fresh_to = grid(last_row + TimeDelta::minutes(parity::QUOTE_AGE_MINUTES_MAX));
        for instant in self.measured_to + 1..=grid(until).min(fresh_to) {
            if let Some(at) = Timestamp::from_timestamp(instant * RATE_GRID_SECONDS, 0) {
                self.measure_at(at);
            }
        }
        self.measured_to = self.measured_to.max(grid(until));
    }

    fn measure_at(&mut self, at: Timestamp) {
        let session = at.with_timezone(&New_York).date_naive();
        let Some(valid_through) = self.valid_through(session) else { return };
        let chains = expiry_pairs(self.standing.values().filter(|one| is_physical(one)), at);
        for (maturity, found) in boxes::rates(&chains, &self.reference(at)) {
            let newest = VecDeque::new();
            let measured =
                self.rates.entry(maturity).or_insert(MeasuredRate { newest, valid_through });
            measured.newest.push_back(found);
            measured.valid_through = valid_through;
            if measured.newest.len() > RATE_MEASUREMENTS_MAX {
                measured.newest.pop_front();
            }
        }
        let rates = self.good_rates(at);
        let found = boxes::forward_corrections(&chains, &rates, &self.reference(at));
        self.corrections.extend(found);
    }

    fn reference(&self, now: Timestamp) -> Reference<'_> {
        Reference { dividends: &self.dividends, corrections: &self.corrections, now }
    }

    /// The fifth session from this one, by the calendar.
    fn valid_through(&self, session: NaiveDate) -> Option<NaiveDate> {
        let mut date = session;
        for _ in 0..RATE_SESSIONS_MAX {
            date = self.calendar.next_session(Venue::Xnys, date).ok()?.session_date;
        }
        Some(date)
    }

    fn good_rates(&self, at: Timestamp) -> BTreeMap<NaiveDate, f64> {
        let today = at.with_timezone(&New_York).date_naive();
        self.rates
            .iter()
            .filter(|(_, measured)| measured.valid_through >= today)
            .filter_map(|(maturity, measured)| Some((*maturity, measured.rate()?.rate)))
            .collect()
    }

    fn spot(&self, symbol: &Symbol, at: Timestamp) -> Option<Price> {
        let of_symbol = |one: &&Standing| one.contract.symbol == *symbol && is_physical(one);
        let chains = expiry_pairs(self.standing.values().filter(of_symbol), at);
        parity::spot(&chains, symbol, &self.good_rates(at), &self.reference(at))
            .and_then(Price::from_f64)
    }

    /// Official marks of a session: parity spots, and mids of fresh two-sided quotes.
    fn close(&mut self, at: Timestamp, session: NaiveDate) {
        for symbol in self.underlyings.keys().cloned().collect::<Vec<_>>() {
            if let Some(spot) = self.spot(&symbol, at) {
                self.stock_closes.insert((symbol, session), Price::new(spot.decimal().round_dp(2)));
            }
        }
        for (conid, standing) in &self.standing {
            let fresh =
                at - standing.received_at <= TimeDelta::minutes(parity::QUOTE_AGE_MINUTES_MAX);
            let mid = TwoSided::new(standing.quote.bid, standing.quote.ask).map(TwoSided::mid);
            if let (true, Some(mid)) = (fresh, mid) {
                self.option_closes.insert((*conid, session), mid);
            }
        }
    }

    /// The instant of the next close or row up to `at`, and which.
    fn next_step(&self, at: Timestamp) -> Option<Step> {
        let row = self.rows.get(self.next_row).map(|row| row.received_at);
        let close = self.closes.first_key_value().map(|(close, session)| (*close, *session));
        let row = row.filter(|row| *row <= at);
        let close = close.filter(|(close, _)| *close <= at);
        match (row, close) {
            (Some(row), Some((close, session))) if close < row => Some(Step::Close(close, session)),
            (Some(_), _) => Some(Step::Row),
            (None, Some((close, session))) => Some(Step::Close(close, session)),
            (None, None) => None,
        }
    }

    fn trades(&self, venue: Venue) -> bool {
        let session = self.calendar.session_at(venue, self.now).ok().flatten();
        session.is_some_and(|session| self.sessions.contains(&session.session_date))
    }
}

enum Step {
    Row,
    Close(Timestamp, NaiveDate),
}

/// An id in the range marked as ours, from the symbol: the record names none.
fn underlying_of(symbol: &Symbol) -> Instrument {
    let contract =
        StockContract { conid: ConId::derived_from(symbol.as_str()), symbol: symbol.clone() };
    match Terms::of(symbol) {
        Some(Terms::CashIndex) => Instrument::Index(contract),
        Some(Terms::Etf) | None => Instrument::Stock(contract),
    }
}

/// Parity of options that deliver gives their stock's spot; that of an index's options only the
/// forward of their own expiry.
fn is_physical(standing: &Standing) -> bool {
    standing.contract.settlement == Settlement::Physical
}

fn describe(name: String, first_session: NaiveDate, account: &RecordAccount) -> MarketDescription {
    MarketDescription {
        name,
        seed: None,
        first_session,
        variance_premium: None,
        futures_lead_seconds: None,
        notes: vec![
            format!(
                "The record holds {} rows; {} name no contract, {} repeat a contract and stamp.",
                account.rows,
                account.faults.len(),
                account.conflicts,
            ),
            "Stamps are times of writing, sizes are unknown and count as one lot.".to_owned(),
            "Spots, closes and rates are read from put-call parity; there are no futures."
                .to_owned(),
        ],
    }
}

/// Number of the grid instant at or before a time.
fn grid(at: Timestamp) -> i64 {
    at.timestamp().div_euclid(RATE_GRID_SECONDS)
}
