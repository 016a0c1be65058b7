//! The order of rows: a pure function of seed and epoch.
//!
//! No state is kept between epochs and there is no shuffle buffer, so any batch of any epoch can be found
//! directly. The generator is ChaCha with 8 rounds, with the seed as its key and the epoch as its stream.
//! Drawing and swapping are implemented here, so an order never changes with a library version.

use std::hint::black_box;
use std::ops::Range;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::progress::Patient;
use crate::random::below;

/// The maximum number of rows shuffled as a whole, at 4 bytes each: 256 MB.
const WHOLE_ROWS: u32 = 1 << 26;

/// Consecutive rows that stay together when a table is shuffled in blocks.
const SHARD_ROWS: u32 = 1 << 12;

/// Shards whose rows are shuffled with one another: a million rows, 4 MB.
const BLOCK_SHARDS: usize = 1 << 8;

/// The number of places read ahead of swapping.
const AHEAD: usize = 64;

/// Rows between two progress updates.
const PIECE: usize = 1 << 18;

/// The rows `0..rows` in the order of one epoch, the same on every machine and after every restart.
///
/// A Fisher-Yates shuffle: every order is equally likely.
///
/// ```
/// let order = brew_data::epoch_order(10, 7, 0);
/// assert_eq!(order, [5, 9, 8, 4, 0, 2, 3, 7, 6, 1]);
/// assert_ne!(order, brew_data::epoch_order(10, 7, 1));
/// ```
pub fn epoch_order(rows: u32, seed: u64, epoch: u64) -> Vec<u32> {
    let mut order: Vec<u32> = (0..rows).collect();
    shuffle_rows(&mut order, &mut generator(seed, epoch, 0));
    order
}

/// How the rows of an epoch are ordered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Order {
    /// As in the table.
    Table,
    /// Every order is equally likely; in blocks if there are too many rows to shuffle as a whole.
    Shuffled(u64),
    /// Shards of consecutive rows in random order, with rows shuffled within blocks of shards.
    Blocks(u64),
}

impl Order {
    pub(super) fn seed(self) -> Option<u64> {
        match self {
            Order::Table => None,
            Order::Shuffled(seed) | Order::Blocks(seed) => Some(seed),
        }
    }

    /// The order of an epoch of a table with `rows` rows.
    pub(super) fn rows(self, rows: u32, epoch: u64) -> EpochOrder {
        match self {
            Order::Table => EpochOrder::Table,
            Order::Shuffled(seed) if rows <= WHOLE_ROWS => EpochOrder::Whole(epoch_order(rows, seed, epoch)),
            Order::Shuffled(seed) | Order::Blocks(seed) => EpochOrder::Blocks(Blocks::new(rows, seed, epoch)),
        }
    }

    /// Shuffles the batches of a window, if rows are shuffled.
    pub(super) fn shuffle_window<T>(self, batches: &mut [T], epoch: u64, window: usize) {
        if let Some(seed) = self.seed() {
            // A stream different from that of the rows: the upper half of the epochs is never reached.
            shuffle(batches, &mut generator(seed, !epoch, window as u64));
        }
    }
}

/// The rows of an epoch in order.
#[derive(Debug)]
pub(super) enum EpochOrder {
    Table,
    Whole(Vec<u32>),
    Blocks(Blocks),
}

impl EpochOrder {
    /// The rows at these positions of the order.
    pub(super) fn at(&mut self, positions: Range<usize>) -> Vec<u32> {
        match self {
            EpochOrder::Table => positions.map(|position| position as u32).collect(),
            EpochOrder::Whole(rows) => rows[positions].to_vec(),
            EpochOrder::Blocks(blocks) => blocks.at(positions),
        }
    }
}

