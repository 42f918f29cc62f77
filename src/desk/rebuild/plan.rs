//! What is to be computed again, and why.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::bail;
use chrono::NaiveDate;

use crate::lake::arrow::array::RecordBatch;
use crate::lake::{PinnedSession, Rows};
use crate::pipeline::{Kind, Model, Phase, RecordedBuild, keeps_cuts, recorded_builds};

use super::{Models, REBUILT};

/// Which sessions' rows of a model are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Whatever is not what the models of now would make.
    Stale,
    /// What failed, and what waits for it.
    Unfinished,
    /// What is missing or failed.
    Gaps,
    /// Everything.
    All,
}

/// Which part of the history is looked at.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// A table or a path; its readers go with it.
    pub model: Option<String>,
    pub from: Option<NaiveDate>,
    pub to: Option<NaiveDate>,
}

/// Why a model's rows of a session are to be computed again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    TextChanged,
    /// It is made from another, directly or through others, that is not what it would be now.
    MadeFrom(String),
    NotBuilt,
    Failed(String),
    WaitsFor(String),
    Asked,
}

impl fmt::Display for Why {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TextChanged => write!(out, "its text has changed"),
            Self::MadeFrom(path) => write!(out, "it is made from {path}"),
            Self::NotBuilt => write!(out, "it was not there"),
            Self::Failed(how) => write!(out, "it failed: {how}"),
            Self::WaitsFor(path) => write!(out, "it waits for {path}, which failed"),
            Self::Asked => write!(out, "asked for"),
        }
    }
}

/// One session, and the models whose rows in it are computed again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionPlan {
    pub session: NaiveDate,
    /// By path.
    pub models: BTreeMap<String, Why>,
}

/// How a model's rows of a session came to be.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Known {
    Live(BTreeSet<String>),
    Rebuilt(String),
    Failed(String),
    WaitsFor(String),
}

type History = BTreeMap<(NaiveDate, String), Known>;

impl Models<'_> {
    /// The sessions in which something is to be done, oldest first.
    pub fn plan(&self, wanted: Wanted, scope: &Scope) -> anyhow::Result<Vec<SessionPlan>> {
        let within = self.within(scope)?;
        let pinned = self.runtime.block_on(self.lake.session_at(None))?;
        let builds = self.runtime.block_on(recorded_builds(&pinned))?;
        let history = self.runtime.block_on(history(&pinned))?;
        let mut sessions: BTreeMap<NaiveDate, Vec<&RecordedBuild>> = BTreeMap::new();
        for build in &builds {
            let date = build.session_date;
            let inside =
                scope.from.is_none_or(|from| date >= from) && scope.to.is_none_or(|to| date <= to);
            if inside {
                sessions.entry(date).or_default().push(build);
            }
        }
        let mut plans = Vec::new();
        for (session, builds) in sessions {
            let phases: Vec<Phase> = builds.iter().map(|build| build.phase).collect();
            let mut models = match wanted {
                Wanted::All => self.all(&phases),
                Wanted::Stale | Wanted::Unfinished | Wanted::Gaps => {
                    self.stale((session, &phases), &history)
                }
            };
            models.retain(|path, why| within.contains(path) && wanted.takes(why));
            if !models.is_empty() {
                plans.push(SessionPlan { session, models });
            }
        }
        Ok(plans)
    }

    /// Sessions that the lake has and that cannot be computed again: no cuts were kept of them.
    pub fn without_cuts(&self) -> anyhow::Result<Vec<NaiveDate>> {
        let pinned = self.runtime.block_on(self.lake.session_at(None))?;
        let sql = "select session_date from ops.model_runs group by session_date
                   having max(ingest_seq_cut) is null order by session_date";
        let rows = self.runtime.block_on(rows(&pinned, sql))?;
        let Some(rows) = rows else { return Ok(Vec::new()) };
        rows.iter().map(|row| Ok(row.date("session_date")?)).collect()
    }

    /// Paths of the models that may be computed again: the one that was named and its readers.
    fn within(&self, scope: &Scope) -> anyhow::Result<BTreeSet<String>> {
        let models = &self.plans.catalogue.models;
        let writable = |model: &&Model| !model.is_record() && model.kind != Kind::Ephemeral;
        let mut paths: BTreeSet<String> =
            models.iter().filter(writable).map(|model| model.path.clone()).collect();
        let Some(name) = &scope.model else { return Ok(paths) };
        let named: Vec<&Model> = models
            .iter()
            .filter(|model| model.path == *name || model.table.to_string() == *name)
            .collect();
        let Some(first) = named.first() else {
            let names: BTreeSet<String> =
                models.iter().filter(writable).map(|model| model.table.to_string()).collect();
            let names: Vec<String> = names.into_iter().collect();
            bail!("no model is called {name}; there are {}", names.join(", "));
        };
        if first.is_record() {
            bail!(
                "{name} says what was judged at the time and is never computed again; what the \
                 rules of now would have said is asked of a replay"
            );
        }
        let wanted = self.lineage.with_readers(&first.path);
        paths.retain(|path| wanted.contains(path));
        Ok(paths)
    }

    fn all(&self, phases: &[Phase]) -> BTreeMap<String, Why> {
        let due = self.plans.catalogue.models.iter().filter(|model| is_due(model, phases));
        due.map(|model| (model.path.clone(), Why::Asked)).collect()
    }

    /// Models that would not make what is there, ephemeral ones among them.
    fn stale(
        &self,
        (session, phases): (NaiveDate, &[Phase]),
        history: &History,
    ) -> BTreeMap<String, Why> {
        let closed = phases.contains(&Phase::Close);
        let mut found: BTreeMap<String, Why> = BTreeMap::new();
        for path in self.lineage.in_order() {
            let Some(model) = self.model(path).filter(|model| is_due(model, phases)) else {
                continue;
            };
            let own = match history.get(&(session, path.clone())) {
                // A model without rows is told of at the close alone.
                None => closed.then_some(Why::NotBuilt),
                Some(Known::Failed(how)) => Some(Why::Failed(how.clone())),
                Some(Known::WaitsFor(path)) => Some(Why::WaitsFor(path.clone())),
                Some(Known::Rebuilt(hash)) => {
                    (*hash != model.sql_hash()).then_some(Why::TextChanged)
                }
                Some(Known::Live(hashes)) => {
                    let now = BTreeSet::from([model.sql_hash()]);
                    (*hashes != now).then_some(Why::TextChanged)
                }
            };
            let from_above = || {
                let above = self.lineage.above(path);
                let mut changed = above.into_iter().filter_map(|path| found.get_key_value(path));
                changed.next().map(|(path, why)| match why {
                    Why::MadeFrom(root) => Why::MadeFrom(root.clone()),
                    Why::TextChanged
                    | Why::NotBuilt
                    | Why::Failed(_)
                    | Why::WaitsFor(_)
                    | Why::Asked => Why::MadeFrom(path.clone()),
                })
            };
            if let Some(why) = own.or_else(from_above) {
                found.insert(path.clone(), why);
            }
        }
        found
    }
}

