//! One live table: what it holds now, and what of it has not gone to the lake.

use std::sync::Arc;

use anyhow::anyhow;

use crate::lake::LiveTable;
use crate::lake::arrow::array::RecordBatch;
use crate::lake::arrow::datatypes::{Field, Schema, SchemaRef};

use super::model::Retention;
use super::retention::merge;

/// Whether a table's rows go to the lake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Storage {
    Lake,
    LiveOnly,
}

pub(super) struct Slot {
    pub provider: Arc<LiveTable>,
    pub schema: SchemaRef,
    pub retention: Retention,
    pub key: Vec<String>,
    pub storage: Storage,
    pub held: Vec<RecordBatch>,
    pub pending: Vec<RecordBatch>,
}

impl Slot {
    pub fn new(
        schema: SchemaRef,
        retention: Retention,
        key: Vec<String>,
        storage: Storage,
    ) -> Self {
        let provider = Arc::new(LiveTable::new(Arc::clone(&schema)));
        Self { provider, schema, retention, key, storage, held: Vec::new(), pending: Vec::new() }
    }

    pub fn publish(&self) {
        self.provider.set(self.held.clone());
    }

    pub fn take(&mut self, rows: &RecordBatch) -> anyhow::Result<()> {
        let rows = conform(&self.schema, rows)?;
        self.take_part(&rows)
    }

    /// Like a delivery, of rows that already have the table's schema. A `run` table is emptied by
    /// the build before its first part, so that the parts of a union add up.
    pub fn take_part(&mut self, rows: &RecordBatch) -> anyhow::Result<()> {
        if rows.num_rows() > 0 && self.storage == Storage::Lake {
            self.pending.push(rows.clone());
        }
        let retention = match &self.retention {
            Retention::Run => &Retention::History,
            held @ (Retention::Batch
            | Retention::LatestBy(_)
            | Retention::Session
            | Retention::History) => held,
        };
        let held = std::mem::take(&mut self.held);
        self.held = merge(retention, &self.schema, held, rows.clone())?;
        self.publish();
        Ok(())
    }
}

/// Every column nullable: what a plan believes about NULL is no contract.
pub(super) fn nullable(schema: &Schema) -> SchemaRef {
    let fields: Vec<Field> = schema
        .fields()
        .iter()
        .map(|field| Field::new(field.name(), field.data_type().clone(), true))
        .collect();
    Arc::new(Schema::new(fields))
}

pub(super) fn names_and_types(schema: &Schema) -> Vec<String> {
    schema.fields().iter().map(|field| format!("{} {}", field.name(), field.data_type())).collect()
}

/// The same rows under the table's own schema; columns are matched by name.
pub(super) fn conform(schema: &SchemaRef, rows: &RecordBatch) -> anyhow::Result<RecordBatch> {
    let mut columns = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let column = rows
            .column_by_name(field.name())
            .ok_or_else(|| anyhow!("column `{}` is missing", field.name()))?;
        columns.push(crate::lake::arrow::compute::cast(column, field.data_type())?);
    }
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}
