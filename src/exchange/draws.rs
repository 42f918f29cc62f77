//! Random numbers as a function of what they are for.
//!
//! A draw is derived from the seed, a purpose, a key and a counter, so that no draw depends on how
//! many others were made: an order more or less changes nothing for the rest.

use sha2::{Digest, Sha256};

/// What a draw decides. Each purpose is a stream of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DrawPurpose {
    PassiveFill,
    BenignFill,
    PinAssignment,
    EarlyAssignment,
}

impl DrawPurpose {
    fn tag(self) -> u8 {
        match self {
            Self::PassiveFill => 1,
            Self::BenignFill => 2,
            Self::PinAssignment => 3,
            Self::EarlyAssignment => 4,
        }
    }
}

/// The seeded source of draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draws {
    seed: u64,
}

impl Draws {
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// Uniform in [0, 1).
    pub fn uniform(self, purpose: DrawPurpose, key: &str, counter: i64) -> f64 {
        let mut hash = Sha256::new();
        hash.update(self.seed.to_be_bytes());
        hash.update([purpose.tag()]);
        hash.update(counter.to_be_bytes());
        hash.update(key.as_bytes());
        let bits =
            hash.finalize().iter().take(8).fold(0_u64, |all, byte| (all << 8) | u64::from(*byte));
        (bits >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// How many of `count` independent trials of `probability` succeed.
    pub fn successes(
        self,
        probability: f64,
        count: i64,
        (purpose, key): (DrawPurpose, &str),
    ) -> i64 {
        (0..count).filter(|trial| self.uniform(purpose, key, *trial) < probability).count() as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_uniform_and_independent_of_each_other() {
        let draws = Draws::new(7);
        let sample: Vec<f64> =
            (0..10_000).map(|n| draws.uniform(DrawPurpose::PassiveFill, "a", n)).collect();
        let mean = sample.iter().sum::<f64>() / 10_000.0;
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
        assert!(sample.iter().all(|x| (0.0..1.0).contains(x)));
        let other = draws.uniform(DrawPurpose::BenignFill, "a", 3);
        assert!((sample[3] - other).abs() > 1e-12);
    }

    #[test]
    fn successes_follow_the_probability() {
        let draws = Draws::new(7);
        let hits = draws.successes(0.3, 10_000, (DrawPurpose::PinAssignment, "k"));
        assert!((2_800..3_200).contains(&hits), "{hits}");
        assert_eq!(draws.successes(1.0, 5, (DrawPurpose::PinAssignment, "k")), 5);
    }
}
