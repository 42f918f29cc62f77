//! Compaction: the small files of a session become one, its rows in the order in which they are
//! looked for.
//!
//! The rows stay the same: the commit says so (`dataChange` is false), earlier versions keep their
//! files until a vacuum, and a session whose files are few and large is left alone.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::NaiveDate;
use deltalake::DeltaTable;
use deltalake::arrow::datatypes::SchemaRef;
use deltalake::datafusion::prelude::{Expr, col, lit};
use deltalake::kernel::transaction::CommitData;
use deltalake::kernel::{Action, Add, Remove};
use deltalake::parquet::basic::{Compression, ZstdLevel};
use deltalake::parquet::file::properties::WriterProperties;
use deltalake::protocol::DeltaOperation;
use deltalake::writer::{DeltaWriter as _, RecordBatchWriter};
use futures::TryStreamExt as _;
use object_store::Error as StoreError;

use super::append::conform;
use super::log::{entry_path, put_entry};
use super::session::{day_literal, session_in};
use super::status::is_small;
use super::store::{TableSlot, Writing};
use super::table::PARTITION_COLUMN;
use super::{Lake, LakeError, TableName, TableSpec};

/// Rows of a session are sorted by those of these columns that the table has.
const ORDER: [&str; 8] = [
    "symbol",
    "expiry_date",
    "option_right",
    "strike_usd",
    "received_at",
    "as_of",
    "run_id",
    "ingest_seq",
];

impl Lake {
    /// Joins the files of one session, or of each, where two or more of them are small. One commit
    /// a session. Returns how many files were joined.
    pub async fn compact(
        &self,
        table: &TableName,
        session: Option<NaiveDate>,
    ) -> Result<u64, LakeError> {
        let slot = self.inner.existing(table)?;
        let mut joined = 0;
        // Held throughout: a file that came in between would be both kept and rewritten.
        let mut writing = slot.writing.lock().await;
        for session in slot.worth_joining(&mut writing, session).await? {
            joined += session.1.len() as u64;
            self.join(&slot, &mut writing, session).await?;
        }
        Ok(joined)
    }

    async fn join(
        &self,
        slot: &TableSlot,
        writing: &mut Writing,
        (day, files): (Option<NaiveDate>, Vec<Remove>),
    ) -> Result<(), LakeError> {
        let version = slot.ledger(writing).await?.latest();
        let adds = self.rewritten(slot, version, day).await?;
        let paths = adds.iter().map(|add| add.path.clone()).collect();
        self.make_durable(slot, paths).await?;
        let removes = files.into_iter().map(Action::Remove);
        let operation = DeltaOperation::Optimize {
            predicate: day.map(|day| format!("{PARTITION_COLUMN} = '{day}'")),
            target_size: 0,
        };
        let actions = removes.chain(adds.into_iter().map(Action::Add)).collect();
        let commit = CommitData::new(actions, operation, HashMap::new(), Vec::new());
        let bytes =
            commit.get_bytes().map_err(|error| LakeError::delta(&slot.name, error.into()))?;
        slot.confirm_lease().await?;
        match put_entry(slot, version + 1, bytes.to_vec()).await {
            Ok(()) => {}
            // Somebody else's commit may have removed the same files: not ours to pass.
            Err(StoreError::AlreadyExists { .. }) => {
                return Err(LakeError::ForeignCommit {
                    table: slot.name.clone(),
                    version: version + 1,
                    problem: "it came while files were joined".to_owned(),
                });
            }
            Err(source) => return Err(LakeError::delta(&slot.name, source.into())),
        }
        self.make_durable(slot, vec![entry_path(version + 1).to_string()]).await?;
        slot.ledger(writing).await?.set_latest(version + 1);
        Ok(())
    }

    /// The rows of one session at a version, sorted, in files that no commit names yet.
    async fn rewritten(
        &self,
        slot: &TableSlot,
        version: u64,
        day: Option<NaiveDate>,
    ) -> Result<Vec<Add>, LakeError> {
        let fault = |source| LakeError::delta(&slot.name, source);
        let opened = slot.moved_to(DeltaTable::new(slot.log_store.clone()), version).await?;
        let schema = opened.snapshot().map_err(fault)?.snapshot().arrow_schema();
        let context = session_in(Arc::clone(&self.inner.runtime));
        let provider = slot.provider_at(version, Arc::new(context.state())).await?;
        let mut frame = context.read_table(provider)?;
        if let Some(day) = day {
            frame = frame.filter(col(PARTITION_COLUMN).eq(lit(day_literal(day))))?;
        }
        let mut rows = frame.sort(order(&schema))?.execute_stream().await?;
        let spec = TableSpec::of_table(slot.name.clone(), schema);
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .build();
        let mut writer = RecordBatchWriter::for_table(&opened)
            .map_err(fault)?
            .with_writer_properties(properties);
        while let Some(batch) = rows.try_next().await? {
            writer.write(conform(&spec, &batch)?).await.map_err(fault)?;
        }
        let adds = writer.flush().await.map_err(fault)?;
        Ok(adds.into_iter().map(|add| Add { data_change: false, ..add }).collect())
    }
}

fn order(schema: &SchemaRef) -> Vec<deltalake::datafusion::logical_expr::SortExpr> {
    let present = ORDER.into_iter().filter(|name| schema.column_with_name(name).is_some());
    present.map(|name| Expr::sort(col(name), true, false)).collect()
}

impl TableSlot {
    /// Per session (`None` where the table has no sessions) its files, where two or more of them
    /// are small.
    async fn worth_joining(
        &self,
        writing: &mut Writing,
        session: Option<NaiveDate>,
    ) -> Result<BTreeMap<Option<NaiveDate>, Vec<Remove>>, LakeError> {
        let opened = self.open_newest(writing).await?;
        let state = opened.snapshot().map_err(|source| LakeError::delta(&self.name, source))?;
        let mut days: BTreeMap<Option<NaiveDate>, (u64, Vec<Remove>)> = BTreeMap::new();
        for file in state.log_data().iter() {
            let day = file.partition_values_map().remove(PARTITION_COLUMN).flatten();
            let day = day.map(|text| text.parse::<NaiveDate>()).transpose().map_err(|_| {
                self.broken(
                    format!("{} lies in no session", file.path()),
                    "Set the table back to a version before it",
                )
            })?;
            let (small, files) = days.entry(day).or_default();
            *small += u64::from(is_small(file.size() as u64));
            files.push(file.remove_action(false));
        }
        let wanted = |day: &Option<NaiveDate>| session.is_none() || *day == session;
        let worth = days.into_iter().filter(|(day, (small, _))| *small > 1 && wanted(day));
        Ok(worth.map(|(day, (_, files))| (day, files)).collect())
    }
}
