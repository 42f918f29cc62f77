//! The lease of a lake in a bucket, by conditional writes of one object: who replaces an object
//! that somebody else has replaced since is told so.

use std::sync::Arc;

use deltalake::DeltaTableBuilder;
use deltalake::logstore::LogStore as _;
use object_store::path::Path as ObjectPath;
use object_store::{
    Error as StoreError, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, UpdateVersion,
};
use url::Url;

use super::LakeError;
use super::lease::Written;

/// Where the lease's object lies, from the lake's root.
const OBJECT: &str = "_lease.json";
/// Another may take it between our look and our write; then we look again.
const TRIES: usize = 5;

/// The object in which a lease is written.
#[derive(Debug, Clone)]
pub(super) struct LeaseObject {
    store: Arc<dyn ObjectStore>,
    address: String,
}

impl LeaseObject {
    pub(super) fn of(address: &str) -> Result<Self, LakeError> {
        let bad = |problem: String| LakeError::Location { location: address.to_owned(), problem };
        let root = Url::parse(&format!("{address}/")).map_err(|error| bad(error.to_string()))?;
        let store = DeltaTableBuilder::from_url(root)
            .and_then(|builder| builder.build_storage())
            .map_err(|error| bad(error.to_string()))?
            .object_store(None);
        Ok(Self { store, address: address.to_owned() })
    }

    fn failed(&self, problem: &StoreError) -> LakeError {
        LakeError::Location { location: self.address.clone(), problem: problem.to_string() }
    }

    /// What is written, and which writing it is.
    async fn read(&self) -> Result<Option<(Written, UpdateVersion)>, LakeError> {
        let found = match self.store.get(&ObjectPath::from(OBJECT)).await {
            Ok(found) => found,
            Err(StoreError::NotFound { .. }) => return Ok(None),
            Err(problem) => return Err(self.failed(&problem)),
        };
        let version =
            UpdateVersion { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() };
        let bytes = found.bytes().await.map_err(|problem| self.failed(&problem))?;
        let written = serde_json::from_slice(&bytes).map_err(|problem| LakeError::LeaseBroken {
            path: format!("{}/{OBJECT}", self.address).into(),
            problem: problem.to_string(),
        })?;
        Ok(Some((written, version)))
    }

    /// Writes the lease where `judge` lets it, given what is there.
    pub(super) async fn take(
        &self,
        judge: impl Fn(Option<Written>) -> Result<Written, LakeError>,
    ) -> Result<Written, LakeError> {
        for _ in 0..TRIES {
            let (earlier, mode) = match self.read().await? {
                None => (None, PutMode::Create),
                Some((earlier, version)) => (Some(earlier), PutMode::Update(version)),
            };
            let written = judge(earlier)?;
            if self.put(&written, mode).await? == Put::Done {
                return Ok(written);
            }
        }
        Err(LakeError::Location {
            location: self.address.clone(),
            problem: format!("{OBJECT} is written by others all the time; stop them"),
        })
    }

    /// Writes the lease again, which is lost where somebody else has taken it.
    pub(super) async fn keep(&self, written: &Written) -> Result<(), LakeError> {
        self.take(|now| match now {
            Some(now) if now.fencing == written.fencing => Ok(written.clone()),
            Some(now) => Err(self.lost(&now)),
            None => Err(self.gone()),
        })
        .await
        .map(drop)
    }

    /// That the lease is still the one with this number.
    pub(super) async fn confirm(&self, fencing: u64) -> Result<(), LakeError> {
        match self.read().await? {
            Some((now, _)) if now.fencing == fencing => Ok(()),
            Some((now, _)) => Err(self.lost(&now)),
            None => Err(self.gone()),
        }
    }

    fn lost(&self, now: &Written) -> LakeError {
        LakeError::LeaseLost {
            place: self.address.clone(),
            holder: now.holder_text(),
            fencing: now.fencing,
        }
    }

    fn gone(&self) -> LakeError {
        LakeError::LeaseLost {
            place: self.address.clone(),
            holder: format!("nobody ({OBJECT} was deleted)"),
            fencing: 0,
        }
    }

    async fn put(&self, written: &Written, mode: PutMode) -> Result<Put, LakeError> {
        let text = serde_json::to_string_pretty(written).map_err(|problem| {
            LakeError::Location { location: self.address.clone(), problem: problem.to_string() }
        })?;
        let options = PutOptions { mode, ..PutOptions::default() };
        let path = ObjectPath::from(OBJECT);
        match self.store.put_opts(&path, text.into_bytes().into(), options).await {
            Ok(_) => Ok(Put::Done),
            Err(StoreError::AlreadyExists { .. } | StoreError::Precondition { .. }) => {
                Ok(Put::Overtaken)
            }
            Err(problem) => Err(self.failed(&problem)),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Put {
    Done,
    /// Somebody else wrote in between.
    Overtaken,
}
