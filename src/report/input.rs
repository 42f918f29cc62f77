//! What a daily report is made of: plain values, as the desk's tables have them.
//!
//! Money is decimal and in USD; Greeks of strategies and of the book are those of the desk's whole
//! position (units in the field names), Greeks of legs are a share. Nothing here is formatted, and
//! the order of rows is of no account: the report sorts. `None` is "not known" and is printed as
//! such.

use chrono::{NaiveDate, TimeDelta};
use rust_decimal::Decimal;

use crate::market::Timestamp;

/// One trading day of the desk.
#[derive(Debug, Clone, PartialEq)]
pub struct DailyReport {
    pub header: Header,
    pub market: MarketNote,
    /// At each session's close, the first session of the account first.
    pub equity: Vec<EquityPoint>,
    pub pnl: PnlDay,
    pub book: BookGreeks,
    pub strategies: Vec<StrategyRow>,
    pub decisions: Vec<DecisionRow>,
    pub refusals: Vec<RefusalRow>,
    pub orders: Vec<OrderRow>,
    pub limits: Vec<LimitUse>,
    pub stresses: Vec<Stress>,
    pub smiles: Vec<Smile>,
    pub sources: Vec<SourceHealth>,
    pub quarantine: Vec<QuarantineRow>,
    pub reconciliation: Reconciliation,
    pub alerts: Vec<AlertRow>,
    /// What the desk intends for the next session, a sentence each.
    pub tomorrow: Vec<String>,
}

/// Whose day it was and how the desk stood at its end.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    pub session_date: NaiveDate,
    pub account: String,
    /// `paper`, `live`, `replay`, ..
    pub mode: String,
    /// `observe`, `confirm` or `send`.
    pub orders_mode: String,
    /// The level of the breaker; `normal` is the one that asks for nothing.
    pub breaker_level: String,
    pub breaker_reason: Option<String>,
    /// The instant that every number is as of.
    pub as_of: Timestamp,
    pub code_version: String,
}

/// Where the quotes and the fills came from.
#[derive(Debug, Clone, PartialEq)]
pub struct MarketNote {
    pub kind: MarketKind,
    /// One or two sentences on the market.
    pub description: String,
    /// One or two sentences on how orders are filled.
    pub fills: String,
}

/// The kinds of market a day may have been traded in.
#[derive(Debug, Clone, PartialEq)]
pub enum MarketKind {
    /// Implied variance is `variance_premium` times the expectation under the same generator.
    Synthetic {
        seed: u64,
        variance_premium: f64,
    },
    Recorded,
    Live,
}

/// The account's equity at a session's close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EquityPoint {
    pub session_date: NaiveDate,
    pub equity_usd: Decimal,
}

/// The day's profit and loss, and the account's so far.
#[derive(Debug, Clone, PartialEq)]
pub struct PnlDay {
    /// Deposits and withdrawals excluded.
    pub day_usd: Option<Decimal>,
    /// Of the equity at the session before.
    pub day_return_ratio: Option<f64>,
    pub realised_usd: Option<Decimal>,
    pub unrealised_usd: Option<Decimal>,
    /// Since the first session.
    pub total_usd: Option<Decimal>,
    /// Time-weighted, since the first session.
    pub total_return_ratio: Option<f64>,
    /// The deepest fall from a peak since the first session, zero or negative.
    pub max_drawdown_ratio: Option<f64>,
    /// Deposits less withdrawals of the day.
    pub external_flows_usd: Decimal,
    /// What the day's P&L is made of, in the order to show: delta, gamma, .., residual.
    pub parts: Vec<PnlPart>,
    /// A residual beyond this asks for attention.
    pub residual_limit_usd: Option<Decimal>,
}

/// One part of the day's P&L.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PnlPart {
    pub kind: PnlPartKind,
    pub usd: Decimal,
}

/// What moves a book's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PnlPartKind {
    Delta,
    Gamma,
    Vega,
    Theta,
    Rho,
    Roll,
    Fees,
    Interest,
    Dividends,
    Residual,
}

