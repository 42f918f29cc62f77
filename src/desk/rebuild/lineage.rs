//! Which models stand above and below which.

use std::collections::{BTreeMap, BTreeSet};

use crate::lake::{TableName, new_session, tables_read};
use crate::pipeline::catalogue::lineage;
use crate::pipeline::{Kind, Model};

/// The models of a set by their paths, in an order in which each comes after those that it reads.
pub(super) struct Lineage {
    order: Vec<String>,
    /// Tables that a model reads, its own left out.
    reads: BTreeMap<String, BTreeSet<TableName>>,
    makers: BTreeMap<TableName, BTreeSet<String>>,
    ephemeral: BTreeSet<TableName>,
}

impl Lineage {
    pub(super) fn of(models: &[Model]) -> anyhow::Result<Self> {
        let session = new_session()?;
        let rounds = lineage(&session, models)?;
        let order = rounds.into_iter().flatten().filter_map(|place| models.get(place));
        let order = order.map(|model| model.path.clone()).collect();
        let mut reads = BTreeMap::new();
        let mut makers: BTreeMap<TableName, BTreeSet<String>> = BTreeMap::new();
        let mut ephemeral = BTreeSet::new();
        for model in models {
            let mut read = tables_read(&session, &model.sql)?;
            read.remove(&model.table);
            reads.insert(model.path.clone(), read);
            makers.entry(model.table.clone()).or_default().insert(model.path.clone());
            if model.kind == Kind::Ephemeral {
                ephemeral.insert(model.table.clone());
            }
        }
        Ok(Self { order, reads, makers, ephemeral })
    }

    pub(super) fn in_order(&self) -> &[String] {
        &self.order
    }

    /// Models whose tables a model reads.
    pub(super) fn above(&self, path: &str) -> BTreeSet<&str> {
        let reads = self.reads.get(path).into_iter().flatten();
        reads.filter_map(|table| self.makers.get(table)).flatten().map(String::as_str).collect()
    }

    /// A model and everything that reads it, directly or through others.
    pub(super) fn with_readers(&self, path: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::from([path.to_owned()]);
        for later in &self.order {
            if self.above(later).into_iter().any(|above| found.contains(above)) {
                found.insert(later.clone());
            }
        }
        found
    }

    /// Tables of the lake from which a model is computed, those behind ephemeral models included.
    pub(super) fn stored_inputs(&self, path: &str) -> BTreeSet<TableName> {
        let mut found = BTreeSet::new();
        for table in self.reads.get(path).into_iter().flatten() {
            if self.ephemeral.contains(table) {
                for maker in self.makers.get(table).into_iter().flatten() {
                    found.extend(self.stored_inputs(maker));
                }
            } else {
                found.insert(table.clone());
            }
        }
        found
    }
}
