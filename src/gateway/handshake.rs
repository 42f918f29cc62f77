//! The first words of a connection: which protocol both sides speak.
//!
//! A client says `API\0` and then, framed, the range of server versions it understands,
//! `v<lowest>..<highest>[ <options>]`. TWS answers with one version and its time. Up to 178 all
//! that follows is text, from 213 on protobuf; what lies between mixes both and is not spoken here.

use crate::market::Timestamp;

use super::frame::{BrokenFraming, Frames, framed};

/// What opens every connection.
pub const GREETING: &[u8] = b"API\0";
/// Longest range of versions with its options, bytes.
const RANGE_LENGTH_MAX: usize = 256;

/// Newest protobuf version spoken here, and the first with protobuf for every message.
pub const PROTO_NEWEST: u32 = 226;
pub const PROTO_OLDEST: u32 = 213;
/// Newest and oldest text versions spoken here.
pub const TEXT_NEWEST: u32 = 178;
pub const TEXT_OLDEST: u32 = 176;

/// The protocol of one connection, with its server version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Proto(u32),
    Text(u32),
}

impl Protocol {
    pub fn version(self) -> u32 {
        match self {
            Self::Proto(version) | Self::Text(version) => version,
        }
    }
}

/// Why a connection is closed before it is one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error(
        "the first bytes are not `API` and a zero: this is no TWS API client (they were {0:02x?})"
    )]
    NotAClient(Vec<u8>),
    #[error("`{0}` is no range of versions of the form v<lowest>..<highest>")]
    NoRange(String),
    #[error(
        "the client understands server versions {lowest} to {highest}; this gateway speaks text \
         at {TEXT_OLDEST} to {TEXT_NEWEST} and protobuf at {PROTO_OLDEST} to {PROTO_NEWEST}"
    )]
    NoCommonVersion { lowest: u32, highest: u32 },
    #[error(transparent)]
    Framing(#[from] BrokenFraming),
}

/// A connection that has not said yet what it speaks.
#[derive(Debug)]
pub struct Hello {
    greeting: Vec<u8>,
    range: Frames,
}

impl Default for Hello {
    fn default() -> Self {
        Self { greeting: Vec::new(), range: Frames::up_to(RANGE_LENGTH_MAX) }
    }
}

impl Hello {
    /// Takes bytes as they come. The protocol, once it is known.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Option<Protocol>, Refusal> {
        let missing = GREETING.len().saturating_sub(self.greeting.len()).min(bytes.len());
        let (greeting, rest) = bytes.split_at(missing);
        self.greeting.extend_from_slice(greeting);
        if !GREETING.starts_with(&self.greeting) {
            return Err(Refusal::NotAClient(self.greeting.clone()));
        }
        self.range.push(rest);
        if self.greeting.len() < GREETING.len() {
            return Ok(None);
        }
        let Some(range) = self.range.take()? else { return Ok(None) };
        protocol_for(&String::from_utf8_lossy(&range)).map(Some)
    }

    /// What the client sent after its range without waiting for the answer.
    pub fn rest(self) -> Vec<u8> {
        self.range.rest()
    }
}

/// The range of versions that a client says, lowest and highest.
pub fn range_of(said: &str) -> Result<(u32, u32), Refusal> {
    let no_range = || Refusal::NoRange(said.chars().take(60).collect());
    let range = said.split(' ').next().and_then(|range| range.strip_prefix('v'));
    let (lowest, highest) = range.and_then(|range| range.split_once("..")).ok_or_else(no_range)?;
    let number = |text: &str| text.parse::<u32>().map_err(|_| no_range());
    let (lowest, highest) = (number(lowest)?, number(highest)?);
    if lowest > highest { Err(no_range()) } else { Ok((lowest, highest)) }
}

