//! The files of the predecessor's lake: which of them its logs name, and their rows.
//!
//! Its logs cannot be left to a Delta library: one declares partition columns that no file has, and
//! is refused as a whole. They are replayed here, action by action.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use percent_encoding::percent_decode_str;

/// What a table's log says of a data file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileState {
    /// Part of the newest version.
    Live,
    /// On the disk, and in no log entry: no reader sees it.
    Orphan,
    /// Part of earlier versions only.
    Superseded,
}

impl FileState {
    pub const ALL: [Self; 3] = [Self::Live, Self::Orphan, Self::Superseded];
}

impl fmt::Display for FileState {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Live => "live",
            Self::Orphan => "orphan",
            Self::Superseded => "superseded",
        })
    }
}

/// One data file of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFile {
    pub path: PathBuf,
    /// From the table's folder.
    pub name: String,
    pub state: FileState,
    /// `column=value` folders above it.
    pub folders: BTreeMap<String, String>,
}

/// One table's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceTable {
    pub name: String,
    pub files: Vec<DataFile>,
    /// Files of the newest version that are not there.
    pub missing: Vec<String>,
}

/// The tables of a lake folder, in order of name.
pub fn tables(lake: &Path) -> anyhow::Result<Vec<SourceTable>> {
    let entries = std::fs::read_dir(lake).with_context(|| {
        format!("{} cannot be read; name the folder of the V6 lake", lake.display())
    })?;
    let mut folders = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| format!("{} cannot be listed", lake.display()))?.path();
        if path.is_dir() {
            folders.push(path);
        }
    }
    folders.sort();
    let tables: Vec<SourceTable> =
        folders.iter().map(|folder| table(folder)).collect::<anyhow::Result<_>>()?;
    if tables.iter().all(|table| table.files.is_empty()) {
        bail!("no folder of {} holds a parquet file; name the V6 lake", lake.display());
    }
    Ok(tables)
}

fn table(folder: &Path) -> anyhow::Result<SourceTable> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let log = replay(&folder.join("_delta_log"))?;
    let mut files = Vec::new();
    walk(folder, &mut |path| {
        let name = path.strip_prefix(folder).unwrap_or(path).to_string_lossy().into_owned();
        let state = match &log {
            // A folder without a log is as it is.
            None => FileState::Live,
            Some(log) if log.live.contains(&name) => FileState::Live,
            Some(log) if log.removed.contains(&name) => FileState::Superseded,
            Some(_) => FileState::Orphan,
        };
        let folders = name.split('/').filter_map(|part| part.split_once('='));
        let folders = folders.map(|(column, value)| (column.to_owned(), decoded(value))).collect();
        files.push(DataFile { path: path.to_path_buf(), name, state, folders });
    })?;
    files.sort_by(|a, b| (a.state, &a.name).cmp(&(b.state, &b.name)));
    let there: BTreeSet<&String> = files.iter().map(|file| &file.name).collect();
    let live = log.map(|log| log.live).unwrap_or_default();
    let missing = live.iter().filter(|name| !there.contains(name)).cloned().collect();
    Ok(SourceTable { name, files, missing })
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn walk(folder: &Path, found: &mut impl FnMut(&Path)) -> anyhow::Result<()> {
    let entries = std::fs::read_dir(folder)
        .with_context(|| format!("{} cannot be listed", folder.display()))?;
    for entry in entries {
        let path = entry.with_context(|| format!("{} cannot be listed", folder.display()))?.path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "_delta_log") {
                walk(&path, found)?;
            }
        } else if path.extension().is_some_and(|kind| kind == "parquet") {
            found(&path);
        }
    }
    Ok(())
}

/// What the entries of a log come to.
struct Replayed {
    live: BTreeSet<String>,
    removed: BTreeSet<String>,
}

/// `None` where there is no log. Every entry from the first on must be there: checkpoints are not
/// needed, and where they are missing nothing is.
fn replay(log: &Path) -> anyhow::Result<Option<Replayed>> {
    if !log.is_dir() {
        return Ok(None);
    }
    let mut entries: BTreeMap<u64, PathBuf> = BTreeMap::new();
    for entry in std::fs::read_dir(log)? {
        let path = entry?.path();
        let digits = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".json"));
        if let Some(version) = digits.filter(|text| text.len() == 20).and_then(|d| d.parse().ok()) {
            entries.insert(version, path);
        }
    }
    let mut replayed = Replayed { live: BTreeSet::new(), removed: BTreeSet::new() };
    for (expected, (version, path)) in (0..).zip(&entries) {
        if *version != expected {
            bail!(
                "{} goes from entry {expected} to {version}, so that live files cannot be told \
                 from others; restore the entries between, or move the log away to take every \
                 file of the folder as it is",
                log.display()
            );
        }
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("{} cannot be read", path.display()))?;
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let action: serde_json::Value = serde_json::from_str(line)
                .with_context(|| format!("{} is cut off; remove it", path.display()))?;
            replayed.take(&action);
        }
    }
    Ok(Some(replayed))
}

impl Replayed {
    fn take(&mut self, action: &serde_json::Value) {
        let path = |kind: &str| Some(decoded(action.get(kind)?.get("path")?.as_str()?));
        if let Some(added) = path("add") {
            self.live.insert(added);
        }
        if let Some(removed) = path("remove") {
            self.live.remove(&removed);
            self.removed.insert(removed);
        }
    }
}
