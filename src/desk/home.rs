//! The home folder: where it is, and what lies in it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

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

    /// What a demo was begun with; the same home never mixes two demos.
    pub fn demo_mark(&self) -> PathBuf {
        self.root.join("demo.json")
    }

    /// Refuses a home that a server has used: a demo would rewrite its state.
    pub fn refuse_served(&self) -> anyhow::Result<()> {
        if self.served_mark().exists() {
            bail!(
                "{} has been served; a demo works only in a home of its own. Choose another --home",
                self.root.display()
            );
        }
        Ok(())
    }

    pub fn create(&self) -> anyhow::Result<()> {
        for folder in [self.lake(), self.reports()] {
            std::fs::create_dir_all(&folder)
                .with_context(|| format!("{} cannot be created", folder.display()))?;
        }
        Ok(())
    }

    /// An error that says what to do where nothing has been written yet.
    pub fn need_lake(&self) -> anyhow::Result<PathBuf> {
        let lake = self.lake();
        if !lake.is_dir() {
            bail!(
                "there is no lake at {}; run `deltadesk demo` first, or name a home with --home",
                lake.display()
            );
        }
        Ok(lake)
    }
}
