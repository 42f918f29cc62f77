//! The predecessor's lake, taken over as it is into schema `research`, with an account of each row.
//!
//! Invariants: every row that is found is imported, a duplicate, in quarantine with its reason, or
//! left because its files were not asked for; importing again adds nothing; what is imported never
//! stands among the desk's own rows, so that no rule of today reads it.
//!
//! It deliberately trusts none of the predecessor's metadata but the adds and removes of its logs.

mod legs;
mod reading;
mod source;
mod targets;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use serde_json::json;
use tokio::runtime::Handle;

use crate::lake::arrow::array::{ArrayRef, AsArray as _, RecordBatch, StringArray};
use crate::lake::arrow::compute::concat_batches;
use crate::lake::{
    Batch, Cell, Lake, RowBuilder, Rows, SessionContext, TableName, TableSpec, new_session,
};
use crate::market::Timestamp;

pub use source::FileState;
use source::SourceTable;
use targets::{TARGETS, Target};

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Order<'a> {
    /// Files of these states are imported; others are counted.
    pub states: BTreeSet<FileState>,
    pub from: &'a Path,
    pub at: Timestamp,
}

/// What became of the rows in one state of one table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    pub files: u64,
    pub found: u64,
    pub imported: u64,
    /// The same row stands elsewhere in what was read.
    pub duplicates: u64,
    /// An earlier import has it.
    pub already_there: u64,
    /// By reason.
    pub quarantined: BTreeMap<String, u64>,
    /// Files of this state were not asked for.
    pub left: u64,
}

impl Tally {
    /// Whether the parts come to the whole.
    pub fn adds_up(&self) -> bool {
        let quarantined: u64 = self.quarantined.values().sum();
        let parts = [self.imported, self.duplicates, self.already_there, quarantined, self.left];
        parts.iter().sum::<u64>() == self.found
    }
}

/// What an import found and did.
#[derive(Debug, Default)]
pub struct Account {
    /// By table of the predecessor and state of the file.
    pub tallies: BTreeMap<(String, FileState), Tally>,
    /// What else is to be known: files that are missing, columns that are not read.
    pub notes: Vec<String>,
}

/// Imports a lake folder and gives the account.
pub fn import(lake: &Lake, order: &Order<'_>, runtime: &Handle) -> anyhow::Result<Account> {
    let tables = source::tables(order.from)?;
    let mut account = Account::default();
    for table in &tables {
        account.note_table(table);
    }
    for target in &TARGETS {
        let of_target: Vec<&SourceTable> =
            tables.iter().filter(|table| target.takes(&table.name)).collect();
        runtime
            .block_on(account.take(lake, (target, &of_target), order))
            .with_context(|| format!("research.{} cannot be imported", target.table))?;
    }
    Ok(account)
}

impl Target {
    fn takes(&self, folder: &str) -> bool {
        self.folders.iter().any(|prefix| folder.starts_with(prefix))
    }

    fn name(&self) -> TableName {
        TableName::new("research", self.table)
    }
}

impl Account {
    fn note_table(&mut self, table: &SourceTable) {
        if !table.missing.is_empty() {
            let first = table.missing.first().map_or("", String::as_str);
            let count = table.missing.len();
            self.notes.push(format!(
                "{}: {count} files that its log names are not there, the first is {first}",
                table.name
            ));
        }
        if !TARGETS.iter().any(|target| target.takes(&table.name)) {
            self.notes.push(format!(
                "{}: not known, nothing of its {} files is imported",
                table.name,
                table.files.len()
            ));
        }
    }

    /// One table of ours from all of theirs that go into it.
    async fn take(
        &mut self,
        lake: &Lake,
        (target, tables): (&Target, &[&SourceTable]),
        order: &Order<'_>,
    ) -> anyhow::Result<()> {
        let mut batches = Vec::new();
        for table in tables {
            batches.extend(self.read(target, table, order).await?);
        }
        let rows = concat_batches(&reading::schema(target.columns), &batches)?;
        if rows.num_rows() == 0 {
            return Ok(());
        }
        let judged = Judged::of(lake, target, rows).await?;
        for row in judged.query(TALLY).await?.iter() {
            self.count(&row)?;
        }
        judged.write(lake, target, order).await
    }

    /// The rows of a table whose files are asked for; the others are counted.
    async fn read(
        &mut self,
        target: &Target,
        table: &SourceTable,
        order: &Order<'_>,
    ) -> anyhow::Result<Vec<RecordBatch>> {
        let mut ignored = BTreeSet::new();
        let mut batches = Vec::new();
        for file in &table.files {
            let rows = reading::read((&table.name, file), target.columns, &mut ignored).await?;
            let tally = self.tallies.entry((table.name.clone(), file.state)).or_default();
            tally.files += 1;
            if order.states.contains(&file.state) {
                batches.push(with_legs_judged(rows)?);
            } else {
                let found = copies_of(&rows)?;
                tally.found += found;
                tally.left += found;
            }
        }
        if !ignored.is_empty() {
            let columns = Vec::from_iter(ignored).join(", ");
            self.notes.push(format!("{}: columns not imported: {columns}", table.name));
        }
        Ok(batches)
    }

