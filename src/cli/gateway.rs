//! `deltadesk gateway`.

mod tape;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use chrono::{NaiveDate, TimeDelta};
use clap::Args;
use tokio::net::TcpListener;
use tokio::runtime::Handle;

use super::tell;
use crate::desk::MarketChoice;
use crate::desk::home::Home;
use crate::desk::paper_gateway::{Asked, Beginning, gateway_asked};
use crate::desk::recorded_gateway::{RecordAsked, gateway_over_record};
use crate::gateway::{Access, Entitled, Entitlements, Gateway, Rules, Script, Speed};
use crate::market::Clock as _;

/// Where the synthetic market begins, unless it is told otherwise.
const FIRST_SESSION: NaiveDate = NaiveDate::from_ymd_opt(2026, 3, 2).expect("a date");

/// What was typed.
#[derive(Debug, Args)]
pub struct Typed {
    /// Port on this machine; 0 takes a free one.
    #[arg(long, default_value_t = 4002)]
    port: u16,
    /// synthetic, or recorded:DIR for a folder of recorded chains, which is played to its end.
    #[arg(long, default_value = "synthetic", value_name = "MARKET")]
    market: MarketChoice,
    /// Seed of the synthetic market and of every draw.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The session at whose open the market begins, or now: then it keeps the wall's time. Without
    /// it 2026-03-02, and of a record its first session.
    #[arg(long, value_name = "DATE|now", value_parser = beginning)]
    from: Option<Beginning>,
    /// Simulated seconds a second, above 0 and at most 100.
    #[arg(long, default_value = "1", value_parser = speed)]
    speed: Speed,
    /// Whether 50 messages a second are the most, as at IB: ib or off.
    #[arg(long, default_value = "ib", value_parser = pacing)]
    pacing: Rules,
    /// What the account may see of a part of the market: equities, indices, options or futures as
    /// live, delayed or none. Once for each part; what is not named is live.
    #[arg(long, value_name = "GROUP=SEEN")]
    entitled: Vec<Entitled>,
    /// Simulated seconds for which a snapshot stays open; IB's are 11. With --pacing off 0.
    #[arg(long, value_name = "SECONDS", value_parser = snapshot_seconds)]
    snapshot_seconds: Option<TimeDelta>,
    /// Neither takes nor tells orders, as with "Read-Only API" ticked at IB.
    #[arg(long)]
    read_only: bool,
    /// The client that is told what happens to the orders of all, as with IB's "Master API client
    /// ID".
    #[arg(long, value_name = "ID")]
    master_client: Option<i32>,
    /// A script of faults; docs/gateway.md says what it may hold.
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
    /// Keeps the account in this folder, and goes on with what is there.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    #[command(flatten)]
    tape: tape::Tape,
}

fn beginning(text: &str) -> Result<Beginning, String> {
    if text == "now" {
        return Ok(Beginning::Now);
    }
    let date: Result<NaiveDate, _> = text.parse();
    date.map(Beginning::AtOpen).map_err(|_| format!("`{text}` is neither a date nor now"))
}

fn snapshot_seconds(text: &str) -> Result<TimeDelta, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("`{text}` is no number"))?;
    if (0.0..=600.0).contains(&seconds) {
        Ok(TimeDelta::milliseconds((seconds * 1_000.0) as i64))
    } else {
        Err(format!("{seconds} is not between 0 and 600"))
    }
}

fn pacing(text: &str) -> Result<Rules, String> {
    match text {
        "ib" => Ok(Rules::of_ib()),
        "off" => Ok(Rules::unpaced()),
        other => Err(format!("`{other}` is neither ib nor off")),
    }
}

pub(super) fn speed(text: &str) -> Result<Speed, String> {
    let number: f64 = text.parse().map_err(|_| format!("`{text}` is no number"))?;
    if number > 0.0 && number <= 100.0 {
        Ok(Speed(number))
    } else {
        Err(format!("{number} is not above 0 and at most 100"))
    }
}

