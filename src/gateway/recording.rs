//! Recordings of connections: every frame of both sides with its time, a JSON object a line.
//!
//! The first line is the header, `{"recording":"deltadesk gateway","version":1,"started":"..",
//! "of":".."}`. Each later one has `at` (seconds since the start), `connection` (counted from 1)
//! and `what`:
//!
//! | what | meaning |
//! |---|---|
//! | `opened`, `closed` | a connection begins and ends |
//! | `frame` | a frame's body without its length |
//! | `loose` | bytes that are no frame: the stream has lost its framing |
//! | `full` | the file has reached its limit, and the recording ends |
//!
//! What was said has `from` (`client` or `gateway`), `protocol` (`hello`, `text 178`,
//! `protobuf 226`) and `bytes`, in hexadecimal digits.
//!
//! Invariants: a file is never written over; what cannot be written ends the recording and nothing
//! else. A recording holds whatever the connections hold: accounts, positions and orders.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::market::clock::Stopwatch;

const MARK: &str = "deltadesk gateway";
const VERSION: u32 = 1;
/// Bytes of a recording before it ends.
pub const RECORDING_MAX: u64 = 256 << 20;

/// Who said something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    Client,
    Gateway,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    recording: String,
    version: u32,
    started: String,
    of: String,
}

/// What a line tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum What {
    Opened,
    Frame,
    Loose,
    Closed,
    Full,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    at: f64,
    connection: u32,
    what: What,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<Side>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    protocol: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bytes: Option<String>,
}

/// Why a recording cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    #[error("{} cannot be written: {source}", path.display())]
    Write { path: PathBuf, source: std::io::Error },
    #[error("it is no recording of this gateway: its first line is not the header of one")]
    Foreign,
    #[error("it is a recording of version {0}, and this program reads version {VERSION}")]
    Version(u32),
    #[error("line {line}: {fault}")]
    Line { line: usize, fault: String },
    #[error("it holds no frame")]
    Empty,
}

/// Writes a recording.
#[derive(Debug, Clone)]
pub struct Recorder(Arc<Mutex<Tape>>);

#[derive(Debug)]
struct Tape {
    file: File,
    started: Stopwatch,
    left: u64,
    ended: bool,
    connections: u32,
}

impl Recorder {
    /// A new file; one that is there is not written over. `started` is the wall's time and `of`
    /// what is recorded, both for the reader alone.
    pub fn to(path: &Path, started: &str, of: &str) -> Result<Self, RecordingError> {
        let whole = || -> std::io::Result<File> {
            let mut file = File::create_new(path)?;
            let header = Header {
                recording: MARK.to_owned(),
                version: VERSION,
                started: started.to_owned(),
                of: of.to_owned(),
            };
            file.write_all(format!("{}\n", serde_json::to_string(&header)?).as_bytes())?;
            Ok(file)
        };
        let file =
            whole().map_err(|source| RecordingError::Write { path: path.to_owned(), source })?;
        Ok(Self(Arc::new(Mutex::new(Tape {
            file,
            started: Stopwatch::start(),
            left: RECORDING_MAX,
            ended: false,
            connections: 0,
        }))))
    }

    /// A connection begins; its number.
    pub fn opened(&self) -> u32 {
        let mut tape = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tape.connections = tape.connections.saturating_add(1);
        let connection = tape.connections;
        tape.write(connection, What::Opened, None);
        connection
    }

    pub fn closed(&self, connection: u32) {
        let mut tape = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tape.write(connection, What::Closed, None);
    }

    pub fn frame(&self, connection: u32, (from, protocol): (Side, &str), body: &[u8]) {
        let mut tape = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tape.write(connection, What::Frame, Some((from, protocol, body)));
    }

    pub fn loose(&self, connection: u32, (from, protocol): (Side, &str), bytes: &[u8]) {
        let mut tape = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tape.write(connection, What::Loose, Some((from, protocol, bytes)));
    }
}

impl Tape {
    fn write(&mut self, connection: u32, what: What, said: Option<(Side, &str, &[u8])>) {
        if self.ended {
            return;
        }
        let line = Line {
            at: (self.started.elapsed_seconds() * 1e6).round() / 1e6,
            connection,
            what,
            from: said.map(|(from, _, _)| from),
            protocol: said.map(|(_, protocol, _)| protocol.to_owned()),
            bytes: said.map(|(_, _, bytes)| hexadecimal(bytes)),
        };
        let Ok(mut text) = serde_json::to_string(&line) else { return };
        text.push('\n');
        if text.len() as u64 > self.left {
            tracing::warn!("the recording has {RECORDING_MAX} bytes and ends; all else goes on");
            self.ended = true;
            let full = Line { what: What::Full, from: None, protocol: None, bytes: None, ..line };
            text = serde_json::to_string(&full).unwrap_or_default() + "\n";
        }
        self.left = self.left.saturating_sub(text.len() as u64);
        if let Err(error) = self.file.write_all(text.as_bytes()) {
            tracing::error!(%error, "the recording cannot be written and ends; all else goes on");
            self.ended = true;
        }
    }
}

/// One frame of a recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Seconds since the start of the recording.
    pub at: f64,
    pub from: Side,
    pub body: Vec<u8>,
}

