//! Random numbers for one row in one epoch.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::random::below;

/// A stream of random numbers that depends only on the seed, the epoch, and the row: the same on every
/// machine and after every restart.
///
/// The generator is ChaCha with 8 rounds; seed and row are its key, the epoch its stream.
#[derive(Debug)]
pub struct Draws(ChaCha8Rng);

impl Draws {
    /// The numbers for a row (of the file, from 0) in an epoch (from 0).
    pub fn of(seed: u64, epoch: u64, row: u64) -> Self {
        Self::keyed(b"brew augmentatio", seed, epoch, row)
    }

    /// Other numbers for the masks and labels of the row, so that they do not depend on its augmentation.
    pub(super) fn of_masks(seed: u64, epoch: u64, row: u64) -> Self {
        Self::keyed(b"brew masks of lm", seed, epoch, row)
    }

    fn keyed(purpose: &[u8; 16], seed: u64, epoch: u64, row: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&row.to_le_bytes());
        // A key different from that of the row order, which has row 0.
        key[16..].copy_from_slice(purpose);
        let mut generator = ChaCha8Rng::from_seed(key);
        generator.set_stream(epoch);
        Draws(generator)
    }

    /// True with this probability; never for 0 and always for 1.
    pub(super) fn happens(&mut self, probability: f64) -> bool {
        self.uniform() < probability
    }

    /// An index drawn by these probabilities, which sum to 1.
    pub(super) fn choose(&mut self, probabilities: impl IntoIterator<Item = f64>) -> usize {
        let (mut left, mut possible) = (self.uniform(), 0);
        for (place, probability) in probabilities.into_iter().enumerate() {
            if left < probability {
                return place;
            }
            if probability > 0.0 {
                possible = place;
            }
            left -= probability;
        }
        possible
    }

    /// A uniform number below `bound`; 0 if the bound is 0.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        match u32::try_from(bound) {
            Ok(0) => 0,
            bound => below(bound.unwrap_or(u32::MAX), &mut self.0) as usize,
        }
    }

    /// In [0, 1).
    fn uniform(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::Draws;

    // The margins are four standard errors of 100,000 draws.
    #[test]
    fn draws_have_their_probabilities() {
        let mut draws = Draws::of(7, 0, 0);
        let mut counts = [0_u32; 3];
        for _ in 0..100_000 {
            counts[draws.choose([0.2, 0.0, 0.8])] += 1;
        }
        assert_eq!(counts[1], 0);
        assert!((f64::from(counts[0]) / 1e5 - 0.2).abs() < 0.005, "{counts:?}");
        assert!(!(0..1000).any(|_| draws.happens(0.0)) && (0..1000).all(|_| draws.happens(1.0)));
        assert_eq!(draws.below(0), 0);
        assert!((0..1000).all(|_| draws.below(3) < 3));
    }

    #[test]
    fn seed_epoch_and_row_each_change_the_numbers() {
        let first = |seed, epoch, row| Draws::of(seed, epoch, row).below(1 << 30);
        assert_eq!(first(7, 1, 2), first(7, 1, 2));
        let all = [first(7, 1, 2), first(8, 1, 2), first(7, 2, 2), first(7, 1, 3)];
        assert!((1..4).all(|place| !all[..place].contains(&all[place])), "{all:?}");
        assert_ne!(Draws::of_masks(7, 1, 2).below(1 << 30), all[0]);
    }
}