/// Rows shuffled block by block; only the shard numbers and one block are in memory.
///
/// As "py1e" of MosaicML's streaming: shards are permuted, and rows are mixed across many shards, so the disk
/// reads runs and memory stays small.
#[derive(Debug)]
pub(super) struct Blocks {
    rows: u32,
    seed: u64,
    epoch: u64,
    /// Permuted; [`BLOCK_SHARDS`] of them are a block.
    shards: Vec<u32>,
    /// The starting position of each block, and the number of rows at the end.
    starts: Vec<usize>,
    /// The most recent block and its rows.
    block: Option<(usize, Vec<u32>)>,
}

impl Blocks {
    fn new(rows: u32, seed: u64, epoch: u64) -> Self {
        let shards = epoch_order(rows.div_ceil(SHARD_ROWS), seed, epoch);
        let mut starts = vec![0];
        for block in shards.chunks(BLOCK_SHARDS) {
            let length: usize = block.iter().map(|&shard| shard_rows(shard, rows).len()).sum();
            starts.push(starts.last().copied().unwrap_or(0) + length);
        }
        Blocks { rows, seed, epoch, shards, starts, block: None }
    }

    fn at(&mut self, positions: Range<usize>) -> Vec<u32> {
        let mut rows = Vec::with_capacity(positions.len());
        let mut position = positions.start;
        while position < positions.end {
            let number = self.starts.partition_point(|&start| start <= position) - 1;
            let (start, end) = (self.starts[number], self.starts[number + 1].min(positions.end));
            let first = position - start;
            rows.extend_from_slice(&self.block(number)[first..end - start]);
            position = end;
        }
        rows
    }

    fn block(&mut self, number: usize) -> &[u32] {
        let kept = self.block.take().filter(|(kept, _)| *kept == number);
        let make = || {
            let shards = self.shards.chunks(BLOCK_SHARDS).nth(number).unwrap_or_default();
            let mut rows: Vec<u32> = shards.iter().flat_map(|&shard| shard_rows(shard, self.rows)).collect();
            shuffle_rows(&mut rows, &mut generator(self.seed, self.epoch, 1 + number as u64));
            (number, rows)
        };
        let block = kept.unwrap_or_else(make);
        &self.block.insert(block).1
    }
}

fn shard_rows(shard: u32, rows: u32) -> Range<u32> {
    // The end of the last shard may exceed 32 bits.
    shard * SHARD_ROWS..rows.min((shard * SHARD_ROWS).saturating_add(SHARD_ROWS))
}

/// The generator for one purpose within an epoch; `part` distinguishes the purposes.
fn generator(seed: u64, epoch: u64, part: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&part.to_le_bytes());
    let mut generator = ChaCha8Rng::from_seed(key);
    generator.set_stream(epoch);
    generator
}

fn shuffle<T>(items: &mut [T], generator: &mut ChaCha8Rng) {
    for last in (1..items.len()).rev() {
        items.swap(last, below(last as u32 + 1, generator) as usize);
    }
}

/// As [`shuffle`], for more rows than fit into the processor's caches.
///
/// Each swap waits for a random memory access. So the next places are drawn ahead and read once, which a
/// processor does in parallel: the same order in less than half the time.
fn shuffle_rows(rows: &mut [u32], generator: &mut ChaCha8Rng) {
    let mut progress = Patient::rows(format!("shuffling {} rows", rows.len()), rows.len() as u64);
    let mut places = [0; AHEAD];
    let mut end = rows.len();
    while end > 1 {
        let places = &mut places[..AHEAD.min(end - 1)];
        for (last, place) in (0..end).rev().zip(places.iter_mut()) {
            *place = below(last as u32 + 1, generator) as usize;
        }
        black_box(places.iter().fold(0, |all, &place| all ^ rows[place]));
        for (last, &place) in (0..end).rev().zip(places.iter()) {
            rows.swap(last, place);
        }
        let before = end / PIECE;
        end -= places.len();
        if end / PIECE < before {
            progress.reach((rows.len() - end) as u64);
        }
    }
}