/// A recording that was read: the frames of each connection, in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    pub of: String,
    pub connections: Vec<Vec<Step>>,
    /// Whether its last line was cut off, as of a recorder that was killed.
    pub is_torn: bool,
}

impl Recording {
    pub fn parse(text: &str) -> Result<Self, RecordingError> {
        let mut lines = text.lines().enumerate();
        let header = lines.next().and_then(|(_, line)| serde_json::from_str::<Header>(line).ok());
        let header =
            header.filter(|header| header.recording == MARK).ok_or(RecordingError::Foreign)?;
        if header.version != VERSION {
            return Err(RecordingError::Version(header.version));
        }
        let last = text.lines().count();
        let mut connections: std::collections::BTreeMap<u32, Vec<Step>> = [].into();
        let mut is_torn = false;
        for (place, text_line) in lines {
            match step_of(text_line) {
                Ok(Some((connection, step))) => {
                    connections.entry(connection).or_default().push(step);
                }
                Ok(None) => {}
                Err(_) if place + 1 == last && !text.ends_with('\n') => is_torn = true,
                Err(fault) => return Err(RecordingError::Line { line: place + 1, fault }),
            }
        }
        if connections.is_empty() {
            return Err(RecordingError::Empty);
        }
        Ok(Self { of: header.of, connections: connections.into_values().collect(), is_torn })
    }
}

fn step_of(text: &str) -> Result<Option<(u32, Step)>, String> {
    let line: Line = serde_json::from_str(text).map_err(|error| error.to_string())?;
    match line.what {
        What::Opened | What::Closed | What::Full | What::Loose => return Ok(None),
        What::Frame => {}
    }
    let from = line.from.ok_or("a frame without its side")?;
    let digits = line.bytes.ok_or("a frame without its bytes")?;
    let body = bytes_of(&digits).ok_or("the bytes are no hexadecimal digits in pairs")?;
    if !line.at.is_finite() || body.is_empty() {
        return Err("a frame of no time or no bytes".to_owned());
    }
    Ok(Some((line.connection, Step { at: line.at, from, body })))
}

fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // A text takes whatever is written to it.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn bytes_of(digits: &str) -> Option<Vec<u8>> {
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let pairs = digits.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => u8::try_from(digit(*high)? * 16 + digit(*low)?).ok(),
        _ => None,
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn recorded() -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tape.jsonl");
        let recorder = Recorder::to(&path, "2026-03-02T14:30:00Z", "a test").unwrap();
        let connection = recorder.opened();
        recorder.frame(connection, (Side::Client, "hello"), b"v213..226");
        recorder.frame(connection, (Side::Gateway, "hello"), b"226\0");
        recorder.loose(connection, (Side::Client, "protobuf 226"), &[0; 3]);
        recorder.closed(connection);
        assert!(Recorder::to(&path, "", "").is_err(), "never written over");
        std::fs::read_to_string(&path).unwrap()
    }

    #[test]
    fn what_was_recorded_is_read() {
        let recording = Recording::parse(&recorded()).unwrap();
        assert!(!recording.is_torn);
        let bodies: Vec<(Side, &[u8])> =
            recording.connections[0].iter().map(|step| (step.from, &*step.body)).collect();
        assert_eq!(bodies, [(Side::Client, &b"v213..226"[..]), (Side::Gateway, b"226\0")]);
    }

    #[test]
    fn a_torn_last_line_is_told_and_any_other_is_a_fault() {
        let text = recorded();
        let torn = Recording::parse(&text[..text.len() - 9]).unwrap();
        assert!(torn.is_torn && torn.connections[0].len() == 2);
        let broken = text.replacen("\"bytes\":\"76", "\"bytes\":\"7", 1);
        let fault = Recording::parse(&broken).unwrap_err().to_string();
        assert!(fault.starts_with("line 3: the bytes are no hexadecimal"), "{fault}");
    }

    #[test]
    fn another_file_is_refused_with_the_reason() {
        for text in ["", "{}", "\u{1}\u{2}", "[[fault]]\nkind = 'drop'\n"] {
            let fault = Recording::parse(text).unwrap_err();
            assert!(matches!(fault, RecordingError::Foreign), "{text}: {fault}");
        }
        let newer = recorded().replacen("\"version\":1", "\"version\":9", 1);
        assert!(matches!(Recording::parse(&newer), Err(RecordingError::Version(9))));
        let header = recorded().lines().next().unwrap().to_owned();
        assert!(matches!(Recording::parse(&header), Err(RecordingError::Empty)));
    }

    proptest! {
        #[test]
        fn bytes_come_back_out_of_their_digits(bytes in prop::collection::vec(any::<u8>(), 0..50)) {
            prop_assert_eq!(bytes_of(&hexadecimal(&bytes)), Some(bytes));
        }

        #[test]
        fn any_text_is_a_recording_or_a_fault(text in ".{0,200}", at in 0_usize..400) {
            let mut whole = recorded();
            let place = (0..=at.min(whole.len())).rfind(|place| whole.is_char_boundary(*place));
            whole.insert_str(place.unwrap(), &text);
            let _ = Recording::parse(&whole);
        }
    }
}
