//! Rows of the journal as values, and the reading of them.

use std::str::FromStr;

use chrono::{DateTime, NaiveDate};
use rusqlite::Row;

use crate::market::{ConId, Price, Timestamp, Usd};
use crate::structures::{OrderLeg, OrderRef, OrderState, Purpose};

use super::{Journal, JournalError};

/// Where a strategy stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StrategyState {
    /// Its opening order has not filled yet.
    Opening,
    Open,
    /// Nothing of it is held any more.
    Closed,
    /// Its opening order ended without a fill.
    Dropped,
}

impl StrategyState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Dropped => "dropped",
        }
    }
}

impl FromStr for StrategyState {
    type Err = JournalError;

    fn from_str(text: &str) -> Result<Self, JournalError> {
        match text {
            "opening" => Ok(Self::Opening),
            "open" => Ok(Self::Open),
            "closed" => Ok(Self::Closed),
            "dropped" => Ok(Self::Dropped),
            other => Err(JournalError::Unreadable(other.to_owned())),
        }
    }
}

/// An order as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderRow {
    pub order_ref: OrderRef,
    pub decision_id: String,
    pub strategy_id: String,
    pub purpose: Purpose,
    pub state: OrderState,
    pub legs: Vec<OrderLeg>,
    pub quantity: i64,
    pub filled_quantity: i64,
    pub limit: Option<Price>,
    pub worst: Option<Price>,
    pub arrival_mid: Option<Price>,
    /// Sum of fill quantity x net price.
    pub filled_value: Price,
    pub perm_id: Option<i64>,
    pub reason: String,
    pub created_at: Timestamp,
    pub changed_at: Timestamp,
    pub change_seq: i64,
}

/// A strategy as it stands. Amounts are USD for the whole quantity, received positive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StrategyRow {
    pub strategy_id: String,
    pub symbol: String,
    pub structure: String,
    pub state: StrategyState,
    /// Combos open.
    pub quantity: i64,
    pub opened_quantity: i64,
    /// Cash of all opening executions, commissions included.
    pub opening_cash: Usd,
    /// Cash of the part still open.
    pub open_basis: Usd,
    pub realised: Usd,
    pub commissions: Usd,
    /// Of one combo, at the worst price, fees included.
    pub max_loss_each: Usd,
    pub margin_each: Usd,
    pub close_rule: Option<String>,
    pub opened_at: Option<Timestamp>,
    pub closed_at: Option<Timestamp>,
    pub changed_at: Timestamp,
    pub change_seq: i64,
}

/// One contract that a strategy holds or held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegRow {
    pub strategy_id: String,
    pub conid: ConId,
    pub occ_symbol: Option<String>,
    pub symbol: String,
    pub security_kind: String,
    pub expiry_date: Option<NaiveDate>,
    pub strike: Option<Price>,
    pub option_right: Option<String>,
    pub multiplier: i64,
    /// Per combo as opened; 0 for what came by delivery.
    pub ratio: i64,
    /// Contracts or shares held, long positive.
    pub quantity: i64,
    /// Cash of what is still held.
    pub cash: Usd,
    pub change_seq: i64,
}

/// The best profit of a strategy.
#[derive(Debug, Clone, PartialEq)]
pub struct PeakRow {
    pub strategy_id: String,
    pub peak_pnl: Usd,
    pub peak_pnl_ratio: f64,
    pub peaked_at: Timestamp,
    pub change_seq: i64,
}

/// An alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertRow {
    pub alert_id: String,
    /// `info`, `warning` or `critical`.
    pub severity: String,
    pub subject: String,
    pub message: String,
    pub raised_at: Timestamp,
}

/// Everything that changed after a number, in the order of change.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    pub orders: Vec<OrderRow>,
    pub strategies: Vec<StrategyRow>,
    pub legs: Vec<LegRow>,
    pub peaks: Vec<PeakRow>,
    pub alerts: Vec<AlertRow>,
}

impl Journal {
    /// Every change after change number `after`, in order; a row of a table is as it stood when the
    /// transaction that changed it ended.
    pub fn changes_since(&self, after: i64) -> Result<Changes, JournalError> {
        let all = |table: &str| {
            format!("select * from {table} where change_seq > ?1 order by change_seq")
        };
        Ok(Changes {
            orders: self.select(&all("order_changes"), after, order_row)?,
            strategies: self.select(&all("strategy_changes"), after, strategy_row)?,
            legs: self.select(&all("leg_changes"), after, leg_row)?,
            peaks: self.select(&all("peak_changes"), after, peak_row)?,
            alerts: self.select(&all("alerts"), after, alert_row)?,
        })
    }