    fn count(&mut self, row: &crate::lake::Row<'_>) -> anyhow::Result<()> {
        let state = row.text("state")?;
        let state = FileState::ALL.into_iter().find(|known| known.to_string() == state);
        let state = state.context("a row without the state of its file")?;
        let tally = self.tallies.entry((row.text("source")?.to_owned(), state)).or_default();
        let (rows, copies) = (row.int("rows")? as u64, row.int("copies")? as u64);
        tally.found += copies;
        tally.duplicates += copies - rows;
        match row.text("fate")? {
            "imported" => tally.imported += rows,
            "already there" => tally.already_there += rows,
            "duplicate" => tally.duplicates += rows,
            _ => {
                *tally.quarantined.entry(row.text("reason")?.to_owned()).or_default() += rows;
            }
        }
        Ok(())
    }
}

const TALLY: &str = "select _source_table as source, _file_state as state, _fate as fate,
    coalesce(_reason, '') as reason, count(*) as rows, sum(_copies) as copies
    from judged group by _source_table, _file_state, _fate, coalesce(_reason, '')";

/// How many rows a batch stands for.
fn copies_of(rows: &RecordBatch) -> anyhow::Result<u64> {
    let rows = Rows::new(rows.clone());
    let has_copies = rows.batch().column_by_name("n_copies").is_some();
    let copies = |row: crate::lake::Row<'_>| -> anyhow::Result<u64> {
        Ok(if has_copies { row.maybe_int("n_copies")?.unwrap_or(1) as u64 } else { 1 })
    };
    rows.iter().map(copies).sum()
}

/// Writes into `legs_fault`, where there is one, what is wrong with the legs beside it.
fn with_legs_judged(rows: RecordBatch) -> anyhow::Result<RecordBatch> {
    let schema = rows.schema();
    let (Some((place, _)), Some(texts)) =
        (schema.column_with_name("legs_fault"), rows.column_by_name("legs_json"))
    else {
        return Ok(rows);
    };
    let texts = texts.as_string::<i32>().iter();
    let faults: StringArray =
        texts.map(|text| legs::parse(text.unwrap_or_default()).err()).collect();
    let mut columns: Vec<ArrayRef> = rows.columns().to_vec();
    if let Some(column) = columns.get_mut(place) {
        *column = Arc::new(faults);
    }
    Ok(RecordBatch::try_new(schema, columns)?)
}

/// Rows in our shape, each with what becomes of it.
struct Judged {
    session: SessionContext,
    /// Columns that hold values, in order.
    values: Vec<String>,
}

impl Judged {
    async fn of(lake: &Lake, target: &Target, rows: RecordBatch) -> anyhow::Result<Self> {
        let session = new_session()?;
        session.register_batch("v6_rows", rows)?;
        session.register_batch("known", known(lake, target).await?)?;
        let shape = session.sql(&format!("select * from ({}) limit 0", target.sql)).await?;
        let names = shape.schema().fields().iter().map(|field| field.name().clone());
        let values: Vec<String> =
            names.filter(|name| !name.starts_with('_') && name != "session_date").collect();
        let texts: Vec<String> =
            values.iter().map(|name| format!("coalesce(cast({name} as varchar), '-')")).collect();
        let sql = format!(
            "with shaped as ({}),
             hashed as (
                 select *, encode(sha256(concat_ws('|', {})), 'hex') as row_hash from shaped
             ),
             placed as (
                 select *, row_number() over (
                     partition by row_hash order by _rank, _source_table, _source_file, _row
                 ) as _place from hashed
             )
             select placed.*, case
                 when placed._place > 1 then 'duplicate'
                 when known.row_hash is not null then 'already there'
                 when placed._reason is not null then 'quarantined'
                 else 'imported'
             end as _fate
             from placed left join known on placed.row_hash = known.row_hash
             order by {}, row_hash, _place",
            target.sql,
            texts.join(", "),
            target.order
        );
        let frame = session.sql(&sql).await?;
        let schema = Arc::new(frame.schema().as_arrow().clone());
        let judged = concat_batches(&schema, &frame.collect().await?)?;
        session.register_batch("judged", judged)?;
        Ok(Self { session, values })
    }

    async fn query(&self, sql: &str) -> anyhow::Result<Rows> {
        let frame = self.session.sql(sql).await?;
        let schema = Arc::new(frame.schema().as_arrow().clone());
        Ok(Rows::of(&schema, &frame.collect().await?)?)
    }

