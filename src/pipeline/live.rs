//! The live tables: every table as it stands now, in memory, with one physical plan a model.
//!
//! Invariants: a model's plan is made once and run again and again over the current contents; a
//! delivery is visible to the next build and is also kept for the lake until it is taken; bronze
//! micro-batches are consumed by exactly one build.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use tokio::runtime::Handle;

use crate::lake::arrow::array::{ArrayRef, Float64Array, RecordBatch};
use crate::lake::arrow::compute::concat_batches;
use crate::lake::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use crate::lake::{LiveTable, PreparedQuery, SessionContext, TableName, TableSpec, new_session};

use crate::market::clock::Stopwatch;

use super::audit::{AuditOutcome, PendingAudits};
use super::built::{BuildReport, ModelFailed, ModelRun, Phase};
use super::catalogue::Catalogue;
use super::model::{Kind, Model, Retention, Role};
use super::parts::{first_part, union_text};
use super::retention::roll_session;
use super::round::{Answer, side_by_side};
use super::run::{Params, Run, run_row, run_schema};
use super::slot::{Slot, Storage, conform, names_and_types, nullable};

struct Planned {
    model: Model,
    query: PreparedQuery,
    audits: PendingAudits,
    /// Where its new rows come from: micro-batches of bronze, or run tables that come from such.
    /// Without any, the model always runs; with some, it runs when one of them has a row.
    driven_by: BTreeSet<TableName>,
    reads: BTreeSet<TableName>,
}

/// All tables, all plans, and the rows not yet taken to the lake.
pub struct LiveTables {
    pub(super) runtime: Handle,
    session: SessionContext,
    run_table: Arc<LiveTable>,
    params_table: Option<(SchemaRef, Arc<LiveTable>)>,
    pub(super) slots: BTreeMap<TableName, Slot>,
    contracts: BTreeMap<TableName, TableSpec>,
    /// In the order of their lineage; models of one round wait for nothing of each other.
    rounds: Vec<Vec<Planned>>,
}

impl LiveTables {
    /// Plans every model in the order of its lineage. Faults name the model's file.
    pub fn new(catalogue: &Catalogue, params: &Params, runtime: Handle) -> anyhow::Result<Self> {
        let session = new_session()?;
        let run_table = Arc::new(LiveTable::new(run_schema()));
        let mut tables = Self {
            runtime,
            session,
            run_table: Arc::clone(&run_table),
            params_table: None,
            slots: BTreeMap::new(),
            contracts: BTreeMap::new(),
            rounds: Vec::new(),
        };
        tables.session.register_table("run", run_table)?;
        tables.register_params(params)?;
        for (name, contract) in &catalogue.contracts {
            let schema = nullable(contract.spec.arrow_schema());
            let slot =
                Slot::new(schema, contract.live.clone(), contract.key.clone(), Storage::Lake);
            tables.register(name, slot)?;
            tables.contracts.insert(name.clone(), contract.spec.clone());
        }
        for round in super::catalogue::lineage(&tables.session, &catalogue.models)? {
            let models = round.iter().filter_map(|index| catalogue.models.get(*index));
            let planned = models.map(|model| tables.plan(model, catalogue));
            let planned = planned.collect::<anyhow::Result<Vec<Planned>>>()?;
            tables.rounds.push(planned);
        }
        Ok(tables)
    }

    fn register(&mut self, name: &TableName, slot: Slot) -> anyhow::Result<()> {
        crate::lake::register(&self.session, name, Arc::clone(&slot.provider) as _)?;
        self.slots.insert(name.clone(), slot);
        Ok(())
    }

    fn register_params(&mut self, params: &Params) -> anyhow::Result<()> {
        let fields: Vec<Field> =
            params.0.keys().map(|name| Field::new(name, DataType::Float64, true)).collect();
        let schema = Arc::new(Schema::new(fields));
        let table = Arc::new(LiveTable::new(Arc::clone(&schema)));
        self.session.register_table("params", Arc::clone(&table) as _)?;
        self.params_table = Some((schema, table));
        self.set_params(params)
    }

