//! Audits of a pending result, before it is kept.

use std::sync::Arc;

use anyhow::Context as _;

use crate::lake::arrow::array::{ArrayRef, RecordBatch, StringArray, new_null_array};
use crate::lake::arrow::compute::{cast, concat_batches};
use crate::lake::arrow::datatypes::SchemaRef;
use crate::lake::{LiveTable, PreparedQuery, SessionContext, TableName, session_with};

use super::catalogue::{Audit, Otherwise};
use super::retention::without;

/// One audit, and what it found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditOutcome {
    pub audit: String,
    pub otherwise: Otherwise,
    pub offending_rows: usize,
    /// The first of them.
    pub first: String,
}

impl AuditOutcome {
    /// As `ops.data_tests` records it.
    pub fn verdict(&self) -> &'static str {
        match (self.offending_rows, self.otherwise) {
            (0, _) => "passed",
            (_, Otherwise::Quarantine) => "quarantined",
            (_, Otherwise::Block) => "blocked",
            (_, Otherwise::Warn) => "warned",
        }
    }
}

/// A result that is not kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "audit {path} ({}) found {} offending rows; the result is not kept. First: {}",
    outcome.audit, outcome.offending_rows, outcome.first
)]
pub struct Blocked {
    pub path: String,
    pub outcome: AuditOutcome,
}

/// A result after its audits.
pub struct Audited {
    pub kept: RecordBatch,
    pub rejected: Option<RecordBatch>,
    pub outcomes: Vec<AuditOutcome>,
}

impl Audited {
    fn send_away(&mut self, offenders: &RecordBatch, key: &[String]) -> anyhow::Result<()> {
        let (kept, dropped) = without(&self.kept, offenders, key)?;
        self.kept = kept;
        self.rejected = Some(match self.rejected.take() {
            Some(earlier) => concat_batches(&dropped.schema(), [&earlier, &dropped])?,
            None => dropped,
        });
        Ok(())
    }
}

/// The audits of one table, planned over its pending result.
pub struct PendingAudits {
    pending: Arc<LiveTable>,
    queries: Vec<(Audit, PreparedQuery)>,
}

impl PendingAudits {
    /// Plans the audits that stand beside `table`. Inside them the table's own name means the
    /// pending result; every other name means the live table.
    pub async fn new(
        session: &SessionContext,
        table: &TableName,
        schema: &SchemaRef,
        audits: &[Audit],
    ) -> anyhow::Result<Self> {
        let pending = Arc::new(LiveTable::new(Arc::clone(schema)));
        let mut queries = Vec::new();
        for audit in audits.iter().filter(|audit| audit.table.as_ref() == Some(table)) {
            let session = session_with(session, table, Arc::clone(&pending) as _)?;
            let query = PreparedQuery::new(&session, &audit.sql)
                .await
                .with_context(|| format!("{}: the audit cannot be planned", audit.path))?;
            queries.push((audit.clone(), query));
        }
        Ok(Self { pending, queries })
    }

    /// Sends offenders of row audits away; fails where a table audit returns a row.
    pub async fn apply(&mut self, rows: RecordBatch, key: &[String]) -> anyhow::Result<Audited> {
        let mut audited = Audited { kept: rows, rejected: None, outcomes: Vec::new() };
        for (audit, query) in &mut self.queries {
            self.pending.set(vec![audited.kept.clone()]);
            let offenders = concat_batches(&query.schema(), &query.run().await?)?;
            let offending_rows = offenders.num_rows();
            let first = if offending_rows == 0 { String::new() } else { first_row(&offenders) };
            let (audit_name, otherwise) = (audit.name.clone(), audit.otherwise);
            let outcome = AuditOutcome { audit: audit_name, otherwise, offending_rows, first };
            if offending_rows > 0 {
                match otherwise {
                    Otherwise::Warn => {}
                    Otherwise::Block => {
                        return Err(Blocked { path: audit.path.clone(), outcome }.into());
                    }
                    Otherwise::Quarantine => audited.send_away(&offenders, key)?,
                }
            }
            audited.outcomes.push(outcome);
        }
        Ok(audited)
    }
}

/// The first row as `column=value` pairs, for messages.
pub fn first_row(rows: &RecordBatch) -> String {
    let display = |column: &ArrayRef| {
        crate::lake::arrow::util::display::array_value_to_string(column, 0)
            .unwrap_or_else(|error| format!("unreadable: {error}"))
    };
    rows.schema()
        .fields()
        .iter()
        .zip(rows.columns())
        .map(|(field, column)| format!("{}={}", field.name(), display(column)))
        .collect::<Vec<_>>()
        .join(" ")
}

/// Rejected rows in the columns of the quarantine: shared columns are copied, `source` is the table
/// that they came from, `reason` the audit's name, the rest is NULL.
pub fn quarantined(
    schema: &SchemaRef,
    rejected: &RecordBatch,
    (table, reason): (&TableName, &str),
) -> anyhow::Result<RecordBatch> {
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
    let source = match table.schema() {
        "silver" => format!("bronze.{}", table.name()),
        _ => table.to_string(),
    };
    for field in schema.fields() {
        let column = match (field.name().as_str(), rejected.column_by_name(field.name())) {
            ("reason", _) => Arc::new(StringArray::from(vec![reason; rejected.num_rows()])) as _,
            ("source", _) => {
                Arc::new(StringArray::from(vec![source.as_str(); rejected.num_rows()])) as _
            }
            (_, Some(column)) => cast(column, field.data_type())?,
            (_, None) => new_null_array(field.data_type(), rejected.num_rows()),
        };
        columns.push(column);
    }
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}
