//! The lease: one process writes a lake.
//!
//! `_lease.json` in the lake's folder names the holder, when its hold runs out and a fencing number
//! that rises with each taking. On one machine an operating-system lock on `_lease.lock` decides at
//! once, and is free as soon as its process is gone; across machines, and in a bucket, the expiry
//! decides.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;

use super::LakeError;
use super::bucket::LeaseObject;
use crate::market::Timestamp;

/// Who holds a lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseHolder {
    /// The machine.
    pub host: String,
    /// The process, in words that help to find it.
    pub process: String,
}

/// What stands in `_lease.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Written {
    pub(super) holder: LeaseHolder,
    pub(super) expires_at: DateTime<Utc>,
    pub(super) fencing: u64,
}

impl Written {
    pub(super) fn holder_text(&self) -> String {
        format!("{} on {}", self.holder.process, self.holder.host)
    }

    fn held(&self, path: PathBuf) -> LakeError {
        LakeError::LeaseHeld {
            path,
            holder: self.holder_text(),
            expires_at: self.expires_at.to_rfc3339(),
            fencing: self.fencing,
        }
    }

    fn after(earlier: Option<&Self>, holder: LeaseHolder, at: Timestamp) -> Self {
        let fencing = earlier.map_or(1, |earlier| earlier.fencing + 1);
        Self { holder, expires_at: at + HOLD, fencing }
    }
}

/// The right to write a lake, until it is dropped or runs out.
#[derive(Debug)]
pub struct Lease {
    written: Written,
    kept: Kept,
}

/// Where a lease is written.
#[derive(Debug)]
enum Kept {
    Folder { path: PathBuf, lock: File },
    Bucket { object: LeaseObject, runtime: Handle },
}

/// How long a lease holds without renewal.
const HOLD: Duration = Duration::minutes(5);

impl Lease {
    /// Takes the lease of the lake in `folder`, or says who holds it.
    pub fn take(folder: &Path, holder: LeaseHolder, at: Timestamp) -> Result<Self, LakeError> {
        std::fs::create_dir_all(folder)
            .map_err(|problem| LakeError::Io { path: folder.to_path_buf(), problem })?;
        let path = folder.join("_lease.json");
        let lock_path = folder.join("_lease.lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(|problem| LakeError::Io { path: lock_path.clone(), problem })?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(held(&path)),
            Err(TryLockError::Error(problem)) => {
                return Err(LakeError::Io { path: lock_path, problem });
            }
        }
        let earlier = read(&path)?;
        if let Some(earlier) = &earlier
            && earlier.holder.host != holder.host
            && earlier.expires_at > at
        {
            return Err(held(&path));
        }
        let written = Written::after(earlier.as_ref(), holder, at);
        let lease = Self { written, kept: Kept::Folder { path, lock } };
        lease.write()?;
        Ok(lease)
    }

    /// Takes the lease of the lake at `s3://bucket/prefix`, or says who holds it. There the expiry
    /// alone decides: who was killed holds on until it has run out.
    pub fn take_in_bucket(
        address: &str,
        (holder, at): (LeaseHolder, Timestamp),
        runtime: &Handle,
    ) -> Result<Self, LakeError> {
        let object = LeaseObject::of(address)?;
        let path = PathBuf::from(address);
        let written = runtime.block_on(object.take(|earlier| match earlier {
            Some(earlier) if earlier.expires_at > at => Err(earlier.held(path.clone())),
            earlier => Ok(Written::after(earlier.as_ref(), holder.clone(), at)),
        }))?;
        Ok(Self { written, kept: Kept::Bucket { object, runtime: runtime.clone() } })
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
        match self.kept {
            Kept::Folder { path, lock } => {
                lock.unlock().map_err(|problem| LakeError::Io { path, problem })
            }
            Kept::Bucket { .. } => Ok(()),
        }
    }

    /// Rises with each taking.
    pub fn fencing(&self) -> u64 {
        self.written.fencing
    }

    /// What a writer looks at before each commit; a folder's lock needs no looking at.
    pub(super) fn fence(&self) -> Option<Fence> {
        match &self.kept {
            Kept::Folder { .. } => None,
            Kept::Bucket { object, .. } => {
                Some(Fence { object: object.clone(), fencing: self.written.fencing })
            }
        }
    }

    fn write(&self) -> Result<(), LakeError> {
        let path = match &self.kept {
            Kept::Bucket { object, runtime } => {
                return runtime.block_on(object.keep(&self.written));
            }
            Kept::Folder { path, .. } => path,
        };
        let io = |problem| LakeError::Io { path: path.clone(), problem };
        let text = serde_json::to_string_pretty(&self.written)
            .map_err(|error| io(std::io::Error::other(error)))?;
        let beside = path.with_extension("json.new");
        std::fs::write(&beside, text).map_err(io)?;
        std::fs::rename(&beside, path).map_err(io)
    }
}

/// Keeps a writer out whose lease somebody else has taken since.
#[derive(Debug)]
pub(super) struct Fence {
    object: LeaseObject,
    fencing: u64,
}

impl Fence {
    pub(super) async fn confirm(&self) -> Result<(), LakeError> {
        self.object.confirm(self.fencing).await
    }
}

fn read(path: &Path) -> Result<Option<Written>, LakeError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(problem) => return Err(LakeError::Io { path: path.to_path_buf(), problem }),
    };
    serde_json::from_str(&text).map(Some).map_err(|error| LakeError::LeaseBroken {
        path: path.to_path_buf(),
        problem: error.to_string(),
    })
}

fn held(path: &Path) -> LakeError {
    match read(path) {
        Ok(Some(written)) => written.held(path.to_path_buf()),
        Ok(None) => LakeError::LeaseBroken {
            path: path.to_path_buf(),
            problem: "the lock is held and nobody is named".to_owned(),
        },
        Err(error) => error,
    }
}
