//! Instruments: symbols, contract ids, option and future contracts.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use chrono::{Datelike, NaiveDate};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Price, Timestamp};

/// An underlying or futures root: SPY, VIX, ES. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Symbol(Arc<str>);

impl Symbol {
    pub fn new(text: &str) -> Self {
        Self(Arc::from(text))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl From<&str> for Symbol {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

/// The broker's contract id. Ids that the desk derives itself lie in a range of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConId(pub i64);

/// First id of the range marked as ours; broker ids are 32-bit and stay below it.
const DERIVED_FROM: i64 = 1 << 52;

impl ConId {
    /// No contract: what concerns the account alone, such as interest.
    pub const ACCOUNT: Self = Self(0);

    /// An id of our own where the source gave none: 48 bits of the SHA-256 of the OCC symbol, in
    /// the range from 2^52, exactly representable as a double.
    pub fn derived_from(occ_symbol: &str) -> Self {
        let digest = Sha256::digest(occ_symbol.as_bytes());
        let bits = digest.iter().take(6).fold(0_i64, |sum, byte| (sum << 8) | i64::from(*byte));
        Self(DERIVED_FROM | bits)
    }

    pub fn is_derived(self) -> bool {
        self.0 >= DERIVED_FROM
    }
}

impl fmt::Display for ConId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// Call or put; `C` and `P` in every table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum OptionRight {
    #[serde(rename = "C")]
    Call,
    #[serde(rename = "P")]
    Put,
}

impl OptionRight {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Call => "C",
            Self::Put => "P",
        }
    }

    /// What one share's worth of the option pays at `spot`, USD per share.
    pub fn intrinsic(self, spot: f64, strike: f64) -> f64 {
        match self {
            Self::Call => (spot - strike).max(0.0),
            Self::Put => (strike - spot).max(0.0),
        }
    }
}

impl fmt::Display for OptionRight {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// The text is neither C, P, CALL nor PUT.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("option right `{0}` is neither C/CALL nor P/PUT")]
pub struct UnknownRight(pub String);

impl FromStr for OptionRight {
    type Err = UnknownRight;

    fn from_str(text: &str) -> Result<Self, UnknownRight> {
        match text {
            "C" | "CALL" => Ok(Self::Call),
            "P" | "PUT" => Ok(Self::Put),
            other => Err(UnknownRight(other.to_owned())),
        }
    }
}

/// When the holder may exercise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExerciseStyle {
    American,
    European,
}

impl ExerciseStyle {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::American => "american",
            Self::European => "european",
        }
    }
}

/// What changes hands at expiry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Settlement {
    Physical,
    Cash,
}

impl Settlement {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Physical => "physical",
            Self::Cash => "cash",
        }
    }
}

/// The kinds of instrument the desk knows, with IB's security types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SecurityKind {
    #[serde(rename = "STK")]
    Stock,
    #[serde(rename = "IND")]
    Index,
    #[serde(rename = "OPT")]
    Option,
    #[serde(rename = "FUT")]
    Future,
}

impl SecurityKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stock => "STK",
            Self::Index => "IND",
            Self::Option => "OPT",
            Self::Future => "FUT",
        }
    }
}

/// A listed option.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OptionContract {
    pub conid: ConId,
    /// 21-character OSI symbol.
    pub occ_symbol: Arc<str>,
    pub symbol: Symbol,
    pub expiry_date: NaiveDate,
    /// USD per share (index points for VIX).
    pub strike: Price,
    pub right: OptionRight,
    pub style: ExerciseStyle,
    pub settlement: Settlement,
    /// Shares (or USD per point) a contract.
    pub multiplier: i64,
    /// Smallest price step, single and combo apart from price bands.
    pub min_tick: Price,
    /// End of trading.
    pub last_trade_at: Timestamp,
    /// The instant to which time value is counted.
    pub expires_at: Timestamp,
}

/// A listed future of an equity index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FutureContract {
    pub conid: ConId,
    /// Root: ES, MES, NQ, MNQ, RTY, M2K.
    pub symbol: Symbol,
    /// Root and month: ESH6.
    pub local_symbol: Arc<str>,
    /// The ETF whose index it follows: SPY, QQQ, IWM.
    pub tracks: Symbol,
    pub expiry_date: NaiveDate,
    /// USD per index point.
    pub multiplier: i64,
    /// Index points.
    pub min_tick: Price,
    pub last_trade_at: Timestamp,
}

/// Anything the desk can hold or look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Instrument {
    Stock(StockContract),
    Index(StockContract),
    Option(Arc<OptionContract>),
    Future(Arc<FutureContract>),
}

impl Instrument {
    pub fn conid(&self) -> ConId {
        match self {
            Self::Stock(stock) | Self::Index(stock) => stock.conid,
            Self::Option(option) => option.conid,
            Self::Future(future) => future.conid,
        }
    }

    pub fn symbol(&self) -> &Symbol {
        match self {
            Self::Stock(stock) | Self::Index(stock) => &stock.symbol,
            Self::Option(option) => &option.symbol,
            Self::Future(future) => &future.symbol,
        }
    }

    pub fn kind(&self) -> SecurityKind {
        match self {
            Self::Stock(_) => SecurityKind::Stock,
            Self::Index(_) => SecurityKind::Index,
            Self::Option(_) => SecurityKind::Option,
            Self::Future(_) => SecurityKind::Future,
        }
    }

    /// Shares, or USD per point, a unit; 1 for stock.
    pub fn multiplier(&self) -> i64 {
        match self {
            Self::Stock(_) | Self::Index(_) => 1,
            Self::Option(option) => option.multiplier,
            Self::Future(future) => future.multiplier,
        }
    }
}

/// A stock, ETF or index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockContract {
    pub conid: ConId,
    pub symbol: Symbol,
}

/// The OSI symbol: root padded to six, date, right, strike in thousandths.
pub fn occ_symbol(root: &Symbol, expiry: NaiveDate, right: OptionRight, strike: Price) -> Arc<str> {
    let thousandths = strike.micros() / 1_000;
    Arc::from(format!(
        "{root:<6}{:02}{:02}{:02}{right}{thousandths:08}",
        expiry.year() % 100,
        expiry.month(),
        expiry.day(),
        root = root.as_str(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn occ_symbols_follow_the_osi_form() {
        let expiry = NaiveDate::from_ymd_opt(2026, 3, 20).unwrap();
        let strike = Price::from_f64(635.5).unwrap();
        let occ = occ_symbol(&"SPY".into(), expiry, OptionRight::Put, strike);
        assert_eq!(&*occ, "SPY   260320P00635500");
    }

    #[test]
    fn derived_ids_are_marked_and_stable() {
        let first = ConId::derived_from("SPY   260320P00635000");
        assert!(first.is_derived());
        assert_eq!(first, ConId::derived_from("SPY   260320P00635000"));
        assert_ne!(first, ConId::derived_from("SPY   260320C00635000"));
        assert!(!ConId(756_733).is_derived());
    }

    #[test]
    fn both_codings_of_the_right_are_read() {
        assert_eq!("CALL".parse(), Ok(OptionRight::Call));
        assert_eq!("P".parse(), Ok(OptionRight::Put));
        assert!("call".parse::<OptionRight>().is_err());
    }
}
