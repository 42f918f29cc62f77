//! The broker's news: into bronze as it came, into the journal as what it means.

use crate::broker::{Broker, BrokerEvent, Feed, Gap, Stream};
use crate::journal::{Applied, JournalError};
use crate::lake::{Cell, TableName};
use crate::market::{ConId, Instrument};
use crate::pipeline::StepContext;
use crate::pipeline::deliver;
use crate::structures::{Execution, ExecutionKind, OrderEvent};

use super::{Alert, Trader};

const ORDER_EVENTS: [&str; 12] = [
    "order_ref",
    "perm_id",
    "status",
    "filled_quantity",
    "remaining_quantity",
    "limit_price",
    "reason",
    "occurred_at",
    "received_at",
    "ingest_seq",
    "run_id",
    "session_date",
];

const EXECUTIONS: [&str; 18] = [
    "exec_id",
    "order_ref",
    "perm_id",
    "group_id",
    "execution_kind",
    "conid",
    "symbol",
    "security_kind",
    "quantity",
    "price",
    "multiplier",
    "commission_usd",
    "cash_usd",
    "executed_at",
    "received_at",
    "ingest_seq",
    "run_id",
    "session_date",
];

impl<B: Broker + Feed> Trader<B> {
    /// Takes what happened at the broker since the last call. True where its books are to be held
    /// against ours: something was filled or booked, or the broker was away.
    pub fn take_events(&mut self, context: &mut StepContext<'_>) -> anyhow::Result<bool> {
        let events = self.broker.borrow_mut().take_events();
        let mut orders = Vec::new();
        let mut executions = Vec::new();
        let mut was_away = false;
        for event in &events {
            match event {
                BrokerEvent::Order(event) => {
                    orders.push(self.order_cells(event, context));
                    self.hear(event)?;
                }
                BrokerEvent::Gap(gap) => {
                    if gap.stream == Stream::All {
                        was_away = true;
                        // No entries until the books have been compared.
                        self.dispute.doubt();
                    }
                    self.note_gap(gap)?;
                }
                BrokerEvent::Execution(execution) => {
                    let understood = self.journal.borrow().understood(execution)?;
                    for execution in &understood {
                        let applied = self.apply(execution)?;
                        if applied != Applied::Known {
                            self.cash += execution.cash;
                        }
                        if applied == Applied::Known && is_before(execution, context) {
                            // Executions of several days are told again after a restart: an
                            // earlier day's are no part of this day's profit.
                            continue;
                        }
                        executions.push(self.execution_cells(execution, context));
                    }
                }
            }
        }
        deliver(context, &TableName::new("bronze", "order_events"), &ORDER_EVENTS, &orders)?;
        deliver(context, &TableName::new("bronze", "executions"), &EXECUTIONS, &executions)?;
        Ok(was_away || !executions.is_empty())
    }

    /// Takes an order's news to the journal; what cannot be is told and changes nothing there.
    pub(super) fn hear(&self, event: &OrderEvent) -> anyhow::Result<()> {
        let answer = self.journal.borrow_mut().apply_event(event);
        match answer {
            Err(error @ (JournalError::Impossible { .. } | JournalError::NoOrder(_))) => {
                let alert = Alert {
                    id: format!("event-{}-{}", event.order_ref, event.status.as_str()),
                    severity: "critical",
                    subject: "the broker says what cannot be",
                    message: format!("{error}: look at the order at the broker"),
                };
                self.alert(&alert, event.at)
            }
            answer => Ok(answer?),
        }
    }

    fn note_gap(&self, gap: &Gap) -> anyhow::Result<()> {
        let (kind, subject, since) = match gap.stream {
            Stream::All => (
                "gap",
                "the broker was away",
                "orders, executions and positions have been read again",
            ),
            Stream::Quotes => (
                "quotes-gap",
                "quotes were not heard",
                "quotes of that time are lost, orders and executions were heard",
            ),
        };
        let alert = Alert {
            id: format!("{kind}-{}", gap.from.timestamp_micros()),
            severity: "warning",
            subject,
            message: format!("from {} until {}: {}; {since}", gap.from, gap.until, gap.reason),
        };
        self.alert(&alert, gap.until)
    }

