//! `deltadesk gateway --record`, `--of` and `--play`: frames recorded and played.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use tokio::net::TcpListener;

use crate::cli::tell;
use crate::gateway::{Proxy, RECORDING_MAX, Recorder, Recording, Speed, play};
use crate::market::{Clock as _, WallClock};

/// What was typed of recordings.
#[derive(Debug, Args)]
pub struct Tape {
    /// Records every frame of every connection in this new file; docs/gateway.md has the format.
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// Records the gateway at this address instead, standing in front of it.
    #[arg(long, value_name = "ADDRESS", requires = "record")]
    pub of: Option<String>,
    /// Plays a recording to clients and says what was different.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["record", "state", "faults", "from"])]
    pub play: Option<PathBuf>,
}

/// A proxy that records what passes between its clients and a gateway.
pub fn recording(path: &Path, of: &str) -> anyhow::Result<Proxy> {
    let started = WallClock.now().format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let recorder = Recorder::to(path, &started, of).context("nothing is recorded")?;
    tell(&format!(
        "recording to {}, at most {} MiB; it holds accounts and orders as they pass",
        path.display(),
        RECORDING_MAX >> 20
    ));
    Ok(Proxy { recorder, of: of.to_owned() })
}

/// Stands in front of a gateway until Ctrl-C.
pub async fn stand_before(path: &Path, of: &str, listener: TcpListener) -> anyhow::Result<()> {
    let proxy = recording(path, of)?;
    tell(&format!("deltadesk gateway: in front of {of}, and changes nothing"));
    tell(&format!("connect to {}, as you would to that one", listener.local_addr()?));
    tell("stop it with Ctrl-C");
    tokio::select! {
        () = proxy.serve(listener) => Ok(()),
        stop = tokio::signal::ctrl_c() => stop.context("Ctrl-C cannot be awaited"),
    }
}

/// Plays a recording once, and says what was different.
pub async fn played(path: &Path, listener: TcpListener, speed: Speed) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("{} cannot be read", path.display()))?;
    let recording =
        Recording::parse(&text).with_context(|| format!("{} cannot be played", path.display()))?;
    if recording.is_torn {
        tell("the recording's last line is cut off and left out");
    }
    tell(&format!(
        "deltadesk gateway: plays {}, {} connections of {}",
        path.display(),
        recording.connections.len(),
        recording.of
    ));
    tell(&format!("connect to {}, once for each of them", listener.local_addr()?));
    tell("it ends with the last connection, or with Ctrl-C");
    tokio::select! {
        report = play(listener, recording, speed) => tell(&report.to_string()),
        stop = tokio::signal::ctrl_c() => stop.context("Ctrl-C cannot be awaited")?,
    }
    Ok(())
}
