//! A model as it is written: one SQL file with a strict header.
//!
//! The path is the table's name; the header says what a machine must know; lineage is not declared
//! but read from the statement. A fault names file, line and remedy.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::lake::TableName;

/// When a model runs and what becomes of its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Rows of this run only, never stored.
    Ephemeral,
    /// Reads the new rows of bronze; its output is appended.
    Incremental,
    /// The state as of the run, appended.
    Snapshot,
    /// A snapshot at the session's close.
    Close,
}

/// What a table holds when a later model reads it live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Retention {
    /// The micro-batch being processed.
    Batch,
    /// Rows of the current run.
    Run,
    /// The newest row a key, by order of arrival.
    LatestBy(Vec<String>),
    /// Rows of the current session.
    Session,
    /// Every row since the start.
    History,
}

/// What a model is for: a table of its own, or one part of a union.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    Table,
    /// One exit rule; its rows go to gold.rule_verdicts.
    Rule {
        name: String,
        priority: i64,
    },
    /// One entry structure; its rows go to gold.entry_candidates.
    Entry {
        name: String,
        priority: i64,
    },
}

/// One SQL file, read and checked.
#[derive(Debug, Clone)]
pub struct Model {
    pub table: TableName,
    /// Path inside the set, for messages: `sql/gold/signals.sql`.
    pub path: String,
    pub sql: String,
    pub role: Role,
    pub kind: Kind,
    pub live: Retention,
    pub key: Vec<String>,
    pub params: Vec<String>,
    pub header: BTreeMap<String, String>,
}

impl Model {
    /// SHA-256 of the text, hex.
    pub fn sql_hash(&self) -> String {
        hex(&Sha256::digest(self.sql.as_bytes()))
    }

    /// Whether its rows say what was judged at the time: nothing ever computes them again.
    pub fn is_record(&self) -> bool {
        match self.role {
            Role::Table => self.header.get("rewritten").is_some_and(|when| when == "never"),
            Role::Rule { .. } | Role::Entry { .. } => true,
        }
    }

    /// The key of the table in the lake; parts of a union have one in common.
    pub fn stored_key(&self) -> Vec<String> {
        let columns: &[&str] = match self.role {
            Role::Table => return self.key.clone(),
            Role::Rule { .. } => &["as_of", "rule", "scope", "subject_id"],
            Role::Entry { .. } => &["as_of", "entry", "symbol"],
        };
        columns.iter().map(|column| (*column).to_owned()).collect()
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
        text
    })
}

/// What is wrong with a file of the set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}:{line}: {fault}")]
pub struct FileFault {
    pub path: String,
    pub line: usize,
    pub fault: String,
}

impl FileFault {
    pub fn new(path: &str, line: usize, fault: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, fault: fault.into() }
    }
}

const HEADER_KEYS: [&str; 17] = [
    "about",
    "grain",
    "key",
    "owner",
    "freshness",
    "kind",
    "live",
    "engine",
    "priority",
    "params",
    "requires",
    "uses",
    "formula",
    "audit",
    "sessions",
    "reads",
    "rewritten",
];

/// The `-- key: value` lines at the top of a file. A line without a key continues the one before.
pub fn parse_header(path: &str, sql: &str) -> Result<BTreeMap<String, String>, FileFault> {
    let mut header: BTreeMap<String, String> = BTreeMap::new();
    let mut last: Option<String> = None;
    for (index, line) in sql.lines().enumerate() {
        let Some(text) = line.strip_prefix("--") else { break };
        let text = text.trim();
        let known = text.split_once(": ").filter(|(key, _)| HEADER_KEYS.contains(key));
        if let Some((key, value)) = known {
            if header.insert(key.to_owned(), value.trim().to_owned()).is_some() {
                let fault = format!("header key `{key}` stands twice; keep one");
                return Err(FileFault::new(path, index + 1, fault));
            }
            last = Some(key.to_owned());
            continue;
        }
        let value = last.as_ref().and_then(|key| header.get_mut(key)).ok_or_else(|| {
            let fault = format!(
                "`{text}` is no header line; write `-- key: value` with one of {}",
                HEADER_KEYS.join(", ")
            );
            FileFault::new(path, index + 1, fault)
        })?;
        value.push(' ');
        value.push_str(text);
    }
    Ok(header)
}

fn names(text: &str) -> Vec<String> {
    text.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
}

/// `batch`, `run`, `session`, `history` or `latest by a, b`.
pub fn parse_retention(path: &str, text: &str) -> Result<Retention, FileFault> {
    match text {
        "batch" => Ok(Retention::Batch),
        "run" => Ok(Retention::Run),
        "session" => Ok(Retention::Session),
        "history" => Ok(Retention::History),
        other => match other.strip_prefix("latest by ") {
            Some(columns) if !names(columns).is_empty() => Ok(Retention::LatestBy(names(columns))),
            _ => Err(FileFault::new(
                path,
                1,
                format!(
                    "`live: {other}` is unknown; use batch, run, session, history or \
                     `latest by <columns>`"
                ),
            )),
        },
    }
}

