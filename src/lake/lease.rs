//! The lease: one process writes a lake.
//!
//! `_lease.json` in the lake's folder names the holder, when its hold runs out and a fencing number
//! that rises with each taking. On one machine an operating-system lock on `_lease.lock` decides at
//! once, and is free as soon as its process is gone; across machines the expiry decides.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};

use super::LakeError;
use crate::market::Timestamp;

/// Who holds a lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseHolder {
    /// The machine.
    pub host: String,
    /// The process, in words that help to find it.
    pub process: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Written {
    holder: LeaseHolder,
    expires_at: DateTime<Utc>,
    fencing: u64,
}

/// The right to write a lake, until it is dropped or runs out.
#[derive(Debug)]
pub struct Lease {
    path: PathBuf,
    written: Written,
    lock: File,
}

/// How long a lease holds without renewal.
const HOLD: Duration = Duration::minutes(5);

impl Lease {
    /// Takes the lease of the lake in `folder`, or says who holds it.
    pub fn take(folder: &Path, holder: LeaseHolder, at: Timestamp) -> Result<Self, LakeError> {
        std::fs::create_dir_all(folder)
            .map_err(|source| LakeError::Io { path: folder.to_path_buf(), source })?;
        let path = folder.join("_lease.json");
        let lock_path = folder.join("_lease.lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(|source| LakeError::Io { path: lock_path.clone(), source })?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(held(&path)),
            Err(TryLockError::Error(source)) => {
                return Err(LakeError::Io { path: lock_path, source });
            }
        }
        let earlier = read(&path)?;
        if let Some(earlier) = &earlier
            && earlier.holder.host != holder.host
            && earlier.expires_at > at
        {
            return Err(held(&path));
        }
        let fencing = earlier.map_or(1, |earlier| earlier.fencing + 1);
        let lease =
            Self { path, written: Written { holder, expires_at: at + HOLD, fencing }, lock };
        lease.write()?;
        Ok(lease)
    }

    /// Holds on for another five minutes.
    pub fn renew(&mut self, at: Timestamp) -> Result<(), LakeError> {
        self.written.expires_at = at + HOLD;
        self.write()
    }

    /// Gives the lease back: it has run out at `at`.
    pub fn release(mut self, at: Timestamp) -> Result<(), LakeError> {
        self.written.expires_at = at;
        self.write()?;
        self.lock.unlock().map_err(|source| LakeError::Io { path: self.path.clone(), source })
    }

    /// Rises with each taking.
    pub fn fencing(&self) -> u64 {
        self.written.fencing
    }

    fn write(&self) -> Result<(), LakeError> {
        let io = |source| LakeError::Io { path: self.path.clone(), source };
        let text = serde_json::to_string_pretty(&self.written)
            .map_err(|error| io(std::io::Error::other(error)))?;
        let beside = self.path.with_extension("json.new");
        std::fs::write(&beside, text).map_err(io)?;
        std::fs::rename(&beside, &self.path).map_err(io)
    }
}

fn read(path: &Path) -> Result<Option<Written>, LakeError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(LakeError::Io { path: path.to_path_buf(), source }),
    };
    serde_json::from_str(&text).map(Some).map_err(|error| LakeError::LeaseBroken {
        path: path.to_path_buf(),
        problem: error.to_string(),
    })
}

fn held(path: &Path) -> LakeError {
    match read(path) {
        Ok(Some(written)) => LakeError::LeaseHeld {
            path: path.to_path_buf(),
            holder: format!("{} on {}", written.holder.process, written.holder.host),
            expires_at: written.expires_at.to_rfc3339(),
            fencing: written.fencing,
        },
        Ok(None) => LakeError::LeaseBroken {
            path: path.to_path_buf(),
            problem: "the lock is held and nobody is named".to_owned(),
        },
        Err(error) => error,
    }
}
