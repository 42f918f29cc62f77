//! The home folder: where it is, and what lies in it.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::embedded::Market;

/// Whom a served home belongs to: chosen once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Served {
    Ib { account_id: String },
    Synthetic(Market),
}

impl fmt::Display for Served {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ib { account_id } => write!(out, "account {account_id} at IB"),
            Self::Synthetic(market) => write!(out, "an embedded market ({market})"),
        }
    }
}

/// Paths inside a home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    root: PathBuf,
}

const HOME_VARIABLE: &str = "DELTADESK_HOME";

impl Home {
    /// `--home`, else `$DELTADESK_HOME`, else `otherwise`.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub fn choose(typed: Option<PathBuf>, otherwise: &Path) -> Self {
        let root = typed
            .or_else(|| std::env::var_os(HOME_VARIABLE).map(PathBuf::from))
            .unwrap_or_else(|| otherwise.to_owned());
        Self { root }
    }

    /// A home at a known place.
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn lake(&self) -> PathBuf {
        self.root.join("lake")
    }

    pub fn state_db(&self) -> PathBuf {
        self.root.join("state.db")
    }

    pub fn reports(&self) -> PathBuf {
        self.root.join("reports")
    }

    fn served_mark(&self) -> PathBuf {
        self.root.join("served")
    }

    /// Whom this home belongs to, once it has been served.
    pub fn served_with(&self) -> anyhow::Result<Option<Served>> {
        let mark = self.served_mark();
        if !mark.exists() {
            return Ok(None);
        }
        let text = std::fs::read_to_string(&mark)
            .with_context(|| format!("{} cannot be read", mark.display()))?;
        let served = serde_json::from_str(&text)
            .with_context(|| format!("{} is damaged; serve another --home", mark.display()))?;
        Ok(Some(served))
    }

    /// Chooses that, once. A demo never works here again.
    pub fn mark_served(&self, by: &Served) -> anyhow::Result<()> {
        Self::write_whole(&self.served_mark(), &serde_json::to_string_pretty(by)?)
    }

    /// Where the embedded gateway keeps its account.
    pub fn gateway(&self) -> PathBuf {
        self.root.join("gateway")
    }

    /// How far the desk's own time has come, where it is not the wall's: it never goes back.
    pub fn clock(&self) -> anyhow::Result<Option<DateTime<Utc>>> {
        let path = self.clock_file();
        if !path.exists() {
            return Ok(None);
        }
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("{} cannot be read", path.display()))?;
        let at = DateTime::parse_from_rfc3339(text.trim())
            .with_context(|| format!("{} holds no instant", path.display()))?;
        Ok(Some(at.to_utc()))
    }

    pub fn keep_clock(&self, at: DateTime<Utc>) -> anyhow::Result<()> {
        Self::write_whole(&self.clock_file(), &format!("{}\n", at.to_rfc3339()))
    }

    fn clock_file(&self) -> PathBuf {
        self.root.join("clock")
    }

    /// The sign of life for a watchdog outside: the instant at which the desk last said that it
    /// lives.
    pub fn beat(&self, at: DateTime<Utc>) -> anyhow::Result<()> {
        Self::write_whole(&self.root.join("heartbeat"), &format!("{}\n", at.to_rfc3339()))
    }

    /// What a demo was begun with; the same home never mixes two demos.
    pub fn demo_mark(&self) -> PathBuf {
        self.root.join("demo.json")
    }

    /// Refuses a home that a server or jobs by hand have used: a demo would rewrite its state. A
    /// demo marks its home before it writes anything else.
    pub fn refuse_others(&self) -> anyhow::Result<()> {
        let by_hand = self.state_db().exists() && !self.demo_mark().exists();
        let used = if self.served_mark().exists() {
            "has been served"
        } else if by_hand {
            "holds a desk whose jobs were run by hand"
        } else {
            return Ok(());
        };
        bail!(
            "{} {used}; a demo works only in a home of its own. Choose another --home",
            self.root.display()
        )
    }

    /// Writes a file whole or not at all, whenever the process is killed.
    pub fn write_whole(path: &Path, text: &str) -> anyhow::Result<()> {
        let beside = path.with_extension("new");
        std::fs::write(&beside, text)
            .and_then(|()| std::fs::rename(&beside, path))
            .with_context(|| format!("{} cannot be written", path.display()))
    }

    /// The name of this machine, for a lease that another one may read.
    pub fn machine() -> String {
        std::fs::read_to_string("/proc/sys/kernel/hostname")
            .map_or_else(|_| "a machine without a name".to_owned(), |name| name.trim().to_owned())
    }

    pub fn create(&self) -> anyhow::Result<()> {
        for folder in [self.lake(), self.reports()] {
            std::fs::create_dir_all(&folder)
                .with_context(|| format!("{} cannot be created", folder.display()))?;
        }
        Ok(())
    }
}
