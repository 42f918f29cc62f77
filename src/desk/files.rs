//! The desk's files: the shipped, compiled-in set and what a home puts in its place.
//!
//! A home replaces a whole folder or top file, never single files in it, so that what runs is one
//! set that somebody looked at as a whole.

use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};

use crate::pipeline::Files;

static SQL: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/sql");
static PIPELINES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/pipelines");
static REFERENCE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/reference");
static TEMPLATES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/templates");
const JOBS: &str = include_str!("../../jobs.toml");
const SETTINGS: &str = include_str!("../../deltadesk.toml");

/// Top-level parts of the set: files first, then folders.
pub const TOP_FILES: [&str; 2] = ["deltadesk.toml", "jobs.toml"];
pub const TOP_FOLDERS: [&str; 4] = ["pipelines", "reference", "sql", "templates"];

/// Where a part of the set comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    Shipped,
    /// In the home, and the same as shipped.
    Unedited,
    /// In the home, and different from shipped.
    Edited,
}

impl Origin {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shipped => "shipped",
            Self::Unedited => "in the home, as shipped",
            Self::Edited => "in the home, edited",
        }
    }
}

/// A file of the home cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {source}")]
pub struct FileError {
    pub path: PathBuf,
    #[source]
    pub source: std::io::Error,
}

fn at(path: &Path) -> impl FnOnce(std::io::Error) -> FileError + '_ {
    move |source| FileError { path: path.to_owned(), source }
}

/// Everything that is compiled in.
pub fn shipped() -> Files {
    let mut files = Files::new();
    for (name, folder) in [
        ("sql", &SQL),
        ("pipelines", &PIPELINES),
        ("reference", &REFERENCE),
        ("templates", &TEMPLATES),
    ] {
        take_folder(name, folder, &mut files);
    }
    files.insert("jobs.toml".to_owned(), JOBS.to_owned());
    files.insert("deltadesk.toml".to_owned(), SETTINGS.to_owned());
    files
}

fn take_folder(prefix: &str, folder: &Dir<'_>, files: &mut Files) {
    for file in folder.files() {
        if let Some(text) = file.contents_utf8() {
            files.insert(format!("{prefix}/{}", file.path().display()), text.to_owned());
        }
    }
    for inner in folder.dirs() {
        take_folder(prefix, inner, files);
    }
}

/// The set that a home runs on, and where each part of it comes from.
pub fn of_home(home: &Path) -> Result<(Files, Vec<(String, Origin)>), FileError> {
    let shipped = shipped();
    let mut files = shipped.clone();
    let mut origins = Vec::new();
    for part in TOP_FILES.iter().chain(&TOP_FOLDERS) {
        let path = home.join(part);
        if !path.exists() {
            origins.push(((*part).to_owned(), Origin::Shipped));
            continue;
        }
        let mine = |name: &String| name == part || name.starts_with(&format!("{part}/"));
        let mut found = Files::new();
        read_into(&path, part, &mut found)?;
        let same = shipped.iter().filter(|(name, _)| mine(name)).eq(found.iter());
        origins.push(((*part).to_owned(), if same { Origin::Unedited } else { Origin::Edited }));
        files.retain(|name, _| !mine(name));
        files.extend(found);
    }
    Ok((files, origins))
}

/// What a home lacks to trade an account at IB: there every file lies in it, so that nothing of
/// what trades changes with the binary.
pub fn lacks(home: &Path, origins: &[(String, Origin)]) -> Option<String> {
    let shipped = origins.iter().filter(|(_, origin)| *origin == Origin::Shipped);
    let parts: Vec<&str> = shipped.map(|(part, _)| part.as_str()).collect();
    (!parts.is_empty()).then(|| {
        format!(
            "with broker = \"ib\" every file lies in the home, and {} has no {}; `deltadesk \
             init DIR` lays all of them out, to be looked at and copied",
            home.display(),
            parts.join(", ")
        )
    })
}

fn read_into(path: &Path, name: &str, files: &mut Files) -> Result<(), FileError> {
    if path.is_file() {
        files.insert(name.to_owned(), std::fs::read_to_string(path).map_err(at(path))?);
        return Ok(());
    }
    let entries = std::fs::read_dir(path).map_err(at(path))?;
    for entry in entries {
        let entry = entry.map_err(at(path))?;
        let inner = format!("{name}/{}", entry.file_name().to_string_lossy());
        read_into(&entry.path(), &inner, files)?;
    }
    Ok(())
}

/// Lays the shipped set out in a folder. Nothing that is there is touched: an existing part is an
/// error that says so.
pub fn lay_out(home: &Path) -> anyhow::Result<usize> {
    for part in TOP_FILES.iter().chain(&TOP_FOLDERS) {
        if home.join(part).exists() {
            anyhow::bail!(
                "{} is there already; init writes only into a folder without it. Move it away or \
                 choose another folder",
                home.join(part).display()
            );
        }
    }
    let files = shipped();
    for (name, text) in &files {
        let path = home.join(name);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(at(folder))?;
        }
        std::fs::write(&path, text).map_err(at(&path))?;
    }
    Ok(files.len())
}
