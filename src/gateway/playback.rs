//! A recording played to clients: each connection that comes is given what the gateway once said to
//! the recorded one, at its pace, as the client's own messages come.
//!
//! A message of a client is matched with the first one of the recording that has not come yet and
//! is the same, else with the first of the same kind; what differs is noted by field. What the
//! recording awaits and does not get is noted after a bounded time, and the play goes on. Nothing
//! is made up: a message that the recording does not know gets no answer, and an answer carries the
//! ids that were recorded, so that a client must number its requests as the recorded one did.

use std::fmt;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::market::clock::Stopwatch;

use super::compare::{difference, kind_of};
use super::frame::{FRAME_LENGTH_MAX, Frames, framed};
use super::handshake::{GREETING, range_of};
use super::proxy::version_of;
use super::recording::{Recording, Side, Step};
use super::server::Speed;

/// How long a recorded message is awaited beyond its time.
const PATIENCE: Duration = Duration::from_secs(5);
const HELLO_WITHIN: Duration = Duration::from_secs(10);
const READ_SIZE: usize = 16 * 1024;
/// Differences that are kept in words; more are counted.
const DIFFERENCES: usize = 200;

/// What a play has shown.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    pub connections: usize,
    /// Messages of clients that were the recorded ones, to the byte.
    pub same: usize,
    /// Recorded messages of the gateway that were sent.
    pub sent: usize,
    pub differences: Vec<String>,
    /// Differences beyond those that are kept.
    pub more: usize,
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connections, same, sent, differences, more } = self;
        let count = differences.len() + more;
        write!(
            out,
            "{connections} connections played: {sent} messages sent, {same} came as recorded, \
             {count} differences"
        )?;
        for difference in differences {
            write!(out, "\n  {difference}")?;
        }
        if *more > 0 {
            write!(out, "\n  and {more} more")?;
        }
        Ok(())
    }
}

impl Report {
    fn note(&mut self, difference: String) {
        if self.differences.len() < DIFFERENCES {
            self.differences.push(difference);
        } else {
            self.more += 1;
        }
    }

    fn add(&mut self, other: Self) {
        self.connections += other.connections;
        self.same += other.same;
        self.sent += other.sent;
        self.more += other.more;
        for difference in other.differences {
            self.note(difference);
        }
    }
}

/// Plays every connection of a recording once, in the order in which clients come; what that has
/// shown, once all have ended.
pub async fn play(listener: TcpListener, recording: Recording, speed: Speed) -> Report {
    let mut left = recording.connections.into_iter().enumerate();
    let mut next = left.next();
    let mut report = Report::default();
    let mut plays = JoinSet::new();
    while next.is_some() || !plays.is_empty() {
        tokio::select! {
            taken = listener.accept(), if next.is_some() => {
                let Ok((stream, _)) = taken else { continue };
                let Some((place, steps)) = next.take() else { continue };
                next = left.next();
                plays.spawn(async move {
                    let mut stage = Stage::set(steps, speed);
                    if let Err(why) = stage.play(stream).await {
                        stage.report.note(why);
                    }
                    (place + 1, stage.end())
                });
            }
            Some(played) = plays.join_next() => {
                if let Ok((connection, mut played)) = played {
                    for difference in &mut played.differences {
                        difference.insert_str(0, &format!("connection {connection}: "));
                    }
                    report.add(played);
                }
            }
        }
    }
    report
}

/// One connection of a recording, and how far it has been played.
struct Stage {
    steps: Vec<Step>,
    /// Whether a step of the client's has come.
    came: Vec<bool>,
    next: usize,
    /// The recorded time that stands for the moment when `since` began.
    anchor: f64,
    since: Stopwatch,
    speed: Speed,
    version: u32,
    frames: Frames,
    report: Report,
}

impl Stage {
    fn set(steps: Vec<Step>, speed: Speed) -> Self {
        Self {
            came: vec![false; steps.len()],
            anchor: steps.first().map_or(0.0, |step| step.at),
            steps,
            next: 0,
            since: Stopwatch::start(),
            speed,
            version: 0,
            frames: Frames::up_to(FRAME_LENGTH_MAX),
            report: Report { connections: 1, ..Report::default() },
        }
    }

