//! The right to write a home's lake, and the lake made fit for it.

use tokio::runtime::Handle;

use super::home::Home;
use super::lake_place::{lake_place, open_to_write};
use crate::lake::{LakePlace, Lease, LeaseHolder};
use crate::market::{Clock as _, WallClock};

/// Takes the lake's lease for a command, or says who holds it. What a power loss cut off is set
/// aside, and told.
pub fn take_lake(
    home: &Home,
    command: &str,
    runtime: &Handle,
) -> anyhow::Result<(Lease, Vec<String>)> {
    let holder = LeaseHolder {
        host: Home::machine(),
        process: format!("deltadesk {command}, process {}", std::process::id()),
    };
    let lease = match lake_place(home)? {
        LakePlace::Folder(folder) => Lease::take(&folder, holder, WallClock.now())?,
        LakePlace::Bucket(address) => {
            Lease::take_in_bucket(&address, (holder, WallClock.now()), runtime)?
        }
    };
    let aside = runtime.block_on(async {
        let lake = open_to_write(home, &lease).await?;
        anyhow::Ok(lake.set_torn_aside(&lease).await?)
    })?;
    Ok((lease, aside.iter().map(ToString::to_string).collect()))
}
