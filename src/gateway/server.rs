//! Connections: sockets in, the house behind them.
//!
//! Invariants: nothing a client sends or fails to send holds anything up but its own connection; a
//! hello, and then the client's id, are awaited for a bounded time; a client that does not read is
//! given up; a connection's seat ends with it, however it ends.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use chrono::TimeDelta;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::exchange::{Exchange, ExchangeError, MarketSource};
use crate::market::clock::Stopwatch;
use crate::market::{Clock, Timestamp};

use super::event::Event;
use super::faults::Fault;
use super::frame::{Frames, REQUEST_LENGTH_MAX};
use super::handshake::{Hello, Protocol, Refusal, answer};
use super::house::{Closing, Hearing, House, OUTBOX, SeatId};
use super::keeping::{Keeper, Kept};
use super::request::DecodeError;
use super::script::Script;
use super::traffic::Rules;
use super::weather::Weather;

/// How long a connection may take to say what it speaks.
const HELLO_WITHIN: Duration = Duration::from_secs(10);
/// How long it may then take to say which client it is: an assumption about TWS.
const START_WITHIN: Duration = Duration::from_secs(30);
/// How long the end of a connection may wait for a client that does not read.
const LAST_WORDS_WITHIN: Duration = Duration::from_secs(5);
/// How often the market moves, of the wall.
const BEAT: Duration = Duration::from_millis(100);
const READ_SIZE: usize = 16 * 1024;
/// Bytes of a piece where what is written is cut up.
const PIECE: usize = 3;
/// The pause after each frame where frames are slow.
const SLOWLY: Duration = Duration::from_millis(50);

/// Simulated seconds a second of the wall.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Speed(pub f64);

/// A gateway over one exchange.
#[derive(Clone)]
pub struct Gateway {
    house: Arc<Mutex<House>>,
    start: Timestamp,
    started: Stopwatch,
    speed: Speed,
    pub(super) start_within: Duration,
}

/// A connection's place in the house, given back when this goes.
pub(super) struct Seated<'a> {
    pub gateway: &'a Gateway,
    pub seat: SeatId,
}

impl Drop for Seated<'_> {
    fn drop(&mut self) {
        self.gateway.house().leave(self.seat);
    }
}

impl Clock for Gateway {
    /// Where the simulated clock stands.
    fn now(&self) -> Timestamp {
        let micros = self.started.elapsed_seconds() * self.speed.0 * 1e6;
        self.start + TimeDelta::microseconds(micros as i64)
    }
}

/// Why a connection ended, other than by the client.
#[derive(Debug, thiserror::Error)]
pub enum Ending {
    #[error("it said nothing that could be understood within {} s", HELLO_WITHIN.as_secs())]
    NoHello,
    #[error("it did not say within {0} s which client it is")]
    NoClient(u64),
    #[error("it asks for more at once than any client needs: {0}")]
    TooMuch(DecodeError),
    #[error("the script of faults closed it")]
    Dropped,
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Framing(#[from] super::frame::BrokenFraming),
    #[error(transparent)]
    Closed(#[from] Closing),
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl Gateway {
    /// The exchange's time goes on from where it stands.
    pub fn over(exchange: Exchange, speed: Speed, rules: Rules) -> Self {
        let house = House::new(exchange, rules);
        Self {
            start: house.now(),
            house: Arc::new(Mutex::new(house)),
            started: Stopwatch::start(),
            speed,
            start_within: START_WITHIN,
        }
    }

    /// With faults on a script, whose seconds count from now.
    #[must_use]
    pub fn with_faults(self, script: Script) -> Self {
        self.house().weather = Weather::under(script);
        self
    }

    /// Keeps its state with a keeper, and goes on with what an earlier gateway kept there. The
    /// exchange must be the one that was kept, resumed.
    #[must_use]
    pub fn keeping(self, keeper: Keeper, kept: Option<Kept>) -> Self {
        {
            let mut house = self.house();
            house.keeper = Some(keeper);
            if let Some(kept) = kept {
                house.take_over(kept);
            }
        }
        self
    }

    /// Its time goes on from an instant. What clients ordered before is looked after on the way.
    pub fn going_on_from(mut self, from: Timestamp) -> Result<Self, ExchangeError> {
        let start = {
            let mut house = self.house();
            house.pass_over(from)?;
            house.now()
        };
        self.start = start;
        Ok(self)
    }

    /// The id of its one account.
    pub fn account(&self) -> String {
        self.house().account.clone()
    }

    /// Reads the market behind the gateway: what it publishes and no client can ask for.
    pub fn read<T>(&self, read: impl FnOnce(&dyn MarketSource) -> T) -> T {
        read(self.house().exchange.source())
    }

    pub(super) fn house(&self) -> MutexGuard<'_, House> {
        self.house.lock().unwrap_or_else(|broken| {
            // Each change of the house is one call: one that panicked has left the rest as it was,
            // but for what it was about to tell.
            self.house.clear_poison();
            let mut house = broken.into_inner();
            house.held = None;
            house
        })
    }

    /// Takes connections and moves the market until the exchange cannot go on.
    pub async fn serve(&self, listener: TcpListener) -> Result<(), ExchangeError> {
        let address = listener.local_addr().ok();
        let mut door = Some(listener);
        let mut talks = JoinSet::new();
        let mut beat = tokio::time::interval(BEAT);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                _ = beat.tick() => {
                    self.turn();
                    let now = self.now();
                    {
                        let mut house = self.house();
                        house.advance_to(now)?;
                        house.stream(self.started.elapsed_seconds());
                    }
                    self.turn();
                    self.house().give_up_the_deaf();
                    self.mind(&mut door, address).await;
                }
                taken = taken_at(door.as_ref()) => match taken {
                    Ok((stream, peer)) => {
                        let gateway = self.clone();
                        talks.spawn(async move {
                            match gateway.talk(stream).await {
                                Ok(()) => tracing::info!(%peer, "the client has gone"),
                                Err(ending) => tracing::warn!(%peer, %ending, "connection closed"),
                            }
                        });
                    }
                    Err(error) => tracing::warn!(%error, "a connection could not be taken"),
                },
                Some(ended) = talks.join_next() => {
                    if let Err(error) = ended {
                        tracing::error!(%error, "a connection broke down");
                    }
                }
            }
        }
    }

