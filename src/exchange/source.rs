//! What the exchange asks of a market: contracts, quotes, settlement values and reference data.
//!
//! Two markets stand behind it: the synthetic one, which knows everything, and a recorded one,
//! which has option rows only and answers `None` to what its record does not hold (a spot, a
//! future, a fair value).
//!
//! Invariants: time moves only forward and only by [`MarketSource::advance_to`]; what a market
//! answers is a function of its seed or record and of the instant reached, never of who asked what
//! before; reading changes nothing. Lists are totally ordered.
//!
//! It deliberately knows nothing of orders, accounts and margin: those belong to the engine.

use std::sync::Arc;

use chrono::{NaiveDate, TimeDelta};

use crate::market::{
    ConId, FutureContract, FutureQuote, Instrument, OptionContract, OptionQuote, Price, Symbol,
    Timestamp, UnderlyingQuote, VendorGreeks,
};

/// A market that the exchange trades on.
pub trait MarketSource: Send {
    /// What the header of each report says about this market.
    fn description(&self) -> &MarketDescription;

    /// The instant reached.
    fn now(&self) -> Timestamp;

    /// Moves time forward. An instant that is not later changes nothing.
    fn advance_to(&mut self, at: Timestamp);

    /// When this market ends for good; `None` for one that goes on for ever.
    fn over_at(&self) -> Option<Timestamp> {
        None
    }

    /// The underlyings: ETFs and indices.
    fn underlyings(&self) -> Vec<Instrument>;

    /// The options of an underlying that are listed now and not past their last trade, by expiry,
    /// strike, right. Empty for an underlying without options.
    fn option_contracts(&self, symbol: &Symbol) -> Vec<Arc<OptionContract>>;

    /// The futures that are listed now, by root and expiry.
    fn futures(&self) -> Vec<Arc<FutureContract>>;

    /// Any contract that is listed or has expired within the last weeks.
    fn contract(&self, conid: ConId) -> Option<Instrument>;

    /// Whether the instrument's own market is in its trading session now; a halt does not count
    /// as closed.
    fn is_open(&self, conid: ConId) -> bool;

    /// Whether trading is halted now. The options of a halted underlying are halted with it.
    fn is_halted(&self, symbol: &Symbol) -> bool;

    /// The quote standing now; `None` when unknown, closed or halted. `quoted_at` is the quote's
    /// own stamp where the venue gives one.
    fn option_quote(&self, conid: ConId) -> Option<OptionQuote>;

    /// As [`Self::option_quote`]. An index has a last value and no sides.
    fn underlying_quote(&self, symbol: &Symbol) -> Option<UnderlyingQuote>;

    /// As [`Self::option_quote`].
    fn future_quote(&self, conid: ConId) -> Option<FutureQuote>;

    /// The instant at which the quote standing now was received, for markets whose venue stamps
    /// nothing. Staleness is judged by it.
    fn quote_received_at(&self, conid: ConId) -> Option<Timestamp>;

    /// The model's own value in the unit of a quote, for adverse selection in matching. Never
    /// shown to the desk. `None` where the market has no model, and after expiry.
    fn fair_value(&self, conid: ConId) -> Option<f64>;

    /// What the contract settles against: for an option, the value of its underlying (the ETF's
    /// official close of the expiry date, the index's opening print); for a future, its final
    /// settlement. `None` until that value exists.
    fn settlement(&self, conid: ConId) -> Option<SettlementValue>;

    /// The official mark of a session: an ETF's closing print, an index's last value, a future's
    /// daily settlement, an option's mid at the close of its underlying. `None` before it exists
    /// and for contracts that were not listed then.
    fn official_mark(&self, conid: ConId, session: NaiveDate) -> Option<Price>;

    /// How strained the underlying's market is: 0 in ordinary conditions; spreads are 1 + stress
    /// times their ordinary width. A market without a model measures it on its quotes or says 0.
    fn stress(&self, symbol: &Symbol) -> f64;

    /// Published rates, by maturity. Empty where the market publishes none.
    fn rates(&self) -> Vec<RateRow>;

    /// Published dividends of the past year and of the time ahead, by symbol and ex-date.
    fn dividends(&self) -> Vec<DividendRow>;

    /// Published events, by instant.
    fn events(&self) -> Vec<EventRow>;

    /// Daily bars of the sessions before the market's first one, by session and symbol.
    fn history(&self) -> Vec<DailyBar>;

    /// The bar of one session, once that session's close is reached.
    fn daily_bar(&self, symbol: &Symbol, session: NaiveDate) -> Option<DailyBar>;

