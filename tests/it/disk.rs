//! A disk that runs full in the middle of a day, and one that can only be read: a clear error,
//! nothing lost, and no repair by hand.
//!
//! The small disk is a file system in memory, in a name space of the test's own; a machine that
//! gives none does not run these.

#![cfg(test)]

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::demo::undisturbed;
use super::homes::{lay_out, text};

/// A disk that two days do not fit on.
const SMALL: &str = "3m";

/// Runs lines of a shell with a disk of its own at `$disk`, a copy of a home in `$disk/home`;
/// `$desk` is the binary.
fn on_a_disk((home, size): (&Path, &str), lines: &str) -> Option<String> {
    let own = ["--user", "--map-root-user", "--mount"];
    let possible = Command::new("unshare").args(own).arg("true").output();
    if !possible.is_ok_and(|tried| tried.status.success()) {
        println!("not run: this machine gives no name space of its own");
        return None;
    }
    let place = TempDir::new().unwrap();
    let script = format!(
        "set -e; mount -t tmpfs -o size={size} tmpfs \"$disk\"\n\
         cp -r \"$home\" \"$disk/home\"; set +e\n{lines}"
    );
    let answer = Command::new("unshare")
        .args(own)
        .args(["sh", "-c", &script])
        .env("disk", place.path())
        .env("home", home)
        .env("desk", env!("CARGO_BIN_EXE_deltadesk"))
        .env_remove("RUST_BACKTRACE")
        .output()
        .unwrap();
    Some(text(&answer))
}

#[test]
fn a_full_disk_is_told_and_the_same_day_comes_out_when_there_is_space() {
    let home = TempDir::new().unwrap();
    lay_out(home.path(), &[]);
    let Some(said) = on_a_disk(
        (home.path(), SMALL),
        "\"$desk\" demo --days 2 --home \"$disk/home\" 2>&1; echo \"ended with $?\"
         \"$desk\" lake verify --home \"$disk/home\" 2>&1
         mount -o remount,size=200m \"$disk\"; echo more space
         \"$desk\" demo --days 2 --home \"$disk/home\" 2>&1
         \"$desk\" lake verify --home \"$disk/home\" 2>&1",
    ) else {
        return;
    };
    let (full, after) = said.split_once("more space").unwrap_or_else(|| panic!("{said}"));
    assert!(full.contains("ended with 1"), "{said}");
    assert!(full.contains("the disk is full; free some space and start again"), "{said}");
    assert!(!said.contains("panicked") && !said.contains("os error"), "{said}");
    assert_eq!(said.matches("the lake is sound").count(), 2, "{said}");
    assert!(after.contains(&undisturbed().digest), "{said}");
}

#[test]
fn a_folder_that_can_only_be_read_is_told_and_can_be_read() {
    let Some(said) = on_a_disk(
        (&undisturbed().home, "200m"),
        "mount -o remount,ro \"$disk\"
         \"$desk\" demo --days 2 --home \"$disk/home\" 2>&1; echo \"ended with $?\"
         \"$desk\" models run --home \"$disk/home\" 2>&1; echo \"ended with $?\"
         \"$desk\" models plan --home \"$disk/home\" 2>&1
         \"$desk\" lake verify --home \"$disk/home\" 2>&1",
    ) else {
        return;
    };
    assert_eq!(said.matches("ended with 1").count(), 2, "{said}");
    assert_eq!(said.matches("it can be read only: make it writable").count(), 2, "{said}");
    assert!(said.contains("every session is what the models of now make"), "{said}");
    assert!(said.contains("the lake is sound") && !said.contains("panicked"), "{said}");
}
