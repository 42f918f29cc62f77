//! What outlives the gateway, given a folder: positions, cash, orders, fills, and ids that never go
//! back. Orders and fills are kept for as long as anybody may ask for them.
//!
//! Invariants: what a client has been told is in the file. The file is written whole or not at all,
//! before the news goes out. One gateway keeps its state in a folder at a time.

use std::fs::{File, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::exchange::{ExchangeError, ExchangeState};
use crate::market::Timestamp;

use super::closes::Closes;
use super::house::House;
use super::news::Fill;
use super::orders::{KeptOrders, Orders};
use super::realised::Realised;

/// The file's name in its folder.
const FILE: &str = "gateway.json";
/// What is locked while a gateway keeps its state there.
const LOCK: &str = "gateway.lock";

/// IB tells executions of a week, and the orders that a day has ended.
const KEPT: TimeDelta = TimeDelta::days(8);

/// Everything that is kept. `market` is the owner's mark of the market that this account trades:
/// another one would give its positions other prices.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    pub market: String,
    pub exchange: ExchangeState,
    orders: KeptOrders,
    fills: Vec<Fill>,
    /// Empty in a file of an earlier version.
    #[serde(default)]
    closes: Closes,
    #[serde(default)]
    realised: Vec<Realised>,
}

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    #[error("{} cannot be read or written: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{} is damaged, or of another version: {source}", path.display())]
    Damaged { path: PathBuf, source: serde_json::Error },
    #[error(
        "another gateway keeps its state in {}: stop it, or name another folder",
        folder.display()
    )]
    InUse { folder: PathBuf },
    #[error(
        "{} belongs to the market {found}, not to {wanted}; name another folder, or that market",
        path.display()
    )]
    OtherMarket { path: PathBuf, found: String, wanted: String },
}

/// Keeps a gateway's state in a folder.
#[derive(Debug, Clone)]
pub struct Keeper {
    path: PathBuf,
    market: String,
    /// Locked for as long as this, or one like it, lives; also the end of the process unlocks it.
    _lock: Arc<File>,
}

impl Keeper {
    /// The folder is made where there is none.
    pub fn of(folder: &Path, market: &str) -> Result<Self, KeepError> {
        let path = folder.join(FILE);
        let beside = folder.join(LOCK);
        let unusable = |source| KeepError::Io { path: beside.clone(), source };
        std::fs::create_dir_all(folder).map_err(unusable)?;
        let lock = File::create(&beside).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, market: market.to_owned(), _lock: Arc::new(lock) }),
            Err(TryLockError::WouldBlock) => Err(KeepError::InUse { folder: folder.to_owned() }),
            Err(TryLockError::Error(source)) => Err(unusable(source)),
        }
    }

    /// What an earlier gateway left; nothing in a new folder.
    pub fn read(&self) -> Result<Option<Kept>, KeepError> {
        let path = self.path.clone();
        let text = match std::fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(KeepError::Io { path, source }),
        };
        let kept: Kept = serde_json::from_str(&text)
            .map_err(|source| KeepError::Damaged { path: path.clone(), source })?;
        if kept.market != self.market {
            let (found, wanted) = (kept.market, self.market.clone());
            return Err(KeepError::OtherMarket { path, found, wanted });
        }
        Ok(Some(kept))
    }

    fn write(&self, kept: &Kept) -> Result<(), KeepError> {
        let beside = self.path.with_extension("new");
        let text = serde_json::to_vec(kept)
            .map_err(|source| KeepError::Damaged { path: self.path.clone(), source })?;
        let whole = || -> std::io::Result<()> {
            let mut file = File::create(&beside)?;
            file.write_all(&text)?;
            file.sync_all()?;
            std::fs::rename(&beside, &self.path)?;
            // The new name, too, is to outlive a power cut.
            let folder = self.path.parent().map(File::open).transpose()?;
            folder.map_or(Ok(()), |folder| folder.sync_all())
        };
        whole().map_err(|source| KeepError::Io { path: self.path.clone(), source })
    }
}

impl House {
    /// Takes over the orders and fills of an earlier house; its exchange is resumed already.
    pub(super) fn take_over(&mut self, kept: Kept) {
        self.orders = Orders::of_kept(kept.orders);
        self.fills = kept.fills;
        self.realised = kept.realised;
        self.closes = kept.closes.still_good(self.exchange.closed_session());
    }

    /// Goes over the time in which there was no house: nobody saw its closes.
    pub fn pass_over(&mut self, at: Timestamp) -> Result<(), ExchangeError> {
        self.go_to(self.no_later_than_the_end(at))?;
        self.closed = self.exchange.closed_session();
        self.closes = std::mem::take(&mut self.closes).still_good(self.closed);
        Ok(())
    }

    /// Forgets orders that have ended and fills once nobody can ask for them any more, so that what
    /// is written with each change stays short. Ids that were given stay given.
    pub(super) fn forget(&mut self) {
        // News are told by the places of their orders.
        if !self.own_news.told.is_empty() {
            return;
        }
        let by = self.now() - KEPT;
        self.orders = self.orders.without_ended(by);
        self.fills.retain(|fill| fill.at > by);
    }

    /// Writes what is about to be told. A house that cannot keep its state takes no orders.
    pub(super) fn keep(&mut self) {
        let Some(keeper) = &self.keeper else { return };
        let kept = Kept {
            market: keeper.market.clone(),
            exchange: self.exchange.state(),
            orders: self.orders.kept(),
            fills: self.fills.clone(),
            closes: self.closes.clone(),
            realised: self.realised.clone(),
        };
        match keeper.write(&kept) {
            Ok(()) => self.forgetful = None,
            Err(error) => {
                tracing::error!("the gateway's state is not kept: {error}");
                self.forgetful = Some(error.to_string());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_belongs_to_one_gateway_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let first = Keeper::of(folder.path(), "a market").unwrap();
        let second = Keeper::of(folder.path(), "a market").unwrap_err();
        assert!(second.to_string().contains("another gateway keeps its state"), "{second}");
        let also = first.clone();
        drop(first);
        assert!(Keeper::of(folder.path(), "a market").is_err(), "it is still kept");
        drop(also);
        assert!(Keeper::of(folder.path(), "a market").is_ok());
    }
}
