//! The one owner of the connection: it connects, keeps the session and connects again, for ever.
//!
//! Every wait is bounded. While there is no session each command is answered at once: nothing is
//! left hanging, and nothing is sent.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;
use ibapi::prelude::Client;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::broker::{BrokerError, BrokerEvent};
use crate::market::sessions::Calendar;
use crate::market::{Clock, ConId, Price, Symbol};
use crate::structures::{OrderRef, OrderRequest, Reject, WhatIf};

use super::mirror::{Mirror, Standing};
use super::pacing::Pacer;

/// Where the broker is, and who we are to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// `127.0.0.1:4002`
    pub address: String,
    pub client_id: i32,
    /// The account that must answer.
    pub account: String,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Universe {
    pub symbols: Vec<Symbol>,
    pub roots: Vec<Symbol>,
    /// Days to expiry up to which options are looked up.
    pub horizon_days: i64,
    /// Market data lines that the account may hold.
    pub lines: usize,
}

/// Bounds of waits, of the wall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    pub connect: Duration,
    pub answer: Duration,
    pub heartbeat: Duration,
    /// The longest rest between two tries to connect.
    pub rest: Duration,
    /// How long a gateway that answers may be without IB before it is connected to anew.
    pub away: Duration,
    /// How far the broker's clock may be from ours; `None` where both are one.
    pub skew: Option<TimeDelta>,
}

/// How long one answer of the data farm for history may take, the slowest of IB's; of the wall.
pub const HISTORY_ANSWER: Duration = Duration::from_secs(30);

/// Two machines that keep time by NTP agree far better than this, and quotes are judged by age in
/// seconds.
pub const CLOCKS_WITHIN: TimeDelta = TimeDelta::seconds(5);

impl Bounds {
    pub fn shipped() -> Self {
        Self {
            connect: Duration::from_secs(10),
            answer: Duration::from_secs(5),
            heartbeat: Duration::from_secs(10),
            rest: Duration::from_secs(30),
            away: Duration::from_mins(2),
            skew: None,
        }
    }

    /// For a broker with a clock of its own.
    pub fn of_another_machine() -> Self {
        Self { skew: Some(CLOCKS_WITHIN), ..Self::shipped() }
    }
}

/// What the desk's thread asks of the session.
#[derive(Debug)]
pub enum Command {
    /// Take in what has come, and bring account and positions level with it.
    Settle(oneshot::Sender<Result<(), BrokerError>>),
    MarginOf(OrderRequest, oneshot::Sender<Result<WhatIf, BrokerError>>),
    Place(OrderRequest, oneshot::Sender<Result<i64, BrokerError>>),
    Reprice(OrderRef, Price, oneshot::Sender<Result<(), BrokerError>>),
    Cancel(OrderRef, oneshot::Sender<Result<(), BrokerError>>),
    Describe(ConId, oneshot::Sender<Result<(), BrokerError>>),
}

impl Command {
    /// Nobody waits for it any more, and what the desk has given up is not done behind its back:
    /// an order that lay here through a reconnection would be sent at a price of long ago. Only a
    /// cancel is done however late.
    pub fn is_abandoned(&self) -> bool {
        match self {
            Self::Settle(answer) | Self::Describe(_, answer) | Self::Reprice(_, _, answer) => {
                answer.is_closed()
            }
            Self::MarginOf(_, answer) => answer.is_closed(),
            Self::Place(_, answer) => answer.is_closed(),
            Self::Cancel(..) => false,
        }
    }
}

/// Why a session ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Lost(pub String);

/// The connection and what it fills.
pub struct Link {
    pub endpoint: Endpoint,
    pub universe: Universe,
    pub bounds: Bounds,
    pub calendar: Arc<Calendar>,
    pub clock: Arc<dyn Clock>,
    pub mirror: Arc<Mutex<Mirror>>,
    pub pacer: Pacer,
}

impl Link {
    /// Runs until nobody commands any more.
    pub async fn run(self, mut commands: mpsc::Receiver<Command>) {
        let mut failures: u32 = 0;
        let mut draws = draws_of(self.endpoint.client_id);
        let mut lost = Lost("no connection yet".to_owned());
        loop {
            let arrivals = self.mirror().arrivals;
            let connected = tokio::select! {
                connected = connect(&self.endpoint, self.bounds) => connected,
                () = answer_without_session(&mut commands, &lost) => return,
            };
            let now_lost = match connected {
                Ok(client) => Box::pin(self.session(&client, &mut commands)).await,
                Err(lost) => lost,
            };
            if commands.is_closed() {
                return;
            }
            // A broker that takes the connection and cannot be traded with, because its API is
            // read-only, say, is asked less and less often, as one that is not there.
            let arrived = self.mirror().arrivals > arrivals;
            failures = if arrived { 0 } else { failures.saturating_add(1) };
            if arrived || now_lost != lost {
                tracing::warn!(broker.address = %self.endpoint.address, "broker: {now_lost}");
            }
            lost = now_lost;
            self.lose(&lost);
            let rest = rest_after(failures, self.bounds.rest, &mut draws);
            let waited = timeout(rest, answer_without_session(&mut commands, &lost)).await;
            if waited.is_ok() {
                return;
            }
        }
    }

