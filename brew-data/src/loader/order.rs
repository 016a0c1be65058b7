//! The order of rows and batches: a pure function of seed and epoch.
//!
//! Nothing is kept between epochs and no buffer is shuffled, so that any batch of any epoch can be
//! found again without walking to it. The generator is ChaCha with 8 rounds, the seed as its key and
//! the epoch as its stream; drawing and swapping are written out here, so that an order never changes
//! with the version of a library.

use std::ops::Range;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Batches in a window of length buckets: long enough for even lengths, short enough to mix rows.
const WINDOW_BATCHES: usize = 100;

/// The rows `0..rows` in the order of one epoch: the same on every machine and after every restart.
///
/// A Fisher-Yates shuffle: each of the orders is as likely as any other.
///
/// ```
/// let order = brew_data::epoch_order(10, 7, 0);
/// assert_eq!(order, [5, 9, 8, 4, 0, 2, 3, 7, 6, 1]);
/// assert_ne!(order, brew_data::epoch_order(10, 7, 1));
/// ```
pub fn epoch_order(rows: u32, seed: u64, epoch: u64) -> Vec<u32> {
    let mut order: Vec<u32> = (0..rows).collect();
    shuffle(&mut order, &mut generator(seed, epoch));
    order
}

/// How an epoch is walked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Order {
    /// Rows a batch.
    pub(crate) size: usize,
    /// Shuffles if there is one.
    pub(crate) seed: Option<u64>,
}

/// The batches of one epoch.
#[derive(Debug)]
pub(crate) struct EpochBatches {
    rows: Vec<u32>,
    batches: Vec<Range<usize>>,
}

impl EpochBatches {
    /// Number of batches.
    pub(crate) fn len(&self) -> usize {
        self.batches.len()
    }

    /// The rows of a batch.
    pub(crate) fn rows(&self, batch: usize) -> &[u32] {
        &self.rows[self.batches[batch].clone()]
    }
}

impl Order {
    /// Cuts the order of an epoch into batches; the last is the short one.
    pub(crate) fn batches(&self, rows: u32, epoch: u64) -> EpochBatches {
        let rows = match self.seed {
            Some(seed) => epoch_order(rows, seed, epoch),
            None => (0..rows).collect(),
        };
        let batches = cut(0..rows.len(), self.size);
        EpochBatches { rows, batches }
    }

    /// The same with batches of like length: inside windows of the order rows are sorted by length and
    /// cut, and the batches of a window are shuffled if rows are.
    ///
    /// Each row is still seen once, and there are as many batches as without.
    pub(crate) fn bucketed(&self, rows: u32, epoch: u64, length: impl Fn(u32) -> usize) -> EpochBatches {
        let EpochBatches { mut rows, .. } = self.batches(rows, epoch);
        // Another stream than that of the rows: the upper half of the epochs, which nobody reaches.
        let mut generator = self.seed.map(|seed| generator(seed, !epoch));
        let mut batches = Vec::with_capacity(rows.len().div_ceil(self.size));
        for window in cut(0..rows.len(), self.size.saturating_mul(WINDOW_BATCHES)) {
            rows[window.clone()].sort_by_cached_key(|&row| length(row));
            let mut cuts = cut(window, self.size);
            if let Some(generator) = &mut generator {
                shuffle(&mut cuts, generator);
            }
            batches.append(&mut cuts);
        }
        EpochBatches { rows, batches }
    }
}

fn cut(range: Range<usize>, size: usize) -> Vec<Range<usize>> {
    range.clone().step_by(size).map(|start| start..range.end.min(start.saturating_add(size))).collect()
}

fn generator(seed: u64, epoch: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    let mut generator = ChaCha8Rng::from_seed(key);
    generator.set_stream(epoch);
    generator
}

fn shuffle<T>(items: &mut [T], generator: &mut ChaCha8Rng) {
    for last in (1..items.len()).rev() {
        items.swap(last, below(last as u32 + 1, generator) as usize);
    }
}

/// A number below `bound`, each as likely as any other.
///
/// Multiply-shift with rejection: D. Lemire, "Fast Random Integer Generation in an Interval", 2019.
pub(crate) fn below(bound: u32, generator: &mut ChaCha8Rng) -> u32 {
    let rejected = bound.wrapping_neg() % bound;
    loop {
        let product = u64::from(generator.next_u32()) * u64::from(bound);
        if product as u32 >= rejected {
            return (product >> 32) as u32;
        }
    }
}
