//! Exit rules that cannot be judged: the operator hears of each, once a rule, subject and session.
//!
//! What bars entries meanwhile is SQL (`gold.decisions`, `gold.openings`); nothing is decided here.

use std::collections::BTreeSet;

use chrono::NaiveDate;

use crate::lake::{LakeError, Rows, TableName};
use crate::pipeline::StepContext;

use super::{Alert, Trader};

impl<B> Trader<B> {
    /// Raises an alert for each exit verdict of this run that is unevaluable.
    pub(super) fn alert_unevaluable(&self, context: &StepContext<'_>) -> anyhow::Result<()> {
        let rows = |schema: &str, name: &str| -> anyhow::Result<Rows> {
            Ok(Rows::new(context.live.rows(&TableName::new(schema, name))?))
        };
        let told = rows("ops", "alerts")?;
        let told: BTreeSet<&str> =
            told.iter().map(|row| row.text("alert_id")).collect::<Result<_, _>>()?;
        let verdicts = rows("gold", "rule_verdicts")?;
        for alert in alerts_of(&verdicts, context.run.session_date)? {
            if !told.contains(alert.id.as_str()) {
                self.alert(&alert, context.run.as_of)?;
            }
        }
        Ok(())
    }
}

fn alerts_of(verdicts: &Rows, session: NaiveDate) -> Result<Vec<Alert<'static>>, LakeError> {
    let mut alerts = Vec::new();
    for row in verdicts.iter() {
        if row.text("verdict")? != "unevaluable" {
            continue;
        }
        let (rule, subject) = (row.text("rule")?, row.text("subject_id")?);
        alerts.push(Alert {
            id: format!("unevaluable-{rule}-{subject}-{session}"),
            severity: "warning",
            subject: "an exit rule cannot be judged",
            message: format!(
                "{rule} cannot judge {} {subject}: {}; entries in its underlying are barred until \
                 it can",
                row.text("scope")?,
                row.text("reason")?
            ),
        });
    }
    Ok(alerts)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::lake::arrow::array::{RecordBatch, StringArray};
    use crate::lake::arrow::datatypes::{DataType, Field, Schema};

    #[test]
    fn an_alert_a_rule_and_subject_and_none_for_a_hold() {
        let columns = ["rule", "scope", "subject_id", "verdict", "reason"];
        let rows = [
            ["stop_loss", "strategy", "a", "unevaluable", "no mark: stale"],
            ["time_exit", "strategy", "a", "hold", "days to expiry above the limit"],
            ["stop_loss", "strategy", "b", "fire", "loss"],
        ];
        let schema =
            Schema::new(columns.map(|name| Field::new(name, DataType::Utf8, true)).to_vec());
        let arrays = (0..columns.len()).map(|column| {
            Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row[column]))) as _
        });
        let batch = RecordBatch::try_new(Arc::new(schema), arrays.collect()).unwrap();
        let session = "2026-03-10".parse().unwrap();
        let alerts = alerts_of(&Rows::new(batch), session).unwrap();
        assert_eq!(alerts.len(), 1);
        let alert = alerts.first().unwrap();
        assert_eq!(alert.id, "unevaluable-stop_loss-a-2026-03-10");
        assert!(alert.message.contains("stop_loss cannot judge strategy a: no mark: stale"));
    }
}
