//! One connection's way of speaking, once it is agreed.

use super::event::Event;
use super::frame::framed;
use super::handshake::Protocol;
use super::request::{DecodeError, Request};
use super::{proto, text};

impl Protocol {
    /// A request out of a frame's body.
    pub fn decode(self, body: &[u8]) -> Result<Request, DecodeError> {
        match self {
            Self::Proto(_) => proto::decode(body),
            Self::Text(version) => text::decode(version, body),
        }
    }

    /// An event as a whole frame; `None` for what this protocol has no words for.
    pub fn encode(self, event: &Event) -> Option<Vec<u8>> {
        match self {
            Self::Proto(_) => Some(framed(&proto::encode(event))),
            Self::Text(version) => text::encode(version, event).map(|body| framed(&body)),
        }
    }
}
