//! Rewriting derived tables: a whole table, with its columns, or some sessions of it.

use chrono::NaiveDate;
use deltalake::arrow::array::RecordBatch;
use deltalake::kernel::Transaction;
use deltalake::operations::write::SchemaMode;
use deltalake::protocol::SaveMode;

use super::append::{Appended, Batch, Outcome, app_id, conform, metadata_of};
use super::digest::content_hash;
use super::maintenance::quiet;
use super::{Committed, Lake, LakeError, TableSpec};

/// What a replacement takes the place of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replaced {
    /// Every row and the columns.
    Whole,
    /// The rows of these sessions, from the first to the last.
    Sessions(NaiveDate, NaiveDate),
}

impl Lake {
    /// Writes rows in the place of others, in one commit; readers see the old rows or the new ones.
    /// Append-only tables refuse it. The batch is exactly once, as with an append.
    pub async fn replace(
        &self,
        spec: &TableSpec,
        batch: (&Batch, Replaced),
        rows: Vec<RecordBatch>,
    ) -> Result<Appended, LakeError> {
        let (batch, replaced) = batch;
        let rows: Vec<RecordBatch> =
            rows.iter().map(|rows| conform(spec, rows)).collect::<Result<_, _>>()?;
        let hash = content_hash(&rows)?;
        let slot = self.inner.slot(spec.name())?;
        let mut writing = slot.writing.lock().await;
        if let Some(version) =
            super::append::already_there(&slot, &mut writing, batch, &hash).await?
        {
            return Ok(Appended { version: Some(version), outcome: Outcome::AlreadyThere });
        }
        if replaced != Replaced::Whole || !slot.ledger(&mut writing).await?.is_created() {
            self.ensure_columns(&slot, &mut writing, spec).await?;
        }
        let fault = |source| LakeError::delta(spec.name(), source);
        let table = slot.open_newest(&mut writing).await?;
        let empty = RecordBatch::new_empty(spec.arrow_schema().clone());
        let rows = if rows.is_empty() { vec![empty] } else { rows };
        let properties = quiet()
            .with_metadata(metadata_of(batch, &hash))
            .with_application_transaction(Transaction::new(app_id(spec.name()), batch.number));
        let write = table
            .write(rows)
            .with_save_mode(SaveMode::Overwrite)
            .with_partition_columns(spec.partition_column())
            .with_commit_properties(properties);
        let write = match replaced {
            Replaced::Whole => write.with_schema_mode(SchemaMode::Overwrite),
            Replaced::Sessions(first, last) => write.with_replace_where(format!(
                "session_date >= DATE '{first}' AND session_date <= DATE '{last}'"
            )),
        };
        slot.confirm_lease().await?;
        let written = write.await.map_err(fault)?;
        slot.moved_on(&mut writing, &written).await?;
        writing.schema = None;
        writing.writer = None;
        writing.ledger = None;
        let version = slot.ledger(&mut writing).await?.latest();
        let known: Option<&Committed> = slot.ledger(&mut writing).await?.batch(batch.number);
        debug_assert!(known.is_some_and(|committed| committed.content_hash == hash));
        Ok(Appended { version: Some(version), outcome: Outcome::Written })
    }
}