    /// Closes the port where the script has it closed, and opens it again after.
    async fn mind(&self, door: &mut Option<TcpListener>, address: Option<SocketAddr>) {
        let Some(address) = address else { return };
        let closed = self.until(Fault::PortClosed).is_some();
        match (closed, door.is_some()) {
            (true, true) => *door = None,
            (false, false) => match TcpListener::bind(address).await {
                Ok(listener) => *door = Some(listener),
                // Tried again with the next beat.
                Err(error) => tracing::warn!(%address, %error, "the port cannot be opened again"),
            },
            (true, false) | (false, true) => {}
        }
    }

    /// Lets pass what a script of faults has begun and ended up to now.
    fn turn(&self) {
        let at = self.started.elapsed_seconds();
        self.house().turn(at);
    }

    /// Until when a fault holds, where it does now.
    fn until(&self, fault: Fault) -> Option<f64> {
        self.house().weather.until(fault, self.started.elapsed_seconds())
    }

    /// Returns once the fault holds no more.
    async fn wait_out(&self, fault: Fault) {
        while let Some(until) = self.until(fault) {
            let left = (until - self.started.elapsed_seconds()).max(0.001);
            tokio::time::sleep(Duration::from_secs_f64(left)).await;
        }
    }

    /// One connection, from its hello to its end.
    pub(super) async fn talk(&self, stream: TcpStream) -> Result<(), Ending> {
        let mut closings = self.house().weather.closings();
        if self.until(Fault::Drop).or(self.until(Fault::PortClosed)).is_some() {
            return Err(Ending::Dropped);
        }
        if self.until(Fault::AcceptWithoutHandshake).is_some() {
            self.wait_out(Fault::AcceptWithoutHandshake).await;
            return Err(Ending::Dropped);
        }
        stream.set_nodelay(true)?;
        let (mut reader, mut writer) = stream.into_split();
        let hello = tokio::time::timeout(HELLO_WITHIN, read_hello(&mut reader));
        let Some((protocol, rest)) = hello.await.map_err(|_| Ending::NoHello)?? else {
            return Ok(());
        };
        let skew = self.house().weather.skew();
        let shown = self.now() + TimeDelta::microseconds((skew * 1e6) as i64);
        writer.write_all(&answer(protocol, shown)).await?;
        let (seat, inbox) = self.house().seat();
        let seated = Seated { gateway: self, seat };
        let mut writing = pin!(self.write_all((writer, closings.clone()), protocol, inbox));
        let heard = tokio::select! {
            biased;
            // First: what is due is not told any more when the script closes the connection.
            _ = closings.changed() => return Err(Ending::Dropped),
            ending = self.given_up(seat) => return Err(ending),
            heard = self.listen(&mut reader, (protocol, seat), &rest) => Some(heard),
            written = &mut writing => {
                written?;
                None
            }
        };
        let Some(heard) = heard else { return Ok(()) };
        // Without its seat the writer ends after what was said last, an error 326 say.
        drop(seated);
        let written = tokio::time::timeout(LAST_WORDS_WITHIN, writing).await;
        heard?;
        Ok(written.unwrap_or(Ok(()))?)
    }

