//! The lake's part of the check: each table opened, its newest files looked into.

use super::Found;
use crate::cli::sql::{instant_text, runtime};
use crate::desk::home::Home;
use crate::desk::lake_place::lake_place;
use crate::lake::{Durability, Lake, LakeError, LakePlace};

/// How many of a table's newest files are looked into.
const FILES_MAX: usize = 8;

/// What the lake looks like.
pub fn found(home: &Home) -> Found {
    let place = match lake_place(home) {
        Ok(place) => place,
        Err(error) => return Found::Faulty(vec![format!("{error:#}")]),
    };
    if let LakePlace::Folder(folder) = &place {
        if !folder.exists() {
            return Found::Sound("none yet; `deltadesk demo` makes one".to_owned());
        }
        if !folder.is_dir() {
            return Found::Faulty(vec![format!(
                "{place} is a file, and a lake is a folder; move it away, the next run makes the \
                 folder"
            )]);
        }
    }
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return Found::Faulty(vec![format!("{error:#}")]),
    };
    runtime.block_on(async {
        match Lake::open_at(&place, Durability::Fsync).await {
            Ok(lake) => tables(&lake).await,
            Err(error) => Found::Faulty(vec![error.to_string()]),
        }
    })
}

async fn tables(lake: &Lake) -> Found {
    let mut faults = Vec::new();
    let (mut files, mut read, mut newest) = (0, 0, None);
    let tables = lake.tables();
    for table in &tables {
        match lake.probe(table, FILES_MAX).await {
            Ok(probed) => {
                files += probed.files;
                read += probed.read;
                faults.extend(probed.faults.iter().map(LakeError::to_string));
                if let Ok(commits) = lake.commits(table).await {
                    newest = newest.max(commits.last().map(|commit| commit.as_of));
                }
            }
            Err(error) => faults.push(error.to_string()),
        }
    }
    let newest = newest.map_or_else(|| "no rows yet".to_owned(), instant_text);
    let sound = format!(
        "{} tables, {files} files, {read} looked into; newest rows as of {newest}",
        tables.len()
    );
    Found::of(sound, faults)
}
