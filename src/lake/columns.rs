//! A table's columns in its log: made with the table, added to later, never changed otherwise.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use deltalake::arrow::datatypes::{Schema, SchemaRef};
use deltalake::kernel::engine::arrow_conversion::{TryIntoArrow as _, TryIntoKernel as _};
use deltalake::kernel::transaction::CommitData;
use deltalake::kernel::{Action, Metadata, Protocol, StructType, new_metadata};
use deltalake::logstore::LogStore as _;
use deltalake::protocol::{DeltaOperation, SaveMode};
use serde_json::{Value, json};

use super::append::put_commit;
use super::log::{entry_path, put_entry};
use super::store::{TableSlot, Writing};
use super::{Lake, LakeError, TableSpec};

impl Lake {
    /// Makes a table, without rows, where it does not exist; gives one that exists the columns that
    /// it lacks. A column of another kind, or one that the table has and `spec` has not, is an
    /// error.
    pub async fn create(&self, spec: &TableSpec) -> Result<(), LakeError> {
        let slot = self.inner.slot(spec.name())?;
        let mut writing = slot.writing.lock().await;
        self.ensure_columns(&slot, &mut writing, spec).await
    }

    /// Whether a table could be written as `spec` says; nothing is changed. One that is not there
    /// can.
    pub async fn fits(&self, spec: &TableSpec) -> Result<(), LakeError> {
        if !self.tables().contains(spec.name()) {
            return Ok(());
        }
        let slot = self.inner.existing(spec.name())?;
        let mut writing = slot.writing.lock().await;
        match slot.ledger(&mut writing).await?.metadata() {
            Some(stored) => added(&slot, stored, spec).map(|_| ()),
            None => Ok(()),
        }
    }

    pub(super) async fn ensure_columns(
        &self,
        slot: &TableSlot,
        writing: &mut Writing,
        spec: &TableSpec,
    ) -> Result<(), LakeError> {
        if writing.schema.as_ref() == Some(spec.arrow_schema()) {
            return Ok(());
        }
        if !slot.ledger(writing).await?.is_created() {
            return self.make(slot, writing, spec).await;
        }
        let metadata = slot.ledger(writing).await?.metadata().cloned();
        let stored = metadata.ok_or_else(|| {
            slot.broken(
                "its log names no columns".to_owned(),
                "Restore the folder from a backup, or move it away; the table is then made anew",
            )
        })?;
        if added(slot, &stored, spec)? {
            self.add_columns(slot, writing, (stored, spec)).await?;
        }
        writing.schema = Some(Arc::clone(spec.arrow_schema()));
        Ok(())
    }

    async fn make(
        &self,
        slot: &TableSlot,
        writing: &mut Writing,
        spec: &TableSpec,
    ) -> Result<(), LakeError> {
        let metadata = metadata_of(slot, spec)?;
        let commit = creation_of(slot, &metadata)?;
        let bytes =
            commit.get_bytes().map_err(|error| LakeError::delta(&slot.name, error.into()))?;
        slot.confirm_lease().await?;
        put_entry(slot, 0, bytes.to_vec())
            .await
            .map_err(|source| LakeError::delta(&slot.name, source.into()))?;
        let text = serde_json::to_value(&metadata)
            .map_err(|error| LakeError::delta(&slot.name, error.into()))?;
        let ledger = slot.ledger(writing).await?;
        ledger.set_latest(0);
        ledger.set_metadata(text);
        writing.schema = Some(Arc::clone(spec.arrow_schema()));
        self.make_durable(slot, vec![entry_path(0).to_string()]).await
    }