/// Sensitivities of a whole position, in USD.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Greeks {
    /// Value of the shares that move alike.
    pub delta_usd: Option<f64>,
    /// Change of `delta_usd` for a move of 1 %.
    pub gamma_usd_1pct: Option<f64>,
    /// Per volatility point.
    pub vega_usd: Option<f64>,
    /// Per calendar day.
    pub theta_usd: Option<f64>,
}

/// The book's sensitivities.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct BookGreeks {
    pub greeks: Greeks,
    /// Beta-weighted delta in shares of SPY.
    pub beta_delta_spy_shares: Option<f64>,
    /// The book's worst loss on the scenario grid, zero or negative.
    pub worst_case_usd: Option<Decimal>,
}

/// One strategy as it stood at the close, or as it was closed during the day.
#[derive(Debug, Clone, PartialEq)]
pub struct StrategyRow {
    pub strategy_id: String,
    pub symbol: String,
    /// `iron condor`, `put vertical`, ..
    pub structure: String,
    /// `open`, `closing`, `closed`, ..
    pub state: String,
    pub opened_date: NaiveDate,
    pub expiry_date: Option<NaiveDate>,
    /// Combos; negative where the structure is sold as defined.
    pub quantity: i64,
    /// Cash at the opening, credit positive, fees included.
    pub entry_cash_usd: Decimal,
    pub pnl_usd: Option<Decimal>,
    /// How far the mark may be off, either side.
    pub mark_error_usd: Option<Decimal>,
    /// P&L over the credit or debit of the quantity still open.
    pub pnl_ratio: Option<f64>,
    /// Positive.
    pub max_loss_usd: Option<Decimal>,
    pub greeks: Greeks,
    pub legs: Vec<LegRow>,
    pub payoff: Option<Payoff>,
    /// What will end the strategy next, in words.
    pub next_exit: Option<String>,
}

/// One leg of a strategy.
#[derive(Debug, Clone, PartialEq)]
pub struct LegRow {
    /// Contracts or shares, short negative.
    pub quantity: i64,
    /// `put 540`, `call 580`, `shares`, ..
    pub contract: String,
    pub expiry_date: Option<NaiveDate>,
    /// USD a share.
    pub mark_usd: Option<Decimal>,
    /// A fraction, 0.2 is 20 %.
    pub implied_volatility: Option<f64>,
    /// A share.
    pub delta: Option<f64>,
}

/// A strategy's P&L in USD against the price of its underlying.
#[derive(Debug, Clone, PartialEq)]
pub struct Payoff {
    pub spot_usd: f64,
    /// (underlying, P&L) at the first expiry, by underlying.
    pub at_expiry: Vec<(f64, f64)>,
    /// (underlying, P&L) at the close of the day, by underlying; may be empty.
    pub today: Vec<(f64, f64)>,
}

/// One decision with its reason.
#[derive(Debug, Clone, PartialEq)]
pub struct DecisionRow {
    pub decision_id: String,
    pub decided_at: Timestamp,
    pub subject: String,
    /// `open`, `close`, `reduce`, `roll`, `adjust`, `hedge`.
    pub action: String,
    pub rule: String,
    /// 0 calm .. 3 emergency.
    pub urgency: i64,
    /// Of the position, in (0, 1].
    pub fraction: Option<f64>,
    pub reason: String,
    /// What became of it: `filled`, `refused`, `observed only`, ..
    pub outcome: String,
}

/// Something that was refused: by the risk gate, or by an entry's own conditions.
#[derive(Debug, Clone, PartialEq)]
pub struct RefusalRow {
    pub refused_at: Timestamp,
    pub order_ref: String,
    pub subject: String,
    pub checks: Vec<FailedCheck>,
}

/// A check that did not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedCheck {
    pub check: String,
    /// `fail` or `unevaluable`.
    pub result: String,
    /// Value and limit as the check words them.
    pub reason: String,
}