/// The newest protocol that both sides speak.
fn protocol_for(said: &str) -> Result<Protocol, Refusal> {
    let (lowest, highest) = range_of(said)?;
    if highest >= PROTO_OLDEST && lowest <= PROTO_NEWEST {
        return Ok(Protocol::Proto(highest.min(PROTO_NEWEST)));
    }
    if highest >= TEXT_OLDEST && lowest <= TEXT_NEWEST {
        return Ok(Protocol::Text(highest.min(TEXT_NEWEST)));
    }
    Err(Refusal::NoCommonVersion { lowest, highest })
}

/// The answer: the version and the gateway's time, `20260302 09:30:00 EST`.
pub fn answer(protocol: Protocol, now: Timestamp) -> Vec<u8> {
    let local = now.with_timezone(&chrono_tz::America::New_York);
    framed(format!("{}\0{}\0", protocol.version(), local.format("%Y%m%d %H:%M:%S %Z")).as_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hello(range: &str) -> Vec<u8> {
        [GREETING, &framed(range.as_bytes())].concat()
    }

    #[test]
    fn each_client_gets_the_newest_version_of_both() {
        for (range, protocol) in [
            ("v213..226", Protocol::Proto(226)),
            ("v100..225", Protocol::Proto(225)),
            ("v100..400 +PACEAPI", Protocol::Proto(226)),
            ("v157..178", Protocol::Text(178)),
            ("v157..176", Protocol::Text(176)),
            ("v100..200", Protocol::Text(178)),
        ] {
            assert_eq!(Hello::default().push(&hello(range)), Ok(Some(protocol)), "{range}");
        }
    }

    #[test]
    fn others_are_refused_with_the_reason() {
        for (range, said) in [
            ("v100..157", "understands server versions 100 to 157"),
            ("v179..212", "understands server versions 179 to 212"),
            ("v300..400", "understands server versions 300 to 400"),
            ("v178..157", "no range of versions"),
            ("v1", "no range of versions"),
            ("hello", "no range of versions"),
        ] {
            let refusal = Hello::default().push(&hello(range)).unwrap_err().to_string();
            assert!(refusal.contains(said), "{range}: {refusal}");
        }
        let refusal = Hello::default().push(b"GET / HTTP/1.1").unwrap_err();
        assert_eq!(refusal, Refusal::NotAClient(b"GET ".to_vec()));
        let long = Hello::default().push(&[GREETING, &[0, 1, 0, 0]].concat()).unwrap_err();
        assert!(matches!(long, Refusal::Framing(_)));
    }

    #[test]
    fn what_follows_without_waiting_is_kept() {
        let mut greeting = Hello::default();
        assert!(greeting.push(&[&hello("v213..226")[..], b"more"].concat()).unwrap().is_some());
        assert_eq!(greeting.rest(), b"more");
    }

    #[test]
    fn the_answer_is_two_fields() {
        let now = "2026-03-02T14:30:00Z".parse().unwrap();
        assert_eq!(answer(Protocol::Text(178), now), framed(b"178\x0020260302 09:30:00 EST\0"));
    }

    proptest! {
        #[test]
        fn bytes_are_judged_alike_however_they_come(
            bytes in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..40),
                prop::collection::vec(any::<u8>(), 0..40)
                    .prop_map(|range| [GREETING, &framed(&range)].concat()),
                "v[0-9]{1,4}\\.\\.[0-9]{1,4}".prop_map(|range| hello(&range)),
            ],
        ) {
            let whole = Hello::default().push(&bytes);
            let mut greeting = Hello::default();
            let mut last = Ok(None);
            for byte in &bytes {
                last = greeting.push(&[*byte]);
                if !matches!(last, Ok(None)) {
                    break;
                }
            }
            let alike = match (&whole, &last) {
                (Err(Refusal::NotAClient(_)), Err(Refusal::NotAClient(_))) => true,
                (whole, last) => whole == last,
            };
            prop_assert!(alike, "{:?} and {:?}", whole, last);
        }
    }
}