    /// Away since the first moment, whatever is tried meanwhile.
    pub fn lose(&self, lost: &Lost) {
        let now = self.clock.now();
        let mut mirror = self.mirror();
        let ended = mirror.interruptions.end_all(now);
        mirror.sealed.extend(ended.into_iter().map(BrokerEvent::Gap));
        match &mut mirror.standing {
            Standing::Connected => mirror.standing = Standing::Away(now, lost.0.clone()),
            Standing::Starting(why) | Standing::Away(_, why) => why.clone_from(&lost.0),
        }
    }

    pub fn mirror(&self) -> MutexGuard<'_, Mirror> {
        // Each change is one message taken in: one that panicked has left the rest as it was.
        self.mirror.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The jitter of one client: others at the same gateway draw otherwise.
fn draws_of(client_id: i32) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(u64::from(client_id.cast_unsigned()))
}

/// Doubling from a quarter of a second to the longest rest, each up to a fifth shorter by chance,
/// so that clients which lost the same gateway do not come back at the same instant.
fn rest_after(failures: u32, longest: Duration, draws: &mut ChaCha8Rng) -> Duration {
    let doubled = Duration::from_millis(250).saturating_mul(1 << failures.min(10));
    let draw = f64::from(draws.next_u32()) / f64::from(u32::MAX);
    doubled.min(longest).mul_f64(0.8 + 0.2 * draw)
}

/// Connects, within its bound.
pub async fn connect(endpoint: &Endpoint, bounds: Bounds) -> Result<Client, Lost> {
    let builder = Client::builder()
        .address(endpoint.address.clone())
        .client_id(endpoint.client_id)
        // We connect again ourselves: what was missed must be asked for before anything is sent,
        // and a connection that comes back by itself does not say so in its streams.
        .max_reconnect_attempts(0)
        // Each of our waits has its own bound; the crate's must not undercut the longest.
        .one_shot_timeout(bounds.answer.max(HISTORY_ANSWER));
    match timeout(bounds.connect, builder.connect()).await {
        Ok(Ok(client)) => Ok(client),
        Ok(Err(error)) => Err(Lost(format!("no connection to {}: {error}", endpoint.address))),
        Err(_) => Err(Lost(format!(
            "{} takes the connection but does not answer within {} s",
            endpoint.address,
            bounds.connect.as_secs()
        ))),
    }
}

/// Answers whoever asks that there is no broker; ends when nobody can ask any more.
async fn answer_without_session(commands: &mut mpsc::Receiver<Command>, lost: &Lost) {
    // An answer that nobody waits for any more is dropped with its sender.
    while let Some(command) = commands.recv().await {
        match command {
            Command::Settle(answer) | Command::Describe(_, answer) => {
                let _ = answer.send(Err(BrokerError::NoAnswer(lost.0.clone())));
            }
            Command::MarginOf(_, answer) => {
                let _ = answer.send(Err(BrokerError::NoAnswer(lost.0.clone())));
            }
            // Nothing has been written, so nothing can work.
            Command::Place(_, answer) => {
                let _ = answer.send(Err(not_connected(lost).into()));
            }
            Command::Reprice(_, _, answer) | Command::Cancel(_, answer) => {
                let _ = answer.send(Err(not_connected(lost).into()));
            }
        }
    }
}

/// IB's client-side code for this.
pub const NOT_CONNECTED: i32 = 504;

fn not_connected(lost: &Lost) -> Reject {
    Reject { code: NOT_CONNECTED, reason: format!("not sent: {lost}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::structures::{OrderLeg, OrderType, Purpose};

    fn order_ref() -> OrderRef {
        OrderRef::new("0123456789abcdef", Purpose::Open, 0).unwrap()
    }

    fn request() -> OrderRequest {
        OrderRequest {
            order_ref: order_ref(),
            legs: vec![OrderLeg { conid: ConId(1), ratio: 1 }],
            quantity: 1,
            order_type: OrderType::Market,
        }
    }

    #[test]
    fn an_order_that_the_desk_has_given_up_is_not_sent_later() {
        let (answer, waits) = oneshot::channel();
        let command = Command::Place(request(), answer);
        assert!(!command.is_abandoned());
        drop(waits);
        assert!(command.is_abandoned());
        let (answer, _) = oneshot::channel();
        assert!(Command::Reprice(order_ref(), Price::ZERO, answer).is_abandoned());
        let (answer, _) = oneshot::channel();
        assert!(
            !Command::Cancel(order_ref(), answer).is_abandoned(),
            "a late cancel is none too late"
        );
    }

    #[test]
    fn rests_double_up_to_the_longest_and_differ_between_clients() {
        let longest = Duration::from_secs(30);
        let rests = |client_id| {
            let mut draws = draws_of(client_id);
            (0..12).map(|n| rest_after(n, longest, &mut draws)).collect::<Vec<_>>()
        };
        for (n, rest) in rests(7).into_iter().enumerate() {
            let most = (0.25 * f64::from(1 << n)).min(30.0);
            let within = (0.8 * most..=most).contains(&rest.as_secs_f64());
            assert!(within, "{rest:?} after {n} failures");
        }
        assert_eq!(rests(7), rests(7));
        assert!(rests(7).iter().zip(rests(8)).all(|(one, other)| *one != other));
    }
}
