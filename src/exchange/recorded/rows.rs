//! Rows of a recorded chain: what was stored, and what can be made of it.
//!
//! A row keeps the values of its source, sentinels included. What a quote's types cannot hold (a
//! price that is not a number) is kept as text beside it. A row that names no contract at all is a
//! fault with a reason, never dropped in silence.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::NaiveDate;

use crate::market::sessions::{
    Calendar, CalendarError, ExpiryKind, expiry_instant, last_trade_instant,
};
use crate::market::{
    ConId, ExerciseStyle, OptionContract, OptionQuote, OptionRight, Price, Settlement, Symbol,
    Timestamp, VendorGreeks, occ_symbol,
};

use super::RecordAccount;
use super::sweeps::sweep_ids;

/// Shares, or index points, a contract.
const MULTIPLIER: i64 = 100;
/// Least tick of SPY, QQQ and IWM options (penny programme) and of VIX options under 3 USD,
/// millionths of a USD.
const TICK_MICROS: i64 = 10_000;

/// What a record does not say of a contract: known of these underlyings only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Terms {
    /// American, delivered in shares, to the close.
    Etf,
    /// European, settled in cash at the opening print.
    CashIndex,
}

impl Terms {
    pub fn of(symbol: &Symbol) -> Option<Self> {
        match symbol.as_str() {
            "SPY" | "QQQ" | "IWM" => Some(Self::Etf),
            "VIX" => Some(Self::CashIndex),
            _ => None,
        }
    }

    fn contract(self) -> (ExpiryKind, ExerciseStyle, Settlement) {
        match self {
            Self::Etf => (ExpiryKind::EtfPm, ExerciseStyle::American, Settlement::Physical),
            Self::CashIndex => (ExpiryKind::VixAm, ExerciseStyle::European, Settlement::Cash),
        }
    }
}

/// One stored row, as its source wrote it.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedRow {
    /// When the row was written.
    pub received_at: Timestamp,
    pub symbol: Symbol,
    /// `YYYYMMDD`.
    pub expiry: String,
    /// USD a share.
    pub strike: f64,
    /// `C`, `P`, `CALL` or `PUT`.
    pub right: String,
    /// USD a share; -1 where the source had none.
    pub bid: Option<f64>,
    pub ask: Option<f64>,
    pub last: Option<f64>,
    /// Contracts.
    pub volume: Option<i64>,
    pub open_interest: Option<i64>,
    pub vendor: VendorGreeks,
    /// How often the source holds this row, byte for byte.
    pub copies: i64,
}

/// Why a row names no contract.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RowFault {
    #[error("expiry `{0}` is not a date of the form YYYYMMDD")]
    Expiry(String),
    #[error("strike {0} is not a price above 0")]
    Strike(f64),
    #[error("option right `{0}` is neither C/CALL nor P/PUT")]
    Right(String),
    #[error("the terms of options on {0} are not known; a record may hold SPY, QQQ, IWM and VIX")]
    Terms(Symbol),
    #[error(transparent)]
    Calendar(#[from] CalendarError),
}

/// What identifies a contract in a record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ContractKey {
    pub symbol: Symbol,
    pub expiry_date: NaiveDate,
    pub right: OptionRight,
    pub strike: Price,
}

impl ContractKey {
    pub fn of(row: &RecordedRow) -> Result<Self, RowFault> {
        let expiry_date = NaiveDate::parse_from_str(&row.expiry, "%Y%m%d")
            .map_err(|_| RowFault::Expiry(row.expiry.clone()))?;
        let strike = Price::from_f64(row.strike).filter(|strike| *strike > Price::ZERO);
        let strike = strike.ok_or(RowFault::Strike(row.strike))?;
        let right = row.right.parse().map_err(|_| RowFault::Right(row.right.clone()))?;
        Ok(Self { symbol: row.symbol.clone(), expiry_date, right, strike })
    }

    /// The contract, by the terms of its underlying.
    pub fn contract(&self, calendar: &Calendar) -> Result<OptionContract, RowFault> {
        let occ_symbol = occ_symbol(&self.symbol, self.expiry_date, self.right, self.strike);
        let terms = Terms::of(&self.symbol).ok_or_else(|| RowFault::Terms(self.symbol.clone()))?;
        let (kind, style, settlement) = terms.contract();
        Ok(OptionContract {
            conid: ConId::derived_from(&occ_symbol),
            occ_symbol,
            symbol: self.symbol.clone(),
            expiry_date: self.expiry_date,
            strike: self.strike,
            right: self.right,
            style,
            settlement,
            multiplier: MULTIPLIER,
            min_tick: Price::from_micros(TICK_MICROS),
            last_trade_at: last_trade_instant(calendar, kind, self.expiry_date)?,
            expires_at: expiry_instant(calendar, kind, self.expiry_date)?,
        })
    }
}

/// A row that is ready to be delivered.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ReadyRow {
    pub contract: Arc<OptionContract>,
    pub right_text: String,
    pub sweep_id: String,
    /// As stored, sentinels included.
    pub quote: OptionQuote,
    pub unrepresentable: Option<String>,
    pub received_at: Timestamp,
}