    /// Quarantine first, then the rows, then what hangs on them: whatever is cut off is found
    /// missing by the next import.
    async fn write(&self, lake: &Lake, target: &Target, order: &Order<'_>) -> anyhow::Result<()> {
        let origin = "row_hash, _source_table as source_table, _source_file as source_file, \
                      _file_state as file_state";
        let rejected = format!(
            "select '{}' as meant_for, _reason as reason, _detail as detail, {origin}
             from judged where _fate = 'quarantined'",
            target.table
        );
        append(lake, &quarantine(), &self.query(&rejected).await?, order).await?;
        let values = self.values.join(", ");
        let dated = self.query("select * from judged limit 0").await?;
        let session_date =
            dated.batch().column_by_name("session_date").map_or("", |_| ", session_date");
        let imported =
            format!("select {values}, {origin}{session_date} from judged where _fate = 'imported'");
        append(lake, &target.name(), &self.query(&imported).await?, order).await?;
        if self.values.iter().any(|name| name == "legs_json") {
            self.write_legs(lake, order).await?;
        }
        Ok(())
    }

    /// Legs of each execution that has none yet.
    async fn write_legs(&self, lake: &Lake, order: &Order<'_>) -> anyhow::Result<()> {
        let name = TableName::new("research", "v6_legs");
        let mut held = BTreeSet::new();
        for row in hashes(lake, &name, "").await?.iter() {
            held.insert(row.text("row_hash")?.to_owned());
        }
        let sound = "select execution_id, legs_json, row_hash from judged
             where _place = 1 and _reason is null";
        let mut rows = RowBuilder::new(&legs_spec(&name)?);
        for row in self.query(sound).await?.iter() {
            let (id, hash) = (row.text("execution_id")?, row.text("row_hash")?);
            if held.contains(hash) {
                continue;
            }
            let legs = legs::parse(row.text("legs_json")?).map_err(|fault| {
                anyhow::anyhow!("execution {id}: its legs were sound a moment ago: {fault}")
            })?;
            for (place, leg) in legs.into_iter().enumerate() {
                let cells: Vec<(&str, Cell)> = vec![
                    ("execution_id", id.into()),
                    ("leg", (place as i64).into()),
                    ("option_right", leg.right.into()),
                    ("strike_usd", leg.strike_usd.into()),
                    ("expiry", leg.expiry.into()),
                    ("quantity", leg.quantity.into()),
                    ("average_cost_usd", leg.average_cost_usd.into()),
                    ("fill_price_usd", leg.fill_price_usd.into()),
                    ("row_hash", hash.into()),
                ];
                let named = cells.into_iter().map(|(name, cell)| (name.to_owned(), cell));
                rows.push_row(named.collect())?;
            }
        }
        append(lake, &name, &Rows::new(rows.finish()?), order).await
    }
}

fn legs_spec(name: &TableName) -> anyhow::Result<TableSpec> {
    let ddl = format!(
        "create table {name} (execution_id varchar, leg bigint, option_right varchar, \
         strike_usd double, expiry varchar, quantity double, average_cost_usd double, \
         fill_price_usd double, row_hash varchar)"
    );
    Ok(TableSpec::from_ddl(&ddl)?)
}

fn quarantine() -> TableName {
    TableName::new("research", "v6_quarantine")
}

/// Hashes of the rows that earlier imports have written for a target.
async fn known(lake: &Lake, target: &Target) -> anyhow::Result<RecordBatch> {
    let imported = hashes(lake, &target.name(), "").await?;
    let condition = format!("where meant_for = '{}'", target.table);
    let rejected = hashes(lake, &quarantine(), &condition).await?;
    Ok(concat_batches(&imported.batch().schema(), [imported.batch(), rejected.batch()])?)
}

/// The hashes in a table, none where it is not there.
async fn hashes(lake: &Lake, table: &TableName, condition: &str) -> anyhow::Result<Rows> {
    let session = lake.session_at(None).await?;
    let sql = if session.versions().contains_key(table) {
        format!("select distinct row_hash from {table} {condition}")
    } else {
        "select cast(null as varchar) as row_hash limit 0".to_owned()
    };
    let frame = session.sql(&sql).await?;
    let schema = Arc::new(frame.schema().as_arrow().as_ref().clone());
    Ok(Rows::of(&schema, &frame.collect().await?)?)
}

/// Appends rows as the table's next batch; none is no batch.
async fn append(
    lake: &Lake,
    table: &TableName,
    rows: &Rows,
    order: &Order<'_>,
) -> anyhow::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let spec = TableSpec::from_schema(table.clone(), &rows.batch().schema())?;
    let last = if lake.tables().contains(table) {
        lake.commits(table).await?.iter().map(|commit| commit.batch).max().unwrap_or_default()
    } else {
        0
    };
    let batch = Batch {
        number: last + 1,
        as_of: order.at,
        run_id: format!("import-v6-{}", order.at.format("%Y%m%dT%H%M%SZ")),
        source_versions: json!({ "folder": order.from.display().to_string() }),
    };
    lake.append(&spec, &batch, vec![rows.batch().clone()]).await?;
    Ok(())
}
