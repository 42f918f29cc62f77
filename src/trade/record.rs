//! What is kept of a verdict and of a decision: every check, the outcome, the reason, and an alert
//! where an exit did not go.

use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::lake::{Cell, TableName};
use crate::pipeline::StepContext;
use crate::pipeline::model::hex;
use crate::pipeline::{deliver, ops_stamp};
use crate::risk::{CheckResult, Verdict};
use crate::structures::OrderRef;

use super::decision::Decision;
use super::{Alert, Trader};

const CHECKS: [&str; 12] = [
    "order_ref",
    "attempt",
    "check_id",
    "check_name",
    "result",
    "measured",
    "limit_value",
    "unit",
    "reason",
    "as_of",
    "run_id",
    "session_date",
];

const CAPSULES: [&str; 9] = [
    "decision_id",
    "ingest_seq_cut",
    "sql_hash",
    "settings_hash",
    "outcome",
    "detail",
    "as_of",
    "run_id",
    "session_date",
];

/// Letters of an alert's id that stand for its reason.
const REASON_LETTERS: usize = 8;

impl<B> Trader<B> {
    /// Every check of a verdict, of an order or of a price step, as a row of ops.risk_checks.
    pub(super) fn record_checks(
        &mut self,
        context: &mut StepContext<'_>,
        order_ref: &OrderRef,
        results: &[CheckResult],
    ) -> anyhow::Result<()> {
        self.gate_runs += 1;
        let rows: Vec<Vec<Cell>> = results
            .iter()
            .map(|result| {
                let mut row: Vec<Cell> = vec![
                    order_ref.as_str().into(),
                    self.gate_runs.into(),
                    result.check_id.into(),
                    result.name.into(),
                    result.result.as_str().into(),
                    result.measured.into(),
                    result.limit.into(),
                    result.unit.into(),
                    result.reason.as_str().into(),
                ];
                row.extend(ops_stamp(context.run));
                row
            })
            .collect();
        deliver(context, &TableName::new("ops", "risk_checks"), &CHECKS, &rows)
    }

    pub(super) fn record_capsule(
        &self,
        context: &mut StepContext<'_>,
        decision: &Decision,
        (outcome, detail): (&str, &str),
    ) -> anyhow::Result<()> {
        let mut row: Vec<Cell> = vec![
            decision.id.as_str().into(),
            self.sequence.borrow().last().into(),
            self.settings.sql_hash.as_str().into(),
            self.settings.settings_hash.as_str().into(),
            outcome.into(),
            detail.into(),
        ];
        row.extend(ops_stamp(context.run));
        deliver(context, &TableName::new("ops", "capsules"), &CAPSULES, &[row])
    }

    /// An exit that did not go is an alert: one a strategy, session and reason, numbers apart.
    pub(super) fn alert_exit(
        &self,
        context: &StepContext<'_>,
        decision: &Decision,
        (outcome, detail): (&str, &str),
    ) -> anyhow::Result<()> {
        let words: String = detail.chars().filter(|letter| letter.is_alphabetic()).collect();
        let reason = hex(&Sha256::digest(format!("{outcome} {words}").as_bytes()));
        let reason: String = reason.chars().take(REASON_LETTERS).collect();
        let alert = Alert {
            id: format!("exit-{}-{}-{reason}", decision.subject_id, context.run.session_date),
            severity: "critical",
            subject: "an exit did not go",
            message: format!(
                "{} of {} {} asked for by {}: {outcome}, {detail}",
                decision.action, decision.symbol, decision.subject_id, decision.rule
            ),
        };
        self.alert(&alert, context.run.as_of)
    }
}

/// The checks of a verdict as the journal keeps them.
pub(super) fn checks_json(results: &[CheckResult]) -> String {
    let rows: Vec<serde_json::Value> = results
        .iter()
        .map(|result| {
            json!({
                "check_id": result.check_id,
                "name": result.name,
                "result": result.result.as_str(),
                "measured": result.measured,
                "limit": result.limit,
                "unit": result.unit,
                "reason": result.reason,
            })
        })
        .collect();
    serde_json::Value::from(rows).to_string()
}

/// The checks that refused, with their numbers.
pub(super) fn refusal_text<T>(verdict: &Verdict<T>) -> String {
    let parts: Vec<String> = verdict
        .refusals()
        .map(|result| {
            let number = |value: Option<f64>| {
                value.map_or_else(|| "unknown".to_owned(), |value| format!("{value:.4}"))
            };
            let reason = if result.reason.is_empty() {
                String::new()
            } else {
                format!(": {}", result.reason)
            };
            format!(
                "{} {} {} (measured {}, limit {} {}){reason}",
                result.check_id,
                result.name,
                result.result.as_str(),
                number(result.measured),
                number(result.limit),
                result.unit
            )
        })
        .collect();
    parts.join("; ")
}