    /// Replaces the row of `params`; its columns are those given at the start.
    pub fn set_params(&mut self, params: &Params) -> anyhow::Result<()> {
        let Some((schema, table)) = &self.params_table else { return Ok(()) };
        let columns: Vec<ArrayRef> = schema
            .fields()
            .iter()
            .map(|field| {
                Arc::new(Float64Array::from(vec![params.0.get(field.name()).copied()])) as _
            })
            .collect();
        if !columns.is_empty() {
            table.set(vec![RecordBatch::try_new(Arc::clone(schema), columns)?]);
        }
        Ok(())
    }

    /// Empties every table; for tests of single models.
    pub fn empty(&mut self) {
        for slot in self.slots.values_mut() {
            slot.held.clear();
            slot.pending.clear();
            slot.publish();
        }
    }

    /// Makes the table hold exactly these rows; for tests of single models.
    pub fn hold(&mut self, table: &TableName, rows: RecordBatch) -> anyhow::Result<()> {
        let slot =
            self.slots.get_mut(table).ok_or_else(|| anyhow!("no table is called {table}"))?;
        slot.held = vec![rows];
        slot.publish();
        Ok(())
    }

    /// Runs one model over what the tables hold and keeps nothing.
    pub fn run_alone(&mut self, path: &str, run: &Run) -> anyhow::Result<RecordBatch> {
        self.set_run(run)?;
        let planned = self
            .rounds
            .iter()
            .flatten()
            .find(|planned| planned.model.path == path)
            .ok_or_else(|| anyhow!("{path} is no model"))?;
        let rows = self.runtime.block_on(planned.query.run())?;
        Ok(concat_batches(&planned.query.schema(), &rows)?)
    }

    fn plan(&mut self, model: &Model, catalogue: &Catalogue) -> anyhow::Result<Planned> {
        let query = self
            .runtime
            .block_on(PreparedQuery::new(&self.session, &union_text(model)))
            .with_context(|| format!("{}: the statement cannot be planned", model.path))?;
        let schema = nullable(&query.schema());
        match self.slots.get(&model.table) {
            Some(slot) if slot.schema == schema => {}
            Some(slot) => {
                return Err(anyhow!(
                    "{}: columns differ from the other parts of {}: {:?} instead of {:?}",
                    model.path,
                    model.table,
                    names_and_types(&schema),
                    names_and_types(&slot.schema)
                ));
            }
            None => {
                let storage = match model.kind {
                    Kind::Ephemeral => Storage::LiveOnly,
                    Kind::Incremental | Kind::Snapshot | Kind::Close => Storage::Lake,
                };
                let mut key = model.key.clone();
                if model.role != Role::Table {
                    key = model.stored_key();
                }
                let slot = Slot::new(Arc::clone(&schema), model.live.clone(), key, storage);
                self.register(&model.table, slot)?;
            }
        }
        let audits = self.runtime.block_on(PendingAudits::new(
            &self.session,
            &model.table,
            &schema,
            &catalogue.audits,
        ))?;
        let reads = crate::lake::tables_read(&self.session, &model.sql)?;
        let driven_by = self.drivers(model, reads.clone());
        Ok(Planned { model: model.clone(), query, audits, driven_by, reads })
    }

    fn drivers(&self, model: &Model, mut reads: BTreeSet<TableName>) -> BTreeSet<TableName> {
        match model.kind {
            Kind::Snapshot | Kind::Close => return BTreeSet::new(),
            Kind::Ephemeral | Kind::Incremental => {}
        }
        let driven = |table: &TableName| {
            let batch =
                self.slots.get(table).is_some_and(|slot| slot.retention == Retention::Batch);
            let through = self.rounds.iter().flatten().any(|planned| {
                planned.model.table == *table
                    && planned.model.kind == Kind::Ephemeral
                    && !planned.driven_by.is_empty()
            });
            batch || through
        };
        reads.retain(driven);
        reads
    }

    /// The table's columns, where it exists.
    pub fn schema(&self, table: &TableName) -> Option<SchemaRef> {
        self.slots.get(table).map(|slot| Arc::clone(&slot.schema))
    }

    /// The contract of a bronze or ops table.
    pub fn contract(&self, table: &TableName) -> Option<&TableSpec> {
        self.contracts.get(table)
    }