    /// What was quoted of a contract at the instants of the market's own grid within a span, oldest
    /// first and as far back as the market remembers; nothing where it was closed or halted. Empty
    /// from a market that does not remember.
    fn past_quotes(&self, conid: ConId, span: &PastSpan) -> Vec<PastQuote>;

    /// The rows of a recorded chain delivered since the last call, in order of delivery. `None`
    /// from a market that can be asked for any quote at any time.
    fn take_rows(&mut self) -> Option<Vec<DeliveredRow>>;
}

/// A stretch of the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PastSpan {
    /// Not included.
    pub after: Timestamp,
    /// Included.
    pub until: Timestamp,
    /// Of each step of this length, counted from the epoch, the first quote only; all of them at 0.
    pub every: TimeDelta,
}

/// A quote that stood.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PastQuote {
    pub at: Timestamp,
    pub bid: Option<Price>,
    pub ask: Option<Price>,
    pub last: Option<Price>,
    pub bid_size: Option<i64>,
    pub ask_size: Option<i64>,
    /// Since the session began.
    pub volume: Option<i64>,
    /// Of an option.
    pub vendor: VendorGreeks,
}

/// What the header of each report says about the market.
#[derive(Debug, Clone, PartialEq)]
pub struct MarketDescription {
    /// `synthetic`, `synthetic:fair`, `recorded:<folder>`.
    pub name: String,
    /// The seed of a synthetic market.
    pub seed: Option<u64>,
    /// The session on which trading begins.
    pub first_session: NaiveDate,
    /// Implied variance over the variance that the same generator delivers; 1 is fair. `None`
    /// where it is not assumed but recorded.
    pub variance_premium: Option<f64>,
    /// By how much futures lead the ETFs, seconds; `None` where unknown.
    pub futures_lead_seconds: Option<f64>,
    /// Sentences a reader must know, each complete.
    pub notes: Vec<String>,
}

/// What a contract settles against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SettlementValue {
    /// USD a share or index points.
    pub price: Price,
    /// When it became known.
    pub at: Timestamp,
}

/// A published rate.
#[derive(Debug, Clone, PartialEq)]
pub struct RateRow {
    pub maturity_date: NaiveDate,
    /// Continuous, a fraction a year, from now to the maturity.
    pub rate: f64,
    /// Standard error in the same unit, where the rate is measured.
    pub rate_error: Option<f64>,
    pub source: &'static str,
    pub valid_through: NaiveDate,
}

/// A published dividend.
#[derive(Debug, Clone, PartialEq)]
pub struct DividendRow {
    pub symbol: Symbol,
    pub ex_date: NaiveDate,
    /// USD a share.
    pub amount: Price,
    pub certainty: Certainty,
    pub source: &'static str,
    pub valid_through: NaiveDate,
}

/// Whether a dividend's amount has been declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Certainty {
    Declared,
    Estimated,
}

impl Certainty {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Declared => "declared",
            Self::Estimated => "estimated",
        }
    }
}

/// A published event that moves markets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    pub event_name: String,
    pub event_at: Timestamp,
    pub source: &'static str,
    pub valid_through: NaiveDate,
}

/// What kind of prices a bar holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PriceBasis {
    /// As they were traded.
    Raw,
    /// Put back to what was traded from dividend-adjusted ones.
    Restored,
    /// Less dividends paid since.
    DividendAdjusted,
    /// Of a part of the session.
    PartialDay,
}

impl PriceBasis {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Restored => "restored",
            Self::DividendAdjusted => "dividend_adjusted",
            Self::PartialDay => "partial_day",
        }
    }
}

/// One session of one symbol. A future's bar is that of its front contract.
#[derive(Debug, Clone, PartialEq)]
pub struct DailyBar {
    pub symbol: Symbol,
    pub session: NaiveDate,
    pub open: Price,
    pub high: Price,
    pub low: Price,
    pub close: Price,
    /// Shares or contracts; `None` for an index.
    pub volume: Option<i64>,
    /// 30-day at-the-money implied volatility at the close, a fraction a year; `None` where the
    /// symbol has no options.
    pub implied_vol: Option<f64>,
    pub basis: PriceBasis,
}

/// One row of a recorded chain as it was delivered.
#[derive(Debug, Clone, PartialEq)]
pub struct DeliveredRow {
    pub contract: Arc<OptionContract>,
    /// The right as the record codes it: `C`, `P`, `CALL`, `PUT`.
    pub right_text: String,
    /// As stored, sentinels included.
    pub quote: OptionQuote,
    pub received_at: Timestamp,
    /// The sweep that the stamps of the whole record put this row in.
    pub sweep_id: String,
    /// Fields of the record that the quote's types cannot hold, as text.
    pub unrepresentable: Option<String>,
}
