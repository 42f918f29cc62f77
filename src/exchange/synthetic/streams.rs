//! Random numbers: one ChaCha stream for each purpose and instrument, all from one seed.
//!
//! Two forms. A [`Stream`] is drawn in order, once a step of the time grid. [`noise`] is drawn at a
//! place: contract and slot of time name a block of the stream, so that a quote's noise does not
//! depend on which other quotes were looked at.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// What a stream is for. The numbers are part of the market's definition: changing one changes
/// every market.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Common returns and variances.
    Market = 1,
    /// When jumps happen.
    JumpTimes = 2,
    /// How large they are.
    JumpSizes = 3,
    /// QQQ beside the common factor.
    Qqq = 4,
    /// IWM beside the common factor.
    Iwm = 5,
    /// Quotes of options, ETFs, futures: where the mid lies, how large the sizes are.
    Quotes = 6,
    /// Volumes, a contract and session.
    Volumes = 7,
    /// Amounts of dividends, an ETF and ex-date.
    Dividends = 8,
    /// Variances at the start of the history.
    Start = 9,
}

/// 32-bit words of a ChaCha block.
const BLOCK_WORDS: u128 = 16;

fn generator(seed: u64, purpose: Purpose, instrument: u64) -> ChaCha8Rng {
    let mut key = *b"........deltadesk market, first ";
    for (byte, own) in key.iter_mut().zip(seed.to_le_bytes()) {
        *byte = own;
    }
    let mut rng = ChaCha8Rng::from_seed(key);
    rng.set_stream(((purpose as u64) << 48) | instrument);
    rng
}

/// Numbers in order.
#[derive(Debug, Clone)]
pub(super) struct Stream {
    rng: ChaCha8Rng,
}

impl Stream {
    pub fn new(seed: u64, purpose: Purpose) -> Self {
        Self { rng: generator(seed, purpose, 0) }
    }

    /// Uniform on the open interval (0, 1).
    pub fn uniform(&mut self) -> f64 {
        open_unit(self.rng.next_u64())
    }

    /// Two independent standard normal numbers (Box and Muller).
    pub fn normals(&mut self) -> (f64, f64) {
        let radius = libm::sqrt(-2.0 * libm::log(self.uniform()));
        let (sin, cos) = libm::sincos(core::f64::consts::TAU * self.uniform());
        (radius * cos, radius * sin)
    }

    /// Exponential with mean 1.
    pub fn exponential(&mut self) -> f64 {
        -libm::log(self.uniform())
    }
}

/// Four uniform numbers on (0, 1) that belong to a purpose, an instrument and a slot of time.
pub(super) fn noise(seed: u64, purpose: Purpose, place: (i64, i64)) -> [f64; 4] {
    let (instrument, slot) = place;
    let mut rng = generator(seed, purpose, instrument.unsigned_abs());
    rng.set_word_pos(u128::from(slot.unsigned_abs()) * BLOCK_WORDS);
    core::array::from_fn(|_| open_unit(rng.next_u64()))
}

fn open_unit(bits: u64) -> f64 {
    ((bits >> 11) as f64 + 0.5) / 9_007_199_254_740_992.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_repeat_and_differ_by_purpose_and_seed() {
        let draw = |seed, purpose| Stream::new(seed, purpose).uniform().to_bits();
        assert_eq!(draw(1, Purpose::Market), draw(1, Purpose::Market));
        assert_ne!(draw(1, Purpose::Market), draw(2, Purpose::Market));
        assert_ne!(draw(1, Purpose::Market), draw(1, Purpose::JumpTimes));
    }

    #[test]
    fn noise_belongs_to_its_place() {
        let at = |instrument, slot| noise(7, Purpose::Quotes, (instrument, slot)).map(f64::to_bits);
        assert_eq!(at(5, 9), at(5, 9));
        assert_ne!(at(5, 9), at(5, 10));
        assert_ne!(at(5, 9), at(6, 9));
    }

    #[test]
    fn normals_have_their_moments() {
        let mut stream = Stream::new(3, Purpose::Market);
        let numbers: Vec<f64> =
            (0..100_000).map(|_| stream.normals()).flat_map(|(a, b)| [a, b]).collect();
        let count = numbers.len() as f64;
        let moment = |power: i32| numbers.iter().map(|x| x.powi(power)).sum::<f64>() / count;
        assert!(moment(1).abs() < 0.01);
        assert!((moment(2) - 1.0).abs() < 0.015);
        assert!((moment(4) - 3.0).abs() < 0.1);
    }
}
