//! The journal copied to `ops.*`, so that rules and people read state where they read everything.

use std::collections::BTreeSet;

use crate::journal::{AlertRow, Changes, LegRow, OrderRow, PeakRow, StrategyRow};
use crate::lake::{Cell, TableName};
use crate::market::{Price, Timestamp, Usd};
use crate::pipeline::StepContext;
use crate::pipeline::{deliver, ops_stamp};

use super::Trader;

const ORDERS: [&str; 20] = [
    "order_ref",
    "change_seq",
    "decision_id",
    "strategy_id",
    "purpose",
    "state",
    "legs",
    "quantity",
    "filled_quantity",
    "limit_price",
    "worst_price",
    "arrival_mid",
    "average_fill_price",
    "perm_id",
    "reason",
    "created_at",
    "changed_at",
    "as_of",
    "run_id",
    "session_date",
];

const STRATEGIES: [&str; 20] = [
    "strategy_id",
    "change_seq",
    "symbol",
    "structure",
    "state",
    "quantity",
    "opened_quantity",
    "opening_cash_usd",
    "open_basis_usd",
    "realised_usd",
    "commissions_usd",
    "max_loss_usd",
    "margin_usd",
    "close_rule",
    "opened_at",
    "closed_at",
    "changed_at",
    "as_of",
    "run_id",
    "session_date",
];

const LEGS: [&str; 16] = [
    "strategy_id",
    "conid",
    "change_seq",
    "occ_symbol",
    "symbol",
    "security_kind",
    "expiry_date",
    "strike_usd",
    "option_right",
    "multiplier",
    "ratio",
    "quantity",
    "cash_usd",
    "as_of",
    "run_id",
    "session_date",
];

const PEAKS: [&str; 7] = [
    "strategy_id",
    "peak_pnl_usd",
    "peak_pnl_ratio",
    "peaked_at",
    "as_of",
    "run_id",
    "session_date",
];

const ALERTS: [&str; 7] =
    ["alert_id", "severity", "subject", "message", "as_of", "run_id", "session_date"];

/// What of the journal has been copied.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Published {
    /// Up to here nothing is left to copy.
    pub through: i64,
    /// What the lake holds beyond that. A process that was killed had written some tables, and had
    /// not come to others.
    pub held: HeldCopies,
}

/// Copies in the lake: the newest change of each table that is numbered, and which rows of others.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeldCopies {
    pub orders: i64,
    pub strategies: i64,
    pub legs: i64,
    pub alerts: BTreeSet<String>,
    /// Strategy and instant of each peak.
    pub peaks: BTreeSet<(String, Timestamp)>,
}

impl HeldCopies {
    fn keep_new(&self, changes: &mut Changes) {
        changes.orders.retain(|row| row.change_seq > self.orders);
        changes.strategies.retain(|row| row.change_seq > self.strategies);
        changes.legs.retain(|row| row.change_seq > self.legs);
        changes.alerts.retain(|row| !self.alerts.contains(&row.alert_id));
        changes.peaks.retain(|row| !self.peaks.contains(&(row.strategy_id.clone(), row.peaked_at)));
    }
}

impl<B> Trader<B> {
    /// Copies what changed since the last copy, also of an earlier process.
    pub fn publish(&mut self, context: &mut StepContext<'_>) -> anyhow::Result<()> {
        let (mut changes, last) = {
            let journal = self.journal.borrow();
            (journal.changes_since(self.published.through)?, journal.last_change()?)
        };
        self.published.held.keep_new(&mut changes);
        let run = context.run.clone();
        let stamped = |mut row: Vec<Cell>| {
            row.extend(ops_stamp(&run));
            row
        };
        let orders: Vec<_> = changes.orders.iter().map(|row| stamped(order_cells(row))).collect();
        deliver(context, &ops("orders"), &ORDERS, &orders)?;
        let strategies: Vec<_> =
            changes.strategies.iter().map(|row| stamped(strategy_cells(row))).collect();
        deliver(context, &ops("strategies"), &STRATEGIES, &strategies)?;
        let legs: Vec<_> = changes.legs.iter().map(|row| stamped(leg_cells(row))).collect();
        deliver(context, &ops("strategy_legs"), &LEGS, &legs)?;
        let peaks: Vec<_> = changes.peaks.iter().map(|row| stamped(peak_cells(row))).collect();
        deliver(context, &ops("peaks"), &PEAKS, &peaks)?;
        let alerts: Vec<_> = changes.alerts.iter().map(|row| stamped(alert_cells(row))).collect();
        deliver(context, &ops("alerts"), &ALERTS, &alerts)?;
        self.published = Published { through: last, held: HeldCopies::default() };
        Ok(())
    }
}

fn ops(name: &str) -> TableName {
    TableName::new("ops", name)
}

/// The average net price of what filled, credit negative.
fn average_fill(row: &OrderRow) -> Option<Price> {
    (row.filled_quantity > 0).then(|| {
        Price::new(row.filled_value.decimal() / rust_decimal::Decimal::from(row.filled_quantity))
    })
}

fn order_cells(row: &OrderRow) -> Vec<Cell> {
    let legs: Vec<String> =
        row.legs.iter().map(|leg| format!("{}:{}", leg.conid, leg.ratio)).collect();
    vec![
        row.order_ref.as_str().into(),
        row.change_seq.into(),
        row.decision_id.clone().into(),
        row.strategy_id.clone().into(),
        row.purpose.as_str().into(),
        row.state.as_str().into(),
        legs.join(" ").into(),
        row.quantity.into(),
        row.filled_quantity.into(),
        row.limit.into(),
        row.worst.into(),
        row.arrival_mid.into(),
        average_fill(row).into(),
        row.perm_id.into(),
        row.reason.clone().into(),
        row.created_at.into(),
        row.changed_at.into(),
    ]
}

fn strategy_cells(row: &StrategyRow) -> Vec<Cell> {
    let open = |each: Usd| each.times(row.quantity);
    vec![
        row.strategy_id.clone().into(),
        row.change_seq.into(),
        row.symbol.clone().into(),
        row.structure.clone().into(),
        row.state.as_str().into(),
        row.quantity.into(),
        row.opened_quantity.into(),
        row.opening_cash.into(),
        row.open_basis.into(),
        row.realised.into(),
        row.commissions.into(),
        open(row.max_loss_each).into(),
        open(row.margin_each).into(),
        row.close_rule.clone().into(),
        row.opened_at.into(),
        row.closed_at.into(),
        row.changed_at.into(),
    ]
}

fn leg_cells(row: &LegRow) -> Vec<Cell> {
    vec![
        row.strategy_id.clone().into(),
        row.conid.0.into(),
        row.change_seq.into(),
        row.occ_symbol.clone().into(),
        row.symbol.clone().into(),
        row.security_kind.clone().into(),
        row.expiry_date.into(),
        row.strike.into(),
        row.option_right.clone().into(),
        row.multiplier.into(),
        row.ratio.into(),
        row.quantity.into(),
        row.cash.into(),
    ]
}

fn peak_cells(row: &PeakRow) -> Vec<Cell> {
    vec![
        row.strategy_id.clone().into(),
        row.peak_pnl.into(),
        row.peak_pnl_ratio.into(),
        row.peaked_at.into(),
    ]
}

fn alert_cells(row: &AlertRow) -> Vec<Cell> {
    vec![
        row.alert_id.clone().into(),
        row.severity.clone().into(),
        row.subject.clone().into(),
        row.message.clone().into(),
    ]
}