impl ReadyRow {
    pub fn new(row: RecordedRow, contract: Arc<OptionContract>) -> Self {
        let mut lost: Vec<String> = Vec::new();
        let mut price = |name: &str, value: Option<f64>| {
            let value = value?;
            let price = Price::from_f64(value);
            if price.is_none() {
                lost.push(format!("{name}={value}"));
            }
            price
        };
        let quote = OptionQuote {
            conid: contract.conid,
            bid: price("bid", row.bid),
            ask: price("ask", row.ask),
            last: price("last", row.last),
            bid_size: None,
            ask_size: None,
            volume: row.volume,
            open_interest: row.open_interest,
            vendor: row.vendor,
            quoted_at: None,
        };
        let unrepresentable = (!lost.is_empty()).then(|| lost.join(" "));
        Self {
            contract,
            right_text: row.right,
            sweep_id: String::new(),
            quote,
            unrepresentable,
            received_at: row.received_at,
        }
    }

    /// The quote that may serve matching: sentinels out. `None` where nothing is left, or the sides
    /// cross.
    pub fn usable(&self) -> Option<OptionQuote> {
        let positive = |price: Option<Price>| price.filter(|price| *price > Price::ZERO);
        let (bid, ask) = (positive(self.quote.bid), positive(self.quote.ask));
        let crossed = matches!((bid, ask), (Some(bid), Some(ask)) if bid > ask);
        let quoted = bid.is_some() || ask.is_some();
        (quoted && !crossed).then(|| OptionQuote {
            bid,
            ask,
            last: positive(self.quote.last),
            ..self.quote.clone()
        })
    }

    /// How many fields the row has after sentinels, by the same count as `silver.option_coded`:
    /// decides between rows of one contract and stamp.
    pub fn fields(&self) -> usize {
        let quote = &self.quote;
        let prices = [quote.bid, quote.ask, quote.last];
        let sizes = [quote.bid_size, quote.ask_size].map(|size| size.filter(|size| *size >= 0));
        let counts = [quote.volume, quote.open_interest];
        let vol = quote.vendor.vol.filter(|vol| *vol > 0.0 && *vol < SENTINEL);
        prices.iter().flatten().filter(|price| **price > Price::ZERO).count()
            + sizes.iter().chain(&counts).flatten().count()
            + usize::from(vol.is_some())
            + usize::from(has_delta(&quote.vendor))
    }
}

/// As large as this is no number but a mark for none.
const SENTINEL: f64 = 1e300;

/// A delta that is none: -1, -2, and 0 in a vector of zeros.
fn has_delta(vendor: &VendorGreeks) -> bool {
    let zero = |number: Option<f64>| number.is_none_or(|number| number.abs() < f64::MIN_POSITIVE);
    let all_zero = [vendor.delta, vendor.gamma, vendor.theta, vendor.vega].into_iter().all(zero);
    let marks_none = |delta: f64| [-1.0, -2.0].iter().any(|mark| (delta - mark).abs() < 1e-12);
    vendor.delta.is_some_and(|delta| delta.abs() < SENTINEL && !marks_none(delta) && !all_zero)
}

/// The rows in order of time, with their contracts and sweeps.
pub(super) fn ready_rows(
    mut rows: Vec<RecordedRow>,
    start: Timestamp,
    calendar: &Calendar,
    account: &mut RecordAccount,
) -> Vec<ReadyRow> {
    rows.sort_by_key(|row| row.received_at);
    let mut contracts: BTreeMap<ContractKey, Arc<OptionContract>> = BTreeMap::new();
    let mut ready: Vec<ReadyRow> = Vec::with_capacity(rows.len());
    for row in rows {
        account.copies += (row.copies - 1).max(0);
        if row.received_at <= start {
            account.before_start += 1;
            continue;
        }
        let contract = ContractKey::of(&row).and_then(|key| {
            if let Some(known) = contracts.get(&key) {
                return Ok(Arc::clone(known));
            }
            let contract = Arc::new(key.contract(calendar)?);
            contracts.insert(key, Arc::clone(&contract));
            Ok(contract)
        });
        match contract {
            Ok(contract) => ready.push(ReadyRow::new(row, contract)),
            Err(fault) => account.faults.push((row.received_at, fault)),
        }
    }
    let stamps: Vec<(Symbol, ConId, Timestamp)> = ready
        .iter()
        .map(|row| (row.contract.symbol.clone(), row.contract.conid, row.received_at))
        .collect();
    for (row, sweep_id) in ready.iter_mut().zip(sweep_ids(&stamps)) {
        row.sweep_id = sweep_id;
    }
    let distinct: BTreeSet<(ConId, Timestamp)> =
        stamps.iter().map(|(_, conid, at)| (*conid, *at)).collect();
    account.rows = ready.len();
    account.conflicts = ready.len() - distinct.len();
    ready
}
