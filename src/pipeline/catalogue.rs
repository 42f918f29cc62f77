//! The set of SQL files: contracts of bronze and ops, models, rules, entries, audits and tests; and
//! the tests that are declared beside the pipelines.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::lake::{SessionContext, TableName, TableSpec, tables_read};

use super::declared;
use super::model::{FileFault, Model, Retention, Role, parse_header, parse_retention};

/// Paths relative to the set's root and their texts, in order of path.
pub type Files = BTreeMap<String, String>;

/// A table whose rows come from the desk's own hands: its DDL is the contract.
#[derive(Debug, Clone)]
pub struct Contract {
    pub spec: TableSpec,
    pub live: Retention,
    pub key: Vec<String>,
}

/// What becomes of an audit's offenders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Otherwise {
    /// Offending rows go to quarantine, the rest is kept.
    Quarantine,
    /// Any offending row stops the commit.
    Block,
    /// They are kept, and told.
    Warn,
}

/// What of the lake an audit across tables looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditSpan {
    /// Every session.
    History,
    /// The session that closes.
    OneSession,
    /// The session that closes and the one before it: what was judged then stays judged.
    TwoSessions,
}

/// A query that returns offending rows.
#[derive(Debug, Clone)]
pub struct Audit {
    pub name: String,
    pub path: String,
    pub sql: String,
    pub otherwise: Otherwise,
    pub span: AuditSpan,
    /// The table whose pending result it reads; `None` for an audit across tables.
    pub table: Option<TableName>,
}

/// Everything under `sql/`, read and checked.
#[derive(Debug, Clone)]
pub struct Catalogue {
    pub contracts: BTreeMap<TableName, Contract>,
    pub models: Vec<Model>,
    pub audits: Vec<Audit>,
    /// Path of the model and text of its `.test.toml`.
    pub tests: BTreeMap<String, String>,
}

impl Catalogue {
    /// All faults at once, each with its file.
    pub fn read(files: &Files) -> Result<Self, Vec<FileFault>> {
        let mut catalogue = Self {
            contracts: BTreeMap::new(),
            models: Vec::new(),
            audits: Vec::new(),
            tests: BTreeMap::new(),
        };
        let mut faults = Vec::new();
        for (path, text) in files.iter().filter(|(path, _)| path.starts_with("sql/")) {
            if let Err(fault) = catalogue.take(path, text) {
                faults.push(fault);
            }
        }
        for (path, text) in files.iter().filter(|(path, _)| path.starts_with(declared::FOLDER)) {
            match declared::parse(path, text) {
                Ok(audits) => catalogue.audits.extend(audits),
                Err(fault) => faults.push(fault),
            }
        }
        if faults.is_empty() { Ok(catalogue) } else { Err(faults) }
    }

    fn take(&mut self, path: &str, text: &str) -> Result<(), FileFault> {
        let folder = path.split('/').nth(1).unwrap_or_default();
        if let Some(stem) = path.strip_suffix(".test.toml") {
            self.tests.insert(format!("{stem}.sql"), text.to_owned());
        } else if let Some(stem) = path.strip_suffix(".audit.sql") {
            let table = TableName::new(folder, stem.rsplit('/').next().unwrap_or_default());
            self.audits.push(Audit::parse(path, text, Some(table))?);
        } else if folder == "audits" {
            self.audits.push(Audit::parse(path, text, None)?);
        } else if folder == "bronze" || folder == "ops" {
            let contract = parse_contract(path, text)?;
            self.contracts.insert(contract.spec.name().clone(), contract);
        } else if std::path::Path::new(path).extension().is_some_and(|kind| kind == "sql") {
            self.models.push(Model::parse(path, text)?);
        } else {
            let fault =
                "only .sql, .test.toml and .audit.sql files belong under sql/; move it away";
            return Err(FileFault::new(path, 1, fault));
        }
        Ok(())
    }

    /// Audits across tables, in order of name.
    pub fn cross_audits(&self) -> impl Iterator<Item = &Audit> {
        self.audits.iter().filter(|audit| audit.table.is_none())
    }
}

