//! A proxy in front of a gateway, ours or IB's own, that records what passes.
//!
//! Invariants: bytes pass as they came, in their order, whatever they mean; what cannot be recorded
//! passes all the same. It neither answers nor changes anything.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::frame::{FRAME_LENGTH_MAX, Frames};
use super::handshake::{GREETING, PROTO_OLDEST};
use super::recording::{Recorder, Side};

const READ_SIZE: usize = 16 * 1024;
/// How long the gateway may take to be reached, and one side to end after the other.
const WITHIN: Duration = Duration::from_secs(5);

/// Stands in front of an address.
#[derive(Debug, Clone)]
pub struct Proxy {
    pub recorder: Recorder,
    /// Where the gateway is: `127.0.0.1:7497`.
    pub of: String,
}

impl Proxy {
    /// Takes connections for ever.
    pub async fn serve(&self, listener: TcpListener) {
        let mut talks = JoinSet::new();
        loop {
            tokio::select! {
                taken = listener.accept() => match taken {
                    Ok((client, peer)) => {
                        let proxy = self.clone();
                        talks.spawn(async move {
                            if let Err(error) = proxy.pass(client).await {
                                tracing::warn!(%peer, %error, "connection closed");
                            }
                        });
                    }
                    Err(error) => tracing::warn!(%error, "a connection could not be taken"),
                },
                Some(_) = talks.join_next() => {}
            }
        }
    }

    async fn pass(&self, client: TcpStream) -> std::io::Result<()> {
        let connection = self.recorder.opened();
        let passed = self.pass_as(connection, client).await;
        self.recorder.closed(connection);
        passed
    }

    async fn pass_as(&self, connection: u32, client: TcpStream) -> std::io::Result<()> {
        let gateway = timeout(WITHIN, TcpStream::connect(&self.of));
        let gateway = gateway.await.map_err(|_| std::io::ErrorKind::TimedOut)??;
        client.set_nodelay(true)?;
        gateway.set_nodelay(true)?;
        let (from_client, to_client) = client.into_split();
        let (from_gateway, to_gateway) = gateway.into_split();
        let version = Arc::new(AtomicU32::new(0));
        let tap = |side| Tap::of((self.recorder.clone(), connection), side, Arc::clone(&version));
        let asked = pump(from_client, to_gateway, tap(Side::Client));
        let answered = pump(from_gateway, to_client, tap(Side::Gateway));
        let (mut asked, mut answered) = (std::pin::pin!(asked), std::pin::pin!(answered));
        tokio::select! {
            ended = &mut asked => {
                let rest = timeout(WITHIN, answered).await;
                ended.and(rest.unwrap_or(Ok(())))
            }
            ended = &mut answered => {
                let rest = timeout(WITHIN, asked).await;
                ended.and(rest.unwrap_or(Ok(())))
            }
        }
    }
}

/// One direction, until its sender ends it.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut tap: Tap,
) -> std::io::Result<()> {
    let mut buffer = vec![0; READ_SIZE];
    loop {
        let count = from.read(&mut buffer).await?;
        let bytes = buffer.get(..count).unwrap_or_default();
        if bytes.is_empty() {
            return to.shutdown().await;
        }
        tap.hear(bytes);
        to.write_all(bytes).await?;
    }
}

/// Cuts a copy of one direction's bytes into frames and records them.
struct Tap {
    recorder: Recorder,
    connection: u32,
    side: Side,
    /// Of the server, once it has said it; 0 before.
    version: Arc<AtomicU32>,
    frames: Frames,
    /// Bytes of the greeting that are still to come.
    greeting: usize,
    is_broken: bool,
    frames_heard: u64,
}

impl Tap {
    fn of((recorder, connection): (Recorder, u32), side: Side, version: Arc<AtomicU32>) -> Self {
        let greeting = match side {
            Side::Client => GREETING.len(),
            Side::Gateway => 0,
        };
        Self {
            recorder,
            connection,
            side,
            version,
            frames: Frames::up_to(FRAME_LENGTH_MAX),
            greeting,
            is_broken: false,
            frames_heard: 0,
        }
    }

    fn hear(&mut self, bytes: &[u8]) {
        let missing = self.greeting.min(bytes.len());
        self.greeting -= missing;
        let bytes = bytes.get(missing..).unwrap_or_default();
        if self.is_broken {
            return self.recorder.loose(self.connection, (self.side, &self.protocol()), bytes);
        }
        self.frames.push(bytes);
        loop {
            match self.frames.take() {
                Ok(Some(body)) => self.record(&body),
                Ok(None) => return,
                Err(_) => {
                    self.is_broken = true;
                    let frames = std::mem::replace(&mut self.frames, Frames::up_to(0));
                    let (said, rest) = ((self.side, &*self.protocol()), frames.rest());
                    return self.recorder.loose(self.connection, said, &rest);
                }
            }
        }
    }

    fn record(&mut self, body: &[u8]) {
        self.frames_heard += 1;
        let said = (self.side, &*self.protocol());
        self.recorder.frame(self.connection, said, body);
        if self.side == Side::Gateway && self.frames_heard == 1 {
            self.version.store(version_of(body), Ordering::Relaxed);
        }
    }

    fn protocol(&self) -> String {
        match self.version.load(Ordering::Relaxed) {
            0 => "hello".to_owned(),
            version if version >= PROTO_OLDEST => format!("protobuf {version}"),
            version => format!("text {version}"),
        }
    }
}

/// The server version out of the gateway's first frame; 0 where there is none.
pub(super) fn version_of(hello: &[u8]) -> u32 {
    let digits = hello.split(|byte| *byte == 0).next().unwrap_or_default();
    std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}
