//! Frames: a big-endian length and that many bytes.
//!
//! Invariant: nothing is set aside for a frame before its bytes have come, so that a length alone
//! costs nothing, whoever sends it.

/// Longest frame that TWS itself accepts, bytes (observed in its clients).
pub const FRAME_LENGTH_MAX: usize = 0x00FF_FFFF;

/// Longest frame that is taken of a client, bytes: its requests have some hundreds. What TWS itself
/// takes of one is not known.
pub const REQUEST_LENGTH_MAX: usize = 256 * 1024;

/// Bytes of the length in front.
const HEAD: usize = 4;

/// The stream holds no frames, or no longer: the connection cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a frame says it has {length} bytes; this gateway takes 1 to {max}. The stream has lost its \
     framing, or the peer speaks another protocol: close it and connect again"
)]
pub struct BrokenFraming {
    pub length: u64,
    pub max: usize,
}

/// Bytes as they came, cut into frames.
#[derive(Debug)]
pub struct Frames {
    held: Vec<u8>,
    /// Where the first frame not yet taken begins.
    at: usize,
    max: usize,
}

impl Frames {
    /// Frames of at most `max` bytes.
    pub fn up_to(max: usize) -> Self {
        Self { held: Vec::new(), at: 0, max: max.min(FRAME_LENGTH_MAX) }
    }

    pub fn push(&mut self, bytes: &[u8]) {
        self.held.drain(..self.at);
        self.at = 0;
        self.held.extend_from_slice(bytes);
    }

    /// The next whole frame; `None` until it has come.
    pub fn take(&mut self) -> Result<Option<Vec<u8>>, BrokenFraming> {
        let rest = self.held.get(self.at..).unwrap_or_default();
        let Some((head, rest)) = rest.split_first_chunk::<HEAD>() else { return Ok(None) };
        let length = u32::from_be_bytes(*head) as usize;
        if length == 0 || length > self.max {
            return Err(BrokenFraming { length: length as u64, max: self.max });
        }
        let Some(body) = rest.get(..length) else { return Ok(None) };
        let body = body.to_vec();
        self.at += HEAD + length;
        Ok(Some(body))
    }

    /// What came after the last whole frame.
    pub fn rest(self) -> Vec<u8> {
        self.held.get(self.at..).unwrap_or_default().to_vec()
    }
}

/// A body with its length in front.
pub fn framed(body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(HEAD + body.len());
    frame.extend_from_slice(&(body.len() as u32).to_be_bytes());
    frame.extend_from_slice(body);
    frame
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_length_of_nothing_or_too_much_is_broken_before_its_bytes_come() {
        for length in [0_u32, 0x0100_0000, u32::MAX] {
            let mut frames = Frames::up_to(FRAME_LENGTH_MAX);
            frames.push(&length.to_be_bytes());
            assert_eq!(frames.take().unwrap_err().length, u64::from(length));
        }
    }

    proptest! {
        #[test]
        fn bodies_come_out_as_they_went_in_however_the_bytes_are_cut(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..8),
            cut in 1_usize..7,
        ) {
            let stream: Vec<u8> = bodies.iter().flat_map(|body| framed(body)).collect();
            let mut frames = Frames::up_to(FRAME_LENGTH_MAX);
            let mut taken = Vec::new();
            for bytes in stream.chunks(cut) {
                frames.push(bytes);
                while let Some(body) = frames.take().unwrap() {
                    taken.push(body);
                }
            }
            prop_assert_eq!(taken, bodies);
            prop_assert!(frames.rest().is_empty());
        }

        #[test]
        fn any_bytes_end_in_frames_or_a_fault(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let mut frames = Frames::up_to(FRAME_LENGTH_MAX);
            frames.push(&bytes);
            let mut left = bytes.len();
            while let Ok(Some(body)) = frames.take() {
                prop_assert!(body.len() + 4 <= left);
                left -= body.len() + 4;
            }
        }
    }
}