    /// Every table that goes to the lake, as it is stored there.
    pub fn stored(&self) -> anyhow::Result<Vec<TableSpec>> {
        let stored = self.slots.iter().filter(|(_, slot)| slot.storage == Storage::Lake);
        stored.map(|(name, slot)| self.spec_of(name, &slot.schema)).collect()
    }

    /// The table as the lake stores it: by its contract, or, of a model, by its result's columns.
    pub fn spec_of(&self, table: &TableName, schema: &Schema) -> anyhow::Result<TableSpec> {
        match self.contracts.get(table) {
            Some(contract) => Ok(contract.clone()),
            None => Ok(TableSpec::from_schema(table.clone(), schema)?),
        }
    }

    /// Key columns of each stored table.
    pub fn keys(&self) -> BTreeMap<TableName, Vec<String>> {
        let stored = self.slots.iter().filter(|(_, slot)| slot.storage == Storage::Lake);
        stored.map(|(name, slot)| (name.clone(), slot.key.clone())).collect()
    }

    /// What the table holds now.
    pub fn rows(&self, table: &TableName) -> anyhow::Result<RecordBatch> {
        let slot = self.slots.get(table).ok_or_else(|| anyhow!("no table is called {table}"))?;
        Ok(concat_batches(&slot.schema, &slot.held)?)
    }

    /// New rows from the desk's own hands: visible to the next build, kept for the lake.
    pub fn deliver(&mut self, table: &TableName, rows: &RecordBatch) -> anyhow::Result<()> {
        let slot =
            self.slots.get_mut(table).ok_or_else(|| anyhow!("no table is called {table}"))?;
        slot.take(rows).with_context(|| format!("rows for {table} do not fit its columns"))
    }

    /// Runs every model of the phase, in lineage order, then empties the micro-batches. A build
    /// that fails leaves every table as it was: the next one reads the same new rows, once.
    pub fn build(&mut self, run: &Run, phase: Phase) -> anyhow::Result<BuildReport> {
        self.set_run(run)?;
        let mut report = BuildReport::default();
        let before = self.contents();
        let mut rounds = std::mem::take(&mut self.rounds);
        let outcome =
            rounds.iter_mut().try_for_each(|round| self.run_round(round, phase, &mut report));
        self.rounds = rounds;
        if let Err(error) = outcome {
            self.back_to(before);
            return Err(error);
        }
        for slot in self.slots.values_mut().filter(|slot| slot.retention == Retention::Batch) {
            slot.held.clear();
            slot.publish();
        }
        Ok(report)
    }

    fn contents(&self) -> Vec<(Vec<RecordBatch>, usize)> {
        self.slots.values().map(|slot| (slot.held.clone(), slot.pending.len())).collect()
    }

    fn back_to(&mut self, contents: Vec<(Vec<RecordBatch>, usize)>) {
        for (slot, (held, pending)) in self.slots.values_mut().zip(contents) {
            slot.held = held;
            slot.pending.truncate(pending);
            slot.publish();
        }
    }

    /// Rows that the tables which a model reads hold.
    fn rows_before(&self, planned: &Planned) -> usize {
        let held = planned.reads.iter().filter_map(|table| self.slots.get(table));
        held.flat_map(|slot| &slot.held).map(RecordBatch::num_rows).sum()
    }

    /// Asks side by side, takes the answers in order.
    fn run_round(
        &mut self,
        round: &mut [Planned],
        phase: Phase,
        report: &mut BuildReport,
    ) -> anyhow::Result<()> {
        let due = |planned: &Planned| phase.runs(planned.model.kind);
        let queries = round
            .iter()
            .enumerate()
            .filter(|(_, planned)| due(planned) && !self.is_idle(planned))
            .map(|(place, planned)| (place, planned.query.clone()))
            .collect();
        let rows_in: Vec<usize> = round.iter().map(|planned| self.rows_before(planned)).collect();
        let mut answers = side_by_side(&self.runtime, queries)?;
        for ((place, planned), rows_in) in round.iter_mut().enumerate().zip(rows_in) {
            match answers.remove(&place) {
                Some(answer) => {
                    let path = planned.model.path.clone();
                    let took = self.take_answer(planned, answer, report);
                    let ran = took.with_context(|| ModelFailed { path })?;
                    report.models.push(ModelRun { rows_in, ..ran });
                }
                None if due(planned) => self.take_nothing(&planned.model, report),
                None => {}
            }
        }
        Ok(())
    }