impl Audit {
    fn parse(path: &str, text: &str, table: Option<TableName>) -> Result<Self, FileFault> {
        let header = parse_header(path, text)?;
        let otherwise = match (header.get("audit").map(String::as_str), &table) {
            (Some("row"), Some(_)) => Otherwise::Quarantine,
            (Some("table"), _) | (None, None) => Otherwise::Block,
            _ => {
                let fault = "an audit says `-- audit: row` or `-- audit: table` in its header";
                return Err(FileFault::new(path, 1, fault));
            }
        };
        let span = match header.get("sessions").map(String::as_str) {
            None => AuditSpan::History,
            Some("1") if table.is_none() => AuditSpan::OneSession,
            Some("2") if table.is_none() => AuditSpan::TwoSessions,
            Some(_) => {
                let fault = "an audit across tables may say `-- sessions: 1` or `2`, \
                             another says nothing";
                return Err(FileFault::new(path, 1, fault));
            }
        };
        let name = path.rsplit('/').next().unwrap_or(path);
        let name = name.trim_end_matches(".sql").trim_end_matches(".audit").to_owned();
        let sql = text.trim_end().trim_end_matches(';').to_owned();
        Ok(Self { name, path: path.to_owned(), sql, otherwise, span, table })
    }
}

fn parse_contract(path: &str, text: &str) -> Result<Contract, FileFault> {
    let header = parse_header(path, text)?;
    let need = |key: &str| {
        header.get(key).ok_or_else(|| {
            FileFault::new(path, 1, format!("header key `{key}` is missing; add `-- {key}: ..`"))
        })
    };
    let live = parse_retention(path, need("live")?)?;
    let key = need("key")?.split(',').map(|name| name.trim().to_owned()).collect();
    let spec = TableSpec::from_ddl(text).map_err(|error| {
        FileFault::new(path, 1, format!("the create table statement cannot be read: {error}"))
    })?;
    Ok(Contract { spec, live, key })
}

/// The order in which models can run, in rounds: a model after every model whose table it reads, so
/// that those of one round wait for nothing of each other. A table may read its own earlier rows.
/// A cycle is a fault that names the models in it.
pub fn lineage(session: &SessionContext, models: &[Model]) -> anyhow::Result<Vec<Vec<usize>>> {
    let mut waits: Vec<BTreeSet<TableName>> = Vec::with_capacity(models.len());
    let made: BTreeSet<TableName> = models.iter().map(|model| model.table.clone()).collect();
    for model in models {
        let mut reads = tables_read(session, &model.sql)
            .map_err(|error| anyhow::anyhow!("{}: {error}", model.path))?;
        reads.remove(&model.table);
        reads.retain(|table| made.contains(table));
        waits.push(reads);
    }
    let mut rounds = Vec::new();
    let mut left: BTreeSet<usize> = (0..models.len()).collect();
    while !left.is_empty() {
        let unmade: BTreeSet<&TableName> =
            left.iter().filter_map(|index| models.get(*index)).map(|model| &model.table).collect();
        let ready: Vec<usize> = left
            .iter()
            .copied()
            .filter(|index| {
                waits
                    .get(*index)
                    .is_some_and(|reads| reads.iter().all(|read| !unmade.contains(read)))
            })
            .collect();
        if ready.is_empty() {
            let stuck: Vec<&str> = left
                .iter()
                .filter_map(|index| models.get(*index))
                .map(|model| model.path.as_str())
                .collect();
            anyhow::bail!(
                "these models wait for each other: {}; break the circle",
                stuck.join(", ")
            );
        }
        left.retain(|index| !ready.contains(index));
        rounds.push(ready);
    }
    Ok(rounds)
}

impl Catalogue {
    /// Leaves out rules and entries by name.
    pub fn switch_off(&mut self, names: &[String]) {
        self.models.retain(|model| match &model.role {
            Role::Rule { name, .. } | Role::Entry { name, .. } => !names.contains(name),
            Role::Table => true,
        });
    }
}