    async fn add_columns(
        &self,
        slot: &TableSlot,
        writing: &mut Writing,
        change: (Value, &TableSpec),
    ) -> Result<(), LakeError> {
        let fault = |error: serde_json::Error| LakeError::delta(&slot.name, error.into());
        let (mut stored, spec) = change;
        let schema: StructType = spec.arrow_schema().as_ref().try_into_kernel()?;
        let text = serde_json::to_string(&schema).map_err(fault)?;
        if let Some(metadata) = stored.as_object_mut() {
            metadata.insert("schemaString".to_owned(), Value::String(text));
        }
        let metadata: Metadata = serde_json::from_value(stored.clone()).map_err(fault)?;
        let operation = DeltaOperation::AddColumn { fields: schema.fields().cloned().collect() };
        let actions = vec![Action::Metadata(metadata)];
        let commit = CommitData::new(actions, operation, HashMap::new(), Vec::new());
        let version = put_commit(slot, writing, &commit).await?;
        let ledger = slot.ledger(writing).await?;
        ledger.set_latest(version);
        ledger.set_metadata(stored);
        self.make_durable(slot, vec![entry_path(version).to_string()]).await
    }
}

/// The columns in a metadata action.
fn stored_schema(slot: &TableSlot, metadata: &Value) -> Result<SchemaRef, LakeError> {
    let fault = |error: serde_json::Error| LakeError::delta(&slot.name, error.into());
    let text = metadata.get("schemaString").and_then(Value::as_str).unwrap_or_default();
    let schema: StructType = serde_json::from_str(text).map_err(fault)?;
    let schema: Schema = (&schema).try_into_arrow()?;
    Ok(Arc::new(schema))
}

/// Whether `spec` has columns that the table lacks. Columns are compared by name and kind; one that
/// may be NULL in the table may be so in `spec`.
fn added(slot: &TableSlot, metadata: &Value, spec: &TableSpec) -> Result<bool, LakeError> {
    let misfit =
        |problem: String| LakeError::SchemaMismatch { table: spec.name().clone(), problem };
    let stored = stored_schema(slot, metadata)?;
    let mut wanted: BTreeMap<&str, _> =
        spec.arrow_schema().fields().iter().map(|field| (field.name().as_str(), field)).collect();
    for field in stored.fields() {
        let offered = wanted.remove(field.name().as_str()).ok_or_else(|| {
            misfit(format!(
                "the lake has a column `{}`, which is gone; a table only gains columns: keep it, \
                 if only as NULL",
                field.name()
            ))
        })?;
        if offered.data_type() != field.data_type() {
            return Err(misfit(format!(
                "column `{}` is stored as {} and offered as {}; a column keeps its kind: give the \
                 new one another name",
                field.name(),
                field.data_type(),
                offered.data_type()
            )));
        }
    }
    match wanted.values().find(|field| !field.is_nullable()) {
        Some(field) => Err(misfit(format!(
            "the new column `{}` must be allowed to be NULL: earlier rows have none",
            field.name()
        ))),
        None => Ok(!wanted.is_empty()),
    }
}

fn metadata_of(slot: &TableSlot, spec: &TableSpec) -> Result<Metadata, LakeError> {
    let schema: StructType = spec.arrow_schema().as_ref().try_into_kernel()?;
    let mut settings = vec![("delta.enableExpiredLogCleanup", "false")];
    if spec.is_append_only() {
        settings.push(("delta.appendOnly", "true"));
    }
    new_metadata(&schema, spec.partition_column(), settings)
        .map_err(|error| LakeError::delta(&slot.name, error.into()))
}

/// Version 0: protocol and columns.
fn creation_of(slot: &TableSlot, metadata: &Metadata) -> Result<CommitData, LakeError> {
    let protocol: Protocol =
        serde_json::from_value(json!({ "minReaderVersion": 1, "minWriterVersion": 2 }))
            .map_err(|error| LakeError::delta(&slot.name, error.into()))?;
    let operation = DeltaOperation::Create {
        mode: SaveMode::ErrorIfExists,
        location: slot.log_store.root_url().clone(),
        protocol: protocol.clone(),
        metadata: metadata.clone(),
    };
    let actions = vec![Action::Protocol(protocol), Action::Metadata(metadata.clone())];
    Ok(CommitData::new(actions, operation, HashMap::new(), Vec::new()))
}