    /// Plays until the client has gone; why not, else.
    async fn play(&mut self, mut stream: TcpStream) -> Result<(), String> {
        let _ = stream.set_nodelay(true);
        timeout(HELLO_WITHIN, self.greet(&mut stream))
            .await
            .map_err(|_| "it said nothing that could be understood".to_owned())??;
        loop {
            let Some(step) = self.steps.get(self.next) else {
                // All is played; what still comes is heard, and not answered.
                if !self.hear(&mut stream).await? {
                    return Ok(());
                }
                continue;
            };
            let came = self.came.get(self.next).copied().unwrap_or_default();
            let due = Duration::from_secs_f64(((step.at - self.anchor) / self.speed.0).max(0.0));
            let left = due.saturating_sub(self.since.elapsed());
            match (step.from, came) {
                (Side::Client, true) => self.step(),
                (Side::Client, false) => {
                    let kind = kind_of(self.version, &step.body);
                    let heard = timeout(left + PATIENCE, self.hear(&mut stream)).await;
                    if let Ok(heard) = heard {
                        if !heard? {
                            return Ok(());
                        }
                    } else {
                        self.report.note(format!("{kind} did not come"));
                        self.step();
                    }
                }
                (Side::Gateway, _) if left.is_zero() => {
                    let frame = framed(&step.body);
                    stream.write_all(&frame).await.map_err(|error| error.to_string())?;
                    self.report.sent += 1;
                    self.step();
                }
                (Side::Gateway, _) => {
                    if let Ok(heard) = timeout(left, self.hear(&mut stream)).await
                        && !heard?
                    {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// The next step is done; the times of those after it count from now.
    fn step(&mut self) {
        if let Some(step) = self.steps.get(self.next) {
            self.anchor = step.at;
            self.since = Stopwatch::start();
        }
        self.next += 1;
    }

    /// Both sides' first words: the client must understand the recorded version.
    async fn greet(&mut self, stream: &mut TcpStream) -> Result<(), String> {
        let mut greeting = vec![0; GREETING.len()];
        stream.read_exact(&mut greeting).await.map_err(|error| error.to_string())?;
        if greeting != GREETING {
            return Err("it is no TWS API client".to_owned());
        }
        let range = loop {
            match self.frames.take() {
                Ok(Some(range)) => break range,
                Ok(None) if !self.read(stream).await? => return Err("it has gone".to_owned()),
                Ok(None) => {}
                Err(error) => return Err(error.to_string()),
            }
        };
        let said = String::from_utf8_lossy(&range).into_owned();
        let (lowest, highest) = range_of(&said).map_err(|refusal| refusal.to_string())?;
        let hello = self.steps.iter().find(|step| step.from == Side::Gateway);
        self.version = hello.map_or(0, |step| version_of(&step.body));
        if !(lowest..=highest).contains(&self.version) {
            return Err(format!(
                "the client understands server versions {lowest} to {highest}, the recording is \
                 of {}",
                self.version
            ));
        }
        self.take(&range);
        Ok(())
    }

    /// Reads what comes next and takes it in; false once the client has gone.
    async fn hear(&mut self, stream: &mut TcpStream) -> Result<bool, String> {
        if !self.read(stream).await? {
            return Ok(false);
        }
        while let Some(body) = self.frames.take().map_err(|error| error.to_string())? {
            self.take(&body);
        }
        Ok(true)
    }

    async fn read(&mut self, stream: &mut TcpStream) -> Result<bool, String> {
        let mut buffer = vec![0; READ_SIZE];
        match stream.read(&mut buffer).await {
            Ok(count) => {
                self.frames.push(buffer.get(..count).unwrap_or_default());
                Ok(count > 0)
            }
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => Ok(false),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Finds the recorded message that has come.
    fn take(&mut self, body: &[u8]) {
        let version = self.version;
        let kind = kind_of(version, body);
        let awaited = |place: usize, step: &Step| {
            step.from == Side::Client && self.came.get(place) == Some(&false)
        };
        let steps = || self.steps.iter().enumerate().filter(|(place, step)| awaited(*place, step));
        let same = steps().find(|(_, step)| step.body == body);
        let found = same.or_else(|| steps().find(|(_, step)| kind_of(version, &step.body) == kind));
        let Some((place, step)) = found else {
            return self.report.note(format!("{kind} came, and the recording has none left"));
        };
        let difference = difference(version, &step.body, body);
        if let Some(came) = self.came.get_mut(place) {
            *came = true;
        }
        match difference {
            None => self.report.same += 1,
            Some(fields) => self.report.note(format!("{kind} came with other {fields}")),
        }
    }

    /// What was not played any more, too.
    fn end(mut self) -> Report {
        let rest = self.steps.get(self.next..).unwrap_or_default();
        let unsent = rest.iter().filter(|step| step.from == Side::Gateway).count();
        let missing = self.steps.iter().zip(&self.came).skip(self.next);
        let missing = missing.filter(|(step, came)| step.from == Side::Client && !**came).count();
        if unsent + missing > 0 {
            self.report.note(format!(
                "it ended before {unsent} recorded messages of the gateway were sent and {missing} \
                 of the client had come"
            ));
        }
        self.report
    }
}