    /// Returns once nothing is to be hoped of a connection any more: it does not read, or has not
    /// said in time which client it is.
    async fn given_up(&self, seat: SeatId) -> Ending {
        let deaf = self.house().deafness(seat);
        let deaf = async {
            match deaf {
                // Where the seat has gone in another way there is nothing to tell.
                Some(mut deaf) => drop(deaf.wait_for(|deaf| *deaf).await),
                None => std::future::pending().await,
            }
        };
        let nobody = async {
            tokio::time::sleep(self.start_within).await;
            if self.house().client_of(seat).is_some() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = deaf => Closing::Deaf(OUTBOX).into(),
            () = nobody => Ending::NoClient(self.start_within.as_secs()),
        }
    }

    /// Requests until the client has gone.
    async fn listen(
        &self,
        reader: &mut OwnedReadHalf,
        (protocol, seat): (Protocol, SeatId),
        begun: &[u8],
    ) -> Result<(), Ending> {
        let mut frames = Frames::up_to(REQUEST_LENGTH_MAX);
        frames.push(begun);
        let mut buffer = vec![0; READ_SIZE];
        let mut at = self.started.elapsed_seconds();
        loop {
            while let Some(body) = frames.take()? {
                if self.house().admit(seat, at)? == Hearing::Dropped {
                    continue;
                }
                match protocol.decode(&body) {
                    Ok(request) => {
                        self.turn();
                        self.house().handle(seat, request)?;
                        self.turn();
                    }
                    Err(fault @ DecodeError::TooMany { .. }) => {
                        return Err(Ending::TooMuch(fault));
                    }
                    Err(fault) => {
                        tracing::warn!(%fault, "a request could not be read");
                        let said = format!("Error validating request: {fault}");
                        self.house().error(seat, (-1, 320), &said);
                    }
                }
            }
            let count = reader.read(&mut buffer).await?;
            if count == 0 {
                return Ok(());
            }
            self.wait_out(Fault::HalfOpen).await;
            // Messages count from when they came, not from when the house had time for them.
            at = self.started.elapsed_seconds();
            frames.push(buffer.get(..count).unwrap_or_default());
        }
    }

    /// Writes what is due until the house has let the seat go.
    async fn write_all(
        &self,
        (mut writer, closings): (OwnedWriteHalf, watch::Receiver<u64>),
        protocol: Protocol,
        mut inbox: mpsc::Receiver<Event>,
    ) -> std::io::Result<()> {
        while let Some(event) = inbox.recv().await {
            let slow = self.until(Fault::SlowFrames).is_some();
            let mut bytes = protocol.encode(&event).unwrap_or_default();
            while !slow && let Ok(event) = inbox.try_recv() {
                bytes.extend(protocol.encode(&event).unwrap_or_default());
            }
            self.wait_out(Fault::HalfOpen).await;
            if closings.has_changed().unwrap_or(true) {
                return Ok(());
            }
            if slow {
                tokio::time::sleep(SLOWLY).await;
            }
            if self.until(Fault::Fragments).is_some() {
                for piece in bytes.chunks(PIECE) {
                    writer.write_all(piece).await?;
                    tokio::time::sleep(Duration::from_micros(200)).await;
                }
            } else {
                writer.write_all(&bytes).await?;
            }
        }
        writer.shutdown().await
    }
}

/// The next connection; never one while the port is closed.
async fn taken_at(door: Option<&TcpListener>) -> std::io::Result<(TcpStream, SocketAddr)> {
    match door {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}

/// What the client speaks and what it sent beyond its hello; `None` where it went away.
async fn read_hello(reader: &mut OwnedReadHalf) -> Result<Option<(Protocol, Vec<u8>)>, Ending> {
    let mut hello = Hello::default();
    let mut buffer = [0; 512];
    loop {
        let count = reader.read(&mut buffer).await?;
        if count == 0 {
            return Ok(None);
        }
        if let Some(protocol) = hello.push(buffer.get(..count).unwrap_or_default())? {
            return Ok(Some((protocol, hello.rest())));
        }
    }
}
