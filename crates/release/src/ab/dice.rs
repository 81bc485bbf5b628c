//! Chance that can be had again: the order of each pair, and numbers to simulate with.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Which of both releases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Which {
    Old,
    New,
}

impl Which {
    /// As people read it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Which::Old => "old",
            Which::New => "new",
        }
    }
}

/// Which release runs first in a pair. Each pair has a coin of its own: were orders balanced in blocks, the last of a block would be no chance any more,
/// and what holds of the test rests on each being one.
#[must_use]
pub fn first(seed: u64, pair: u64) -> Which {
    let digest = Sha256::new()
        .chain_update(b"stoke ab order")
        .chain_update(seed.to_le_bytes())
        .chain_update(pair.to_le_bytes())
        .finalize();
    match digest[0] & 1 {
        0 => Which::Old,
        _ => Which::New,
    }
}

/// SplitMix64 (G. Steele, D. Lea and C. Flood, "Fast splittable pseudorandom number generators", 2014).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to below 1.
    pub fn share(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A number from 0 to below `sides`, which is at least 1.
    pub fn below(&mut self, sides: usize) -> usize {
        ((self.share() * sides as f64) as usize).min(sides.saturating_sub(1))
    }

    pub fn coin(&mut self) -> bool {
        self.bits() >> 63 == 1
    }
}