    /// Nothing new to read: the result is empty, and need not be computed to be known.
    fn is_idle(&self, planned: &Planned) -> bool {
        !planned.driven_by.is_empty()
            && planned.driven_by.iter().all(|table| {
                let slot = self.slots.get(table);
                slot.is_none_or(|slot| slot.held.iter().all(|rows| rows.num_rows() == 0))
            })
    }

    fn take_nothing(&mut self, model: &Model, report: &mut BuildReport) {
        if let Some(slot) = self.slots.get_mut(&model.table)
            && slot.retention == Retention::Run
        {
            slot.held.clear();
            slot.publish();
        }
        report.models.push(ModelRun { path: model.path.clone(), ..ModelRun::default() });
    }

    fn take_answer(
        &mut self,
        planned: &mut Planned,
        answer: Answer,
        report: &BuildReport,
    ) -> anyhow::Result<ModelRun> {
        let stopwatch = Stopwatch::start();
        let model = &planned.model;
        let batches = answer.rows?;
        let slot = self
            .slots
            .get_mut(&model.table)
            .ok_or_else(|| anyhow!("no table is called {}", model.table))?;
        let rows = conform(&slot.schema, &concat_batches(&planned.query.schema(), &batches)?)?;
        let audited = self.runtime.block_on(planned.audits.apply(rows, &slot.key))?;
        let (rows_out, rows_quarantined) =
            (audited.kept.num_rows(), audited.rejected.as_ref().map_or(0, RecordBatch::num_rows));
        if first_part(model, report) && slot.retention == Retention::Run {
            slot.held.clear();
        }
        slot.take_part(&audited.kept)?;
        if let Some(rejected) = audited.rejected {
            self.quarantine(&model.table, &rejected, &audited.outcomes)?;
        }
        let duration_ms = (answer.seconds + stopwatch.elapsed_seconds()) * 1e3;
        tracing::debug!(model.path = model.path, duration_ms, "model ran");
        Ok(ModelRun {
            path: model.path.clone(),
            rows_in: 0,
            rows_out,
            rows_quarantined,
            duration_ms: Some(duration_ms.round() as i64),
            audits: audited.outcomes,
        })
    }

    fn quarantine(
        &mut self,
        table: &TableName,
        rejected: &RecordBatch,
        outcomes: &[AuditOutcome],
    ) -> anyhow::Result<()> {
        let name = TableName::new("silver", "quarantine");
        let slot = self
            .slots
            .get_mut(&name)
            .ok_or_else(|| anyhow!("rows failed an audit and there is no {name} to hold them"))?;
        let reasons: Vec<&str> = outcomes
            .iter()
            .filter(|outcome| outcome.verdict() == "quarantined")
            .map(|outcome| outcome.audit.as_str())
            .collect();
        let rows = super::audit::quarantined(&slot.schema, rejected, (table, &reasons.join(", ")))?;
        slot.take_part(&rows)?;
        Ok(())
    }

    fn set_run(&mut self, run: &Run) -> anyhow::Result<()> {
        self.run_table.set(vec![run_row(run)?]);
        Ok(())
    }

    /// A new session begins: yesterday's rows leave the session tables, expired contracts leave the
    /// latest-row tables.
    pub fn roll_to(&mut self, session: chrono::NaiveDate) -> anyhow::Result<()> {
        for slot in self.slots.values_mut() {
            let held = std::mem::take(&mut slot.held);
            slot.held = roll_session(&slot.retention, held, session)?;
            slot.publish();
        }
        Ok(())
    }

    /// Takes the rows that have not gone to the lake, a table at a time, for the tables named by
    /// `wanted`.
    pub fn take_pending(
        &mut self,
        wanted: impl Fn(&TableName) -> bool,
    ) -> Vec<(TableName, SchemaRef, Vec<RecordBatch>)> {
        self.slots
            .iter_mut()
            .filter(|(name, slot)| {
                slot.storage == Storage::Lake && !slot.pending.is_empty() && wanted(name)
            })
            .map(|(name, slot)| {
                (name.clone(), Arc::clone(&slot.schema), std::mem::take(&mut slot.pending))
            })
            .collect()
    }
}
