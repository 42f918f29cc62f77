//! Where a home's lake lies, and opening it there.

use anyhow::{Context as _, bail, ensure};

use super::home::Home;
use super::settings::LakeSettings;
use crate::lake::{Durability, Lake, LakePlace, Lease};

/// Where the lake of a home lies. Settings that cannot be read as a whole may still say so.
pub fn lake_place(home: &Home) -> anyhow::Result<LakePlace> {
    let file = home.root().join("deltadesk.toml");
    if !file.exists() {
        return Ok(LakePlace::Folder(home.lake()));
    }
    let text = std::fs::read_to_string(&file)
        .with_context(|| format!("{} cannot be read", file.display()))?;
    let table: toml::Table =
        text.parse().with_context(|| format!("{} is no TOML", file.display()))?;
    let address = table.get("lake").and_then(|lake| lake.get("address")?.as_str());
    place_of(home, address.unwrap_or_default())
}

fn place_of(home: &Home, address: &str) -> anyhow::Result<LakePlace> {
    if address.is_empty() {
        return Ok(LakePlace::Folder(home.lake()));
    }
    LakePlace::bucket(address).context("deltadesk.toml: [lake] address")
}

/// Where the lake lies, or what to do where nothing has been written yet.
pub fn need_lake(home: &Home) -> anyhow::Result<LakePlace> {
    let place = lake_place(home)?;
    if let LakePlace::Folder(folder) = &place {
        ensure!(
            folder.is_dir(),
            "there is no lake at {place}; run `deltadesk demo` first, or name a home with --home"
        );
    }
    Ok(place)
}

/// The lake to be read.
pub async fn open_to_read(home: &Home) -> anyhow::Result<Lake> {
    let place = need_lake(home)?;
    let lake = Lake::open_at(&place, Durability::Fsync).await?;
    if matches!(place, LakePlace::Bucket(_)) && lake.tables().is_empty() {
        bail!("the lake at {place} has no tables yet; `deltadesk serve` makes them");
    }
    Ok(lake)
}

/// The lake to be written under a lease.
pub async fn open_to_write(home: &Home, lease: &Lease) -> anyhow::Result<Lake> {
    let lake = Lake::open_at(&lake_place(home)?, Durability::Fsync).await?;
    lake.write_under(lease);
    Ok(lake)
}

/// A demo's lake lies in its home: it is computed again from its start, and what it wrote is its
/// own.
pub fn refuse_bucket(settings: &LakeSettings) -> anyhow::Result<()> {
    ensure!(
        settings.address.is_empty(),
        "[lake] address is {}, and a demo keeps its lake in its home; make it empty, or serve",
        settings.address
    );
    Ok(())
}