impl Wanted {
    fn takes(self, why: &Why) -> bool {
        match self {
            Self::All | Self::Stale => true,
            Self::Unfinished => matches!(why, Why::Failed(_) | Why::WaitsFor(_)),
            Self::Gaps => matches!(why, Why::Failed(_) | Why::WaitsFor(_) | Why::NotBuilt),
        }
    }
}

/// Whether one of a session's builds runs the model.
fn is_due(model: &Model, phases: &[Phase]) -> bool {
    phases.iter().any(|phase| phase.runs(model.kind))
}

/// How each model's rows of each session came to be: computed again, or live.
async fn history(pinned: &PinnedSession) -> anyhow::Result<History> {
    let mut history = History::new();
    let live = "select distinct model, session_date, sql_hash from ops.model_runs
                where mode = 'live' order by model, session_date, sql_hash";
    for row in rows(pinned, live).await?.iter().flat_map(Rows::iter) {
        let key = (row.date("session_date")?, row.text("model")?.to_owned());
        let known = history.entry(key).or_insert_with(|| Known::Live(BTreeSet::new()));
        if let Known::Live(hashes) = known {
            hashes.insert(row.text("sql_hash")?.to_owned());
        }
    }
    let rebuilt = format!(
        "select model, session_date, sql_hash, status, coalesce(detail, '') as detail
         from ops.model_runs where mode = '{REBUILT}' order by as_of, run_id"
    );
    for row in rows(pinned, &rebuilt).await?.iter().flat_map(Rows::iter) {
        let key = (row.date("session_date")?, row.text("model")?.to_owned());
        let detail = row.text("detail")?.to_owned();
        let known = match row.text("status")? {
            "failed" => Known::Failed(detail),
            "waiting" => Known::WaitsFor(detail),
            _ => Known::Rebuilt(row.text("sql_hash")?.to_owned()),
        };
        history.insert(key, known);
    }
    Ok(history)
}

async fn rows(pinned: &PinnedSession, sql: &str) -> anyhow::Result<Option<Rows>> {
    if !keeps_cuts(pinned).await? {
        return Ok(None);
    }
    let found = pinned.query(sql).await?;
    let Some(schema) = found.first().map(RecordBatch::schema) else { return Ok(None) };
    Ok(Some(Rows::of(&schema, &found)?))
}