fn parse_kind(path: &str, text: &str) -> Result<Kind, FileFault> {
    match text {
        "ephemeral" => Ok(Kind::Ephemeral),
        "incremental" => Ok(Kind::Incremental),
        "snapshot" => Ok(Kind::Snapshot),
        "close" => Ok(Kind::Close),
        other => Err(FileFault::new(
            path,
            1,
            format!("`kind: {other}` is unknown; use ephemeral, incremental, snapshot or close"),
        )),
    }
}

/// Gold, rules and entries are portable where their header does not say otherwise.
fn must_run_anywhere(
    path: &str,
    (folder, header): (&str, &BTreeMap<String, String>),
    sql: &str,
) -> Result<(), FileFault> {
    let portable = match header.get("engine").map(String::as_str) {
        Some("portable") | None => folder != "silver",
        Some("deltadesk") => false,
        Some(other) => {
            let fault = format!("`engine: {other}` is unknown; use portable or deltadesk");
            return Err(FileFault::new(path, 1, fault));
        }
    };
    match super::portable::obstacle(sql) {
        Some((line, what)) if portable => Err(FileFault::new(path, line, what)),
        Some(_) | None => Ok(()),
    }
}

impl Model {
    /// Reads `sql/<schema>/<name>.sql`; `path` is relative to the set.
    pub fn parse(path: &str, sql: &str) -> Result<Self, FileFault> {
        let mut parts = path.trim_end_matches(".sql").rsplit('/');
        let (Some(name), Some(folder)) = (parts.next(), parts.next()) else {
            return Err(FileFault::new(path, 1, "a model lies in sql/<schema>/<name>.sql"));
        };
        let header = parse_header(path, sql)?;
        let need = |key: &str| {
            header.get(key).cloned().ok_or_else(|| {
                FileFault::new(
                    path,
                    1,
                    format!("header key `{key}` is missing; add `-- {key}: ..`"),
                )
            })
        };
        for key in ["about", "grain", "owner"] {
            need(key)?;
        }
        let priority = || {
            need("priority")?
                .parse::<i64>()
                .map_err(|_| FileFault::new(path, 1, "header key `priority` is not a whole number"))
        };
        let (table, role, kind, live) = match folder {
            "rules" => (
                TableName::new("gold", "rule_verdicts"),
                Role::Rule { name: name.to_owned(), priority: priority()? },
                Kind::Snapshot,
                Retention::Run,
            ),
            "entries" => (
                TableName::new("gold", "entry_candidates"),
                Role::Entry { name: name.to_owned(), priority: priority()? },
                Kind::Snapshot,
                Retention::Run,
            ),
            "silver" | "gold" => (
                TableName::new(folder, name),
                Role::Table,
                parse_kind(path, &need("kind")?)?,
                parse_retention(path, &need("live")?)?,
            ),
            other => {
                let fault =
                    format!("folder `{other}` holds no models; use silver, gold, rules or entries");
                return Err(FileFault::new(path, 1, fault));
            }
        };
        if header.get("rewritten").is_some_and(|when| when != "never") {
            let fault = "`rewritten` is `never` or is left away";
            return Err(FileFault::new(path, 1, fault));
        }
        must_run_anywhere(path, (folder, &header), sql)?;
        let key = names(&need("key")?);
        let params = header.get("params").map_or_else(Vec::new, |text| names(text));
        Ok(Self {
            table,
            path: path.to_owned(),
            sql: sql.trim_end().trim_end_matches(';').to_owned(),
            role,
            kind,
            live,
            key,
            params,
            header,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: &str = "-- about: a\n-- grain: one row a symbol\n-- key: symbol, as_of\n\
                         -- owner: o\n-- kind: snapshot\n-- live: run\nselect 1 as one\n";

    #[test]
    fn a_sound_header_is_read() {
        let model = Model::parse("sql/gold/signals.sql", SOUND).unwrap();
        assert_eq!(model.table, TableName::new("gold", "signals"));
        assert_eq!(model.key, ["symbol", "as_of"]);
        assert_eq!(model.live, Retention::Run);
    }

    #[test]
    fn a_fault_names_file_and_remedy() {
        let missing = SOUND.replace("-- kind: snapshot\n", "");
        let fault = Model::parse("sql/gold/signals.sql", &missing).unwrap_err();
        assert_eq!(
            fault.to_string(),
            "sql/gold/signals.sql:1: header key `kind` is missing; add `-- kind: ..`"
        );
        let unknown = SOUND.replace("snapshot", "sometimes");
        assert!(Model::parse("sql/gold/signals.sql", &unknown).is_err());
        let own = SOUND.replace("select 1 as one", "select bsm('C', 1, 1, 1, 0, 0, 1) as one");
        let fault = Model::parse("sql/gold/signals.sql", &own).unwrap_err();
        assert!(fault.to_string().starts_with("sql/gold/signals.sql:7: `bsm` is"), "{fault}");
        let marked = own.replace("-- live: run", "-- live: run\n-- engine: deltadesk");
        assert!(Model::parse("sql/gold/signals.sql", &marked).is_ok());
    }
}
