//! The repository's own files as text, for the tests that judge how the project is written.

#![cfg(test)]

use std::path::Path;

/// Everything in the repository that people write, but for the files at its root.
const FOLDERS: [&str; 10] = [
    ".ci",
    "benches",
    "docs",
    "notebooks",
    "pipelines",
    "reference",
    "sql",
    "src",
    "templates",
    "tests",
];

/// What other programs leave in these folders.
const LEFT_BEHIND: [&str; 3] = [".ipynb_checkpoints", ".venv", "__pycache__"];

/// A text file: its path from the root with `/`, and what it says.
pub struct File {
    pub path: String,
    pub text: String,
}

impl File {
    /// Name without folders.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    pub fn is(&self, extension: &str) -> bool {
        self.path.strip_suffix(extension).is_some_and(|stem| stem.ends_with('.'))
    }

    /// Lines with their numbers, from 1.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(at, line)| (at + 1, line))
    }
}

/// Every text file that people write, by path.
pub fn everything() -> Vec<File> {
    let at_the_root = entries("").into_iter().filter_map(|name| read(&name));
    FOLDERS.iter().flat_map(|folder| files(folder)).chain(at_the_root).collect()
}

/// Every text file under a folder of the repository, by path; none where there is no such folder.
pub fn files(folder: &str) -> Vec<File> {
    let inside = entries(folder).into_iter().filter(|name| !LEFT_BEHIND.contains(&name.as_str()));
    let paths = inside.map(|name| format!("{folder}/{name}"));
    paths.flat_map(|path| read(&path).map_or_else(|| files(&path), |file| vec![file])).collect()
}

fn entries(folder: &str) -> Vec<String> {
    let Ok(found) = std::fs::read_dir(root().join(folder)) else { return Vec::new() };
    let names = found.map(|entry| entry.expect("the folder was just opened").file_name());
    let mut names: Vec<String> = names.filter_map(|name| name.into_string().ok()).collect();
    names.sort();
    names
}

/// `None` for folders and for what is not text.
fn read(path: &str) -> Option<File> {
    let text = std::fs::read_to_string(root().join(path)).ok()?;
    Some(File { path: path.to_owned(), text })
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