    pub(super) fn select<T>(
        &self,
        sql: &str,
        after: i64,
        read: impl Fn(&Row<'_>) -> Result<T, JournalError>,
    ) -> Result<Vec<T>, JournalError> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([after])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(read(row)?);
        }
        Ok(found)
    }

    /// All orders, oldest first.
    pub fn orders(&self) -> Result<Vec<OrderRow>, JournalError> {
        self.select(
            &format!("{ORDERS} where change_seq > ?1 order by created_at, order_ref"),
            0,
            order_row,
        )
    }

    /// One order.
    pub fn order(&self, order_ref: &OrderRef) -> Result<Option<OrderRow>, JournalError> {
        let mut statement =
            self.connection.prepare_cached("select * from orders where order_ref = ?1")?;
        let mut rows = statement.query([order_ref.as_str()])?;
        rows.next()?.map(order_row).transpose()
    }

    /// Orders of which something may still come, oldest first.
    pub fn open_orders(&self) -> Result<Vec<OrderRow>, JournalError> {
        let tail = "where state in ('proposed', 'approved', 'sent', 'working', 'unknown')
            and change_seq > ?1 order by created_at, order_ref";
        self.select(&format!("{ORDERS} {tail}"), 0, order_row)
    }

    /// All strategies, in order of their latest change.
    pub fn strategies(&self) -> Result<Vec<StrategyRow>, JournalError> {
        let tail = "where change_seq > ?1 order by changed_at, strategy_id";
        self.select(&format!("{STRATEGIES} {tail}"), 0, strategy_row)
    }

    /// Strategies that hold something or are being opened, in order of id.
    pub fn open_strategies(&self) -> Result<Vec<StrategyRow>, JournalError> {
        let tail = "where state in ('opening', 'open') and change_seq > ?1 order by strategy_id";
        self.select(&format!("{STRATEGIES} {tail}"), 0, strategy_row)
    }

    /// All legs that any strategy ever held.
    pub fn legs(&self) -> Result<Vec<LegRow>, JournalError> {
        let tail = "where change_seq > ?1 order by strategy_id, conid";
        self.select(&format!("{LEGS} {tail}"), 0, leg_row)
    }

    /// All legs that are still held.
    pub fn held_legs(&self) -> Result<Vec<LegRow>, JournalError> {
        let tail = "where change_seq > ?1 and quantity <> 0 order by strategy_id, conid";
        self.select(&format!("{LEGS} {tail}"), 0, leg_row)
    }
}

const ORDERS: &str = "select * from orders";
const LEGS: &str = "select * from strategy_legs";
const STRATEGIES: &str = "select strategies.*, coalesce((select sum(cash) from strategy_legs
    where strategy_legs.strategy_id = strategies.strategy_id), 0) as open_basis from strategies";

/// `conid:ratio` pairs, joined by spaces.
pub fn legs_text(legs: &[OrderLeg]) -> String {
    let pairs: Vec<String> =
        legs.iter().map(|leg| format!("{}:{}", leg.conid, leg.ratio)).collect();
    pairs.join(" ")
}

pub(super) fn legs_of(text: &str) -> Result<Vec<OrderLeg>, JournalError> {
    let bad = || JournalError::Unreadable(text.to_owned());
    text.split_whitespace()
        .map(|pair| {
            let (conid, ratio) = pair.split_once(':').ok_or_else(bad)?;
            Ok(OrderLeg {
                conid: ConId(conid.parse().map_err(|_| bad())?),
                ratio: ratio.parse().map_err(|_| bad())?,
            })
        })
        .collect()
}

fn at(micros: i64) -> Result<Timestamp, JournalError> {
    DateTime::from_timestamp_micros(micros)
        .ok_or_else(|| JournalError::Unreadable(micros.to_string()))
}

pub(super) fn instant(row: &Row<'_>, column: &str) -> Result<Timestamp, JournalError> {
    at(row.get(column)?)
}

fn maybe_instant(row: &Row<'_>, column: &str) -> Result<Option<Timestamp>, JournalError> {
    row.get::<_, Option<i64>>(column)?.map(at).transpose()
}

fn usd(row: &Row<'_>, column: &str) -> Result<Usd, JournalError> {
    Ok(Usd::from_micros(row.get(column)?))
}

