//! `deltadesk serve`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use chrono::{DateTime, NaiveDate};
use clap::Args;

use super::tell;

use crate::desk::behind::ServeOrder;
use crate::desk::home::Home;
use crate::desk::serve::{Listener, begins, run};
use crate::gateway::{Script, Speed};
use crate::market::Timestamp;

/// What was typed.
#[derive(Debug, Args)]
pub struct Typed {
    /// Simulated seconds a second, above 0 and at most 100: market and desk run together.
    #[arg(long, default_value = "1", value_parser = super::gateway::speed)]
    speed: Speed,
    /// Where the embedded market's time begins: a session, from 35 minutes before its open, or an
    /// instant such as 2026-03-02T14:00:00Z. Without it, now.
    #[arg(long, value_name = "DATE|INSTANT")]
    from: Option<String>,
    /// Seed of the embedded market; 1 without it.
    #[arg(long)]
    seed: Option<u64>,
    /// A script of faults for the embedded gateway; docs/gateway.md says what it may hold.
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
}

impl Typed {
    pub fn run(self, home: Option<PathBuf>) -> anyhow::Result<()> {
        let home = Home::choose(home, Path::new("desk"));
        let faults = match &self.faults {
            Some(path) => super::gateway::read_script(path)?,
            None => Script::default(),
        };
        let from = self.from.as_deref().map(|text| instant(&home, text)).transpose()?;
        let order = ServeOrder { speed: self.speed, seed: self.seed, from, faults };
        tell(&format!(
            "deltadesk serve: home {}, {} times as fast",
            home.root().display(),
            order.speed.0
        ));
        tell("stop it with Ctrl-C or SIGTERM: entries are cancelled and all is written");
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let signals = std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || wait_for_stop(&stop))
            .context("no thread for signals")?;
        let outcome = run(order, &home, &stopped, &mut Printed);
        drop(signals);
        outcome
    }
}

/// Turns the first SIGTERM or Ctrl-C into a stop; a failure to listen stops too.
fn wait_for_stop(stop: &tokio::sync::watch::Sender<bool>) {
    let listened = || -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let kind = tokio::signal::unix::SignalKind::terminate();
            let mut terminate = tokio::signal::unix::signal(kind)?;
            tokio::select! {
                _ = terminate.recv() => Ok(()),
                pressed = tokio::signal::ctrl_c() => Ok(pressed?),
            }
        })
    };
    if let Err(error) = listened() {
        eprintln!("signals cannot be heard, the server stops: {error:#}");
    }
    // Nobody waits for it once the server has ended by itself.
    let _ = stop.send(true);
}

fn instant(home: &Home, text: &str) -> anyhow::Result<Timestamp> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Ok(at.to_utc());
    }
    let date: NaiveDate = text.parse().with_context(|| {
        format!("--from {text} is neither a date like 2026-03-02 nor an instant with its offset")
    })?;
    begins(home, date).with_context(|| format!("--from {date} cannot be the first session"))
}

struct Printed;

impl Listener for Printed {
    fn line(&mut self, at: Timestamp, text: &str) {
        let local = at.with_timezone(&chrono_tz::America::New_York);
        tell(&format!("{} {text}", local.format("%Y-%m-%d %H:%M:%S")));
    }
}