    pub(super) fn apply(&self, execution: &Execution) -> anyhow::Result<Applied> {
        let Some(instrument) = self.broker.borrow().contract(execution.conid) else {
            let alert = Alert {
                id: format!("contract-{}", execution.exec_id),
                severity: "critical",
                subject: "execution of an unknown contract",
                message: format!(
                    "execution {} names contract {}, which the broker does not describe; \
                     positions and strategies differ until it is known",
                    execution.exec_id, execution.conid
                ),
            };
            self.alert(&alert, execution.at)?;
            return Ok(Applied::Nobody);
        };
        let applied = self.journal.borrow_mut().apply_execution(execution, &instrument)?;
        if applied != Applied::Known {
            self.alert_unasked(execution, &instrument)?;
        }
        let moved = execution.quantity != 0;
        if applied == Applied::Nobody && moved {
            let of_order = execution.order_ref.as_ref();
            let of_order = of_order.map_or_else(String::new, |one| format!(" for order {one}"));
            let alert = Alert {
                id: format!("nobody-{}", execution.exec_id),
                severity: "critical",
                subject: "execution that belongs to no strategy",
                message: format!(
                    "{} of {} {}{of_order} belongs to no strategy of ours; see ops.reconciliation",
                    execution.kind.as_str(),
                    execution.quantity,
                    instrument.symbol()
                ),
            };
            self.alert(&alert, execution.at)?;
        }
        Ok(applied)
    }

    /// What the broker does to a position by itself is told, though it is booked.
    fn alert_unasked(&self, execution: &Execution, instrument: &Instrument) -> anyhow::Result<()> {
        let subject = match execution.kind {
            ExecutionKind::Correction => "the broker has broken or corrected a trade",
            ExecutionKind::Liquidation => "the broker has closed a position by force",
            ExecutionKind::Trade
            | ExecutionKind::Assignment
            | ExecutionKind::Exercise
            | ExecutionKind::Expiry
            | ExecutionKind::CashSettlement
            | ExecutionKind::Delivery
            | ExecutionKind::Variation
            | ExecutionKind::Dividend
            | ExecutionKind::Interest => return Ok(()),
        };
        let alert = Alert {
            id: format!("unasked-{}", execution.exec_id),
            severity: "critical",
            subject,
            message: format!(
                "{} of {} {} {} is booked: {} USD; look at what is left of its strategy",
                execution.kind.as_str(),
                execution.quantity,
                instrument.symbol(),
                execution.conid,
                execution.cash
            ),
        };
        self.alert(&alert, execution.at)
    }

    fn order_cells(&self, event: &OrderEvent, context: &StepContext<'_>) -> Vec<Cell> {
        vec![
            event.order_ref.as_str().into(),
            event.perm_id.into(),
            event.status.as_str().into(),
            event.filled.into(),
            event.remaining.into(),
            event.limit.into(),
            event.reason.as_str().into(),
            event.at.into(),
            context.run.as_of.into(),
            self.sequence.borrow_mut().advance().into(),
            context.run.run_id.clone().into(),
            context.run.session_date.into(),
        ]
    }

    /// Executions into bronze, as they came or as a reconciliation found them.
    pub(super) fn store_executions(
        &self,
        context: &mut StepContext<'_>,
        executions: &[Execution],
    ) -> anyhow::Result<()> {
        let cells: Vec<Vec<Cell>> =
            executions.iter().map(|one| self.execution_cells(one, context)).collect();
        deliver(context, &TableName::new("bronze", "executions"), &EXECUTIONS, &cells)
    }

    fn execution_cells(&self, execution: &Execution, context: &StepContext<'_>) -> Vec<Cell> {
        let instrument = self.broker.borrow().contract(execution.conid);
        let (symbol, kind) = match &instrument {
            Some(known) => (known.symbol().as_str(), known.kind().as_str()),
            None if execution.conid == ConId::ACCOUNT => ("USD", "CASH"),
            None => ("unknown", "unknown"),
        };
        vec![
            execution.exec_id.as_str().into(),
            execution.order_ref.as_ref().map(crate::structures::OrderRef::as_str).into(),
            execution.perm_id.into(),
            execution.group_id.as_str().into(),
            execution.kind.as_str().into(),
            execution.conid.0.into(),
            symbol.into(),
            kind.into(),
            execution.quantity.into(),
            execution.price.into(),
            execution.multiplier.into(),
            execution.commission.into(),
            execution.cash.into(),
            execution.at.into(),
            context.run.as_of.into(),
            self.sequence.borrow_mut().advance().into(),
            context.run.run_id.clone().into(),
            context.run.session_date.into(),
        ]
    }
}

/// Whether something was executed on a day before the run's session.
fn is_before(execution: &Execution, context: &StepContext<'_>) -> bool {
    let day = execution.at.with_timezone(&chrono_tz::America::New_York).date_naive();
    day < context.run.session_date
}