fn maybe_price(row: &Row<'_>, column: &str) -> Result<Option<Price>, JournalError> {
    Ok(row.get::<_, Option<i64>>(column)?.map(Price::from_micros))
}

/// The state that a text of the journal names.
pub fn order_state(text: &str) -> Result<OrderState, JournalError> {
    [
        OrderState::Proposed,
        OrderState::Denied,
        OrderState::Approved,
        OrderState::Sent,
        OrderState::Working,
        OrderState::Filled,
        OrderState::Cancelled,
        OrderState::Rejected,
        OrderState::Unknown,
    ]
    .into_iter()
    .find(|state| state.as_str() == text)
    .ok_or_else(|| JournalError::Unreadable(text.to_owned()))
}

fn order_row(row: &Row<'_>) -> Result<OrderRow, JournalError> {
    let order_ref: String = row.get("order_ref")?;
    let order_ref: OrderRef =
        order_ref.parse().map_err(|_| JournalError::Unreadable(order_ref.clone()))?;
    let purpose = order_ref.purpose();
    Ok(OrderRow {
        order_ref,
        purpose,
        decision_id: row.get("decision_id")?,
        strategy_id: row.get("strategy_id")?,
        state: order_state(&row.get::<_, String>("state")?)?,
        legs: legs_of(&row.get::<_, String>("legs")?)?,
        quantity: row.get("quantity")?,
        filled_quantity: row.get("filled_quantity")?,
        limit: maybe_price(row, "limit_price")?,
        worst: maybe_price(row, "worst_price")?,
        arrival_mid: maybe_price(row, "arrival_mid")?,
        filled_value: Price::from_micros(row.get("filled_value")?),
        perm_id: row.get("perm_id")?,
        reason: row.get("reason")?,
        created_at: instant(row, "created_at")?,
        changed_at: instant(row, "changed_at")?,
        change_seq: row.get("change_seq")?,
    })
}

fn strategy_row(row: &Row<'_>) -> Result<StrategyRow, JournalError> {
    Ok(StrategyRow {
        strategy_id: row.get("strategy_id")?,
        symbol: row.get("symbol")?,
        structure: row.get("structure")?,
        state: row.get::<_, String>("state")?.parse()?,
        quantity: row.get("quantity")?,
        opened_quantity: row.get("opened_quantity")?,
        opening_cash: usd(row, "opening_cash")?,
        open_basis: usd(row, "open_basis")?,
        realised: usd(row, "realised")?,
        commissions: usd(row, "commissions")?,
        max_loss_each: usd(row, "max_loss_each")?,
        margin_each: usd(row, "margin_each")?,
        close_rule: row.get("close_rule")?,
        opened_at: maybe_instant(row, "opened_at")?,
        closed_at: maybe_instant(row, "closed_at")?,
        changed_at: instant(row, "changed_at")?,
        change_seq: row.get("change_seq")?,
    })
}

fn leg_row(row: &Row<'_>) -> Result<LegRow, JournalError> {
    let expiry: Option<String> = row.get("expiry_date")?;
    let expiry_date = expiry
        .map(|text| text.parse().map_err(|_| JournalError::Unreadable(text.clone())))
        .transpose()?;
    Ok(LegRow {
        strategy_id: row.get("strategy_id")?,
        conid: ConId(row.get("conid")?),
        occ_symbol: row.get("occ_symbol")?,
        symbol: row.get("symbol")?,
        security_kind: row.get("security_kind")?,
        expiry_date,
        strike: maybe_price(row, "strike")?,
        option_right: row.get("option_right")?,
        multiplier: row.get("multiplier")?,
        ratio: row.get("ratio")?,
        quantity: row.get("quantity")?,
        cash: usd(row, "cash")?,
        change_seq: row.get("change_seq")?,
    })
}

fn peak_row(row: &Row<'_>) -> Result<PeakRow, JournalError> {
    Ok(PeakRow {
        strategy_id: row.get("strategy_id")?,
        peak_pnl: usd(row, "peak_pnl")?,
        peak_pnl_ratio: row.get("peak_pnl_ratio")?,
        peaked_at: instant(row, "peaked_at")?,
        change_seq: row.get("change_seq")?,
    })
}

pub(super) fn alert_row(row: &Row<'_>) -> Result<AlertRow, JournalError> {
    Ok(AlertRow {
        alert_id: row.get("alert_id")?,
        severity: row.get("severity")?,
        subject: row.get("subject")?,
        message: row.get("message")?,
        raised_at: instant(row, "raised_at")?,
    })
}