impl Typed {
    pub fn run(self, home: Option<PathBuf>) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let is_tape = self.tape.play.is_some() || self.tape.of.is_some();
        // A record is read by the runtime that nothing runs on yet.
        let built = if is_tape {
            None
        } else {
            let home = Home::choose(home, Path::new("desk"));
            Some(self.behind(&home, runtime.handle())?)
        };
        runtime.block_on(async {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
            let listener = TcpListener::bind(address).await.with_context(|| {
                format!("{address} cannot be taken; is another gateway there? Try --port 0")
            })?;
            match (&self.tape.play, &self.tape.record, &self.tape.of, built) {
                (Some(path), _, _, _) => tape::played(path, listener, self.speed).await,
                (None, Some(path), Some(of), _) => tape::stand_before(path, of, listener).await,
                (None, _, _, Some((gateway, market))) => {
                    self.simulated((gateway, &market), listener).await
                }
                (None, _, _, None) => bail!("--of needs --record"),
            }
        })
    }

    /// What the account may see of the market.
    fn seen(&self) -> Entitlements {
        let all = Entitlements::default();
        self.entitled.iter().fold(all, |seen, one| seen.with(*one))
    }

    /// A gateway over a simulated exchange, until Ctrl-C.
    async fn simulated(
        &self,
        (gateway, market): (Gateway, &str),
        listener: TcpListener,
    ) -> anyhow::Result<()> {
        let faults = match &self.faults {
            Some(path) => read_script(path)?,
            None => Script::default(),
        };
        let account = gateway.account();
        tell(&format!("deltadesk gateway: paper account {account}, seed {}", self.seed));
        tell(&format!(
            "connect to {}, any client id; only from this machine",
            listener.local_addr()?
        ));
        let seen = self.seen();
        if seen != Entitlements::default() {
            tell(&format!("market data: {seen}"));
        }
        tell("clients: protobuf at server versions 213 to 226, text at 176 to 178");
        tell(&format!(
            "market: {market}, now {}, {} times as fast",
            gateway.now().format("%Y-%m-%d %H:%M:%S UTC"),
            self.speed.0
        ));
        match &self.state {
            Some(folder) => tell(&format!("stop it with Ctrl-C; kept in {}", folder.display())),
            None => tell("stop it with Ctrl-C; it keeps nothing"),
        }
        let gateway = gateway.with_faults(faults);
        tokio::select! {
            outcome = self.serve(gateway, listener) => outcome,
            stop = tokio::signal::ctrl_c() => stop.context("Ctrl-C cannot be awaited"),
        }
    }

    /// Serves at the listener, behind a proxy where all is to be recorded.
    async fn serve(&self, gateway: Gateway, listener: TcpListener) -> anyhow::Result<()> {
        let Some(path) = &self.tape.record else {
            return gateway.serve(listener).await.context("the market cannot go on");
        };
        let behind = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no free port")?;
        let proxy = tape::recording(path, &behind.local_addr()?.to_string())?;
        tokio::select! {
            outcome = gateway.serve(behind) => outcome.context("the market cannot go on"),
            () = proxy.serve(listener) => Ok(()),
        }
    }

    /// The gateway with its market, and what the market is.
    fn behind(&self, home: &Home, handle: &Handle) -> anyhow::Result<(Gateway, String)> {
        let access = if self.read_only { Access::ReadOnly } else { Access::Full };
        let (entitled, master_client) = (self.seen(), self.master_client);
        let snapshot_end = self.snapshot_seconds.unwrap_or(self.pacing.snapshot_end);
        let rules = Rules { snapshot_end, entitled, access, master_client, ..self.pacing };
        let state = self.state.as_deref();
        let folder = match &self.market {
            MarketChoice::Synthetic => {
                let open = Beginning::AtOpen(FIRST_SESSION);
                let beginning = self.from.unwrap_or(open);
                let asked = Asked { home: home.root(), seed: self.seed, beginning };
                let gateway = gateway_asked(asked, state, (self.speed, rules))?;
                return Ok((gateway, format!("synthetic, {beginning}")));
            }
            MarketChoice::Fair => bail!("the gateway has synthetic and recorded:DIR only"),
            MarketChoice::Recorded(folder) => folder,
        };
        let from = match self.from {
            Some(Beginning::Now) => {
                bail!("a record has its own time; --from takes one of its sessions, or leave it")
            }
            Some(Beginning::AtOpen(session)) => Some(session),
            None => None,
        };
        let asked = RecordAsked { home: home.root(), folder, from, seed: self.seed };
        let record = gateway_over_record(asked, state, (self.speed, rules, handle))?;
        let sessions: Vec<String> = record.sessions.iter().map(NaiveDate::to_string).collect();
        let end = record.over_at.map(|at| at.format("%Y-%m-%d %H:%M UTC").to_string());
        let market = format!(
            "{}, {} rows of the sessions {} ({} rows name no contract), over at {}",
            self.market,
            record.rows,
            sessions.join(", "),
            record.faults,
            end.unwrap_or_default()
        );
        Ok((record.gateway, market))
    }
}

pub(super) fn read_script(path: &Path) -> anyhow::Result<Script> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("{} cannot be read", path.display()))?;
    Script::parse(&text).with_context(|| format!("{} is no script of faults", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_lasts_no_longer_than_ten_minutes() {
        assert_eq!(snapshot_seconds("1.5"), Ok(TimeDelta::milliseconds(1_500)));
        for wrong in ["-1", "601", "NaN", "long"] {
            assert!(snapshot_seconds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_speed_is_above_nothing_and_at_most_a_hundred() {
        assert_eq!(speed("2.5"), Ok(Speed(2.5)));
        for wrong in ["0", "-1", "101", "NaN", "fast"] {
            assert!(speed(wrong).is_err(), "{wrong}");
        }
    }
}