/// An order and what came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct OrderRow {
    pub order_ref: String,
    pub sent_at: Timestamp,
    pub subject: String,
    /// `open`, `close`, `roll`, `repair`, `hedge`.
    pub purpose: String,
    /// In words, as `buy 2 iron condor 540/550/590/600`.
    pub what: String,
    pub quantity: i64,
    pub filled_quantity: i64,
    /// `filled`, `cancelled`, `rejected`, `unknown`, ..
    pub status: String,
    /// USD a share, credit negative, like the next two.
    pub arrival_mid_usd: Option<Decimal>,
    pub last_limit_usd: Option<Decimal>,
    pub fill_price_usd: Option<Decimal>,
    pub fees_usd: Option<Decimal>,
    /// Move of the mid after the fill, in our favour positive, USD a share.
    pub markout_1m_usd: Option<Decimal>,
    pub markout_10m_usd: Option<Decimal>,
}

/// One limit and how much of it is used.
#[derive(Debug, Clone, PartialEq)]
pub struct LimitUse {
    pub name: String,
    pub unit: LimitUnit,
    pub kind: LimitKind,
    /// Judged by its size, whatever its sign; nothing where it cannot be evaluated.
    pub used: Option<f64>,
    /// Positive; what is used may reach it and not pass it.
    pub limit: f64,
}

/// What being near a limit means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitKind {
    /// It should stay far; near it asks for attention.
    Guard,
    /// Sizing fills it up on purpose; only beyond it asks for attention.
    Budget,
}

/// How a limit's numbers read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitUnit {
    Usd,
    Ratio,
    Count,
}

/// What a historical move would do to the book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stress {
    /// `1987-10-19`, `2008-10`, ..
    pub name: String,
    pub pnl_usd: Option<Decimal>,
}

/// Implied volatility over strikes, one underlying.
#[derive(Debug, Clone, PartialEq)]
pub struct Smile {
    pub symbol: String,
    pub spot_usd: f64,
    pub curves: Vec<SmileCurve>,
}

/// One expiry of a smile.
#[derive(Debug, Clone, PartialEq)]
pub struct SmileCurve {
    pub expiry_date: NaiveDate,
    /// (strike, volatility as a fraction), by strike.
    pub points: Vec<(f64, f64)>,
}

/// How complete and fresh one source of data was for one symbol.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceHealth {
    pub source: String,
    pub symbol: String,
    pub expected_rows: u64,
    pub received_rows: u64,
    pub quarantined_rows: u64,
    /// Received over expected below this asks for attention.
    pub required_ratio: f64,
    pub last_at: Option<Timestamp>,
    /// The oldest that the data was while it was needed.
    pub worst_age: Option<TimeDelta>,
    pub allowed_age: TimeDelta,
}

/// Rows of one source and symbol that were set aside, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantineRow {
    pub source: String,
    pub symbol: String,
    pub reason: String,
    pub rows: u64,
}

/// The desk's books against the broker's.
#[derive(Debug, Clone, PartialEq)]
pub struct Reconciliation {
    /// Nothing where it was never done.
    pub checked_at: Option<Timestamp>,
    pub matched_items: u64,
    pub differences: Vec<DifferenceRow>,
}

/// One difference between the books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DifferenceRow {
    /// `missing`, `extra`, `quantity`, `assignment`, `expiry`, `cash`, ..
    pub kind: String,
    pub subject: String,
    pub ours: String,
    pub brokers: String,
    pub state: DifferenceState,
}

/// What became of a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DifferenceState {
    Healed,
    Open,
}

/// One alert of the day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertRow {
    pub raised_at: Timestamp,
    pub severity: Severity,
    pub title: String,
    pub text: String,
    pub state: AlertState,
}

/// How much an alert matters, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Info,
    Warning,
    Critical,
}

/// Whether an alert still stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlertState {
    Open,
    Cleared,
}
